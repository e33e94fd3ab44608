"""The model card: an artifact's README.md, written from its manifest for the people who find it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from tamis.ml.card_header import card_header
from tamis.ml.manifest import ChosenFor, Manifest, TargetManifest

MAX_LABELS = 60
"""Labels of a target that the card lists."""


def model_card(manifest: Manifest, repository: str = "", licence: str | None = None) -> str:
    """Return the card as Markdown, with the head that model hubs read.

    Args:
        manifest: of the model.
        repository: of the hub that it is in, for the examples; "" where it is a folder.
        licence: of the model; None takes the base model's, where it has a known one.
    """
    parts = [
        card_header(manifest, licence),
        f"# {inline(manifest.name)}",
        _summary(manifest),
        _usage(manifest, repository),
        *(_target(target) for target in manifest.targets),
        _metrics(manifest),
        _data(manifest),
        _base_model(manifest),
        _limits(manifest),
        _versions(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(manifest: Manifest) -> str:
    questions = ", ".join(
        f"{code(target.name)} ({'any number' if target.target.is_multi else 'one'} of {len(target.labels):,} labels)"
        for target in manifest.targets
    )
    return (
        f"A text classifier made with Tamis on {manifest.created:%Y-%m-%d}. "
        f"For a text or a chat it answers: {questions}. "
        "Scores are calibrated probabilities. It runs on a CPU, without a network."
        f"{_served(manifest)}{_parent(manifest)}"
    )


def _served(manifest: Manifest) -> str:
    """In which numbers an encoder computes, and what that costs, as training measured it."""
    told = manifest.training.get("served")
    beside = ""
    if manifest.network_alone is not None:
        beside = " A static model of the same rows answers together with the network: their logits are added up."
    gpu = " On a GPU torch serves it, in half precision."
    return f" {inline(told)}{gpu}{beside}" if isinstance(told, str) else beside


def _parent(manifest: Manifest) -> str:
    """Which model it was made from, where only thresholds are new."""
    made = manifest.parent
    if made is None or not made.thresholds:
        return ""
    return f" It is {code(made.name)} with other thresholds: nothing was trained, and scores are the same."


def _usage(manifest: Manifest, repository: str) -> str:
    by_torch = manifest.architecture.get("served") == "torch"
    extras = [] if manifest.tier == "static" else ["encoder" if by_torch else "onnx"]
    extras += ["hub"] if repository else []
    place = repository or "PATH/TO/THIS/FOLDER"
    install = f"'tamis[{','.join(extras)}]'" if extras else "tamis"
    return f"""## How to use it

```bash
pip install {install}
tamis classify {place} "Your text"
```

