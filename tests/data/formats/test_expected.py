"""Files read for models: their columns are found again, whatever they are called; what the user says wins."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tamis.data.formats import ReadOptions, Source, open_source
from tamis.data.formats.expected import Expected
from tamis.data.layout import Layout
from tamis.errors import DataError
from tamis.schema import Example, Kind, Target

TOPIC = Target.of("Topic", Kind.SINGLE_LABEL, ("delivery", "payment"))
MARKS = Target.of("Marks", Kind.MULTI_LABEL, ("angry", "repeated", "a;b"))
LAYOUT = Layout(
    text="Message", labels=("Topic", "Marks"), separators={"Marks": ";"}, header=True, empty_means_none=True
)
ROWS = "Message,Topic,Marks\n" + "".join(
    f"the parcel number {n} is late again,delivery,{'angry;repeated' if n % 3 else ''}\n" for n in range(12)
)


def opened(tmp_path: Path, text: str, options: ReadOptions, name: str = "rows.csv") -> Source:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return open_source(path, options)


def labels(source: Source) -> list[dict[str, tuple[str, ...]]]:
    return [dict(row.labels) for row in source if isinstance(row, Example)]


def told(source: Source) -> dict[str, str]:
    return {
        note.code: note.detail
        for note in source.notes
        if note.code in ("read_as_learnt", "read_as_called", "cells_divided")
    }


def expecting(*layouts: Layout, targets: tuple[Target, ...] = (TOPIC, MARKS)) -> ReadOptions:
    return ReadOptions(expected=Expected(targets, layouts))


def test_a_file_is_read_as_the_one_that_was_learnt_from(tmp_path: Path) -> None:
    source = opened(tmp_path, ROWS, expecting(LAYOUT))
    assert labels(source)[:2] == [
        {"Topic": ("delivery",), "Marks": ()},
        {"Topic": ("delivery",), "Marks": ("angry", "repeated")},
    ]
    assert told(source) == {"read_as_learnt": "the text from Message, labels from Topic, Marks divided by ';'"}


def test_rows_of_json_and_texts_alone_are_too(tmp_path: Path) -> None:
    row = {"Message": "the parcel is late", "Topic": "payment", "Marks": "repeated;angry", "Long name": "x" * 99}
    source = opened(tmp_path, json.dumps(row) + "\n", expecting(LAYOUT), "rows.jsonl")
    assert labels(source) == [{"Topic": ("payment",), "Marks": ("repeated", "angry")}]
    rows = opened(tmp_path, json.dumps(row) + "\n", replace(expecting(LAYOUT), labelled=False), "rows.jsonl")
    assert [row.input for row in rows if isinstance(row, Example)] == ["the parcel is late"]


def test_what_is_said_wins(tmp_path: Path) -> None:
    options = replace(expecting(LAYOUT), label_columns=("Marks",), label_separator="|")
    source = opened(tmp_path, ROWS.replace("angry;repeated", "angry|repeated"), options)
    assert labels(source)[1] == {"Marks": ("angry", "repeated")}
    other = replace(expecting(LAYOUT), text_column="Marks", label_columns=("Message",), label_separator="|")
    assert opened(tmp_path, ROWS, other).detected.text == "Marks"


def test_a_file_that_lacks_a_column_is_read_by_the_others(tmp_path: Path) -> None:
    rows = "\n".join(f"the parcel {n} is late,angry;repeated" for n in range(5))
    assert labels(opened(tmp_path, f"Message,Marks\n{rows}\n", expecting(LAYOUT)))[0] == {
        "Marks": ("angry", "repeated")
    }


def test_without_a_layout_columns_called_like_targets_are_labels_and_cells_are_divided(tmp_path: Path) -> None:
    source = opened(tmp_path, ROWS, expecting())
    assert labels(source)[0] == {"Topic": ("delivery",)}
    assert labels(source)[1] == {"Topic": ("delivery",), "Marks": ("angry", "repeated")}
    assert told(source) == {"read_as_called": "Topic, Marks", "cells_divided": "Marks by ';'"}


def test_a_column_called_like_a_target_is_never_the_text(tmp_path: Path) -> None:
    rows = "".join(f"row {n},{'a name that is longer than any text ' * 3}{n}\n" for n in range(20))
    options = expecting(targets=(Target.of("kind", Kind.SINGLE_LABEL, ("a", "b")),))
    for each in (options, replace(options, labelled=False)):
        assert opened(tmp_path, f"said,kind\n{rows}", each).detected.text == "said"


def test_cells_are_divided_only_into_labels(tmp_path: Path) -> None:
    options = expecting(targets=(MARKS,))
    for cell, found in (
        ("angry;unheard of", "angry;unheard of"),
        ("a;b", "a;b"),
        ("angry, not repeated", "angry, not repeated"),
    ):
        rows = "".join(f'"the parcel {n} is late","{cell}"\n' for n in range(5))
        source = opened(tmp_path, f"Message,Marks\n{rows}", options)
        assert labels(source)[0] == {"Marks": (found,)}
        assert "cells_divided" not in told(source)


def test_strings_of_rows_that_say_themselves_are_divided_too(tmp_path: Path) -> None:
    row = json.dumps({"text": "late", "labels": {"Marks": "angry|repeated", "Topic": "a|b"}}) + "\n"
    source = opened(tmp_path, row, expecting(), "rows.jsonl")
    assert labels(source) == [{"Marks": ("angry", "repeated"), "Topic": ("a|b",)}]
    assert told(source) == {"cells_divided": "Marks by '|'"}


def test_another_table_is_read_as_it_looks(tmp_path: Path) -> None:
    source = opened(tmp_path, "text,label\nwhere is it,delivery\nwho pays,payment\n", expecting(LAYOUT))
    assert labels(source) == [{"label": ("delivery",)}, {"label": ("payment",)}]
    assert told(source) == {}


def test_what_makes_no_difference_is_not_told(tmp_path: Path) -> None:
    options = expecting(Layout(text="text", labels=("label",), header=True), targets=(TOPIC,))
    source = opened(tmp_path, "text,label\nwhere is it,delivery\nwho pays,payment\n", options)
    assert labels(source)[0] == {"label": ("delivery",)}
    assert told(source) == {}


def test_a_layout_without_a_header_fits_tables_without_one(tmp_path: Path) -> None:
    layout = Layout(text="column 1", labels=("column 0",), header=False)
    rows = "".join(f"{'spam' if n % 2 else 'ham'},x{n}\n" for n in range(12))
    assert opened(tmp_path, rows, expecting(layout)).detected.text == "column 1"
    assert opened(tmp_path, ROWS, expecting(layout)).detected.text == "Message"


def test_flags_need_all_their_columns(tmp_path: Path) -> None:
    layout = Layout(text="Message", labels=("rude", "loud"), flags=True, header=True)
    rows = "".join(f"the parcel {n} is late,{n % 2},1,0\n" for n in range(12))
    options = expecting(layout, targets=(Target.of("labels", Kind.MULTI_LABEL, ("rude", "loud")),))
    assert labels(opened(tmp_path, f"Message,rude,loud,other\n{rows}", options))[:2] == [
        {"labels": ("loud",)},
        {"labels": ("rude", "loud")},
    ]
    with pytest.raises(DataError):
        opened(tmp_path, "Message,rude\n" + "".join(f"the parcel {n},{n}\n" for n in range(12)), options)


@pytest.mark.parametrize("separator", ["|", {"Marks": ";"}])
def test_a_layout_is_what_was_read(tmp_path: Path, separator: str | dict[str, str]) -> None:
    options = ReadOptions(label_columns=("Topic", "Marks"), label_separator=separator, empty_means_none=True)
    layout = Layout.learnt(opened(tmp_path, ROWS, options).detected, options)
    assert layout is not None
    assert (layout.text, layout.labels, layout.header) == ("Message", ("Topic", "Marks"), True)
    assert layout.separators == ({"Marks": ";"} if isinstance(separator, dict) else {"Topic": "|", "Marks": "|"})
    assert Layout.model_validate(layout.model_dump(mode="json")) == layout


def test_rows_that_say_themselves_have_no_layout(tmp_path: Path) -> None:
    source = opened(tmp_path, '{"text": "late", "label": "a"}\n', ReadOptions(), "rows.jsonl")
    assert Layout.learnt(source.detected, ReadOptions()) is None
