"""Other thresholds for a model that is there: what changes, what stays, what is no longer claimed."""

import json
import shutil

import numpy as np
import pytest

from tamis.data.loading import load as load_data
from tamis.errors import InvalidSetting, NoRows, OutputExists, UndeclaredLabel
from tamis.evaluation.objectives import parse_purpose
from tamis.ml.artifact import MANIFEST, manifest_hash, open_artifact, write_artifact
from tamis.ml.model import load
from tamis.ml.rethresholding import answers_of, evidence_in, parent_of, rethreshold, tables_of, write_changed
from tamis.ml.scorer import Contents
from tamis.ml.threshold_record import RECORD
from tamis.ml.training import train

STAYING = {"n", "mean_average_precision", "log_loss", "brier", "ece", "ece_before"}


def changed(folder, purpose, **asked):
    artifact = open_artifact(folder)
    parent = parent_of(artifact.manifest, folder, "support@1")
    return artifact, rethreshold(artifact.manifest, evidence_in(artifact), purpose, parent, **asked)


@pytest.fixture
def old_folder(tmp_path, tiny_folder):
    """The model as an earlier version wrote it: without counts."""
    artifact = open_artifact(tiny_folder)
    files = {name: tiny_folder / name for name in artifact.manifest.files if name != RECORD}
    write_artifact(tmp_path / "old", artifact.manifest, Contents({}, None, files))
    return tmp_path / "old"


def test_a_model_keeps_counts_and_f1_gives_the_thresholds_that_it_has(tiny_model):
    assert RECORD in tiny_model.manifest.files
    again = tiny_model.with_thresholds("f1")
    assert again.manifest.target("topics").thresholds == tiny_model.manifest.target("topics").thresholds


def test_thresholds_change_and_scores_do_not(tmp_path, tiny_model):
    made = tiny_model.with_thresholds("recall>=0.9")
    entry = made.manifest.target("topics")
    assert entry.thresholds != tiny_model.manifest.target("topics").thresholds
    assert entry.calibration == tiny_model.manifest.target("topics").calibration
    stored = made.save(tmp_path / "made")  # loading it checks the golden rows
    texts = ["where is my parcel please", "thank you for the card it is fine"]
    for name, scores in tiny_model.scores(texts).items():
        np.testing.assert_array_equal(stored.scores(texts)[name], scores)
    given = stored.scores(texts)["topics"] >= np.array(entry.thresholds, dtype=np.float32)
    for row, prediction in zip(given, stored.classify(texts), strict=True):
        assert [label for label, yes in zip(entry.labels, row, strict=True) if yes] == list(prediction["topics"].labels)
    assert stored.manifest.files.keys() == tiny_model.manifest.files.keys()
    assert stored.manifest.created >= tiny_model.manifest.created


def test_the_manifest_says_what_was_done_and_to_which_model(tiny_model, tiny_folder):
    made = tiny_model.with_thresholds(["recall>=0.9", "billing=precision>=0.99"], fixed={"account": 0.4}).manifest
    assert made.parent.name == tiny_model.name
    assert made.parent.sha256 == manifest_hash(tiny_model.manifest, tiny_folder)
    assert made.parent.thresholds == ("topics",)
    said = made.target("topics").chosen_for
    assert (said.objective, said.labels, said.fixed) == (
        "recall>=0.9",
        {"billing": "precision>=0.99"},
        {"account": 0.4},
    )
    assert (said.source, said.sha256) == ("held_out", None)
    assert said.rows > 10
    assert "billing" in said.not_kept
    assert made.target("topics").thresholds[made.target("topics").labels.index("account")] == pytest.approx(0.4)
    assert made.target("intent").chosen_for is None


def test_figures_are_counted_again_or_dropped_and_never_kept_stale(tiny_folder):
    artifact, made = changed(tiny_folder, parse_purpose("shared:recall>=0.9"))
    before, now = (each.metrics for each in (artifact.manifest, made.manifest))
    assert now["held_out"]["intent"] == before["held_out"]["intent"]
    assert "samples_jaccard" in before["held_out"]["topics"]
    assert now["held_out"]["topics"].keys() == (before["held_out"]["topics"].keys() & STAYING) | {
        "micro_f1", "macro_f1", "weighted_f1",
    }  # fmt: skip
    table = made.tables["topics"]
    assert now["held_out"]["topics"]["micro_f1"] == table.figures["micro_f1"] != table.before["micro_f1"]
    same = changed(tiny_folder, parse_purpose("f1"))[1]
    for name in ("micro_f1", "macro_f1", "weighted_f1"):  # at thresholds between two cuts: nearly, not exactly
        assert same.tables["topics"].figures[name] == pytest.approx(before["held_out"]["topics"][name], abs=0.03)


