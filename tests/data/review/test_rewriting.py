import csv
import gzip
import json

import pytest

from tamis.data.fixing import Places, apply_fixes, refuse_places
from tamis.data.formats import ReadOptions
from tamis.data.loading import load_splits
from tamis.data.review.fixes import fixed, parse
from tamis.errors import InvalidSetting, NoRows, OutputExists

ROWS = [
    {"text": "row one", "labels": {"t": "Refund"}, "id": 7},
    {"text": "row two", "labels": {"t": "refund"}},
    {"text": "row two", "labels": {"t": "refund"}},
    {"text": "mail me@mail.example.org", "labels": {"t": "bill", "tags": ["a"]}},
    {"text": "row four", "labels": {"t": "bill"}},
]


def fix(source, fixes, output, read=None, *, bad=0.0):
    read = read or ReadOptions()
    loaded = load_splits(str(source), options=read, max_bad_share=bad)
    result = fixed(loaded.train, parse(fixes))
    return apply_fixes(result, parse(fixes), Places(source, output), read, loaded.tallies, write=True)


def jsonl(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_jsonl_keeps_the_lines_that_do_not_change_byte_for_byte(tmp_path):
    source = jsonl(tmp_path / "a.jsonl")
    before = source.read_bytes()
    fix(source, "labels,dedupe,personal", tmp_path / "b.jsonl")
    lines = (tmp_path / "b.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"text": "row one", "labels": {"t": "refund"}, "id": 7}
    assert lines[1] == json.dumps(ROWS[1])
    assert json.loads(lines[2])["text"] == "mail [email]"
    assert lines[3] == json.dumps(ROWS[4])
    assert len(lines) == 4
    assert source.read_bytes() == before


def test_the_new_file_reads_as_the_fixed_data(tmp_path):
    source = jsonl(tmp_path / "a.jsonl")
    loaded = load_splits(str(source))
    result = fixed(loaded.train, parse("labels,dedupe,personal"))
    fix(source, "labels,dedupe,personal", tmp_path / "b.jsonl")
    assert load_splits(str(tmp_path / "b.jsonl")).train.content_hash() == result.data.content_hash()


def test_gzip_stays_gzip_and_blank_and_bad_lines_are_left_out(tmp_path):
    source = tmp_path / "a.jsonl.gz"
    lines = [json.dumps(row) for row in ROWS]
    source.write_bytes(gzip.compress("\n".join([lines[0], "", "not json", *lines[1:]]).encode()))
    fix(source, "dedupe", tmp_path / "b.jsonl.gz", bad=0.5)
    assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()).decode().splitlines() == [*lines[:2], *lines[3:]]


def test_other_shapes_of_json_rows(tmp_path):
    rows = [{"query": f"q {n}", "kind": kind} for n, kind in enumerate(["Aa", "aa", "aa", "bb"])]
    fix(jsonl(tmp_path / "a.jsonl", rows), "labels", tmp_path / "b.jsonl")
    assert json.loads((tmp_path / "b.jsonl").read_text().splitlines()[0]) == {"query": "q 0", "kind": "aa"}
    rows = [{"text": f"q {n}", "label": label} for n, label in enumerate([["none", "a"], ["a"], ["b"]])]
    fix(jsonl(tmp_path / "c.jsonl", rows), "none-labels", tmp_path / "d.jsonl")
    assert json.loads((tmp_path / "d.jsonl").read_text().splitlines()[0])["label"] == ["a"]


def test_chats_are_masked_in_their_messages(tmp_path):
    message = {"role": "user", "content": "I am me@mail.example.org"}
    rows = [
        {"messages": [message], "labels": {"t": "a"}},
        {"messages": [{**message, "content": "x y"}], "labels": {"t": "b"}},
    ]
    fix(jsonl(tmp_path / "a.jsonl", rows), "personal", tmp_path / "b.jsonl")
    first = json.loads((tmp_path / "b.jsonl").read_text().splitlines()[0])
    assert first["messages"] == [{"role": "user", "content": "I am [email]"}]


def test_a_json_document_stays_one(tmp_path):
    source = tmp_path / "a.json"
    source.write_text(json.dumps(ROWS, indent=1))
    fix(source, "labels,dedupe", tmp_path / "b.json")
    rows = json.loads((tmp_path / "b.json").read_text())
    assert [row["labels"]["t"] for row in rows] == ["refund", "refund", "bill", "bill"]


def test_tables_keep_columns_delimiter_and_quotes(tmp_path):
    source = tmp_path / "a.csv"
    source.write_text(
        'id;text;label\n1;"one; ""two""";Refund\n2;"three\nlines";refund\n3;four;refund\n4;four;refund\n5;x y;bill\n'
    )
    fix(source, "labels,dedupe", tmp_path / "b.csv")
    with (tmp_path / "b.csv").open(newline="") as stream:
        rows = list(csv.reader(stream, delimiter=";"))
    assert rows == [
        ["id", "text", "label"],
        ["1", 'one; "two"', "refund"],
        ["2", "three\nlines", "refund"],
        ["3", "four", "refund"],
        ["5", "x y", "bill"],
    ]


def test_tables_in_another_encoding_with_several_labels_a_cell(tmp_path):
    source = tmp_path / "a.tsv"
    source.write_bytes("text\ttags\ncafé one\tnone|Süß\nthé two\tSüß\nvin three\tb\n".encode("cp1252"))
    fix(source, "none-labels", tmp_path / "b.tsv", ReadOptions(label_separator="|"))
    assert (tmp_path / "b.tsv").read_bytes().decode("cp1252").splitlines()[1] == "café one\tSüß"


def test_flags_are_set_in_their_columns(tmp_path):
    source = tmp_path / "a.csv"
    source.write_text("text,none,toxic\nabc def,1,1\nghi jkl,0,1\nmno pqr,1,0\n")
    fix(source, "none-labels", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text().splitlines()[1] == "abc def,0,1"


def test_parquet_keeps_its_schema(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"text": ["a b", "a b", "c d"], "label": ["X", "X", "y"], "n": [1, 2, 3]}
    parquet.write_table(arrow.table(columns), tmp_path / "a.parquet")
    fix(tmp_path / "a.parquet", "dedupe", tmp_path / "b.parquet")
    assert parquet.read_table(tmp_path / "b.parquet").to_pydict() == {
        "text": ["a b", "c d"],
        "label": ["X", "y"],
        "n": [1, 3],
    }


def test_nothing_is_written_in_place_or_over_something(tmp_path):
    source, other = jsonl(tmp_path / "a.jsonl"), jsonl(tmp_path / "b.jsonl")
    with pytest.raises(InvalidSetting):
        refuse_places(Places(source, source, overwrite=True))
    with pytest.raises(OutputExists):
        refuse_places(Places(source, other))
    with pytest.raises(InvalidSetting):
        refuse_places(Places(source, tmp_path / "c.jsonl", tmp_path / "c.jsonl"))
    with pytest.raises(InvalidSetting):
        refuse_places(Places(tmp_path, tmp_path / "c.jsonl"))
    refuse_places(Places(source, other, overwrite=True))


def test_no_row_left_is_refused_and_nothing_written(tmp_path):
    source = jsonl(tmp_path / "a.jsonl")
    with pytest.raises(NoRows):
        fix(source, "drop-rare=100,cap-none=0", tmp_path / "b.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_file_that_cannot_be_written_says_so(tmp_path):
    source = jsonl(tmp_path / "a.jsonl")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidSetting):
        fix(source, "dedupe", tmp_path / "file" / "b.jsonl")
