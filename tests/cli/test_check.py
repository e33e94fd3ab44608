import json

import pytest
from typer.testing import CliRunner

from tamis.cli.app import app
from tamis.cli.check import base_facts
from tamis.errors import InvalidSetting, TamisError, UnknownBaseModel
from tamis.examples import example_path


def run(*arguments):
    result = CliRunner().invoke(app, ["check", *map(str, arguments)])
    if isinstance(result.exception, TamisError):
        raise result.exception
    return result


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.csv"
    rows = [f"message {i} about {'cats' if i % 2 else 'dogs'},{'ab'[i % 2]}" for i in range(60)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.jsonl"
    rows = [json.dumps({"text": f"text {i}", "labels": {"y": "ab"[i % 2]}}) for i in range(60)]
    path.write_text("\n".join([*rows[:9], "not json", *rows[9:]]) + "\n")
    return path


def test_good_data_ends_with_0_and_its_verdict(good):
    result = run(good)
    assert result.exit_code == 0
    assert result.stdout.rstrip().endswith("Ready to train: nothing to warn about.")
    assert "csv" in result.stdout


def test_bad_rows_end_with_1_and_are_shown(bad):
    result = run(bad)
    assert result.exit_code == 1
    assert "bad.jsonl:10" in result.stdout
    assert result.stdout.rstrip().endswith("Not ready: 1 row must be fixed or left out.")
    assert run(bad, "--max-bad-share", 0.02).exit_code == 0


def test_json_is_one_object_and_nothing_else(bad, tmp_path):
    result = run(bad, "--json", "--rejects", tmp_path / "r.jsonl", "--report", tmp_path / "r.html")
    found = json.loads(result.stdout)
    assert (found["ready"], found["rows"], found["rejects"]["count"]) == (False, {"train": 60}, 1)
    assert found["window"] == {"base": "static-en", "tokens": None, "rows_over": 0, "share_over": 0.0}
    assert result.exit_code == 1


def test_rejected_rows_and_the_page_are_written(bad, tmp_path):
    result = run(bad, "--rejects", tmp_path / "rejects.jsonl", "--report", tmp_path / "report.html")
    (rejected,) = map(json.loads, (tmp_path / "rejects.jsonl").read_text(encoding="utf-8").splitlines())
    assert (rejected["line"], rejected["code"], rejected["raw"].strip()) == (10, "not_json", "not json")
    assert rejected["cause"]
    assert rejected["cure"]
    assert "<h1>Data check</h1>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "report.html" in result.stdout


def test_further_splits_are_compared(good, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("text,label\nmessage 3 about cats,b\nmessage 4 about dogs,c\n")
    result = run(good, "--validation", test, "--test", test, "--json")
    found = json.loads(result.stdout)
    assert found["splits"] == ["train", "validation", "test"]
    codes = {finding["code"] for finding in found["findings"]}
    assert {"overlap", "conflicting_labels", "unseen_labels"} <= codes
    assert result.exit_code == 0


def test_reading_options_reach_the_readers(tmp_path):
    path = tmp_path / "odd.txt"
    path.write_bytes("x;Wo ist das Büro?;a|b\ny;Wo ist es?;\n".encode("cp1252"))
    options = ["--text-column", 1, "--label-column", 2, "--label-separator", "|", "--delimiter", "semicolon"]
    result = run(path, *options, "--encoding", "cp1252", "--no-header", "--empty-means-none", "--json")
    (target,) = json.loads(result.stdout)["targets"]
    assert target["kind"] == "multi_label"
    assert [label["label"] for label in target["labels"]] == ["a", "b"]
    assert target["without_label"] == {"train": 1}


def test_the_packaged_example_has_something_to_show():
    result = run(example_path("support.jsonl"), "--max-bad-share", 0.01)
    assert result.exit_code == 0
    for code in ("bad_rows_left_out", "similar_label_names", "conflicting_labels", "duplicates"):
        assert code in result.stdout


def test_wrong_settings_are_told(good):
    with pytest.raises(InvalidSetting, match="encoding"):
        run(good, "--encoding", "klingon")
    with pytest.raises(UnknownBaseModel):
        run(good, "--base", "no-such-base")
    assert run(good, "--max-bad-share", 2).exit_code == 2
    assert run().exit_code == 2


@pytest.mark.parametrize("option", ["--rejects", "--report"])
def test_what_is_checked_is_not_overwritten(bad, option):
    before = bad.read_text()
    with pytest.raises(InvalidSetting, match="overwritten"):
        run(bad, option, bad)
    assert bad.read_text() == before


def test_an_encoders_tokens_are_counted_without_padding_up_to_what_training_reads():
    facts = base_facts("minilm-l6")
    assert facts.count_tokens(["hello there", "hello " * 700]) == [2, 700]
    assert facts.window == 512
    assert base_facts("static-en").window is None