def test_test_figures_that_depend_on_thresholds_are_dropped(tiny_folder):
    artifact = open_artifact(tiny_folder)
    both = artifact.manifest.model_copy(
        update={"metrics": {**artifact.manifest.metrics, "test": artifact.manifest.metrics["held_out"]}}
    )
    made = rethreshold(both, evidence_in(artifact), parse_purpose("macro-f1"), parent_of(both, None))
    assert made.manifest.metrics["test"]["topics"].keys() <= STAYING
    assert made.manifest.metrics["test"]["intent"] == both.metrics["test"]["intent"]


def test_the_table_says_what_each_threshold_gives(tiny_folder):
    artifact = open_artifact(tiny_folder)
    table = tables_of(artifact.manifest, evidence_in(artifact))["topics"]
    assert [label.label for label in table.labels] == list(artifact.manifest.target("topics").labels)
    for label in table.labels:
        assert label.before is None
        assert label.support > 0
        assert label.f1 == pytest.approx(
            2 * label.precision * label.recall / (label.precision + label.recall), abs=1e-5
        )
    assert json.dumps(table.to_json())
    curves = table.curves()
    recall = curves["labels"]["billing"]["recall"]
    assert len(curves["thresholds"]) == len(recall) == 131
    assert recall == sorted(recall, reverse=True)
    precision, half = table.at(0.5)[1]
    assert half == pytest.approx(recall[int(np.argmin(np.abs(np.array(curves["thresholds"]) - 0.5)))], abs=1e-6)
    assert precision is None or 0 <= precision <= 1


def test_a_model_without_counts_says_what_it_needs(old_folder, tiny_rows):
    old = load(old_folder)
    with pytest.raises(InvalidSetting, match="--data FILE"):
        old.with_thresholds("recall>=0.9")
    by_hand = old.with_thresholds(fixed={"billing": 0.25}).manifest
    assert by_hand.target("topics").chosen_for.fixed == {"billing": 0.25}
    assert by_hand.metrics["held_out"]["topics"].keys() <= STAYING
    table = tables_of(old.manifest, evidence_in(open_artifact(old_folder)))["topics"]
    assert (table.rows, table.source, table.figures, table.labels[0].precision) == (0, None, {}, None)
    made = old.with_thresholds("recall>=0.8", data=tiny_rows)
    said = made.manifest.target("topics").chosen_for
    assert (said.source, len(said.sha256)) == ("data", 64)
    assert said.rows == sum("topics" in row["labels"] for row in tiny_rows)


def test_given_rows_choose_and_the_models_own_rows_still_make_its_figures(tmp_path, tiny_model, tiny_rows):
    made = tiny_model.with_thresholds("recall>=0.9", data=tiny_rows)
    held = tiny_model.threshold_evidence().held["topics"]
    assert made.manifest.metrics["held_out"]["topics"]["micro_f1"] > 0
    assert (
        held.rows != made.manifest.target("topics").chosen_for.rows
        or made.manifest.metrics != tiny_model.manifest.metrics
    )
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows[:6]))
    few = load_data(path, tiny_model.targets).data
    with pytest.raises(NoRows, match="10 at least"):
        tiny_model.with_thresholds("f1", data=few)


def test_what_is_not_there_is_refused(tiny_model):
    with pytest.raises(UndeclaredLabel, match="did you mean 'billing'"):
        tiny_model.with_thresholds("biling=f1")
    with pytest.raises(InvalidSetting, match="single-label"):
        tiny_model.with_thresholds("f1", target="intent")
    with pytest.raises(InvalidSetting, match="Nothing is asked for"):
        tiny_model.with_thresholds()


def test_a_changed_artifact_holds_the_same_files(tmp_path, tiny_folder):
    artifact, made = changed(tiny_folder, parse_purpose("precision>=0.8"))
    written = write_changed(artifact, made.manifest, tmp_path / "made")
    assert written.files == artifact.manifest.files
    loaded = load(tmp_path / "made")
    assert loaded.manifest.parent.name == "support@1"
    card = (tmp_path / "made" / "README.md").read_text()
    assert "precision>=0.8" in card
    assert "support@1" in card
    with pytest.raises(OutputExists):
        write_changed(artifact, made.manifest, tmp_path / "made")
    again = loaded.with_thresholds("f1").manifest  # a change of a change: its parent is the last one
    assert again.parent.sha256 == manifest_hash(loaded.manifest, tmp_path / "made")
    assert again.target("topics").thresholds == artifact.manifest.target("topics").thresholds


