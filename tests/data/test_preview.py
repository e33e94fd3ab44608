"""The beginning of a file: what its columns are, what was chosen among them, and the rows as a model sees them."""

import gzip
import json
from pathlib import Path

import pytest

from tamis.data import preview
from tamis.data.formats import ReadOptions
from tamis.data.preview import FLAG, LABEL, TEXT, UNUSED, Choice, Preview, look, look_as
from tamis.errors import DataError, InvalidSetting, NoRows, UnknownFormat
from tamis.schema import Message

TICKETS = (
    "No;Message;Topic;Mood\n1;where is my parcel;delivery;angry|late\n2;I want my money;refund;angry\n"
    "3;it broke;refund;\n4;;refund;late\n5;thanks a lot;praise;late|angry\n6;so good;praise;late\n7;yes;praise;angry\n"
)


@pytest.fixture
def seen(tmp_path: Path):
    def look_at(content: str | bytes, name: str = "rows.csv", choice: Choice | None = None) -> Preview:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return look(path, name, choice or Choice(), ReadOptions())

    return look_at


def roles_of(found: Preview) -> dict[str, str]:
    return {column.name: column.role for column in found.columns}


def test_columns_are_told_and_shown_with_what_stands_in_them(seen):
    found = seen(TICKETS)
    assert roles_of(found) == {"No": UNUSED, "Message": TEXT, "Topic": LABEL, "Mood": UNUSED}
    assert found.detected.delimiter == ";"
    topic = found.columns[2]
    assert (topic.values, topic.different, topic.empty) == (("delivery", "refund", "praise"), 3, 0)
    assert found.columns[3].empty == 1
    assert found.rows[0].input == "where is my parcel"
    assert found.rows[0].labels == {"Topic": ("delivery",)}
    assert (found.looked_at, found.bad, found.first_bad[0].line) == (7, 1, 5)
    assert found.targets[0].labels[0] == "praise"
    assert not found.targets[0].several
    assert not found.problem


def test_a_column_chosen_as_label_is_divided_as_it_seems(seen):
    mark = seen(TICKETS).columns[3].separator
    assert mark == "|"
    found = seen(TICKETS, choice=Choice({1: TEXT, 2: LABEL, 3: LABEL}, {3: mark}))
    assert found.rows[0].labels == {"Topic": ("delivery",), "Mood": ("angry", "late")}
    assert found.layout.separators == {"Mood": "|"}
    assert [target.several for target in found.targets] == [False, True]


def test_an_empty_cell_may_say_none(seen):
    told = Choice({1: TEXT, 3: LABEL}, {3: "|"}, empty_means_none=True)
    assert seen(TICKETS, choice=told).rows[2].labels == {"Mood": ()}


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        ({2: LABEL}, "Choose the column that holds the text"),
        ({1: TEXT}, "Choose at least one column that holds labels"),
        ({0: TEXT, 1: TEXT, 2: LABEL}, "2 columns are chosen as the text"),
        ({1: TEXT, 2: LABEL, 3: FLAG}, "no other label columns can stand beside them"),
        ({900: TEXT}, "Choose the column that holds the text"),
    ],
)
def test_what_cannot_be_meant_is_said_and_stays_chosen(seen, roles, why):
    found = seen(TICKETS, choice=Choice(roles))
    assert why in found.problem
    assert not found.rows
    assert {place: found.columns[place].role for place in roles if place < 4} == {
        p: r for p, r in roles.items() if p < 4
    }


def test_where_it_cannot_be_told_people_choose(seen):
    found = seen("a,b\n1,2\n3,4\n")
    assert "choose them" in found.problem
    assert [column.name for column in found.columns] == ["a", "b"]


def test_flags_are_one_target(seen):
    found = seen("comment,toxic,insult\nyou,1,1\nhello there,0,0\n")
    assert roles_of(found) == {"comment": TEXT, "toxic": FLAG, "insult": FLAG}
    assert [row.labels for row in found.rows] == [{"labels": ("toxic", "insult")}, {"labels": ()}]
    again = seen("comment,toxic,insult\nyou,1,1\n", choice=Choice({0: TEXT, 1: FLAG}))
    assert again.layout.flags
    assert again.rows[0].labels == {"labels": ("toxic",)}


def test_rows_that_name_their_targets_have_them_as_columns(seen):
    rows = [
        {"text": "a b", "labels": {"intent": "x", "topics": ["p", "q"]}, "id": 4},
        {"messages": [{"role": "user", "content": "hi"}], "labels": {"intent": "y"}},
    ]
    content = "\n".join(map(json.dumps, rows))
    found = seen(content, "rows.jsonl")
    assert roles_of(found) == {"text": TEXT, "id": UNUSED, "intent": LABEL, "topics": LABEL, "messages": TEXT}
    assert found.layout == preview.Layout()
    assert found.rows[1].input == (Message("user", "hi"),)
    places = {column.name: place for place, column in enumerate(found.columns)}
    some = Choice({places["text"]: TEXT, places["intent"]: LABEL})
    assert seen(content, "rows.jsonl", some).rows[0].labels == {"intent": ("x",)}


def test_other_keys_are_columns(seen):
    rows = [
        {"utterance": f"text {n}", "intent": "ab"[n % 2], "chat": [{"role": "user", "content": "c"}]} for n in range(4)
    ]
    content = "\n".join(map(json.dumps, rows))
    assert roles_of(seen(content, "rows.jsonl")) == {"utterance": TEXT, "intent": LABEL, "chat": UNUSED}
    found = seen(content, "rows.jsonl", Choice({2: TEXT, 1: LABEL}))
    assert found.rows[0].input == (Message("user", "c"),)


