"""`tamis evaluate`: the figures, as a table, as JSON, as a page, and row by row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tamis.errors import DataError, InvalidSetting, TooManyBadRows

SINGLE = {"kind", "accuracy", "accuracy_ci", "macro_f1", "weighted_f1", "ece", "log_loss"}
MULTI = {"kind", "micro_f1", "macro_f1", "weighted_f1", "samples_jaccard", "mean_average_precision", "ece"}


def test_the_table(run, model: Path, rows: Path):
    result = run("evaluate", model, rows)
    assert result.exit_code == 0
    assert "Target topic" in result.stdout
    assert "95% interval" in result.stdout
    assert "urgent" in result.stdout


def test_the_rows_that_the_model_learnt_from_are_told(run, model: Path, rows: Path, tmp_path: Path):
    assert "rows that the model learnt from" in run("evaluate", model, rows).stdout
    lines = rows.read_text().splitlines(keepends=True)
    (tmp_path / "shuffled.jsonl").write_text("".join(reversed(lines)))
    (tmp_path / "fewer.jsonl").write_text("".join(lines[1:]))
    assert "rows that the model learnt from" in run("evaluate", model, tmp_path / "shuffled.jsonl").stdout
    assert "rows that the model learnt from" not in run("evaluate", model, tmp_path / "fewer.jsonl").stdout
    assert "rows that the model learnt from" in run("evaluate", model, rows, "--oos-label", "none of them").stdout
    (remark,) = json.loads(run("evaluate", model, rows, "--json").stdout)["remarks"]
    assert "rows that the model learnt from" in remark


def test_json_has_what_was_promised(run, model: Path, rows: Path):
    found = json.loads(run("evaluate", model, rows, "--json").stdout)
    assert found["n"] == 60
    assert found["targets"]["topic"].keys() >= SINGLE
    assert found["targets"]["all"].keys() >= MULTI
    assert (found["targets"]["topic"]["kind"], found["targets"]["all"]["kind"]) == ("single_label", "multi_label")
    low, high = found["targets"]["topic"]["accuracy_ci"]
    assert low <= found["targets"]["topic"]["accuracy"] <= high
    assert found["files"][0]["rows"] == 60


def test_every_row_is_written_with_its_scores(run, model: Path, tmp_path: Path):
    lines = [
        {"text": "where is my parcel", "labels": {"topic": "delivery", "all": []}},
        {"messages": [{"role": "user", "content": "hi"}], "labels": {"topic": "unseen"}},
    ]
    (tmp_path / "two.jsonl").write_text("\n" + "".join(json.dumps(line) + "\n" for line in lines))
    run("evaluate", model, tmp_path / "two.jsonl", "--predictions", tmp_path / "p.jsonl")
    first, second = map(json.loads, (tmp_path / "p.jsonl").read_text().splitlines())
    assert (first["line"], first["text"]) == (2, "where is my parcel")
    assert first["labels"] == {"topic": "delivery", "all": []}
    assert first["predicted"]["topic"] == "delivery"
    assert first["scores"]["all"].keys() == {"delivery", "payment", "urgent"}
    assert first["abstained"] == {"topic": False, "all": False}
    assert second["messages"][0]["content"] == "hi"
    assert second["labels"] == {"topic": "unseen"}


def test_predictions_agree_with_classify(run, model: Path, rows: Path, tmp_path: Path):
    run("evaluate", model, rows, "--predictions", tmp_path / "p.jsonl")
    run("classify", model, "--input", rows, "--output", tmp_path / "c.jsonl")
    evaluated = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    classified = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [{key: row[key] for key in row if key != "labels"} for row in evaluated] == classified


def test_predictions_on_stdout_stand_alone_there(run, model: Path, rows: Path):
    result = run("evaluate", model, rows, "--predictions", "-")
    assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == list(range(1, 61))
    assert "Target topic" in result.stderr
    assert run("evaluate", model, rows, "--predictions", "-", "--json").exit_code == 2


def test_the_page_is_written_with_the_rows(run, model: Path, rows: Path, tmp_path: Path):
    result = run("evaluate", model, rows, "--report", tmp_path / "page.html")
    assert f"Report written to {tmp_path / 'page.html'}" in result.stdout
    assert "Evaluation of small" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_several_files_are_one(run, model: Path, rows: Path):
    assert json.loads(run("evaluate", model, rows, rows, "--json").stdout)["n"] == 120


def test_bad_rows(run, model: Path, rows: Path, tmp_path: Path):
    with rows.open("a") as stream:
        stream.write("not json\n")
    with pytest.raises(TooManyBadRows):
        run("evaluate", model, rows)
    result = run("evaluate", model, rows, "--max-bad-share", 0.1, "--rejects", tmp_path / "bad.jsonl")
    assert result.exit_code == 0
    assert f"left out  {rows}:61: Not JSON" in result.stderr
    assert json.loads((tmp_path / "bad.jsonl").read_text())["line"] == 61


def test_data_of_other_targets_is_refused(run, model: Path, tmp_path: Path):
    (tmp_path / "other.jsonl").write_text('{"text": "a", "labels": {"mood": "good", "tone": "loud"}}\n')
    with pytest.raises(DataError, match=r"mood, tone.*topic, all"):
        run("evaluate", model, tmp_path / "other.jsonl")


def test_a_place_that_cannot_be_written_is_told(run, model: Path, rows: Path, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidSetting, match="cannot be written"):
        run("evaluate", model, rows, "--predictions", tmp_path / "file" / "p.jsonl")


@pytest.mark.parametrize("option", ["--rejects", "--report", "--predictions"])
def test_what_is_measured_on_is_not_overwritten(run, model: Path, rows: Path, option: str):
    before = rows.read_text()
    with pytest.raises(InvalidSetting, match="overwritten"):
        run("evaluate", model, rows, option, rows)
    assert rows.read_text() == before


def test_rows_out_of_scope_are_neither_right_nor_wrong(run, model: Path, rows: Path, tmp_path: Path):
    told = [json.loads(line) for line in rows.read_text().splitlines()]
    target = next(name for name, value in told[0]["labels"].items() if isinstance(value, str))
    outside = [{"text": f"zebra opera {at}", "labels": {target: "oos"}} for at in range(6)]
    file = tmp_path / "more.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*told, *outside]))
    plain = json.loads(run("evaluate", model, file, "--json").stdout)["targets"][target]
    scoped = json.loads(run("evaluate", model, file, "--oos-label", "oos", "--json").stdout)["targets"][target]
    assert (plain["unseen_rows"], plain["oos_rows"]) == (6, 0)
    assert (scoped["unseen_rows"], scoped["oos_rows"]) == (0, 6)
    assert scoped["n"] == plain["n"] - 6
    assert scoped["accuracy"] > plain["accuracy"]
    assert 0 <= scoped["oos_recall"] <= 1
    table = run("evaluate", model, file, "--oos-label", "oos").stdout
    assert "give --oos-label oos" not in table
    assert "give --oos-label oos" in " ".join(run("evaluate", model, file).stdout.split())
    assert "6 rows are out of scope" in table
    assert "out-of-scope AUROC" in table