def test_training_for_a_purpose_is_choosing_for_it_afterwards(tmp_path, tiny_base, tiny_rows):
    plain = train(tiny_rows, base=str(tiny_base), epochs=2, out=tmp_path / "plain")
    asked = train(tiny_rows, base=str(tiny_base), epochs=2, optimise=["recall>=0.9", "billing=precision>=0.99"])
    after = plain.with_thresholds(["recall>=0.9", "billing=precision>=0.99"])
    assert asked.manifest.target("topics").thresholds == after.manifest.target("topics").thresholds
    assert asked.manifest.target("topics").chosen_for == after.manifest.target("topics").chosen_for
    assert asked.manifest.hyperparameters["optimise"] == ["recall>=0.9", "billing=precision>=0.99"]
    assert "optimise" not in plain.manifest.hyperparameters
    told = [remark for remark in asked.run.remarks if "billing" in remark]
    assert told
    assert told[0] in asked.manifest.training["remarks"]
    report = asked.run.held_out.targets["topics"]
    assert [each.threshold for each in report.per_label] == pytest.approx(
        asked.manifest.target("topics").thresholds, abs=1e-6
    )


def test_a_purpose_that_cannot_be_is_refused_before_the_training(tiny_base, tiny_rows):
    for optimise, error in (("precision=0.9", InvalidSetting), ("no such=f1", UndeclaredLabel)):
        with pytest.raises(error):
            train(tiny_rows, base=str(tiny_base), optimise=optimise, listener=_refuse_training)
    single = [{"text": row["text"], "labels": {"intent": row["labels"].get("intent", "ask")}} for row in tiny_rows]
    with pytest.raises(InvalidSetting, match="single-label"):
        train(single, base=str(tiny_base), optimise="f1")


def _refuse_training(progress):
    assert progress.stage == "reading the data"


def test_too_few_rows_to_choose_by_are_told(tiny_base):
    rows = [{"text": f"{word} {n}", "labels": {"tags": [word]}} for n in range(3) for word in ("parcel", "card")]
    made = train(rows, base=str(tiny_base), epochs=1, optimise="precision>=0.9")
    assert made.manifest.target("tags").thresholds == (0.5, 0.5)
    assert made.manifest.target("tags").chosen_for.not_kept == ("card", "parcel")
    assert any("fewer than 10 rows were held out" in remark for remark in made.run.remarks)


def test_an_onnx_export_and_the_card_carry_the_new_thresholds(tmp_path, tiny_folder):
    artifact, made = changed(tiny_folder, parse_purpose("recall>=0.9"))
    write_changed(artifact, made.manifest, tmp_path / "made")
    pytest.importorskip("onnx")
    from tamis.ml.export.exporting import export

    folder = export(tmp_path / "made", "onnx", tmp_path / "onnx")
    labels = json.loads((folder / "labels.json").read_text())
    said = (
        labels["topics"] if "topics" in labels else next(each for each in labels["targets"] if each["name"] == "topics")
    )
    assert said["thresholds"] == pytest.approx(made.manifest.target("topics").thresholds)


def test_a_damaged_record_is_noticed(tmp_path, tiny_folder):
    from tamis.errors import DamagedArtifact

    shutil.copytree(tiny_folder, tmp_path / "bad")
    raw = bytearray((tmp_path / "bad" / RECORD).read_bytes())
    raw[-1] ^= 1
    (tmp_path / "bad" / RECORD).write_bytes(raw)
    with pytest.raises(DamagedArtifact, match=RECORD):
        load(tmp_path / "bad")
    assert (tmp_path / "bad" / MANIFEST).exists()


