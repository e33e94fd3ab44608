"""The README of a model as ONNX: what the files are, and a program of a few lines that runs as it stands."""

from __future__ import annotations

from tamis.ml.manifest import Manifest
from tamis.ml.model_card import code, inline

_READING = """
## From scores to answers

`labels.json` has for each target its `labels`, in the order of the scores. A single-label target (`thresholds` is null)
is the label with the highest score, or no answer where that score is below `abstain_below`. A multi-label target has
all labels whose score is at least their threshold. Scores are calibrated probabilities; `NAME_logits` are the
calibrated logits that they are made of."""


def static_card(manifest: Manifest) -> str:
    """Return the README of a static model."""
    return f"""{_head(manifest)}
Files: `model.onnx`, with all weights; `features.py`, which makes its inputs of texts, with `features.json`,
`features.npz` and `tokenizer.json`; `labels.json`. ONNX has no operators for n-grams by hash: that part is Python,
about 250 lines on numpy and tokenizers, and could be written in any language.

```bash
pip install onnxruntime tokenizers numpy
```

Run this in this folder:

```python
import json

import onnxruntime

from features import Features

features = Features(".")
session = onnxruntime.InferenceSession("model.onnx")
texts = ["Your text", "Another one"]
inputs = features(texts)
for target in json.load(open("labels.json", encoding="utf-8"))["targets"]:
    (scores,) = session.run([target["scores"]], inputs)
    for text, row in zip(texts, scores):
        best = row.argmax()
        print(f"{{text}}: {{target['name']}} = {{target['labels'][best]}} ({{row[best]:.3f}})")
```

A chat is a list of `{{"role": "user", "content": "..."}}` in the place of a text. Give few texts at a time: the graph
gathers a row of weights for each n-gram.
{_READING}
{_foot(manifest)}"""


def _head(manifest: Manifest) -> str:
    targets = ", ".join(f"{code(target.name)} ({len(target.labels):,} labels)" for target in manifest.targets)
    within = max(manifest.tolerance, 1e-5)
    return f"""# {inline(manifest.name)} as ONNX

A text classifier made with Tamis on {manifest.created:%Y-%m-%d}: {targets}. It runs with ONNX Runtime, without Tamis.
Its scores were compared with the model's own on {len(manifest.golden)} inputs when it was exported, and are the same
within {within:g}.
"""


def _foot(manifest: Manifest) -> str:
    card = manifest.base_model
    return f"""
## Where it comes from

Base model: {code(card.id)}, licence: {inline(card.licence)}. Made with Tamis {inline(manifest.tamis_version)} from
{manifest.data.train_rows:,} rows. It is as good, and as biased, as they are; the card in the model's own folder has the
figures.
"""
