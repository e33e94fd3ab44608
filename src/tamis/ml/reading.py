"""How files are read for models: as what they learnt from was laid out, which their manifests keep.

It does not know formats; what is found again in a file is decided by `tamis.data.formats.expected`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import JsonValue, ValidationError

from tamis.data.formats import ReadOptions
from tamis.data.formats.expected import Expected
from tamis.data.layout import Layout
from tamis.data.loading import Tally
from tamis.ml.manifest import Manifest
from tamis.schema import Kind, Target

READING = "reading"
"""Where the facts of a training have the layout of the data."""


def learnt_layout(tallies: Iterable[Tally], options: ReadOptions | None) -> Layout | None:
    """Return how the training data of a run was laid out, as it was read; None where its rows say it themselves."""
    options = options or ReadOptions()
    found = (Layout.learnt(each.detected, options) for each in tallies if each.split == "train" and each.detected)
    return next((layout for layout in found if layout is not None), None)


def reading_facts(layout: Layout | None) -> dict[str, JsonValue]:
    """Return what a manifest keeps of a layout."""
    return {} if layout is None else {READING: layout.model_dump(mode="json", exclude_defaults=True)}


def layout_of(manifest: Manifest) -> Layout | None:
    """Return how the data was laid out that a model learnt from; None where that is not known."""
    try:
        return Layout.model_validate(manifest.training[READING])
    except (KeyError, ValidationError):
        return None


def reading_for(
    options: ReadOptions | None, manifests: Sequence[Manifest], targets: Sequence[Target] | None = None
) -> ReadOptions:
    """Return how files are read for these models: what options leave open is found by what the models know.

    Args:
        options: what a user said.
        manifests: of the models.
        targets: what the files are read for; None: all targets of the models.
    """
    layouts = [layout for manifest in manifests if (layout := layout_of(manifest)) is not None]
    if targets is None:
        targets = _together(entry.target for manifest in manifests for entry in manifest.targets)
    return replace(options or ReadOptions(), expected=Expected(tuple(targets), tuple(layouts)))


def _together(targets: Iterable[Target]) -> tuple[Target, ...]:
    """One target a name, with the labels of all that are called so."""
    found: dict[str, Target] = {}
    for target in targets:
        known = found.setdefault(target.name, target)
        labels = tuple(dict.fromkeys((*known.labels, *target.labels)))
        kind = Kind.MULTI_LABEL if known.is_multi or target.is_multi else Kind.SINGLE_LABEL
        found[target.name] = known.model_copy(update={"labels": labels, "kind": kind})
    return tuple(found.values())
