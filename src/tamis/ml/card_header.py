"""The head of a model card, as model hubs read it: licence, languages, task, base model, figures.

One entry a line, each value as JSON, which is YAML. It does not know the rest of the card.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from tamis.ml.cards import BaseModelCard
from tamis.ml.manifest import Manifest

LICENCES = frozenset({
    *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1"),
    *("lgpl-3.0", "agpl-3.0", "mpl-2.0", "isc", "unlicense", "wtfpl", "zlib", "artistic-2.0", "cc0-1.0", "cc-by-4.0"),
    *("cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "openrail"),
    *("bigscience-openrail-m", "creativeml-openrail-m", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3"),
    *("gemma", "other"),
})  # fmt: skip
"""Names of licences that the Hugging Face hub knows."""

MOST_LANGUAGES = 100
PLACES = {"test": "test data", "held_out": "held-out rows of the training data"}
FIGURES = {
    "accuracy": ("accuracy", "Accuracy"),
    "subset_accuracy": ("accuracy", "Subset accuracy"),
    "macro_f1": ("f1", "Macro F1"),
    "micro_f1": ("f1", "Micro F1"),
    "ece": ("ece", "Expected calibration error"),
}
"""The figures that hubs list, by their names in the manifest: type and title."""

_REPOSITORY = re.compile(r"https://huggingface\.co/([\w.-]+/[\w.-]*\w)", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_UNPRINTABLE = re.compile(r"[\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u2028\u2029]")


def card_header(manifest: Manifest, licence: str | None = None, *, library: str = "tamis") -> str:
    """Return the head between its lines of dashes.

    Args:
        manifest: of the model.
        licence: of the model; None takes the base model's, where it has a known one.
        library: what loads the files.
    """
    entries = _entries(manifest, licence) | {"library_name": library}
    rows = (f"{key}: {_yaml(value)}" for key, value in entries.items())
    return "\n".join(["---", *rows, "---"])


def _entries(manifest: Manifest, licence: str | None) -> dict[str, JsonValue]:
    entries: dict[str, JsonValue] = {}
    if named := licence or known_licence(manifest.base_model.licence):
        entries["license"] = named
    languages = [code for code in manifest.base_model.languages if _LANGUAGE.fullmatch(code)]
    if languages:
        entries["language"] = [*languages[:MOST_LANGUAGES]]
    entries |= {
        "library_name": "tamis",
        "pipeline_tag": "text-classification",
        "tags": ["tamis", "text-classification"],
        "model_name": manifest.name,
    }
    if base := base_repository(manifest.base_model):
        entries["base_model"] = base
    if results := list(_results(manifest)):
        entries["model-index"] = [{"name": manifest.name, "results": results}]
    return entries


def known_licence(name: str) -> str | None:
    """Return the hub's name of a licence; None for one that is not known here."""
    slug = name.strip().lower().replace(" ", "-")
    return slug if slug in LICENCES else None


def base_repository(card: BaseModelCard) -> str | None:
    """Return the repository of the hub that a base model is, if it is one."""
    found = _REPOSITORY.match(card.source)
    return found[1] if found else None


def _results(manifest: Manifest) -> Iterator[JsonValue]:
    """One result a target and place. Nothing has checked the manifest's figures: what is no number is left out."""
    for place, rows in PLACES.items():
        split = "test" if place == "test" else "train"
        files = ", ".join(file.name for file in manifest.data.files if file.split == split) or "rows of its own"
        measured = manifest.metrics.get(place)
        for target in manifest.targets if isinstance(measured, dict) else ():
            figures = measured.get(target.name) if isinstance(measured, dict) else None
            listed: list[JsonValue] = [
                {"type": kind, "name": title, "value": figures[name]}
                for name, (kind, title) in FIGURES.items()
                if isinstance(figures, dict) and _is_number(figures.get(name))
            ]
            if listed:
                yield {
                    "task": {"type": "text-classification", "name": f"Text classification: {target.name}"},
                    "dataset": {"type": "custom", "name": f"{rows} ({files})", "split": place},
                    "metrics": listed,
                }


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _yaml(value: JsonValue) -> str:
    """JSON on one line, as readers of YAML 1.1 take it too: escapes only where a character may not stand as it is."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
