"""`tamis classify`: texts in from anywhere, predictions out in order, nothing lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from tamis.cli.classify import AT_ONCE, _Run
from tamis.errors import InvalidSetting, NoRows, UnknownModel, UnreadableFile
from tamis.ml.model import load
from tamis.schema import Example

GOOD = {"text": "where is my parcel"}
CHAT = {"messages": [{"role": "user", "content": "the invoice is wrong"}]}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\nnot json\n{json.dumps(CHAT)}\n")
    return path


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_texts_of_the_command_line(run, model: Path):
    result = run("classify", model, "where is my parcel", "you charged my card twice")
    assert result.exit_code == 0
    first, second = result.stdout.strip().split("\n\n")
    assert first.splitlines()[0] == "where is my parcel"
    assert "topic ✓ delivery" in first
    assert "topic ✓ payment" in second
    assert "━" in first
    assert "  payment" in first, "labels that are not given are shown too"


def test_stdin_is_read_where_nothing_is_given(run, model: Path):
    result = run("classify", model, stdin="where is my parcel\n\nyou charged, my card\n")
    assert [part.splitlines()[0] for part in result.stdout.strip().split("\n\n")] == [
        "where is my parcel",
        "you charged, my card",
    ]
    assert run("classify", model, "--input", "-", stdin=json.dumps(CHAT)).stdout.startswith("user: the invoice")
    with pytest.raises(NoRows, match="stdin is empty"):
        run("classify", model, stdin="")


def test_the_name_of_a_file_is_a_text_and_that_is_told(run, model: Path, mixed: Path):
    result = run("classify", model, str(mixed), "where is it")
    assert result.exit_code == 0
    assert result.stdout.startswith(str(mixed)[:40])
    assert f"{mixed} is a file here" in result.stderr
    assert "--input" in result.stderr
    assert "is a file here" not in run("classify", model, "no such file", "x" * 100_000, "a\0b").stderr


def test_rows_come_out_in_order_and_bad_ones_are_among_them(run, model: Path, mixed: Path, tmp_path: Path):
    result = run("classify", model, "--input", mixed, "--output", tmp_path / "out.jsonl")
    assert result.exit_code == 1
    assert "1 of 3 inputs could not be classified" in result.stderr
    good, bad, chat = lines_of((tmp_path / "out.jsonl").read_text())
    assert (good["line"], good["text"], good["predicted"]["topic"]) == (1, "where is my parcel", "delivery")
    assert "delivery" in good["predicted"]["all"]
    assert list(good["scores"]["topic"]) == ["delivery", "payment"]
    assert sum(good["scores"]["topic"].values()) == pytest.approx(1, abs=1e-5)
    assert good["abstained"] == {"topic": False, "all": False}
    assert bad["line"] == 3
    assert bad["error"]["code"] == "not_json"
    assert (chat["line"], chat["messages"]) == (4, CHAT["messages"])


def test_what_the_model_has_no_label_for_is_told(run, rows: Path, tmp_path: Path):
    run("train", rows, "--epochs", 1, "--abstain-loss", 0.5, "--out", tmp_path / "careful")
    given = ("classify", tmp_path / "careful", "a recipe for mushroom soup")
    assert "topic – none of these: not sure enough" in run(*given).stdout
    (found,) = json.loads(run(*given, "--json").stdout)["predictions"]
    assert found["predicted"]["topic"] is None
    assert found["abstained"] == {"topic": True, "all": False}
    assert sum(found["scores"]["topic"].values()) == pytest.approx(1, abs=1e-5)


def test_json_is_one_object(run, model: Path, mixed: Path, tmp_path: Path):
    result = run("classify", model, "--input", mixed, "--json", "--top", 1)
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["model"], found["rows"], found["failed"]) == ("small", 3, 1)
    assert found["predictions"][0]["scores"]["all"].keys() == {"delivery"}
    written = json.loads(run("classify", model, "a", "--json", "--output", tmp_path / "x").stdout)
    assert written == {"model": "small", "output": str(tmp_path / "x"), "rows": 1, "failed": 0}


def test_batches_do_not_change_what_comes_out(run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    texts = [f"parcel or card {n}" for n in range(7)]
    (tmp_path / "in.txt").write_text("\n".join(texts))
    given = ("classify", model, "--input", tmp_path / "in.txt", "--output", "-")
    whole = lines_of(run(*given).stdout)
    monkeypatch.setattr("tamis.cli.classify.AT_ONCE", 2)
    for one, other in zip(lines_of(run(*given).stdout), whole, strict=True):
        for target in ("topic", "all"):
            assert one["scores"].pop(target) == pytest.approx(other["scores"].pop(target), abs=1e-5)
        assert one == other
    assert [row["text"] for row in whole] == texts


def test_a_table_has_its_text_column_named(run, model: Path, tmp_path: Path):
    (tmp_path / "in.csv").write_text("id;said\n1;where is my parcel\n")
    result = run("classify", model, "--input", tmp_path / "in.csv", "--text-column", "said", "--output", "-")
    assert lines_of(result.stdout)[0]["text"] == "where is my parcel"


@pytest.mark.parametrize("text", ["", " ", "😀 مرحبا 你好", "a" * 100_000, "\udcff", "\x1b[31mred [bold]"])
def test_hostile_texts(run, model: Path, text: str):
    assert "\x1b" not in run("classify", model, text).stdout
    assert json.loads(run("classify", model, "--json", "--", text).stdout)["predictions"][0]["text"] == text


def test_a_file_that_fails_half_way_still_ends_the_object(model: Path, capsys: pytest.CaptureFixture[str]):
    def rows() -> Iterator[Example]:
        yield Example("where is my parcel", {}, 1)
        raise UnreadableFile("the disk failed")

    running = _Run(load(model), None)
    running.print_object(chain(repeat(Example("a", {}, 1), AT_ONCE), rows()))
    found = json.loads(capsys.readouterr().out)
    assert len(found["predictions"]) == AT_ONCE
    assert found["error"] == {"code": "unreadable_file", "message": "the disk failed"}
    assert running.failed == 1


def test_the_output_appears_only_when_it_is_whole(run, model: Path, tmp_path: Path):
    (tmp_path / "out.jsonl").write_text("from before")
    with pytest.raises(UnreadableFile):
        run("classify", model, "--input", tmp_path / "nothing", "--output", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "from before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_wrong_usage(run, model: Path):
    assert run("classify", model, "text", "--input", "file").exit_code == 2
    assert run("classify", model, "text", "--json", "--output", "-").exit_code == 2
    assert run("classify", model, "text", "--top", 0).exit_code == 2
    assert run("classify").exit_code == 2
    with pytest.raises(UnknownModel):
        run("classify", "nowhere", "text")


def test_a_person_without_a_text_is_told(run, model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("typer.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)
    from tamis.cli import classify

    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setattr(classify.sys, "stdin", Terminal())
    with pytest.raises(classify.typer.BadParameter, match="Give a text"):
        classify.classify(str(model))


def test_names_of_files_cannot_steer_the_terminal(run, model: Path, tmp_path: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a\x1b[2Jb.jsonl").write_text('{"text": "fine"}\n{"text": ""}\n')
    result = run("classify", model, "--input", folder)
    assert "\x1b[2J" not in result.stderr
    assert "a\\x1b[2Jb.jsonl:2" in result.stderr


def test_the_input_is_not_overwritten(run, model: Path, tmp_path: Path):
    given = tmp_path / "texts.txt"
    given.write_text("one\ntwo\n")
    with pytest.raises(InvalidSetting, match="overwritten"):
        run("classify", model, "--input", given, "--output", given)
    assert given.read_text() == "one\ntwo\n"


def test_explanations_in_the_terminal_and_as_json(run, model: Path):
    result = run("classify", model, "where is my parcel", "--explain")
    assert "why topic: delivery" in result.stdout
    assert re.search(r"[+−]\d+\.\d\d [━╌]+ +(where|is|my|parcel)", result.stdout)
    assert "why" not in run("classify", model, "where is my parcel").stdout

    (row,) = lines_of(run("classify", model, "where is my parcel", "--explain", "--output", "-").stdout)
    labels = row["explanation"]["targets"]["topic"]
    assert [each["label"] for each in labels] == ["delivery"]
    assert {piece["text"]: row["text"][piece["start"] : piece["end"]] for piece in labels[0]["pieces"]} == {
        word: word for word in ("where", "is", "my", "parcel")
    }
    assert "explanation" not in lines_of(run("classify", model, "where is my parcel", "--output", "-").stdout)[0]


def test_chats_are_explained_too(run, model: Path):
    (row,) = lines_of(run("classify", model, "--explain", "--output", "-", stdin=json.dumps(CHAT)).stdout)
    assert {piece["message"] for piece in row["explanation"]["targets"]["topic"][0]["pieces"]} <= {0, 1, 2, 3}


def test_a_model_that_learnt_rows_out_of_scope_says_how_surely_none_is_meant(capsys):
    from rich.console import Console

    from tamis.cli.classify_view import show_answers
    from tamis.schema import Answer, Kind, Prediction, Target

    target = Target(name="topic", kind=Kind.SINGLE_LABEL, labels=("a", "b", "c"))
    answer = Answer((), {"a": 0.03, "b": 0.01, "c": 0.01}, abstained=True, confidence=0.03)
    show_answers("soup", Prediction({"topic": answer}), [target], top=3, console=Console(width=80))
    shown = capsys.readouterr().out
    assert "none of these" in shown
    assert "0.95" in shown
    assert "0.01" not in shown
    near = Answer((), {"a": 0.3, "b": 0.01, "c": 0.01}, abstained=True, confidence=0.3)
    show_answers("soup", Prediction({"topic": near}), [target], top=3, console=Console(width=80))
    shown = capsys.readouterr().out
    assert "0.68" in shown
    assert "0.30" in shown
