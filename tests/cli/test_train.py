"""`tamis train`: the artifact, what is told, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.conftest import example_rows, write_rows
from tamis.cli.app import app
from tamis.cli.train import default_folder, folder_of_version
from tamis.errors import InvalidSetting, NothingToLearn, OutputExists, TamisError, TooManyBadRows, UnknownBaseModel
from tamis.ml.artifact import open_artifact


@pytest.fixture
def bad(rows: Path) -> Path:
    with rows.open("a") as stream:
        stream.write('{"text": ""}\nnot json\n')
    return rows


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows to test on, one of them with a label that training does not have."""
    path = tmp_path_factory.mktemp("other") / "test.jsonl"
    lines = [{"text": "where is it", "labels": {"topic": "delivery"}}] * 9 + [{"text": "x", "labels": {"topic": "new"}}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_writes_the_model_beside_and_says_what_there_is_to_know(run, bad: Path, other: Path, here: Path, home: Path):
    given = ("--epochs", 1, "--test", other, "--max-bad-share", 0.05, "--name", "shop", "--rejects", here / "bad.jsonl")
    result = run("train", bad, *given)
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    assert open_artifact(here / "shop-model").manifest.name == "shop"
    assert (home / "models" / "shop" / "1" / "manifest.json").exists()
    for part in (
        "rows.jsonl train 60 2 jsonl",
        "test.jsonl test 10 0",
        "topic one of 2 delivery, payment",
        "all any of 3 delivery, payment, urgent",
        "static-en learnt from 60 rows in ",
        "On held-out rows 60 rows, 5-fold cross-validation",
        "On the test data 10 rows",
        "topic: 1 row carries a label that training never saw (“new”)",
        "./shop-model",
        "registered as shop@1",
        "tamis classify shop 'Your text'",
    ):
        assert part in told
    assert "a second" not in told
    assert f"left out  {bad}:61: The text is empty" in result.stderr
    assert f"left out  {bad}:62: Not JSON" in result.stderr
    assert result.stderr.index("left out") < result.stderr.index("fitting")
    assert [json.loads(line)["line"] for line in (here / "bad.jsonl").read_text().splitlines()] == [61, 62]


def test_long_names_of_targets_fit_beside_the_figures(run, here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    labels = ("a long name of a target", "b")
    rows = [{"text": f"word{n % 2} {n}", "labels": dict.fromkeys(labels, "xy"[n % 2])} for n in range(40)]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = run("train", here / "rows.jsonl", "--epochs", 1).stdout
    assert "a long name of a target" in told
    assert "…" not in told


def test_few_validation_rows_leave_it_to_training_rows_to_calibrate(run, rows: Path, tmp_path: Path, here: Path):
    few = tmp_path / "few.jsonl"
    few.write_text("".join(f"{line}\n" for line in rows.read_text().splitlines()[:6]))
    told = " ".join(run("train", rows, "--validation", few, "--epochs", 1).stdout.split())
    assert "The validation data has fewer than 50 rows of a target" in told
    assert "nothing was measured" not in told


def test_few_rows_of_all_are_told_as_the_reason_why_nothing_was_measured(run, rows: Path, tmp_path: Path, here: Path):
    few = tmp_path / "few.jsonl"
    few.write_text("".join(f"{line}\n" for line in rows.read_text().splitlines()[:6]))
    told = " ".join(run("train", few, "--validation", few, "--epochs", 1, "--out", here / "m").stdout.split())
    assert "Training and validation data have too few rows to hold any out: nothing was measured or calibrated." in told


def test_rows_out_of_scope_are_told_of_beside_the_figures(run, tmp_path: Path, here: Path):
    poems = [{"text": f"a poem {at} on the sea", "labels": {"topic": "oos"}} for at in range(20)]
    mixed = write_rows(tmp_path / "mixed.jsonl", [*example_rows(), *poems])
    shown = run("train", mixed, "--test", mixed, "--epochs", "1", "--oos-label", "oos").stdout
    assert "topic: oos is no label; its rows are out of scope" in " ".join(shown.split())
    assert shown.count("20 rows out of scope beside these") == 2


def test_none_labels_are_those_that_are_named(run, rows: Path, here: Path):
    given = ("--epochs", 1, "--force", "--out", here / "m")
    run("train", rows, *given, "--none-label", "all=urgent", "--none-label", "all=payment")
    assert open_artifact(here / "m").manifest.target("all").none_labels == ("urgent", "payment")
    told = run("train", rows, *given, "--none-label", "all=").stdout
    assert open_artifact(here / "m").manifest.target("all").none_labels == ()
    assert "rows that the model learnt from" in run("evaluate", here / "m", rows).stdout
    assert "the model learnt from" not in told
    for wrong in ("all", "=urgent", "topic=payment", "all=x", "nothing=x"):
        with pytest.raises(InvalidSetting, match=r"none-label|None labels"):
            run("train", rows, *given, "--none-label", wrong)


def test_json_is_one_object(run, rows: Path, here: Path):
    result = run("train", rows, "--epochs", 1, "--json", "--out", here / "deep" / "er")
    found = json.loads(result.stdout)
    assert found["model"] == str(here / "deep" / "er")
    assert {"total", "train", "read"} <= found["seconds"].keys()
    assert found["examples_per_second"] > 0
    assert found["peak_rss_mb"] > 10
    assert found["held_out"]["targets"]["topic"]["accuracy"] >= 0.9
    assert found["held_out"]["targets"]["all"]["ece_before"] is not None
    assert found["test"] is None


def test_validation_data_is_held_out_then(run, rows: Path, here: Path):
    found = json.loads(run("train", rows, "--validation", rows, "--epochs", 1, "--json").stdout)
    assert found["held_out_rows"] == "the validation data"


def test_progress_is_told_where_nobody_looks_too(run, rows: Path, here: Path):
    lines = run("train", rows, "--epochs", 1).stderr.splitlines()
    assert lines[0].strip() == "0%  reading the data"
    assert lines[-1].strip() == "100%  done"
    assert len(lines) < 15


def test_another_model_is_not_overwritten_unless_told(run, rows: Path, here: Path):
    run("train", rows, "--epochs", 1)
    before = (here / "rows-model" / "manifest.json").read_bytes()
    with pytest.raises(OutputExists, match=r"rows-model holds a model already.*--out, or replace it with --force"):
        run("train", rows, "--epochs", 1)
    assert (here / "rows-model" / "manifest.json").read_bytes() == before
    run("train", rows, "--epochs", 2, "--force")
    assert (here / "rows-model" / "manifest.json").read_bytes() != before


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_what_is_no_model_is_never_overwritten(run, rows: Path, here: Path, force: tuple[str, ...]):
    (here / "rows-model").mkdir()
    (here / "rows-model" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExists, match="holds no model"):
        run("train", rows, *force)
    assert (here / "rows-model" / "thesis.txt").read_text() == "mine"


def test_bad_rows_are_refused_and_nothing_is_written(run, bad: Path, here: Path):
    with pytest.raises(TooManyBadRows, match="--max-bad-share"):
        run("train", bad)
    assert list(here.iterdir()) == []


def test_what_cannot_be_meant_is_refused_before_anything_is_read(run, here: Path):
    with pytest.raises(InvalidSetting, match="cannot be a model's name"):
        run("train", "nothing.jsonl", "--name", "../x")
    assert run("train", "nothing.jsonl", "--seed", -1).exit_code == 2
    assert run("train").exit_code == 2
    assert list(here.iterdir()) == []


def test_one_label_is_nothing_to_learn(run, here: Path):
    Path("one.csv").write_text("text,label\n" + "hello,a\n" * 20)
    with pytest.raises(NothingToLearn):
        run("train", "one.csv")
    assert not Path("one-model").exists()


def test_the_base_model_may_be_a_setting(run, rows: Path, here: Path, home: Path):
    (home / "tamis.toml").write_text('default_base_model = "nowhere"\nbase_aliases = {good = "static-en"}\n')
    with pytest.raises(UnknownBaseModel, match="'nowhere'"):
        run("train", rows, "--base", "ministral-3b-latest")
    assert run("train", rows, "--epochs", 1, "--base", "good").exit_code == 0


def test_few_rows_are_not_measured_and_it_is_said(run, here: Path):
    Path("few.csv").write_text("text,label\nhello,a\nhi,a\nbye,b\nfarewell,b\n")
    result = run("train", "few.csv")
    assert result.exit_code == 0
    assert "too few rows to hold any out" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("a/train.jsonl", "train-model"),
        ("rows.CSV.gz", "rows-model"),
        ("owner/dataset", "dataset-model"),
        ("data/", "data-model"),
        ("v1.2.parquet", "v1.2-model"),
        (".jsonl", "tamis-model"),
        ("shop", "shop-model"),
    ],
)
def test_the_folder_is_named_after_the_data(given: str, folder: str):
    assert default_folder(given) == Path(folder)


