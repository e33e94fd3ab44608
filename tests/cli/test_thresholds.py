"""`tamis thresholds`: what is shown, what is made and where, what is refused."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tamis.cli.thresholds_view import show
from tamis.errors import InvalidSetting, OutputExists, UndeclaredLabel
from tamis.ml.model import load
from tamis.ml.registry import register
from tamis.ml.rethresholding import LabelAt, ThresholdTable
from tamis.ml.threshold_record import RECORD
from tamis.schema import Kind, Target
from tamis.settings import load_settings
from tamis.workspace.workspace import open_workspace


def test_the_table_says_what_each_threshold_gives_and_what_others_would(run, model: Path):
    shown = run("thresholds", model).stdout
    assert "Target all" in shown
    assert "60 rows held out in training" in shown
    assert "At one threshold for all" in shown
    assert "Target topic  one of 2 labels, 60 rows held out in training" in shown
    assert "of these right" in shown
    assert "Target all" not in run("thresholds", model, "--target", "topic").stdout
    line = next(line.split() for line in shown.splitlines() if line.startswith("urgent"))
    assert len(line) == 6
    told = json.loads(run("thresholds", model, "--json").stdout)["targets"]["all"]
    assert (told["rows"], told["source"], told["not_kept"]) == (60, "held_out", [])
    assert [label["label"] for label in told["labels"]] == ["delivery", "payment", "urgent"]
    assert list(told["others"]) == ["0.1", "0.3", "0.5", "0.7", "0.9"]
    assert set(told["figures"]) == {"micro_f1", "macro_f1", "weighted_f1"}


def test_a_folder_becomes_another_folder_and_stays_as_it_is(run, model: Path, tmp_path: Path):
    before = (model / "manifest.json").read_bytes()
    result = run("thresholds", model, "--optimise", "recall>=0.5", "--set", "urgent=0.05", "--out", tmp_path / "new")
    assert result.exit_code == 0
    assert str(tmp_path / "new") in result.stdout
    assert (model / "manifest.json").read_bytes() == before
    new = load(tmp_path / "new")
    assert new.manifest.target("all").thresholds[2] == pytest.approx(0.05)
    assert new.manifest.target("all").chosen_for.objective == "recall>=0.5"
    with pytest.raises(OutputExists, match="--force"):
        run("thresholds", model, "--set", "urgent=0.5", "--out", tmp_path / "new")
    run("thresholds", model, "--set", "urgent=0.5", "--out", tmp_path / "new", "--force")
    assert load(tmp_path / "new").manifest.target("all").thresholds[2] == 0.5


def test_a_folder_without_a_place_to_go_is_refused_before_anything_else(run, model: Path):
    with pytest.raises(InvalidSetting, match="--out DIR or --name NAME"):
        run("thresholds", model, "--optimise", "f1")


def test_classify_answers_by_the_new_thresholds(run, model: Path, tmp_path: Path):
    run("thresholds", model, "--set", "urgent=0", "--set", "delivery=1", "--out", tmp_path / "new")
    (tmp_path / "in.jsonl").write_text('{"text": "where is my parcel"}\n')
    run("classify", tmp_path / "new", "--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    labels = json.loads((tmp_path / "out.jsonl").read_text())["predicted"]["all"]
    assert "urgent" in labels
    assert "delivery" not in labels


def test_a_model_of_the_home_gets_the_next_version_without_a_database(run, home: Path, model: Path):
    register(home, "shop", model)
    result = run("thresholds", "shop", "--set", "urgent=0.2", "--json")
    told = json.loads(result.stdout)
    assert (told["name"], told["parent"], told["dry_run"], told["model"]) == ("shop@2", "shop@1", False, None)
    assert told["targets"]["all"]["labels"][2]["threshold"] == pytest.approx(0.2)
    assert load("shop", home=home).manifest.parent.name == "shop@1"
    other = json.loads(run("thresholds", "shop@1", "--set", "urgent=0.3", "--name", "calm", "--json").stdout)
    assert other["name"] == "calm@1"
    assert [entry["model"] for entry in json.loads(run("models", "--json").stdout)["models"]] == [
        "calm@1",
        "shop@2",
        "shop@1",
    ]


def test_a_model_of_the_home_gets_the_next_version_and_aliases_stay(run, home: Path, model: Path):
    register(home, "shop", model)
    settings = load_settings()
    with open_workspace(settings) as workspace:
        workspace.models.take_in()
        first = workspace.models.find("shop@1")
        workspace.aliases.set("live", first.id)
    told = json.loads(run("thresholds", "live", "--optimise", "macro-f1", "--json").stdout)
    assert (told["name"], told["parent"]) == ("shop@2", "shop@1")
    with open_workspace(settings) as workspace:
        assert workspace.models.find("live").id == first.id
        assert workspace.models.find("shop").version == 2


def test_a_dry_run_writes_nothing(run, home: Path, model: Path):
    register(home, "shop", model)
    result = run("thresholds", "shop", "--optimise", "recall>=0.9", "--dry-run")
    assert "Nothing was written" in result.stdout
    assert json.loads(run("thresholds", model, "--optimise", "f1", "--dry-run", "--json").stdout)["dry_run"]
    assert len(json.loads(run("models", "--json").stdout)["models"]) == 1


def test_what_is_not_known_to_be_kept_is_told_for_each_label(run, model: Path):
    result = run("thresholds", model, "--optimise", "precision>=0.99", "--dry-run")
    assert "✗" in result.stdout
    assert "no threshold is known to keep" in " ".join(result.stdout.split())
    told = json.loads(run("thresholds", model, "--optimise", "precision>=0.99", "--dry-run", "--json").stdout)
    assert set(told["targets"]["all"]["not_kept"]) <= {"delivery", "payment", "urgent"}
    assert told["targets"]["all"]["not_kept"]
    assert told["remarks"]


def test_a_promise_for_all_labels_together_is_told_once(run, model: Path):
    shown = run("thresholds", model, "--optimise", "shared:precision>=0.2", "--dry-run").stdout
    said = " ".join(shown.split())
    assert "All 3 labels together, precision>=0.2: surely" in said
    assert said.count("✓") == 1
    assert "surely: at least this, with a probability of 95%" in said
    alone = run(
        "thresholds", model, "--optimise", "shared:precision>=0.2", "--optimise", "urgent=recall>=0.1", "--dry-run"
    )
    assert "All 2 labels together" in alone.stdout
    assert (alone.stdout.count("✓") + alone.stdout.count("✗")) == 2
    assert "surely" not in run("thresholds", model).stdout


def test_given_rows_are_scored_and_warned_of(run, model: Path, rows: Path):
    told = json.loads(run("thresholds", model, "--optimise", "f1", "--data", rows, "--dry-run", "--json").stdout)
    assert (told["targets"]["all"]["rows"], told["targets"]["all"]["source"]) == (60, "data")
    assert any("learnt from" in remark for remark in told["remarks"])
    assert any("no test rows any more" in remark for remark in told["remarks"])
    assert "60 rows given" in run("thresholds", model, "--data", rows).stdout


def test_an_old_model_shows_its_thresholds_and_says_what_it_lacks(run, model: Path, tmp_path: Path):
    from tamis.ml.artifact import open_artifact, write_artifact
    from tamis.ml.scorer import Contents

    artifact = open_artifact(model)
    files = {name: model / name for name in artifact.manifest.files if name != RECORD}
    write_artifact(tmp_path / "old", artifact.manifest, Contents({}, None, files))
    shown = " ".join(run("thresholds", tmp_path / "old").stdout.split())
    assert "keeps no counts of held-out rows" in shown
    assert "keeps no evidence of held-out rows" in shown
    assert "urgent" in shown
    with pytest.raises(InvalidSetting, match="--data FILE"):
        run("thresholds", tmp_path / "old", "--abstain-loss", "0.1", "--dry-run")
    with pytest.raises(InvalidSetting, match="--data FILE"):
        run("thresholds", tmp_path / "old", "--optimise", "f1", "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (["--optimise", "precision=0.9"], InvalidSetting, "takes a floor"),
        (["--optimise", "urgnt=f1"], UndeclaredLabel, "did you mean 'urgent'"),
        (["--set", "urgent"], InvalidSetting, "LABEL=THRESHOLD"),
        (["--optimise", "f1", "--target", "topic"], InvalidSetting, "single-label"),
        (["--abstain-loss", "0.1", "--target", "all"], InvalidSetting, "multi-label"),
        (["--abstain-loss", "all=0.1"], InvalidSetting, "multi-label"),
        (["--abstain-loss", "0.9"], InvalidSetting, "from 0 to 0.5"),
        (["--optimise", "f1", "--target", "nothing"], UndeclaredLabel, "no target 'nothing'"),
        (["--shared", "--set", "urgent=0.5"], InvalidSetting, "needs an objective"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, model: Path, arguments, error, told):
    with pytest.raises(error, match=told):
        run("thresholds", model, *arguments, "--dry-run")


def test_train_takes_a_purpose(run, rows: Path, here: Path):
    result = run("train", rows, "--epochs", "1", "--optimise", "recall>=0.8", "--optimise", "urgent=f1", "--json")
    assert result.exit_code == 0
    said = load(here / "rows-model").manifest.target("all").chosen_for
    assert (said.objective, said.labels) == ("recall>=0.8", {"urgent": "f1"})


def test_how_sure_it_must_be_is_chosen_like_a_threshold(run, home: Path, model: Path):
    register(home, "shop", model)
    told = json.loads(run("thresholds", "shop", "--json").stdout)["abstain"]["topic"]
    assert (told["rows"], told["source"], told["loss"], told["before"]) == (60, "held_out", 0.03, None)
    assert [rule["loss"] for rule in told["others"]] == [0.0, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5]
    made = json.loads(run("thresholds", "shop", "--abstain-loss", "0.2", "--set", "urgent=0.2", "--json").stdout)
    assert (made["name"], made["abstain"]["topic"]["loss"]) == ("shop@2", 0.2)
    assert made["abstain"]["topic"]["before"]["loss"] == 0.03
    assert made["abstain"]["topic"]["coverage"] < made["abstain"]["topic"]["before"]["coverage"]
    manifest = load("shop", home=home).manifest
    assert manifest.target("topic").abstain.loss == 0.2
    assert manifest.target("all").thresholds[2] == pytest.approx(0.2)
    shown = run("thresholds", "shop", "--abstain-loss", "topic=0", "--dry-run").stdout
    assert [line.split()[:3] for line in shown.splitlines() if line.lstrip().startswith(("before", "now"))] == [
        ["before", "20%", f"{100 * made['abstain']['topic']['coverage']:.1f}%"],
        ["now", "0%", "100.0%"],
    ]


def test_what_is_surely_so_is_never_rounded_up():
    at = LabelAt("urgent", 0.5, asked="precision>=0.99", bound=0.997)
    table = ThresholdTable(Target(name="all", kind=Kind.MULTI_LABEL, labels=("urgent",)), 0, None, (at,))
    console = Console(record=True, width=100, file=StringIO())
    show({"all": table}, console, others=False)
    assert "99% ✓" in console.export_text()
