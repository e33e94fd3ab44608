"""`tamis promote`: the table, the verdict, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import example_rows, write_rows
from tamis.cli.console import out
from tamis.errors import Conflict, InvalidSetting, TooManyBadRows
from tamis.ml.registry import register
from tamis.ml.training import train


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same labels that learnt its topics the wrong way round."""
    folder = tmp_path_factory.mktemp("other")
    wrong = {"delivery": "payment", "payment": "delivery"}
    made = [{**row, "labels": {**row["labels"], "topic": wrong[row["labels"]["topic"]]}} for row in example_rows()]
    train(write_rows(folder / "rows.jsonl", made), epochs=1, out=folder / "small")
    return folder / "small"


@pytest.fixture
def shop(home: Path, model: Path, other: Path) -> None:
    """shop@1 is wrong, shop@2 right; `prod` points at the former."""
    register(home, "shop", other)
    register(home, "shop", model)


@pytest.fixture
def promote(run, rows: Path):
    def promote(*more: object, data: Path = rows):
        return run("promote", "shop@2", "--alias", "prod", "--data", data, *more)

    return promote


def test_a_better_model_takes_the_place(run, promote, shop: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(out, "width", 100)
    run("alias", "set", "prod", "shop@1")
    result = promote("--if", "accuracy >= current - 0.5pp", "--if", "micro_f1 of all >= current - 5pp and ece <= 1")
    assert result.exit_code == 0, result.stdout
    shown = result.stdout
    assert "shop@2  against shop@1, on 60 rows" in shown
    assert "accuracy" in shown
    assert "+100.0 pp" in shown
    assert "✓ accuracy >= current - 0.5pp" in shown
    assert "100.0%, needed >= -0.5%" in shown
    assert shown.count("ece <= 1  (") == 2
    assert "✓ prod points at shop@2 now (before: shop@1)." in shown
    assert "Back: tamis alias rollback prod" in shown
    history = run("alias", "history", "prod").stdout
    assert "promoted" in history
    assert "on 60 rows of rows.jsonl" in history
    assert "✓ accuracy >= current - 0.5pp  topic: 100.0% against -0.5%" in history


def test_a_narrow_terminal_shows_whole_figures(run, promote, shop: None, monkeypatch: pytest.MonkeyPatch):
    run("alias", "set", "prod", "shop@1")
    shown = {}
    for width in (80, 140):
        monkeypatch.setattr(out, "width", width)
        shown[width] = promote("--if", "accuracy >= 0", "--dry-run").stdout.partition("Conditions")[0]
    assert "…" not in shown[80]
    assert shown[80].count("95% interval") * 3 == shown[140].count("95% interval")


def test_a_worse_one_is_refused_with_the_table(run, shop: None, rows: Path):
    run("alias", "set", "prod", "shop@2")
    result = run("promote", "shop@1", "--alias", "prod", "--data", rows, "--if", "accuracy >= current - 0.5pp")
    assert result.exit_code == 1
    assert "✗ accuracy >= current - 0.5pp" in result.stdout
    assert "✗ prod stays at shop@2: 1 of 1 conditions did not hold." in result.stdout
    told = run("promote", "shop@1", "--alias", "prod", "--data", rows, "--if", "accuracy >= current", "--json")
    assert told.exit_code == 1
    found = json.loads(told.stdout)
    assert (found["passed"], found["moved"], found["former"]) == (False, False, "shop@2")
    assert found["report"]["conditions"][0]["needed"] == 1
    assert found["report"]["targets"]["topic"]["figures"][0]["figure"] == "accuracy"
    assert json.loads(run("alias", "list", "--json").stdout)["aliases"][0]["model"] == "shop@2"


def test_a_dry_run_and_then_nothing_to_do(run, promote, shop: None):
    run("alias", "set", "prod", "shop@1")
    result = promote("--if", "accuracy >= 90% surely and p50_ms <= 60000", "--dry-run")
    assert result.exit_code == 0
    assert "prod would be moved to shop@2" in result.stdout
    assert "difference -" not in result.stdout.partition("Conditions")[2]
    assert ", difference " in result.stdout.partition("Conditions")[2]
    assert "One text takes: candidate" in result.stdout
    assert promote("--if", "accuracy >= current").exit_code == 0
    again = promote("--if", "accuracy >= current", "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["report"] is None


def test_the_first_one(promote, shop: None):
    with pytest.raises(Conflict, match="--first"):
        promote("--if", "accuracy >= current")
    result = promote("--if", "accuracy >= current", "--if", "f1 of topic/delivery >= 90%", "--first")
    assert result.exit_code == 0
    assert "the first of its alias" in result.stdout
    assert "there is no current model to compare with" in result.stdout
    assert "prod points at shop@2 now." in result.stdout


def test_what_is_wrong_is_said(run, promote, shop: None, model: Path, rows: Path, tmp_path: Path):
    with pytest.raises(InvalidSetting, match="at character 26"):
        promote("--if", "accuracy >= current - 0.5")
    with pytest.raises(InvalidSetting, match="topic has no label 'parcel'"):
        promote("--if", "recall of topic/parcel >= 0.5")
    with pytest.raises(InvalidSetting, match="is a folder"):
        run("promote", model, "--alias", "prod", "--data", rows, "--if", "accuracy >= 0")
    assert run("promote", "shop", "--alias", "prod", "--data", rows).exit_code == 2
    bad = tmp_path / "bad.jsonl"
    bad.write_text(rows.read_text() + "{\n")
    with pytest.raises(TooManyBadRows):
        promote("--if", "accuracy >= 0", data=bad)
    assert promote("--if", "accuracy >= 0", "--max-bad-share", "0.1", data=bad).exit_code == 0
