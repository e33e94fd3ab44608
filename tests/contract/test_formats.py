"""One suite over every format: the same rows come out, the same things are refused."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tamis.data.formats import ReadOptions, open_source
from tamis.data.formats.files import FORMATS
from tamis.data.rows import FAULTS, NOTES, Rejected
from tamis.errors import DataError, UnreadableFile
from tamis.schema import Example

TEXTS = ["Where is my card?", "Ich möchte kündigen — sofort", "Refund, please\nor else", "كيف حالك", "猫が好き 🐈"]
LABELS = ["arrival", "cancel", "refund", "arrival", "cancel"]
ROWS = list(zip(TEXTS, LABELS, strict=True))


@dataclass(frozen=True)
class Form:
    """A way to write rows of (text, label) to a file, and what must be told of it."""

    format: str
    suffix: str
    write: Callable[[list[tuple[str | None, str | None]]], bytes]
    target: str = "intent"
    first_line: int = 1
    compression: str | None = None
    options: ReadOptions | None = None


def objects(rows):
    return [{"text": text, "labels": {"intent": label}} for text, label in rows]


def jsonl(rows, encoding="utf-8", end="\n"):
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in objects(rows)).encode(encoding)


def table(rows, encoding="utf-8", end="\n", delimiter=",", header=("text", "intent")):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end)
    writer.writerows(([header] if header else []) + [[text or "", label or ""] for text, label in rows])
    return stream.getvalue().encode(encoding)


def arrow_table(rows):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table({"text": [text for text, _ in rows], "intent": [label for _, label in rows]})


def parquet(rows):
    stream = io.BytesIO()
    written = arrow_table(rows)
    pytest.importorskip("pyarrow.parquet").write_table(written, stream)
    return stream.getvalue()


def arrow(rows, kind="new_stream"):
    stream = io.BytesIO()
    written = arrow_table(rows)
    with getattr(pytest.importorskip("pyarrow.ipc"), kind)(stream, written.schema) as writer:
        writer.write_table(written)
    return stream.getvalue()


def cohere(rows):
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows).encode()


FORMS = {
    "jsonl": Form("jsonl", ".jsonl", jsonl),
    "jsonl crlf": Form("jsonl", ".jsonl", lambda rows: jsonl(rows, end="\r\n")),
    "jsonl cr": Form("jsonl", ".jsonl", lambda rows: jsonl(rows, end="\r")),
    "jsonl mark": Form("jsonl", ".jsonl", lambda rows: jsonl(rows, "utf-8-sig")),
    "jsonl utf-16": Form("jsonl", ".jsonl", lambda rows: jsonl(rows, "utf-16")),
    "jsonl utf-16-le": Form("jsonl", ".jsonl", lambda rows: jsonl(rows, "utf-16-le")),
    "jsonl utf-16-be": Form("jsonl", ".jsonl", lambda rows: jsonl(rows, "utf-16-be")),
    "jsonl utf-32": Form("jsonl", ".jsonl", lambda rows: jsonl(rows, "utf-32")),
    "jsonl gzip": Form("jsonl", ".jsonl.gz", lambda rows: gzip.compress(jsonl(rows)), compression="gzip"),
    "jsonl no name": Form("jsonl", "", jsonl),
    "jsonl unended": Form("jsonl", ".jsonl", lambda rows: jsonl(rows).rstrip(b"\n")),
    "jsonl cohere": Form("jsonl", ".jsonl", cohere, target="label"),
    "json array": Form("json", ".json", lambda rows: json.dumps(objects(rows)).encode(), first_line=0),
    "json indented": Form("json", ".json", lambda rows: json.dumps(objects(rows), indent=1).encode(), first_line=0),
    "json array gzip": Form(
        "json", ".json.gz", lambda rows: gzip.compress(json.dumps(objects(rows)).encode()), "intent", 0, "gzip"
    ),
    "csv": Form("csv", ".csv", table, first_line=2),
    "csv crlf": Form("csv", ".csv", lambda rows: table(rows, end="\r\n"), first_line=2),
    "csv mark": Form("csv", ".csv", lambda rows: table(rows, "utf-8-sig"), first_line=2),
    "csv utf-16": Form("csv", ".csv", lambda rows: table(rows, "utf-16"), first_line=2),
    "csv cohere": Form("csv", ".csv", lambda rows: table(rows, header=("text", "label")), "label", 2),
    "csv headerless": Form("csv", ".csv", lambda rows: table(rows, header=None), "label", 1),
    "csv semicolon": Form("csv", ".csv", lambda rows: table(rows, delimiter=";"), first_line=2),
    "csv pipe": Form("csv", ".txt", lambda rows: table(rows, delimiter="|"), first_line=2),
    "csv gzip": Form("csv", ".csv.gz", lambda rows: gzip.compress(table(rows)), "intent", 2, "gzip"),
    "tsv": Form("csv", ".tsv", lambda rows: table(rows, delimiter="\t"), first_line=2),
    "parquet": Form("parquet", ".parquet", parquet),
    "arrow stream": Form("arrow", ".arrow", arrow),
    "arrow file": Form("arrow", ".arrow", lambda rows: arrow(rows, "new_file")),
}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def write(folder: Path, form: Form, rows) -> Path:
    path = folder / f"rows{form.suffix}"
    path.write_bytes(form.write(rows))
    return path


def test_every_built_in_is_in_this_suite():
    assert {form.format for form in FORMS.values()} | {"text"} == set(FORMATS)


def test_the_same_rows_come_out(form, tmp_path):
    source = open_source(write(tmp_path, form, ROWS), form.options)
    read = list(source)
    assert [row.input for row in read] == TEXTS
    assert [dict(row.labels) for row in read] == [{form.target: (label,)} for label in LABELS]
    assert [row.listed for row in read] == [frozenset()] * 5
    assert not list(source.notes)


def test_a_source_can_be_read_again(form, tmp_path):
    source = open_source(write(tmp_path, form, ROWS))
    assert list(source) == list(source)


def test_what_was_detected_is_told(form, tmp_path):
    detected = open_source(write(tmp_path, form, ROWS)).detected
    assert (detected.format, detected.compression) == (form.format, form.compression)
    assert detected.describe().startswith(form.format)
    assert json.loads(json.dumps(detected.to_json()))["format"] == form.format


def test_lines_are_those_of_the_file(form, tmp_path):
    plain = [("one two three", "a"), ("four five six", "b"), ("seven eight nine", "a")]
    lines = [row.line for row in open_source(write(tmp_path, form, plain))]
    expected = [form.first_line + place for place in range(3)]
    assert lines == expected if form.first_line else lines[0] >= 1


def test_an_empty_text_is_refused_with_its_line(form, tmp_path):
    rows = [("one two three", "a"), (" ", "b"), ("seven eight nine", "a"), ("ten eleven twelve", "b")]
    path = write(tmp_path, form, rows)
    good, (bad,) = parted(open_source(path))
    assert [example.input for example in good] == ["one two three", "seven eight nine", "ten eleven twelve"]
    assert (bad.file, bad.code, bad.cure) == (str(path), "empty_text", FAULTS["empty_text"])
    assert bad.line == form.first_line + 1 or not form.first_line
    assert json.loads(json.dumps(bad.to_json()))["cause"]


def test_a_control_character_is_refused(form, tmp_path):
    rows = [("one two three", "a"), ("four\x07five six", "b"), ("seven eight nine", "a"), ("ten eleven", "b")]
    _, (bad,) = parted(open_source(write(tmp_path, form, rows)))
    assert bad.code == "control_character"
    assert "U+0007" in bad.cause


def test_a_missing_label_is_unknown_and_noted(form, tmp_path):
    rows = [("one two three", "a"), ("four five six", None), ("seven eight nine", "a"), ("ten eleven twelve", "b")]
    source = open_source(write(tmp_path, form, rows))
    good, bad = parted(source)
    assert not bad
    assert dict(good[1].labels) == {}
    assert source.notes.total("unknown_label") == 1


def test_spaces_around_a_label_are_removed_and_noted(form, tmp_path):
    rows = [("one two three", "a"), ("four five six", " b "), ("seven eight nine", " b "), ("ten eleven twelve", "b")]
    source = open_source(write(tmp_path, form, rows))
    assert [next(iter(example.labels.values())) for example in source] == [("a",), ("b",), ("b",), ("b",)]
    assert source.notes.total("label_stripped") == 2


def test_a_separator_makes_several_labels(form, tmp_path):
    rows = [("one two three", "a+b"), ("four five six", "b"), ("seven eight nine", "a + c"), ("ten eleven", "c")]
    examples = list(open_source(write(tmp_path, form, rows), ReadOptions(label_separator="+")))
    assert [next(iter(example.labels.values())) for example in examples] == [("a", "b"), ("b",), ("a", "c"), ("c",)]
    assert all(example.listed == {form.target} for example in examples)


def test_unlabelled_reading_gives_inputs_alone(form, tmp_path):
    examples = list(open_source(write(tmp_path, form, ROWS), ReadOptions(labelled=False, text_column=None)))
    if form.suffix == ".txt":
        return
    assert [example.input for example in examples] == TEXTS
    assert all(not example.labels for example in examples)


def test_a_damaged_file_is_an_error_with_its_name(form, tmp_path):
    path = write(tmp_path, form, ROWS * 50)
    if form.compression or form.format in ("json", "parquet", "arrow"):
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataError, match="rows"):
            list(open_source(path))


def test_no_file_and_an_empty_file_are_errors(form, tmp_path):
    with pytest.raises(UnreadableFile, match="no file"):
        open_source(tmp_path / f"none{form.suffix or '.csv'}")
    path = tmp_path / f"empty{form.suffix}"
    path.write_bytes(gzip.compress(b"") if form.compression else b"")
    with pytest.raises(DataError, match="empty"):
        open_source(path)


def test_every_code_has_a_cure_and_every_note_a_meaning():
    assert all(cure.endswith((".", "?")) or cure[-1] in ").}]" for cure in FAULTS.values())
    assert all(meaning and not meaning.endswith(".") for meaning in NOTES.values())


def parted(source) -> tuple[list[Example], list[Rejected]]:
    rows = list(source)
    return [row for row in rows if isinstance(row, Example)], [row for row in rows if isinstance(row, Rejected)]
