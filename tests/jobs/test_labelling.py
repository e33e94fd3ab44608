"""A file labelled: every row and column kept, the answers those of the model, nothing in it that a spreadsheet runs."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import pytest

from tamis.errors import LimitExceeded, NoRows, UnknownModel
from tamis.jobs import labelling
from tamis.jobs.labelling import classify
from tamis.jobs.operating import ACTS, Acting, Done, act_of
from tamis.jobs.tools import Tools
from tamis.ml.model import load
from tamis.ml.training import train
from tamis.store.opening import Store
from tamis.store.records import ModelRecord, OperationRecord
from tamis.testing import tiny_base

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    rows = [
        {"text": f"{text} {'please ' * (k % 3)}", "labels": {"topic": topic, "flags": [topic, "a|b"] if k % 2 else []}}
        for k in range(20)
        for topic, text in TEXTS.items()
    ]
    train(rows, base=str(tiny_base(place / "base")), out=place / "made", epochs=4, name="shop")
    return place / "made"


@pytest.fixture
def model(store: Store, folder: Path) -> str:
    record = ModelRecord(
        id=str(uuid4()), name="shop", root="r", base="b", place=f"folder:{folder}", created_at=int(time())
    )
    return store.models.add(record).id


@pytest.fixture
def label(tools: Tools, tmp_path: Path, add_file: Any, model: str) -> Callable[..., Done]:
    def do(content: str, name: str = "rows.csv", **told: object) -> Done:
        told = {"model": model, "file": add_file(name, content.encode()), **told}
        record = OperationRecord(id="o", kind="k", status="RUNNING", title="", created_at=0, modified_at=0, told=told)
        (tmp_path / "act").mkdir(exist_ok=True)
        return classify(Acting(tools, record, tmp_path / "act", lambda share, stage: None))

    return do


def text_of(done: Done) -> str:
    assert isinstance(done.content, Path)
    return done.content.read_bytes().decode("utf-8-sig")


def table(done: Done) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(done)), delimiter="\t" if done.name.endswith("tsv") else ","))


def test_there_is_an_act_for_it() -> None:
    assert act_of("classify") is classify
    assert "classify" in ACTS


def test_a_table_keeps_its_columns_and_rows(label: Callable[..., Done], folder: Path) -> None:
    content = 'id;text;predicted_topic\n1;"where is my; parcel";x\n2;;y\n3;you charge my card;z\n'
    done = label(content)
    rows = table_of(text_of(done), ";")
    assert done.name == "rows-labelled.csv"
    assert done.media_type == "text/csv"
    assert list(rows[0])[:3] == ["id", "text", "predicted_topic"]
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert [row["predicted_topic"] for row in rows] == ["x", "y", "z"]
    answers = load(folder).classify(["where is my; parcel", "you charge my card"])
    for row, answer in zip((rows[0], rows[2]), answers, strict=True):
        assert row["predicted_topic_2"] == (answer["topic"].label or "")
        assert float(row["confidence_topic"].replace(",", ".")) == pytest.approx(answer["topic"].confidence, abs=1e-6)
        assert row["problem"] == ""
    assert rows[1]["predicted_topic_2"] == rows[1]["confidence_topic"] == ""
    assert rows[1]["problem"].startswith("line 3: ")
    assert done.summary["rows"] == 3
    assert done.summary["bad"] == 1
    assert len(done.summary["preview"]) == 2
    json.dumps(done.summary)


def table_of(text: str, delimiter: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def test_the_summary_counts_what_was_said(label: Callable[..., Done]) -> None:
    done = label("text\n" + "where is my parcel\n" * 3 + "you charge my card\n" * 2)
    topic = done.summary["targets"][0]
    counted = dict(topic["labels"])
    assert topic["name"] == "topic"
    assert sum(counted.values()) + topic["abstained"] + topic["none"] == 5
    assert counted.get("delivery", 0) in (0, 3)
    assert done.summary["preview"][0]["answers"]["topic"]["labels"] in (["delivery"], [])


def test_cells_run_in_no_spreadsheet(label: Callable[..., Done]) -> None:
    content = 'text,=x,n\n=HYPERLINK("http://evil"),@SUM(1),-5\n+cmd,\tx,+1.5e3\n'
    rows = table(
        label(content.replace('=HYPERLINK("http://evil")', '"=HYPERLINK(""http://evil"")"'), text_column="text")
    )
    assert list(rows[0])[1] == "'=x"
    assert rows[0]["text"] == '\'=HYPERLINK("http://evil")'
    assert rows[0]["'=x"] == "'@SUM(1)"
    assert rows[0]["n"] == "-5"
    assert rows[1]["n"] == "+1.5e3"
    wide = table(label('text\n"\n=1+1"\n\N{FULLWIDTH EQUALS SIGN}1+1\n', text_column="text"))
    assert [row["text"] for row in wide] == ["'\n'=1+1", "'\N{FULLWIDTH EQUALS SIGN}1+1"]
    plain = label("text\n=1+1\n", spreadsheet=False, text_column="text")
    assert text_of(plain).splitlines()[1].startswith("=1+1,")
    assert isinstance(plain.content, Path)
    assert not plain.content.read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    "cell", ["a;=1+1", 'a;"=1+1', "a\n=1+1", "a\t -cmd", 'x, "@SUM(1)', " =1+1", "\x00=1+1", '";=1+1']
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_run_in_no_spreadsheet_that_expects_another_delimiter(cell: str, delimiter: str) -> None:
    """Where people separate by semicolons, a spreadsheet parts what was written with commas, and vice versa."""
    file = io.StringIO(newline="")
    tame = labelling._tamer(delimiter)
    csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerow([tame("first"), tame(cell), tame("last")])
    for read_by in (",", ";", "\t"):
        cells = [
            cell for row in csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=read_by) for cell in row
        ]
        assert not [cell for cell in cells if cell.strip(' "\r\n\t\x00').startswith(("=", "+", "-", "@"))]
    assert [tame(each) for each in ("well, -5", "5; +1.5", "-3", "a - b = c")] == [
        "well, -5",
        "5; +1.5",
        "-3",
        "a - b = c",
    ]


def test_a_table_is_no_wider_than_people_make_them(label: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "MOST_OF_TABLE", 3)
    assert table(label("text,b,c\nwhere is my parcel,,\n", text_column="text"))
    with pytest.raises(LimitExceeded, match="more than 3 columns"):
        label("text,b,c,d\nwhere is my parcel\n", text_column="text")


def test_objects_keep_their_keys_and_chats_are_read(label: Callable[..., Done], folder: Path) -> None:
    chat = [{"role": "user", "content": "where is my parcel"}]
    lines = [{"id": 7, "text": "you charge my card"}, {"id": 8, "messages": chat}, {"id": 9, "text": ""}]
    done = label("\n".join(map(json.dumps, lines)) + "\nno\n", "rows.jsonl", scores=True)
    rows = [json.loads(line) for line in text_of(done).splitlines()]
    assert done.name == "rows-labelled.jsonl"
    assert [row.get("id") for row in rows] == [7, 8, 9, None]
    said = load(folder).classify("you charge my card")
    assert rows[0]["predicted"]["topic"] == said["topic"].label
    assert rows[0]["predicted"]["flags"] == list(said["flags"].labels)
    assert set(rows[0]["scores"]["topic"]) == {"delivery", "payment"}
    assert rows[1]["messages"] == chat
    assert "problem" in rows[2]
    assert rows[3]["line"] == 4


def test_objects_become_a_table(label: Callable[..., Done]) -> None:
    lines = [{"text": "you charge my card", "n": 1.5}, {"text": "where", "tags": ["a", "b"], "n": None}]
    rows = table(label("\n".join(map(json.dumps, lines)), "rows.jsonl", output="csv"))
    assert [row["n"] for row in rows] == ["1.5", ""]
    assert [row["tags"] for row in rows] == ["", '["a", "b"]']
    assert "problem" not in rows[0]


def test_several_labels_are_told_apart(label: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    from tamis.jobs import labelling

    assert labelling._labels(["a", "b"]) == "a|b"
    assert labelling._labels(["a|b"]) == "a|b"
    assert json.loads(labelling._labels(["a|b", "c"])) == ["a|b", "c"]
    rows = table(label("text\twhat\nwhere is my parcel\tx\n", "rows.tsv", scores=True))
    assert {"predicted_flags", "score_flags_a|b", "score_topic_payment"} <= set(rows[0])


def test_a_text_a_line_is_a_table_of_texts(label: Callable[..., Done]) -> None:
    rows = table(label("where is my parcel\n\nyou charge my card\n", "rows.txt"))
    assert [row["text"] for row in rows] == ["where is my parcel", "you charge my card"]


def test_what_cannot_be_labelled_is_said(
    label: Callable[..., Done], model: str, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoRows, match=r"rows\.csv:2"):
        label("text,n\n,1\n")
    with pytest.raises(UnknownModel):
        label("text\na\n", model="nope")
    object.__setattr__(tools.choices, "max_batch_requests", 2)
    with pytest.raises(LimitExceeded, match="more than 2 rows"):
        label("text\na\nb\nc\n")


@pytest.mark.parametrize(
    ("cell", "spreadsheet", "point"),
    [("1,5", True, ","), ("x", True, ","), ("1.000", True, ","), ("1.5", True, "."), ("1,5", False, ".")],
)
def test_numbers_have_a_comma_where_the_tables_own_may(
    label: Callable[..., Done], cell: str, spreadsheet: bool, point: str
) -> None:
    done = label(f"price;text\n{cell};where is my parcel\n", spreadsheet=spreadsheet, scores=True)
    (row,) = table_of(text_of(done), ";")
    found = [value for name, value in row.items() if name.startswith(("confidence_", "score_"))]
    assert len(found) > 2
    assert all(value[1] == point for value in found)
    (row,) = table(label(f'price,text\n"{cell}",where is my parcel\n'))
    assert "," not in row["confidence_topic"]
