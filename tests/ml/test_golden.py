import numpy as np
import pytest

from tamis.errors import GoldenRowsDrift
from tamis.ml.golden import HIGHEST, check_golden, golden_inputs, golden_rows
from tamis.schema import Kind, Target


def target(labels, kind=Kind.SINGLE_LABEL, name="intent"):
    return Target(name=name, kind=kind, labels=tuple(labels))


def test_the_inputs_are_odd_ones_and_the_names_of_the_labels():
    inputs = golden_inputs([target(["late_parcel", "refund"])])
    assert "" in inputs
    assert "late parcel refund" in inputs
    assert any(not isinstance(given, str) for given in inputs)
    assert any(not text.isascii() for text in inputs if isinstance(text, str))
    assert max(len(text) for text in inputs if isinstance(text, str)) > 1500
    assert inputs == golden_inputs([target(["late_parcel", "refund"])])


def test_thousands_of_labels_and_targets_stay_small():
    many = [target([f"label {n}" * 50 for n in range(5000)], name=str(n)) for n in range(50)]
    inputs = golden_inputs(many)
    assert len(inputs) <= 10
    assert all(len(text) <= 2000 for text in inputs if isinstance(text, str))


def test_of_many_labels_the_highest_scores_are_stored():
    labels = [f"label {n}" for n in range(200)]
    scores = np.linspace(0, 1, 200, dtype=np.float32)[None]
    (row,) = golden_rows(["a"], {"intent": scores}, [target(labels)])
    assert list(row.scores["intent"])[:2] == ["label 199", "label 198"]
    assert len(row.scores["intent"]) == HIGHEST


class TestChecking:
    @pytest.fixture
    def scores(self, tiny_model):
        golden = [row.input for row in tiny_model.manifest.golden]
        return {name: scores.copy() for name, scores in tiny_model.scores(golden).items()}

    def test_the_same_scores_pass(self, tiny_model, scores):
        check_golden(tiny_model.manifest, scores)

    def test_within_the_tolerance(self, tiny_model, scores):
        scores["topics"] = scores["topics"] + np.float32(5e-6)
        check_golden(tiny_model.manifest, scores)

    @pytest.mark.parametrize("off", [3e-5, -3e-5, np.nan])
    def test_any_other_score_is_refused(self, tiny_model, scores, off):
        scores["topics"][4, 1] += np.float32(off)
        with pytest.raises(GoldenRowsDrift, match=r"'topics', golden row 4, off by"):
            check_golden(tiny_model.manifest, scores)

    def test_scores_by_label(self, tiny_model, scores):
        rows = tuple(
            row.model_copy(update={"scores": {**row.scores, "intent": {"where": row.scores["intent"][3]}}})
            for row in tiny_model.manifest.golden
        )
        assert tiny_model.targets[0].labels[3] == "where"
        manifest = tiny_model.manifest.model_copy(update={"golden": rows})
        check_golden(manifest, scores)
        scores["intent"][:, 3] += np.float32(0.1)
        with pytest.raises(GoldenRowsDrift):
            check_golden(manifest, scores)