```python
import tamis

model = tamis.load("{place}")
for prediction in model.classify(["Your text", "Another one"]):
    print(prediction.to_json())
```"""


def _target(target: TargetManifest) -> str:
    kind = "multi-label: independent probabilities" if target.target.is_multi else "single-label: scores sum to 1"
    lines = [f"## Target {code(target.name)}", f"{len(target.labels):,} labels, {kind}."]
    if target.none_labels:
        lines.append(f"Labels that mean that nothing applies: {', '.join(map(code, target.none_labels))}.")
    if target.abstain:
        by = "a confidence" if target.abstain.evidence is None else "an evidence"
        lines.append(
            f"Below {by} of {_number(target.abstain.threshold)} it abstains: it says that none of the labels applies. "
            f"On held-out data it answered {target.abstain.coverage:.1%} of the rows in scope."
        )
    if target.oos_label and target.oos_learnt:
        lines.append(f"It learnt from rows out of scope ({code(target.oos_label)}), which is none of its labels.")
    if target.chosen_for:
        lines.append(_chosen_for(target.chosen_for))
    if target.thresholds:
        given = [[code(label), _number(cut)] for label, cut in zip(target.labels, target.thresholds, strict=True)]
        lines.append(table(["label", "given from a score of"], given[:MAX_LABELS]))
    else:
        lines.append(", ".join(map(code, target.labels[:MAX_LABELS])))
    if len(target.labels) > MAX_LABELS:
        lines.append(f"… and {len(target.labels) - MAX_LABELS:,} more: see `manifest.json`.")
    return "\n\n".join(lines)


def _chosen_for(made: ChosenFor) -> str:
    """What the thresholds were chosen for, and which labels they do not do it for."""
    asked = [f"for {code(made.objective)}"] if made.objective else []
    asked += [f"of {code(label)} for {code(objective)}" for label, objective in [*made.labels.items()][:MAX_LABELS]]
    asked += [f"of {code(label)} by hand" for label in [*made.fixed][:MAX_LABELS]]
    rows = {"held_out": "rows held out in training", "data": "other rows"}.get(made.source or "")
    said = f"Thresholds were chosen {', '.join(asked)}{f', by {made.rows:,} {rows}' if rows else ''}."
    if not made.not_kept:
        return said
    names = ", ".join(map(code, made.not_kept[:MAX_LABELS]))
    return f"{said} No threshold is known to do so for {names}: they have the closest."


def _metrics(manifest: Manifest) -> str:
    rows = [[inline(name), _cell(value)] for name, value in _flat(manifest.metrics)]
    if not rows:
        return "## Metrics\n\nNone were measured."
    seen = (
        "Measured on rows that the fit had not seen. `held_out` rows also chose how long to train and from which score "
        "a label is given, so `test`, where it is there, is the stricter judge."
    )
    return f"## Metrics\n\n{seen}\n\n{table(['metric', 'value'], rows)}"


def _data(manifest: Manifest) -> str:
    data = manifest.data
    rows = [[code(file.name), inline(file.split), f"{file.rows:,}"] for file in data.files]
    files = "\n\n" + table(["file", "for", "rows"], rows) if rows else ""
    return (
        f"## Data\n\n{data.train_rows:,} rows for training, {data.validation_rows:,} for validation. "
        f"Content hash: `{data.sha256}`.{files}"
    )


def _base_model(manifest: Manifest) -> str:
    card = manifest.base_model
    languages = ", ".join(card.languages) or "not known"
    return (
        f"## Base model\n\n{code(card.id)}: {inline(card.title)}, {card.dimensions} dimensions, "
        f"{card.vocabulary:,} tokens. Languages: {inline(languages)}. Licence: {inline(card.licence)}. "
        f"From: {inline(card.source)}{f' ({inline(card.revision)})' if card.revision else ''}. {inline(card.notes)}"
    ).rstrip()


_TRACES = {
    "static": (
        "Words are weighed without regard to most of their order.\n\n"
        "No text of the data is in this folder. What is there of it: the names of labels and files, which of the base "
        "model's tokens occurred, and hashes of n-grams, with which a word that somebody guesses can be tested."
    ),
    "encoder": (
        "{tokens}"
        "No text of the data is in this folder, but the names of labels and files are, and weights of this number can "
        "keep traces of texts that they were trained on often."
    ),
}
"""What each tier does not see, and what its artifact holds of the data."""


def _tokens(manifest: Manifest) -> str:
    most, length = manifest.tokens_read, manifest.architecture.get("max_length")
    if most is None or not isinstance(length, int):
        return ""
    about = "" if most == length else "about "
    return f"Of a text, it reads the first {about}{most:,} tokens; of a chat, the last {length:,}.\n\n"


def _limits(manifest: Manifest) -> str:
    return (
        "## Limits\n\nIt knows the labels above and nothing else: a text that fits none of them still gets scores, so "
        "use the abstain rule or look at the scores. It is as good, and as biased, as its data; the metrics hold for "
        f"texts like those. {_TRACES[manifest.tier].format(tokens=_tokens(manifest))} "
        f"The {len(manifest.golden)} inputs in `manifest.json`, which check that the model still computes as it did, "
        "are made up."
    )


def _versions(manifest: Manifest) -> str:
    versions = manifest.versions.model_dump()
    threads = versions.pop("threads")
    return (
        "## Made with\n\n"
        + ", ".join(f"{name} {inline(text)}" for name, text in versions.items())
        + (f"; {threads} threads.")
    )


def _flat(value: JsonValue, name: str = "") -> Iterable[tuple[str, JsonValue]]:
    """The plain values in nested objects, by dotted name; lists of objects and long lists are left to the manifest."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else key)
    elif not isinstance(value, list) or (len(value) <= 2 and not any(isinstance(item, dict | list) for item in value)):
        yield name, value


def _cell(value: JsonValue) -> str:
    if isinstance(value, list):
        return " – ".join(_cell(item) for item in value)
    return _number(value) if isinstance(value, float) else inline(str(value))


def _number(value: float) -> str:
    return f"{value:.4g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def inline(text: str) -> str:
    """Return text of strangers as plain Markdown text on one line."""
    flat = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>#!~&" else sign for sign in flat)


def code(text: str) -> str:
    """Return a name of strangers as code on one line."""
    flat = " ".join(text.split()) or "(empty)"
    if "`" not in flat:
        return f"`{flat}`"
    fence = "`" * (1 + max(len(run) for run in re.findall("`+", flat)))
    return f"{fence} {flat} {fence}"
