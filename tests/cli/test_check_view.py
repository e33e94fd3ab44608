import io
import json

import pytest
from rich.console import Console

from tamis.cli.check_view import show
from tamis.data.checks.survey import BaseFacts, check

BASE = BaseFacts("words", lambda texts: [len(text.split()) for text in texts], window=4)


def shown(folder, rows, width=80, **more):
    path = folder / "train.jsonl"
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    stream = io.StringIO()
    show(check({"train": [path]}, base=BASE, **more), Console(file=stream, width=width, highlight=False))
    return stream.getvalue()


def rows(count=60, labels="ab"):
    return [{"text": f"a message with number {i}", "labels": {"y": labels[i % len(labels)]}} for i in range(count)]


def test_parts_come_in_order_and_the_verdict_last(tmp_path):
    said = shown(tmp_path, ["not json\n", *rows()])
    places = [said.index(part) for part in ("Files", "Target y", "Texts", "Errors", "Warnings", "Not ready")]
    assert places == sorted(places)
    assert said.rstrip().splitlines()[-1] == "Not ready: 1 row must be fixed or left out, 1 warning."


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(tmp_path, width):
    wide = [{"text": "many words " * 50, "labels": {"a target with a long name " * 3: "label " * 20}} for _ in range(4)]
    said = shown(tmp_path, [*wide, *rows()], width=width)
    assert max(map(len, said.splitlines())) <= width


def test_many_labels_are_cut_in_the_middle_and_counted(tmp_path):
    said = shown(tmp_path, rows(200, [f"label{i:02}" for i in range(50)]))
    assert "… 38 more" in said
    assert "label00" in said
    assert "label49" in said
    assert "label20" not in said


def test_texts_cannot_steer_the_terminal_or_use_markup(tmp_path):
    evil = [{"text": "[bold]x[/] \u202e end", "labels": {"y": "[red]\u200bz"}} for _ in range(2)]
    said = shown(tmp_path, [*evil, *rows()])
    assert "[bold]x[/]" in said
    assert "[red]" in said
    assert "\u202e" not in said
    assert "\x1b" not in said


def test_window_and_languages_are_said(tmp_path):
    said = shown(tmp_path, rows())
    assert "100.0% of the texts are over words's 4 tokens." in said
    assert "Languages, as far as can be told (train): " in said
