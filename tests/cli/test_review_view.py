import io

import pytest
from rich.console import Console

from tamis.cli.review_view import show_review, to_apply
from tamis.data.review.edits import RemoveRow, SetLabels
from tamis.data.review.report import CurvePoint, Finding, Item, LabelNeed, LearningCurve, Place, Review


def place(line, text="where is my parcel", label="a"):
    return Place(split="train", row=line - 1, file="a.jsonl", line=line, text=text, labels={"t": (label,)})


def made(**more):
    suspects = Finding(
        id="suspects:t", code="suspects", severity="warning", target="t", message="2 rows are wrong.", why="So it is.",
        suggestion="Give the label proposed.", fix="suspects:t", count=20,
        items=(
            Item(rows=(place(3, "[bold]x[/] \x1b[31m" + "long " * 60), place(9)), score=0.93, proposed=("b" * 80,),
                 edits=(SetLabels(row=2, target="t", labels=("b",)),)),
        ),
    )  # fmt: skip
    names = Finding(
        id="few_rows:t", code="few_rows", severity="info", target="t", message="1 label has few rows.", why="Few.",
        suggestion="Add rows.", fix="drop-rare=10", count=1, items=(Item(told="'c': 1 row"),),
    )  # fmt: skip
    repeats = Finding(
        id="duplicates", code="duplicates", severity="info", message="1 row repeats.", why="Twice.",
        suggestion="Keep the first.", fix="dedupe", count=1,
        items=(Item(rows=(place(5), place(1)), edits=(RemoveRow(row=4),)),),
    )  # fmt: skip
    return Review(rows={"train": 10}, version="0" * 64, findings=(suspects, names, repeats), **more)


def shown(review, width, files=()):
    stream = io.StringIO()
    show_review(review, list(files), Console(file=stream, width=width, force_terminal=False))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_and_nothing_steers_it(width):
    text = shown(made(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "[bold]x[/]" in text
    assert "93%" in text
    assert "and 19 more" in text


def test_only_careful_fixes_are_proposed(tmp_path):
    assert to_apply(made()) == ["suspects:t", "dedupe"]
    path = tmp_path / "a b.jsonl"
    path.write_text("x")
    text = shown(made(), 80, [str(path)])
    assert "--apply suspects:t,dedupe" in text
    assert "a b.fixed.jsonl'" in text
    assert "tamis fix" not in shown(made(), 80, ["owner/name"])


def test_nothing_found():
    assert "Nothing deserves" in shown(Review(rows={"train": 1}, version="0" * 64, findings=()), 80)


def test_the_learning_curve():
    curve = LearningCurve(
        metric={"t": "accuracy"}, held_out=20,
        points=(CurvePoint(rows=10, share=0.5, scores={"t": 0.5}), CurvePoint(rows=20, share=1.0, scores={"t": 0.75})),
        doubled={"t": 0.87}, verdict="More rows would help.",
        needs=(LabelNeed(target="t", label="c", rows=3, f1=0.4, gain=0.3),),
    )  # fmt: skip
    text = shown(made(curve=curve), 80)
    assert "75.0%" in text
    assert "≈ 87.0%" in text
    assert "More rows would help." in text
