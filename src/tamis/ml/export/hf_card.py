"""The README of a model as transformers loads it, with the head that model hubs read."""

from __future__ import annotations

from collections.abc import Mapping

from tamis.ml.card_header import card_header
from tamis.ml.export.onnx_card import FORMS, alone, chats, foot, long_texts
from tamis.ml.manifest import Manifest, TargetManifest
from tamis.ml.model_card import code, inline, table

MAX_LABELS = 60
SAME = 1e-5
PARTS = {
    "spread": "`-mean(log(max(s, 1e-5)))`",
    "confidence": "`log(max(s) / sum(s))`",
    "scope": "`log(sum(s) / max(1 - sum(s), 1e-6))`",
}
"""What an encoder's evidence is made of."""


def card_of_one(manifest: Manifest, target: TargetManifest, off: float) -> str:
    """Return the card of one target's folder.

    Args:
        manifest: of the model.
        target: what this folder answers.
        off: how far its scores are from the model's own, at most, on the golden rows.
    """
    few = manifest.model_copy(update={"targets": (target,), "metrics": _metrics(manifest, target)})
    told = "Give `truncation=True`: without it transformers refuses or garbles longer texts."
    activation = "sigmoid, an independent probability for each label" if target.thresholds else "softmax"
    return f"""{card_header(few, library="transformers")}

# {inline(manifest.name)}: {inline(target.name)}

A text classifier made with Tamis on {manifest.created:%Y-%m-%d}: {len(target.labels):,} labels, {activation}. Its
calibration is folded into the last layer, so the scores are calibrated probabilities. {_compared(manifest, off)}
{alone(manifest)}

```python
from transformers import pipeline

classify = pipeline("text-classification", model="PATH/TO/THIS/FOLDER", top_k=None)
print(classify(["Your text", "Another one"], truncation=True))
```

{long_texts(manifest)} {told} {chats(manifest)}

## From scores to answers

{_decision(target)}
{foot(manifest)}"""


def card_of_all(manifest: Manifest, folders: Mapping[str, str]) -> str:
    """Return the README above the folders of several targets."""
    rows = "\n".join(f"- [{inline(name)}]({folder}/README.md)" for name, folder in folders.items())
    return f"# {inline(manifest.name)} for transformers\n\nA folder for each target of the model:\n\n{rows}\n"


def _metrics(manifest: Manifest, target: TargetManifest) -> dict[str, object]:
    kept = {place: measured for place, measured in manifest.metrics.items() if isinstance(measured, dict)}
    return {place: {target.name: figures[target.name]} for place, figures in kept.items() if target.name in figures}


def _compared(manifest: Manifest, off: float) -> str:
    if off <= max(SAME, manifest.tolerance):
        return f"They are the model's own: on {len(manifest.golden)} inputs the same within {max(SAME, off):.0e}."
    form = str(manifest.architecture.get("served"))
    return (
        f"The model itself is served in {FORMS.get(form, form)}, and these are the 32-bit weights that it was made of: "
        f"on {len(manifest.golden)} inputs the scores differ by up to {off:.3f}."
    )


def _decision(target: TargetManifest) -> str:
    if target.thresholds is None:
        return f"The label with the highest score.{_abstaining(target)}"
    given = [[code(label), f"{cut:.4g}"] for label, cut in zip(target.labels, target.thresholds, strict=True)]
    more = f"\n\n… and {len(given) - MAX_LABELS:,} more." if len(given) > MAX_LABELS else ""
    return table(["label", "given from a score of"], given[:MAX_LABELS]) + more


def _abstaining(target: TargetManifest) -> str:
    """When the model itself gives no answer: what the folder does not do for its user."""
    rule = target.abstain
    none = f" {code(str(target.oos_label))} says that none of the labels applies." if target.oos_learnt else ""
    if rule is None:
        return none
    if rule.evidence is None:
        return f"{none} The model itself gives no answer where that is below {rule.threshold:.4g}."
    parts = " + ".join(f"{weight:g} x {PARTS[name]}" for name, weight in rule.evidence.items() if name in PARTS)
    told = f" (with s the scores{' of all other labels' if target.oos_learnt else ''})"
    return f"{none} The model itself gives no answer where {parts} is below {rule.threshold:.4g}{told}."
