"""Rows that a model learnt from are known again in any order, and with other targets declared."""

from pathlib import Path

import pytest

from tamis.data.loading import load
from tamis.data.out_of_scope import scoped
from tamis.ml.artifact import open_artifact
from tamis.ml.manifest import ChosenFor
from tamis.ml.own_rows import Served, served
from tamis.schema import Example

FIXTURE = Path(__file__).parent / "fixtures" / "format-1"
ROWS = [
    Example(f"row {n}", {"intent": ("lost" if n % 2 else "refund",), "topics": ("a",)}, n, frozenset({"topics"}))
    for n in range(6)
]


@pytest.fixture
def manifest():
    """One that learnt from `ROWS`."""
    made = open_artifact(FIXTURE).manifest
    rows = load(ROWS, targets_of(made)).data
    return made.model_copy(update={"data": made.data.model_copy(update={"sha256": rows.content_hash()})})


def targets_of(manifest):
    return [entry.target for entry in manifest.targets]


def test_rows_are_known_in_any_order_and_with_another_label_out_of_scope(manifest):
    for rows in (ROWS, ROWS[::-1]):
        for declared in (targets_of(manifest), scoped(targets_of(manifest), "none"), targets_of(manifest)[::-1]):
            assert served(load(rows, declared).data, manifest) == Served(learnt_from=True)
    assert served(load(ROWS[1:], targets_of(manifest)).data, manifest) == Served()


def test_rows_without_a_target_of_the_model_are_others(manifest):
    assert served(load(ROWS, targets_of(manifest)[:1]).data, manifest) == Served()


def test_rows_that_thresholds_were_chosen_by_are_known(manifest):
    data = load(ROWS[1:], targets_of(manifest)).data
    chosen = ChosenFor(objective="f1", source="data", rows=5, sha256=data.content_hash())
    entries = (manifest.targets[0], manifest.targets[1].model_copy(update={"chosen_for": chosen}))
    assert served(data, manifest.model_copy(update={"targets": entries})) == Served(chosen_by=True)
