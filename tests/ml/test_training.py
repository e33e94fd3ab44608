import json
import subprocess
import sys

import numpy as np
import pytest

from tamis.data.declared import DeclaredTarget
from tamis.data.loading import Weighted
from tamis.errors import (
    Cancelled,
    GoldenRowsDrift,
    InvalidSetting,
    NothingToLearn,
    OutputExists,
    TooManyBadRows,
    UnknownBaseModel,
)
from tamis.evaluation.figures import SingleReport
from tamis.ml import run_facts
from tamis.ml.artifact import open_artifact
from tamis.ml.model import Model, load
from tamis.ml.restart import RestartPoints
from tamis.ml.static.training import StaticTrainer
from tamis.ml.training import train
from tamis.schema import Kind, plain_text


@pytest.fixture
def file(tmp_path, tiny_rows):
    path = tmp_path / "support.en.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows))
    return path


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def model(tiny_base, tiny_rows, tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("out") / "mail-model"
    return train(tiny_rows, test=tiny_rows[:20], base=str(tiny_base), out=folder, listener=told.append)


class TestAWholeRun:
    def test_it_is_written_and_opened_again(self, model):
        assert model.folder.name == "mail-model"
        assert model.name == "mail"
        again = load(model.folder)
        texts = ["where is my parcel", "", "xyz"]
        for name, scores in model.scores(texts).items():
            np.testing.assert_allclose(again.scores(texts)[name], scores, atol=1e-6)

    def test_it_learnt(self, model):
        assert model.classify("please refund the fee now")["intent"].label == "refund"
        assert "delivery" in model.classify("where is my parcel please")["topics"].labels
        assert [target.kind for target in model.targets] == [Kind.SINGLE_LABEL, Kind.MULTI_LABEL]
        assert model.targets[1].none_labels == ("none",)

    def test_the_run_is_told(self, model, tiny_rows):
        run = model.run
        assert set(run.seconds) == {"total", "read", "train", "calibrate", "measure", "write"}
        assert sum(run.seconds.values()) == pytest.approx(2 * run.seconds["total"], rel=0.05, abs=0.02)
        assert run.examples_per_second == pytest.approx(len(tiny_rows) / run.seconds["train"], rel=0.01)
        assert run.peak_rss_mb > 20
        assert run.held_out_rows == "5-fold cross-validation"
        assert [tally.rows for tally in run.tallies] == [72, 20]
        told = json.loads(json.dumps(run.to_json(), allow_nan=False))
        assert told["held_out"]["targets"]["intent"]["ece_before"] is not None
        assert told["test"]["n"] == 20

    def test_a_run_in_a_shell_is_a_line(self, model):
        assert repr(model.run).startswith("<TrainingRun of ")
        assert "held_out=<EvaluationReport of " in repr(model.run)
        assert len(repr(model.run)) < 500

    def test_the_report_on_held_out_rows(self, model):
        intent, topics = model.run.held_out.targets["intent"], model.run.held_out.targets["topics"]
        assert isinstance(intent, SingleReport)
        assert intent.accuracy > 0.9
        assert intent.accuracy_ci[0] <= intent.accuracy <= intent.accuracy_ci[1]
        assert intent.coverage >= 0.97
        assert topics.coverage is None
        assert topics.n == 63
        assert topics.ece_before is not None
        assert topics.ece is not None

    def test_the_manifest_knows_how_the_model_came_to_be(self, model):
        manifest = model.manifest
        assert manifest.metrics["held_out"]["intent"]["accuracy"] == model.run.held_out.targets["intent"].accuracy
        assert manifest.metrics["test"]["topics"]["micro_f1"] == model.run.test.targets["topics"].micro_f1
        assert manifest.training["held_out"] == "5-fold cross-validation"
        assert manifest.training["tokens"] > 0
        assert set(manifest.training["shares"]) == {"intent", "topics"}
        assert len(manifest.checkpoints) >= 5
        assert manifest.hyperparameters["seed"] == 0
        assert manifest.data.train_rows == 72
        assert len(manifest.target("topics").thresholds) == 4
        assert manifest.target("topics").abstain is None
        assert 0.97 <= manifest.target("intent").abstain.coverage < 1
        assert manifest.versions.threads >= 1
        assert manifest.base_model.dimensions == 8

    def test_no_text_of_the_data_is_in_the_folder(self, model, tiny_rows):
        stored = b"".join(path.read_bytes() for path in model.folder.iterdir() if path.name != "tokenizer.json")
        assert not any(row["text"].encode() in stored for row in tiny_rows)
        inputs = [plain_text(row.input) for row in model.manifest.golden]
        assert "change refund thanks where" in inputs

    def test_progress_goes_from_nothing_to_all(self, model, told):
        shares = [progress.share for progress in told]
        assert shares[0] == 0
        assert shares[-1] == 1
        assert shares == sorted(shares)
        assert {"reading the data", "calibrating", "measuring", "writing the model", "done"} <= {p.stage for p in told}
        assert any(progress.checkpoint for progress in told)


SCRIPT = """
import json, sys
from tamis.ml.training import train
model = train(sys.argv[1], base=sys.argv[2], out=sys.argv[3], name="m")
model.classify("where is my parcel")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_two_processes_write_the_same_bytes_and_load_no_scikit_learn(file, tiny_base, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(file), str(tiny_base), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    for run in runs:
        loaded = json.loads(run.communicate()[0])
        assert run.returncode == 0
        assert "tamis" in loaded
        assert not {"sklearn", "torch", "plotly", "pandas", "datasets", "pyarrow", "wordllama", "rich"} & set(loaded)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    first, second = (open_artifact(folder).manifest.model_dump(exclude={"created"}) for folder in folders)
    assert first == second


def test_another_seed_gives_another_model(tiny_rows, tiny_base):
    one, other = (train(tiny_rows, base=str(tiny_base), seed=seed, epochs=2) for seed in (0, 1))
    assert not np.array_equal(one.scores(["where is my card"])["intent"], other.scores(["where is my card"])["intent"])


def test_in_memory_only_nothing_is_written(tiny_rows, tiny_base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = train(tiny_rows, base=str(tiny_base), epochs=2)
    assert list(tmp_path.iterdir()) == []
    assert model.folder is None
    assert model.name == "model"
    assert model.run.test is None
    assert "write" not in model.run.seconds
    stored = model.save(tmp_path / "later")
    assert stored.run is model.run
    np.testing.assert_array_equal(stored.scores(["a"])["intent"], model.scores(["a"])["intent"])


def test_too_few_rows_to_hold_any_out(tiny_base):
    rows = [("where is my parcel", "where"), ("refund the card", "refund")] * 2
    model = train(rows, base=str(tiny_base))
    assert model.run.held_out is None
    assert model.run.held_out_rows is None
    assert model.manifest.metrics == {"held_out": {}}
    assert model.manifest.targets[0].abstain is None
    assert model.classify("where is my parcel")[model.targets[0].name].label == "where"


def test_validation_data_is_what_is_held_out(tiny_rows, tiny_base):
    validation = [{"text": row["text"], "labels": {"intent": row["labels"].get("intent", "odd")}} for row in tiny_rows]
    model = train(tiny_rows, validation, base=str(tiny_base), epochs=3)
    assert model.run.held_out_rows == "the validation data, 5-fold cross-validation for topics"
    assert model.manifest.data.validation_rows == 72
    assert model.run.held_out.targets["intent"].unseen_labels == ("odd",)
    assert model.run.held_out.targets["topics"].n > 10, "no validation row says anything about it"
    assert set(model.manifest.target("topics").thresholds) != {0.5}
    assert model.classify(["where is my parcel"])[0]["intent"].scores.keys() == set(model.targets[0].labels)


def test_steps_far_beyond_the_data_are_cut_and_told(tiny_rows, tiny_base):
    model = train(tiny_rows, base=str(tiny_base), training_steps=250)
    assert any("passes over the data" in remark for remark in model.run.remarks)
    assert model.manifest.training["remarks"] == list(model.run.remarks)


class TestRefusals:
    """Whatever can be known beforehand is refused before any work."""

    @pytest.fixture(autouse=True)
    def no_work(self, monkeypatch):
        def never(*_):
            raise AssertionError("training began")

        monkeypatch.setattr(StaticTrainer, "train", never)

    def test_what_is_at_the_place(self, file, tiny_base, tmp_path):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "thesis.txt").write_text("x")
        with pytest.raises(OutputExists):
            train(file, base=str(tiny_base), out=tmp_path / "full", overwrite=True)

    def test_unknown_base_models(self, file):
        with pytest.raises(UnknownBaseModel):
            train(file, base="no-such-base")

    @pytest.mark.parametrize("name", ["", "  ", "x" * 201])
    def test_names(self, file, name):
        with pytest.raises(InvalidSetting, match="name"):
            train(file, name=name)

    @pytest.mark.parametrize(
        "setting", [{"epochs": 0}, {"learning_rate": -1}, {"epochs": 1, "training_steps": 1}, {"seed": -1}]
    )
    def test_hyperparameters(self, file, setting):
        with pytest.raises(InvalidSetting):
            train(file, **setting)

    def test_one_label_only(self, tiny_base):
        with pytest.raises(NothingToLearn, match="'a'"):
            train([("text one", "a"), ("text two", "a")], base=str(tiny_base))

    def test_bad_rows(self, file, tiny_base):
        with file.open("a") as stream:
            stream.write("nonsense\n")
        with pytest.raises(TooManyBadRows):
            train(file, base=str(tiny_base))


def test_bad_rows_within_the_allowed_share_are_left_out_and_told(file, tiny_base, tmp_path):
    with file.open("a") as stream:
        stream.write("nonsense\n")
    rejects = tmp_path / "rejects.jsonl"
    model = train(file, base=str(tiny_base), epochs=1, max_bad_share=0.1, rejects=rejects)
    assert model.run.tallies[0].rejected == 1
    assert model.manifest.data.files[0].name == "support.en.jsonl"
    assert model.name == "support"
    assert len(rejects.read_text().splitlines()) == 1


def test_a_model_that_comes_back_different_is_refused(tiny_rows, tiny_base, tmp_path, monkeypatch):
    save = Model.save

    def shaken(self, folder, *, overwrite=False):
        stored = save(self, folder, overwrite=overwrite)
        scores = stored.predictor.checked_scores
        stored.predictor.checked_scores = lambda inputs: {
            name: values + np.float32(1e-4) for name, values in scores(inputs).items()
        }
        return stored

    monkeypatch.setattr(Model, "save", shaken)
    with pytest.raises(GoldenRowsDrift, match="disk or the memory"):
        train(tiny_rows, base=str(tiny_base), epochs=1, out=tmp_path / "model")


def test_the_default_base_model_and_a_large_number_of_targets(tiny_rows):
    rows = [
        {"text": row["text"], "labels": {f"t{n}": str(i % 2) for n in range(12)}} for i, row in enumerate(tiny_rows)
    ]
    model = train(rows, epochs=0.1)
    assert len(model.targets) == 12
    assert model.manifest.base_model.id == "static-en"
    assert len(model.classify("where is my parcel").answers) == 12


def test_memory_is_not_told_where_the_system_does_not_say(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert run_facts.peak_rss_mb() is None


def bytes_of(folder):
    return (folder / "model.safetensors").read_bytes()


def facts_of(folder):
    return open_artifact(folder).manifest.model_dump(exclude={"created", "data", "name"})


class TestStopping:
    def test_a_run_that_is_cancelled_writes_nothing(self, tiny_rows, tiny_base, tmp_path):
        began = []
        with pytest.raises(Cancelled):
            train(
                tiny_rows,
                base=str(tiny_base),
                out=tmp_path / "m",
                listener=began.append,
                stop=lambda: any(told.fold for told in began),
            )
        assert not any(told.stage == "calibrating" for told in began)
        assert list(tmp_path.iterdir()) == []

    def test_it_is_asked_while_data_are_read(self, tiny_rows, tiny_base):
        told = []
        with pytest.raises(Cancelled):
            train(tiny_rows, base=str(tiny_base), listener=told.append, stop=lambda: True)
        assert [progress.stage for progress in told] == ["reading the data"]

    @pytest.mark.parametrize("at", ["reading the data", "calibrating", "measuring"])
    def test_whoever_listens_may_end_it(self, tiny_rows, tiny_base, tmp_path, at):
        def listen(told):
            if told.stage == at:
                raise Cancelled

        with pytest.raises(Cancelled):
            train(tiny_rows, base=str(tiny_base), epochs=1, out=tmp_path / "m", listener=listen)
        assert not (tmp_path / "m").exists()


@pytest.fixture(scope="module")
def whole(tiny_rows, tiny_base, tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    train(tiny_rows, base=str(tiny_base), out=folder, epochs=4)
    return folder


class TestGoingOn:
    @pytest.fixture(autouse=True)
    def no_flushing(self, monkeypatch):
        """Nothing here switches the machine off."""
        monkeypatch.setattr("tamis.ml.restart.sync", lambda _: None)

    def interrupted(self, rows, base, restart, stage, **chosen):
        def listen(told):
            if told.stage == stage and told.share > 0.4:
                raise Cancelled

        with pytest.raises(Cancelled):
            train(rows, base=base, listener=listen, restart=RestartPoints(restart, every=0), **chosen)
        assert restart.exists()

    @pytest.mark.parametrize("stage", ["fitting meanings", "using all rows", "calibrating"])
    def test_the_same_run_ends_with_the_same_bytes(self, tiny_rows, tiny_base, tmp_path, whole, stage):
        restart = tmp_path / "restart"
        self.interrupted(tiny_rows, str(tiny_base), restart, stage, epochs=4)
        points = RestartPoints(restart)
        model = train(tiny_rows, base=str(tiny_base), out=tmp_path / "m", epochs=4, restart=points)
        assert points.resumed
        assert any("went on from its last restart point" in remark for remark in model.run.remarks)
        assert bytes_of(tmp_path / "m") == bytes_of(whole)
        assert facts_of(tmp_path / "m") == facts_of(whole)
        assert not restart.exists()

    @pytest.mark.parametrize("other", [{"seed": 1}, {"epochs": 5}, {"learning_rate": 2e-4}, {"seq_len": 100}, {}])
    def test_another_run_starts_afresh(self, tiny_rows, tiny_base, tmp_path, other):
        restart = tmp_path / "restart"
        self.interrupted(tiny_rows, str(tiny_base), restart, "using all rows", epochs=4)
        points, rows = RestartPoints(restart), tiny_rows if other else tiny_rows[::-1]
        model = train(rows, base=str(tiny_base), restart=points, **({"epochs": 4} | other))
        assert not points.resumed
        assert any("Started afresh" in remark for remark in model.run.remarks)

    def test_weights_and_targets_make_another_run(self, tiny_rows, tiny_base, tmp_path):
        restart = tmp_path / "restart"
        self.interrupted(tiny_rows, str(tiny_base), restart, "using all rows", epochs=1)
        for given in (
            {"train": [Weighted(tiny_rows[:30], 2), Weighted(tiny_rows[30:], 1)]},
            {"train": tiny_rows, "targets": [DeclaredTarget("intent"), DeclaredTarget("topics", weight=2)]},
        ):
            points = RestartPoints(restart, every=1000)
            with pytest.raises(Cancelled):
                train(**given, base=str(tiny_base), epochs=1, restart=points, listener=self.stop_at_the_end)
            assert not points.resumed

    def stop_at_the_end(self, told):
        if told.stage == "calibrating":
            raise Cancelled


class TestWeights:
    def test_all_the_same_are_none(self, tiny_rows, tiny_base, tmp_path):
        for name, rows in (("plain", tiny_rows), ("one", [Weighted(tiny_rows)]), ("seven", [Weighted(tiny_rows, 7)])):
            train(rows, base=str(tiny_base), out=tmp_path / name, epochs=2)
        assert bytes_of(tmp_path / "plain") == bytes_of(tmp_path / "one") == bytes_of(tmp_path / "seven")

    def test_they_are_recorded(self, file, tiny_rows, tiny_base, tmp_path):
        other = tmp_path / "more.jsonl"
        other.write_text(json.dumps(tiny_rows[0]) + "\n")
        model = train([Weighted(file, 2.5), other], base=str(tiny_base), epochs=1)
        assert {entry.name: entry.weight for entry in model.manifest.data.files} == {file.name: 2.5, "more.jsonl": 1}

    @pytest.mark.parametrize("heavy", ["yes", "no"])
    def test_rows_that_weigh_more_are_believed(self, tiny_base, heavy):
        """Two files that contradict each other: the heavier one is right."""
        texts = [f"where is my parcel number {n}" for n in range(30)]
        files = {label: [(text, {"t": label}) for text in texts] for label in ("yes", "no")}
        model = train(
            [Weighted(rows, 20 if label == heavy else 1) for label, rows in files.items()],
            base=str(tiny_base),
            validation=files[heavy],
        )
        assert {answer["t"].label for answer in model.classify(texts)} == {heavy}

    @pytest.mark.parametrize("heavy", ["yes", "no"])
    @pytest.mark.parametrize("kind", [Kind.SINGLE_LABEL, Kind.MULTI_LABEL])
    def test_scores_say_how_much_each_of_two_files_weighs(self, tiny_base, heavy, kind):
        """They contradict each other with weights 1 and 5: one row of six says otherwise, whatever is held out."""
        texts = [f"where is my parcel number {n}" for n in range(40)]
        made = {"yes": "yes", "no": "no"} if kind is Kind.SINGLE_LABEL else {"yes": ["yes"], "no": ["no"]}
        files = {label: [(text, {"t": said}) for text in texts] for label, said in made.items()}
        files = [Weighted(rows, 5 if label == heavy else 1) for label, rows in files.items()]
        answers = train(files, base=str(tiny_base), epochs=4).classify(texts)
        assert np.mean([answer["t"].scores[heavy] for answer in answers]) == pytest.approx(5 / 6, abs=0.08)


class TestDeclaredTargets:
    def test_their_order_kinds_and_weights_are_those_of_the_model(self, tiny_rows, tiny_base):
        found = {row["labels"]["intent"] for row in tiny_rows if "intent" in row["labels"]}
        labels = tuple(sorted(found, reverse=True))
        declared = [DeclaredTarget("topics", weight=0), DeclaredTarget("intent", labels, Kind.SINGLE_LABEL, 2.0)]
        model = train(tiny_rows, base=str(tiny_base), targets=declared)
        assert [target.name for target in model.targets] == ["topics", "intent"]
        assert model.targets[1].labels == labels
        assert list(model.classify("where is my parcel")["intent"].scores) == list(labels)
        assert [entry.weight for entry in model.manifest.targets] == [0, 2]
        assert "delivery" in model.classify("where is my parcel please")["topics"].labels, "its own head has learnt it"

    def test_rows_with_other_labels_are_bad(self, tiny_rows, tiny_base):
        with pytest.raises(TooManyBadRows, match="declared for 'intent'"):
            train(tiny_rows, base=str(tiny_base), targets=[DeclaredTarget("intent", ("refund", "nothing else"))])


def test_seq_len_is_kept(tiny_rows, tiny_base):
    model = train(tiny_rows, base=str(tiny_base), epochs=1, seq_len=100)
    assert model.manifest.hyperparameters["seq_len"] == 100
    assert model.manifest.training["cut_share"] == 0
    with pytest.raises(InvalidSetting, match="seq_len"):
        train(tiny_rows, base=str(tiny_base), seq_len=99)


def test_every_run_has_a_curve_of_twenty_checkpoints(tiny_rows, tiny_base):
    for given in ({}, {"validation": tiny_rows[:30]}, {"training_steps": 250}, {"training_steps": 1}):
        told = []
        model = train(tiny_rows, base=str(tiny_base), listener=told.append, **given)
        curve = [progress.checkpoint for progress in told if progress.checkpoint]
        assert len(curve) >= 20
        steps = [row["step"] for row in curve]
        assert all(isinstance(step, int) for step in steps)
        assert steps == sorted(set(steps))
        wanted = {"step", "epoch", "train_loss", "valid_loss", "valid_metric", "learning_rate", "tokens_per_second"}
        assert all(wanted <= set(row) for row in curve)
        assert [row["step"] for row in model.manifest.checkpoints] == steps
        assert not any("tokens_per_second" in row for row in model.manifest.checkpoints)
