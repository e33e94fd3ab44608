"""The README of a model as ONNX: what the files are, and a program of a few lines that runs as it stands."""

from __future__ import annotations

from tamis.ml.manifest import Manifest
from tamis.ml.model_card import code, inline

ALONE = "network_alone"
"""Under what the training facts of a network by itself say so."""

FORMS = {
    "int8": "8-bit integers, scaled for each token and column",
    "int8-tables": "32-bit numbers, with its table of tokens in 8-bit integers",
    "float32": "32-bit numbers",
}
"""What the graph of an encoder computes in, by the name that the manifest has for it."""

_ANSWERS = """for target in json.load(open("labels.json", encoding="utf-8"))["targets"]:
    (scores,) = session.run([target["scores"]], inputs)
    for text, row in zip(texts, scores):
        least = row.max() if target["thresholds"] is None else target["thresholds"]
        given = [f"{label} ({score:.3f})" for label, score, hit in zip(target["labels"], row, row >= least) if hit]
        print(f"{text}: {target['name']} = {', '.join(given) or 'none'}")"""
"""The end of both programs."""

_READING = """
## From scores to answers

`labels.json` has for each target its `labels`, in the order of the scores. A single-label target (`thresholds` is null)
is the label with the highest score. A multi-label target has all labels whose score is at least their threshold. Scores
are calibrated probabilities; `NAME_logits` are the calibrated logits that they are made of.

The graph does not compute when a single-label target gives no answer: where its evidence is below `abstain_below`.
Evidence is the sum of what `abstain_by` names, each times its weight (with `s` a text's scores): `spread` is
`-mean(log(max(s, 1e-5)))`, `others` is the same of the second to the tenth highest score alone, `confidence` is
`log(max(s) / sum(s))`, `scope` is `log(sum(s) / max(1 - sum(s), 1e-6))`. `seen` is the share of the text's tokens that
occurred in training, less 1, and `nearness` how much nearer than usual it is to training rows of the label with the
highest score. These two are **not carried** here: take each as 0, and fewer texts are turned away than by the model
itself."""


def static_card(manifest: Manifest) -> str:
    """Return the README of a static model."""
    return f"""{_head(manifest)}
Files: `model.onnx`, with all weights; `features.py`, which makes its inputs of texts, with `features.json`,
`features.npz` and `tokenizer.json`; `labels.json`. ONNX has no operators for n-grams by hash: that part is Python,
about 250 lines on numpy and tokenizers, and could be written in any language.

```bash
pip install onnxruntime tokenizers numpy
```

Run this in this folder. It always names the likeliest label of a single-label target: when the model itself gives no
answer is told below.

```python
import json

import onnxruntime

from features import Features

features = Features(".")
session = onnxruntime.InferenceSession("model.onnx")
texts = ["Your text", "Another one"]
inputs = features(texts)
{_ANSWERS}
```

A chat is a list of `{{"role": "user", "content": "..."}}` in the place of a text. Give few texts at a time: the graph
gathers a row of weights for each n-gram.
{_READING}
{foot(manifest)}"""


def encoder_card(manifest: Manifest) -> str:
    """Return the README of an encoder."""
    return f"""{_head(manifest)}
Files: `model.onnx` with its weights in `model.onnx.data`, `tokenizer.json`, `labels.json`.{_form(manifest)}

```bash
pip install onnxruntime tokenizers numpy
```

Run this in this folder. It always names the likeliest label of a single-label target: when the model itself gives no
answer is told below.

```python
import json

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

options = onnxruntime.SessionOptions()
options.add_session_config_entry("session.x64quantprecision", "1")  # exact sums of bytes on every processor
session = onnxruntime.InferenceSession("model.onnx", options)
tokenizer = Tokenizer.from_file("tokenizer.json")
texts = ["Your text", "Another one"]
made = tokenizer.encode_batch(texts)
inputs = {{"input_ids": np.array([text.ids for text in made])}}
inputs["attention_mask"] = np.array([text.attention_mask for text in made])
{_ANSWERS}
```

{long_texts(manifest)} {chats(manifest)}
{_READING}
{foot(manifest)}"""


def _form(manifest: Manifest) -> str:
    form = FORMS.get(str(manifest.architecture.get("served")))
    return f" It computes in {form}." if form else ""


def long_texts(manifest: Manifest) -> str:
    """Return what becomes of texts that are longer than the model reads at once."""
    told, windows = manifest.architecture, manifest.architecture.get("windows", 1)
    most = f"{told.get('max_length', 0):,} tokens"
    if isinstance(windows, int) and windows > 1:
        return (
            f"A text of more than {most} is cut here. Tamis itself reads such a text in up to {windows} windows and "
            "averages their calibrated logits, so its scores of long texts are others."
        )
    return f"A text of more than {most} is cut, as it was in training."


def chats(manifest: Manifest) -> str:
    """Return how a chat becomes a text."""
    if manifest.architecture.get("chat_template"):
        return "A chat is written by the model's own chat template, without further special tokens, and keeps its end."
    return "A chat is a text of lines like `user: Hello`, one a message, and keeps its end."


def _head(manifest: Manifest) -> str:
    targets = ", ".join(f"{code(target.name)} ({len(target.labels):,} labels)" for target in manifest.targets)
    within = max(manifest.tolerance, 1e-5)
    return f"""# {inline(manifest.name)} as ONNX

A text classifier made with Tamis on {manifest.created:%Y-%m-%d}: {targets}. It runs with ONNX Runtime, without Tamis.
Its scores were compared with the model's own on {len(manifest.golden)} inputs when it was exported, and are the same
within {within:g}.
{alone(manifest)}
"""


def alone(manifest: Manifest) -> str:
    """Return that it is the network of an ensemble by itself, where it is that."""
    told = manifest.training.get(ALONE)
    return f"\n{inline(told)}\n" if isinstance(told, str) else ""


def foot(manifest: Manifest) -> str:
    """Return where the model comes from."""
    card = manifest.base_model
    return f"""
## Where it comes from

Base model: {code(card.id)}, licence: {inline(card.licence)}. Made with Tamis {inline(manifest.tamis_version)} from
{manifest.data.train_rows:,} rows. It is as good, and as biased, as they are; the card in the model's own folder has the
figures.
"""