def test_without_a_header_columns_have_numbers(seen):
    found = seen("good film\tpos\nbad film\tneg\nfine film\tpos\n", "rows.tsv")
    assert found.layout.text == "column 0"
    assert found.layout.header is False
    assert len(found.rows) == 3
    assert len(seen("good film\tpos\nbad film\tneg\n", "rows.tsv", Choice(header=True)).rows) == 1


def test_a_layout_reads_another_file_alike_or_says_why_not(seen, tmp_path: Path):
    layout = seen(TICKETS, choice=Choice({1: TEXT, 2: LABEL})).layout
    other = tmp_path / "other.csv"
    other.write_text("Topic,Message\nrefund,give it back\n", encoding="utf-8")
    assert look_as(other, "other.csv", layout, ReadOptions()).rows[0].labels == {"Topic": ("refund",)}
    other.write_text("topic,message\nrefund,give it back\n", encoding="utf-8")
    problem = look_as(other, "other.csv", layout, ReadOptions()).problem
    assert "has no column 'Topic'" in problem
    assert "--" not in problem


def test_only_the_beginning_is_read(seen, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preview, "LOOKED_AT", 5)
    assert seen("text,label\n" + "a text,x\n" * 50).looked_at == 5
    monkeypatch.setattr(preview, "CHARACTERS", 25)
    assert seen("text,label\n" + "a text,x\n" * 50).looked_at == 4
    many = json.dumps({"text": "a", "labels": ["bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj"]}) + "\n"
    assert seen(many * 50, "rows.jsonl").looked_at == 1
    monkeypatch.setattr(preview, "MOST_COLUMNS", 2)
    found = seen("text,label,c,d\nhello there,x,1,2\nyou,y,1,2\n")
    assert ([column.name for column in found.columns], found.hidden) == (["text", "label"], 2)


def test_names_of_columns_count_where_rows_bring_others_each(seen, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preview, "CHARACTERS", 2_000)
    rows = [{"text": f"t{row}", "label": "ab"[row % 2], **{f"{row}-{n}": "" for n in range(100)}} for row in range(50)]
    found = seen("\n".join(map(json.dumps, rows)), "rows.jsonl", Choice({0: TEXT, 1: LABEL}))
    assert preview.MOST_COLUMNS < len(found.columns) + found.hidden < 1_000
    assert found.rows


def test_long_values_are_cut_and_packed_files_read(seen):
    found = seen(gzip.compress(f"text,label\n{'x' * 9999},a\nshort,b\n".encode()), "rows.csv.gz")
    assert len(found.columns[0].values[0]) == 80
    assert found.detected.compression == "gzip"


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        ("", "rows.csv", NoRows),
        ("text,label\n", "rows.csv", NoRows),
        ("[1, 2]\n", "rows.jsonl", NoRows),
        (b"PAR1" + b"\0" * 99, "rows.parquet", DataError),
        ("one line of prose\nanother line\n", "notes.txt", UnknownFormat),
    ],
)
def test_what_cannot_be_read_at_all_is_refused(seen, content, name, error):
    with pytest.raises(error):
        seen(content, name)


def test_an_encoding_that_there_is_not(seen):
    with pytest.raises(InvalidSetting):
        seen(TICKETS, choice=Choice(encoding="klingon"))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_file_sorted_by_its_labels_shows_more_than_the_first(seen, name):
    rows = [(f"text {n}", f"label {n // 400}") for n in range(2_000)]
    table = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    found = seen(table if name == "rows.csv" else lines, name)
    assert set(found.targets[0].labels) == {f"label {n}" for n in range(5)}
    assert {column.name: column.different for column in found.columns}["label"] == 5
    assert found.looked_at == preview.LOOKED_AT
    assert [row.line for row in found.rows] == list(range(2, 8) if name == "rows.csv" else range(1, 7))


def test_of_long_rows_few_are_looked_at_later(seen, monkeypatch):
    monkeypatch.setattr(preview, "CHARACTERS", 20_000)
    table = "text,label\n" + "".join(f"{'x' * 90},{'ab'[n >= 600]}\n" for n in range(800))
    assert seen(gzip.compress(table.encode()), "rows.csv.gz").targets[0].labels == ("a",)  # not to be entered elsewhere
    assert seen(table).targets[0].labels == ("a", "b")


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_columns_whose_beginning_says_nothing_are_told_by_the_rest(seen, name):
    rows = [
        {"id": n, "note": "" if n < 3_000 else f"my parcel number {n} is late again", "kind": "" if n < 6_000 else kind}
        for n in range(9_000)
        for kind in [("late", "lost", "fine")[n % 3]]
    ]
    table = "id,note,kind\n" + "".join(f"{row['id']},{row['note']},{row['kind']}\n" for row in rows)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    found = seen(table if name == "rows.csv" else lines, name)
    assert roles_of(found) == {"id": UNUSED, "note": TEXT, "kind": LABEL}
    assert set(found.targets[0].labels) == {"late", "lost", "fine"}
    assert {column.name: column.different for column in found.columns}["kind"] == 3


def test_a_label_column_that_begins_with_one_value_is_told(seen):
    """Two columns recur: that which never changes later is no label."""
    rows = [(f"some longer text about case {n}", f"topic {n // 1_000}", ("open", "done")[n % 2]) for n in range(20_000)]
    found = seen("message,thing,status\n" + "".join(",".join(row) + "\n" for row in rows))
    assert {column.name: column.different for column in found.columns}["thing"] == 20
    chosen = Choice({0: TEXT, 1: LABEL})
    found = seen("message,thing,status\n" + "".join(",".join(row) + "\n" for row in rows), choice=chosen)
    assert set(found.targets[0].labels) == {f"topic {n}" for n in range(20)}
