import json
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tamis.ml.artifact import open_artifact
from tamis.ml.cards import BaseModelCard
from tamis.ml.manifest import (
    FORMAT,
    Calibration,
    DataManifest,
    GoldenRow,
    Manifest,
    TargetManifest,
    Versions,
    installed_versions,
    now,
)
from tamis.schema import Kind, Message, Target

MANIFEST = open_artifact(Path(__file__).parent / "fixtures" / f"format-{FORMAT}").manifest


def changed(**changes) -> Manifest:
    return Manifest.model_validate({**dict(MANIFEST), **changes})


def target(**changes) -> TargetManifest:
    entries = {"name": "t", "kind": Kind.SINGLE_LABEL, "labels": ("a", "b", "c")}
    return TargetManifest.model_validate({**entries, **changes})


def multi(**changes) -> TargetManifest:
    return target(**{"kind": Kind.MULTI_LABEL, "thresholds": (0.5, 0.5, 0.5), **changes})


def test_json_and_back():
    assert Manifest.model_validate_json(MANIFEST.model_dump_json(), strict=True) == MANIFEST


def test_nothing_can_be_changed_or_added():
    with pytest.raises(ValidationError, match="frozen"):
        MANIFEST.name = "other"
    with pytest.raises(ValidationError, match="Extra inputs"):
        changed(more=1)


def test_a_target_is_the_schemas():
    assert multi(none_labels=("c",)).target == Target(
        name="t", kind=Kind.MULTI_LABEL, labels=("a", "b", "c"), none_labels=("c",)
    )
    assert MANIFEST.target("topics").labels == ("account", "billing", "delivery", "none")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinities_are_refused_everywhere(bad):
    for build in (
        lambda: Calibration(scale=(bad,)),
        lambda: Calibration(bias=(0.0, bad)),
        lambda: multi(thresholds=(0.5, bad, 0.5)),
        lambda: target(abstain={"threshold": bad, "coverage": 0.5}),
        lambda: GoldenRow(input="a", scores={"t": (bad,)}),
        lambda: GoldenRow(input="a", scores={"t": {"a": bad}}),
        lambda: changed(tolerance=bad),
        lambda: changed(metrics={"deep": [{"down": bad}]}),
        lambda: changed(architecture={"rate": bad}),
        lambda: changed(checkpoints=({"loss": bad},)),
    ):
        with pytest.raises(ValueError, match=r"finite|JSON|greater|less"):
            build()


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"labels": ()}, "at least 1"),
        ({"labels": ("a", "b", "a")}, "name 'a' twice"),
        ({"none_labels": ("d",)}, "not one of its labels"),
        ({"calibration": Calibration(scale=(1.0, 1.0))}, "3 labels and 2 values of scale"),
        ({"calibration": Calibration(bias=())}, "3 labels and 0 values of bias"),
        ({"thresholds": (0.5, 0.5, 0.5)}, "single-label and has thresholds"),
        ({"kind": Kind.MULTI_LABEL}, "3 labels and 0 thresholds"),
        ({"kind": Kind.MULTI_LABEL, "thresholds": (0.5, 0.5)}, "3 labels and 2 thresholds"),
        ({"kind": Kind.MULTI_LABEL, "thresholds": (0.5, 0.5, 1.5)}, "less than or equal to 1"),
        ({"kind": "both"}, "single_label"),
        ({"abstain": {"threshold": -0.1, "coverage": 1}}, "between 0 and 1"),
        ({"abstain": {"threshold": -0.1, "coverage": 1, "evidence": {"mood": 1.0}}}, "mood"),
        ({"oos_learnt": True}, "no name"),
        ({"oos_label": "a"}, "cannot have"),
        ({"oos_label": "none", "kind": "multi_label", "thresholds": (0.5,) * 3}, "cannot have"),
    ],
)
def test_a_target_that_contradicts_itself(changes, cause):
    with pytest.raises(ValidationError, match=cause):
        target(**changes)


def test_scale_and_bias_may_be_one_number_or_one_a_label():
    for scale in ((1.0,), (1.0, 2.0, 0.0)):
        target(calibration=Calibration(scale=scale, bias=scale))


@pytest.mark.parametrize(
    ("scores", "fine"),
    [
        ({"t": (0.1, 0.2, 0.7)}, True),
        ({"t": {"a": 0.9}}, True),
        ({"t": (0.1, 0.9)}, False),
        ({"t": {"d": 0.9}}, False),
        ({"t": (0.1, 0.2, 0.7), "u": (1.0,)}, False),
        ({}, False),
    ],
)
def test_golden_rows_fit_the_targets(scores, fine):
    rows = (GoldenRow(input=(Message("user", "hello"),), scores=scores),)
    if fine:
        assert changed(targets=(target(),), golden=rows).golden == rows
    else:
        with pytest.raises(ValidationError, match="golden row"):
            changed(targets=(target(),), golden=rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": ()},
        {"targets": (target(), target())},
        {"created": "2026-01-02T03:04:05"},
        {"name": ""},
        {"format": FORMAT + 1},
        {"tolerance": 0.5},
        {"data": {"sha256": "short", "train_rows": 1, "validation_rows": 0}},
        {"data": {"sha256": "0" * 64, "train_rows": -1, "validation_rows": 0}},
        {"files": {"../x": {"sha256": "0" * 64, "bytes": 1}}},
        {"hyperparameters": {"rate": np.float32(1)}},
    ],
)
def test_a_manifest_that_makes_no_sense(changes):
    with pytest.raises(ValidationError):
        changed(**changes)


def test_what_made_the_model():
    versions = installed_versions(threads=2)
    assert versions.numpy == np.__version__
    assert versions.threads == 2
    assert now().tzinfo is UTC
    assert json.loads(changed(created=now()).model_dump_json())["created"].endswith("Z")


REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "artifact.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", [Manifest, TargetManifest, BaseModelCard, DataManifest, Versions, Calibration])
def test_every_key_is_in_the_reference(part):
    missing = [name for name in part.model_fields if f"`{name}`" not in REFERENCE]
    assert not missing