class TestAnInterruptedRun:
    """Restart points are kept beside the model while it is made."""

    @pytest.fixture
    def at_once(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("tamis.ml.restart.RestartPoints.__init__.__kwdefaults__", {"every": 0.0})

    @pytest.fixture
    def interrupted(self, run, rows: Path, at_once, monkeypatch: pytest.MonkeyPatch):
        """What a run said that was interrupted at the end of its training."""
        from tamis.ml.static.training import StaticTrainer

        def interrupt(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(StaticTrainer, "_combine", interrupt)
            return run("train", rows, "--epochs", 1)

    def test_the_same_command_goes_on(self, run, rows: Path, here: Path, interrupted):
        first = interrupted
        assert first.exit_code == 130
        assert "the same command goes on from here" in first.stderr
        assert (here / ".rows-model.restart" / "restart.json").exists()
        second = run("train", rows, "--epochs", 1)
        assert second.exit_code == 0, second.output
        assert "went on from its last restart point" in " ".join(second.stdout.split())
        assert not (here / ".rows-model.restart").exists()

    def test_another_command_starts_afresh(self, run, rows: Path, here: Path, interrupted):
        other = run("train", rows, "--epochs", 2)
        assert other.exit_code == 0
        assert "Started afresh" in " ".join(other.stdout.split())

    @pytest.mark.parametrize("more", [("--epochs", 0), ("--base", "./nix", "--epochs", 1)])
    def test_one_that_fails_before_it_reads_them_does_not_promise_to_go_on(
        self, rows: Path, here: Path, interrupted, more
    ):
        failed = CliRunner().invoke(app, ["train", str(rows), *map(str, more)])
        assert isinstance(failed.exception, TamisError)
        assert (here / ".rows-model.restart" / "restart.json").exists()
        assert "goes on from here" not in failed.stderr

    def test_one_that_is_short_leaves_nothing(self, run, rows: Path, here: Path):
        assert run("train", rows, "--epochs", 1).exit_code == 0
        assert not list(here.glob(".*restart*"))


def test_a_model_grows_by_any_of_its_names(run, rows: Path, here: Path, home: Path):
    run("train", rows, "--epochs", 1, "--name", "shop")
    more = here / "more.jsonl"
    lines = [{"text": f"the app crashes on page {n}", "labels": {"topic": "bug"}} for n in range(24)]
    more.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = run("train", more, "--from", "shop", "--rehearse", rows, "--name", "shop")
    assert "registered as shop@2" in " ".join(result.stdout.split())
    assert open_artifact(here / "shop-model-2").manifest.name == "shop", "the earlier version stays where it is"
    assert folder_of_version("shop", force=False) == Path("shop-model-3")
    assert folder_of_version("shop", force=True) == Path("shop-model")
    said = open_artifact(home / "models" / "shop" / "2").manifest
    assert said.target("topic").labels == ("delivery", "payment", "bug")
    assert (said.parent.name, dict(said.parent.labels)) == ("shop", {"topic": ("bug",)})
    alone = run("train", more, "--from", here / "shop-model", "--out", here / "alone")
    said = " ".join(alone.stdout.split())
    assert "No row mentions the target all" in said
    assert "new labels are held back" in said
    assert "--rehearse OLDFILE" in said
    assert "--rehearse OLDFILE" not in result.stdout
    with pytest.raises(InvalidSetting, match="base model is that of the model to start from"):
        run("train", more, "--from", "shop", "--base", "static-en", "--out", here / "other")