def test_a_rule_chosen_afterwards_is_that_of_training(tmp_path, tiny_base, tiny_rows):
    def trained(**asked):
        return train(tiny_rows, base=str(tiny_base), epochs=2, **asked)

    plain, wide = trained(out=tmp_path / "plain"), trained(abstain_loss=0.2)
    made = plain.with_thresholds(abstain_loss=0.2)
    assert made.manifest.target("intent").abstain == wide.manifest.target("intent").abstain
    assert made.manifest.target("topics") == plain.manifest.target("topics")
    assert made.manifest.parent.thresholds == ("intent",)
    before, now, as_trained = (each.manifest.metrics["held_out"]["intent"] for each in (plain, made, wide))
    assert now["coverage"] < before["coverage"]
    for figure in ("coverage", "selective_accuracy", "accuracy"):
        assert now[figure] == pytest.approx(as_trained[figure], abs=1e-4)
    texts = [row["text"] for row in tiny_rows]
    silent = [answer["intent"].abstained for answer in made.save(tmp_path / "made").classify(texts)]
    assert silent == [answer["intent"].abstained for answer in wide.classify(texts)]
    assert any(silent)


def test_a_model_that_always_answers_can_learn_to_be_silent_and_back(tmp_path, tiny_base, tiny_rows):
    never = train(tiny_rows, base=str(tiny_base), epochs=2, abstain_loss=0.0, out=tmp_path / "never")
    assert never.manifest.target("intent").abstain is None
    unsure = never.with_thresholds(abstain_loss={"intent": 0.3}).save(tmp_path / "unsure")
    rule = unsure.manifest.target("intent").abstain
    assert (rule.loss, rule.evidence) == (0.3, None)  # by the highest score: training made no other evidence ready
    assert unsure.manifest.metrics["held_out"]["intent"]["coverage"] < 1
    again = unsure.with_thresholds(abstain_loss=0).manifest
    assert again.target("intent").abstain is None
    assert "coverage" not in again.metrics["held_out"]["intent"]
    assert again.target("intent").calibration == never.manifest.target("intent").calibration


def test_both_kinds_of_target_change_in_one_version(tiny_model):
    made = tiny_model.with_thresholds("recall>=0.9", abstain_loss={"intent": 0.25}).manifest
    assert made.parent.thresholds == ("topics", "intent")
    assert made.target("intent").abstain.loss == 0.25
    assert made.target("topics").chosen_for.objective == "recall>=0.9"


def test_a_model_without_evidence_takes_given_rows_for_its_rule(old_folder, tiny_rows, tmp_path):
    old = load(old_folder)
    with pytest.raises(InvalidSetting, match="--data FILE"):
        old.with_thresholds(abstain_loss=0.1)
    table = answers_of(old.manifest, evidence_in(open_artifact(old_folder)))["intent"]
    assert (table.rows, table.source, table.rule.coverage, table.curve(), table.others()) == (0, None, None, [], [])
    made = old.with_thresholds(abstain_loss=0.1, data=tiny_rows).manifest
    assert made.target("intent").abstain.coverage >= 0.9
    assert made.target("intent").abstain.evidence == old.manifest.target("intent").abstain.evidence
    assert "coverage" not in made.metrics["held_out"]["intent"]  # of rows that are not kept
    always = old.with_thresholds(abstain_loss=0).manifest
    assert always.target("intent").abstain is None
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows[:6]))
    with pytest.raises(NoRows, match="10 at least"):
        old.with_thresholds(abstain_loss=0.1, data=path)


def test_the_table_of_answers_says_what_the_rule_gives_and_what_others_would(tiny_folder):
    artifact = open_artifact(tiny_folder)
    table = answers_of(artifact.manifest, evidence_in(artifact))["intent"]
    figures = artifact.manifest.metrics["held_out"]["intent"]
    assert table.rule.coverage == pytest.approx(figures["coverage"], abs=1e-4)
    assert table.rule.accuracy == pytest.approx(figures["selective_accuracy"], abs=1e-4)
    others = table.others()
    assert (others[0].loss, others[0].threshold, others[0].coverage) == (0.0, None, 1.0)
    assert others[0].accuracy == pytest.approx(figures["accuracy"], abs=1e-4)
    coverage = [rule.coverage for rule in others]
    assert coverage == sorted(coverage, reverse=True)
    curve = table.curve()
    assert curve[0]["threshold"] is None
    assert all(0 <= point["loss"] <= 0.5 for point in curve)
    chosen = [point for point in curve if point["loss"] <= 0.1 + 1e-6][-1]
    assert chosen["coverage"] == next(rule.coverage for rule in others if rule.loss == 0.1)
    assert json.dumps(table.to_json() | {"curve": curve})
    with pytest.raises(UndeclaredLabel):
        answers_of(artifact.manifest, evidence_in(artifact), "nothing")
