import json

import numpy as np
import pytest

from tamis.data.dataset import build
from tamis.data.truth import OUT_OF_SCOPE, SingleTruth
from tamis.errors import InvalidSetting
from tamis.ml import training
from tamis.ml.artifact import open_artifact
from tamis.ml.export.onnx_static import scores
from tamis.ml.model import load
from tamis.ml.restart import RestartPoints
from tamis.ml.scoping import LEAST_ROWS, learnt_targets, narrowed, widened, without_unlearnt
from tamis.schema import Example, Kind, Target

TARGETS = [Target(name="t", kind=Kind.SINGLE_LABEL, labels=("x", "y"), oos_label="oos")]


def dataset(n_outside, unseen=0):
    labels = [*"xy" * 6, *["oos"] * n_outside, *["new"] * unseen]
    return build([Example(f"text {at}", {"t": (label,)}) for at, label in enumerate(labels)], TARGETS)


def test_few_rows_out_of_scope_are_left_out():
    few, enough = dataset(LEAST_ROWS - 1), dataset(LEAST_ROWS)
    assert (learnt_targets(few), learnt_targets(enough)) == ((), ("t",))
    assert len(without_unlearnt(few, ())) == 12
    assert without_unlearnt(enough, ("t",)) is enough


def test_wide_and_narrow_again():
    data = dataset(10, unseen=2)
    wide = widened(data, ("t",))
    assert wide.targets[0].labels == ("x", "y", "oos")
    assert wide.truth["t"].n_labels == 3
    assert wide.truth["t"].codes.tolist() == [0, 1] * 6 + [2] * 10 + [3] * 2
    back = narrowed(wide.truth["t"])
    np.testing.assert_array_equal(back.codes, data.truth["t"].codes)
    assert (back.n_labels, back.unseen) == (2, ("new",))
    assert widened(data, ()) is data
    assert narrowed(SingleTruth(np.array([-1, -2, 2], np.int32), 3)).codes.tolist() == [-1, -2, OUT_OF_SCOPE]


@pytest.fixture(scope="module")
def outside_rows():
    words = ["zebra", "galaxy", "opera", "cucumber", "glacier", "violin"]
    return [
        {"text": f"the {words[at % 6]} saw a {words[at % 5]} {at}", "labels": {"intent": "oos"}} for at in range(24)
    ]


def test_what_is_out_of_scope_is_learnt_measured_and_turned_away(tiny_rows, tiny_base, outside_rows, tmp_path):
    rows = [*tiny_rows, *outside_rows[:16]]
    test, place = outside_rows[16:] + tiny_rows, tmp_path / "m"
    model = training.train(rows, test=test, base=str(tiny_base), oos_label="oos", out=place)
    entry = model.manifest.target("intent")
    assert entry.oos_learnt
    assert "oos" not in entry.labels
    assert entry.abstain.evidence.keys() == {"confidence", "scope"}
    report = model.run.test.targets["intent"]
    assert report.oos_rows == 8
    assert report.oos_recall > 0.6
    assert report.oos_auroc > 0.9
    assert report.unseen_rows == 0
    answer = load(tmp_path / "m").classify("the opera saw a galaxy")["intent"]
    assert answer.abstained
    assert set(answer.scores) == set(entry.labels)
    assert sum(answer.scores.values()) < 0.6
    assert 0.9 < sum(model.classify("where is my parcel please")["intent"].scores.values()) <= 1.0001
    assert model.manifest.metrics["test"]["intent"]["oos_rows"] == 8


def test_it_always_answers_where_nothing_may_be_lost(tiny_rows, tiny_base):
    model = training.train(tiny_rows, base=str(tiny_base), abstain_loss=0)
    assert model.manifest.target("intent").abstain is None
    answer = model.classify("xyz")["intent"]
    assert not answer.abstained
    assert answer.evidence is None
    with pytest.raises(InvalidSetting, match="abstain_loss"):
        training.train(tiny_rows, base=str(tiny_base), abstain_loss=0.6)


def test_the_same_rows_give_the_same_bytes(tiny_rows, tiny_base, outside_rows, tmp_path):
    for name in "ab":
        training.train([*tiny_rows, *outside_rows], base=str(tiny_base), oos_label="oos", out=tmp_path / name)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert first == second


def test_an_export_has_the_same_scores_and_says_how_the_model_abstains(tiny_rows, tiny_base, outside_rows, tmp_path):
    rows = [*tiny_rows, *outside_rows]
    model = training.train(rows, base=str(tiny_base), oos_label="oos", out=tmp_path / "m")
    folder = model.export("onnx", tmp_path / "onnx")
    (told,) = (t for t in json.loads((folder / "labels.json").read_text())["targets"] if t["name"] == "intent")
    assert told["labels"] == list(model.manifest.target("intent").labels)
    assert told["abstain_by"].keys() == {"confidence", "scope"}
    found = scores(open_artifact(tmp_path / "m"), folder, ["the opera saw a galaxy", "where is my parcel please"])
    np.testing.assert_allclose(
        found["intent"], model.scores(["the opera saw a galaxy", "where is my parcel please"])["intent"], atol=1e-5
    )
    assert found["intent"][0].sum() < 0.6
    assert "none of its labels" in (tmp_path / "m" / "README.md").read_text()
    assert "not carried" in (folder / "README.md").read_text()


def test_chats_and_runs_that_go_on(tiny_rows, tiny_base, outside_rows, tmp_path):
    rows = [
        {
            "messages": [{"role": "user", "content": row["text"]}, {"role": "assistant", "content": "yes"}],
            "labels": row["labels"],
        }
        for row in [*tiny_rows, *outside_rows]
    ]
    given = {"base": str(tiny_base), "oos_label": "oos", "epochs": 3}
    whole = training.train(rows, out=tmp_path / "a", **given)

    class Killed(Exception):
        pass

    def kill(progress):
        if progress.stage == "using all rows":
            raise Killed

    with pytest.raises(Killed):
        training.train(rows, out=tmp_path / "b", listener=kill, restart=RestartPoints(tmp_path / "points"), **given)
    training.train(rows, out=tmp_path / "b", restart=RestartPoints(tmp_path / "points"), **given)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert first == second
    rules = [load(tmp_path / name).manifest.target("intent").abstain for name in "ab"]
    assert rules[0] == rules[1] == whole.manifest.target("intent").abstain
