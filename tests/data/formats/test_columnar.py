import json

import pytest

from tamis.data.formats import ReadOptions, open_source
from tamis.errors import MissingColumn, UnknownFormat, UnreadableFile
from tamis.schema import Message

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")
pytest.importorskip("pyarrow.ipc")


def write(tmp_path, table, metadata=None, **options):
    table = pyarrow.table(table)
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    source = open_source(tmp_path / "rows.parquet", ReadOptions(**options))
    return source, list(source)


def test_chats_and_targets_in_nested_columns(tmp_path):
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    table = {"messages": [chat, []], "labels": [{"intent": "greet", "tags": ["a", "b"]}, {"intent": "x", "tags": []}]}
    _, rows = write(tmp_path, table)
    assert rows[0].input == (Message("user", "hi"), Message("assistant", "hello"))
    assert dict(rows[0].labels) == {"intent": ("greet",), "tags": ("a", "b")}
    assert rows[0].listed == {"tags"}
    assert (rows[1].line, rows[1].code) == (2, "no_messages")


def test_numbers_truths_and_missing_values_as_labels(tmp_path):
    table = {"text": ["a", "b", "c"], "label": [1, None, 3]}
    source, rows = write(tmp_path, table)
    assert [dict(row.labels) for row in rows] == [{"label": ("1",)}, {}, {"label": ("3",)}]
    assert source.notes.total("label_from_number") == 2
    _, rows = write(tmp_path, {"text": ["a", "b"], "label": [float("nan"), 0.25]})
    assert (dict(rows[0].labels), rows[1].code) == ({}, "bad_label")
    _, rows = write(tmp_path, {"text": ["a", "b"], "label": [True, False]})
    assert dict(rows[0].labels) == {"label": ("true",)}


def test_flags_of_truth_values_and_numbers(tmp_path):
    table = {"text": ["a b", "c d"], "rude": [True, False], "spam": [1.0, 0.0], "x": [1, 1]}
    source, rows = write(tmp_path, table)
    assert [dict(row.labels) for row in rows] == [{"labels": ("rude", "spam", "x")}, {"labels": ("x",)}]
    assert source.detected.style == "flags"


def test_class_names_of_lists(tmp_path):
    for feature in (
        {"feature": {"names": ["p", "q"], "_type": "ClassLabel"}},
        [{"names": ["p", "q"], "_type": "ClassLabel"}],
    ):
        metadata = {"info": {"features": {"label": feature}}}
        _, rows = write(tmp_path, {"text": ["a", "b"], "label": [[0, 1], []]}, metadata)
        assert [dict(row.labels) for row in rows] == [{"label": ("p", "q")}, {"label": ()}]


@pytest.mark.parametrize(
    "metadata", [{"info": {}}, {"info": {"features": [1]}}, ["x"], {"info": {"features": {"label": 3}}}]
)
def test_odd_metadata_is_passed_over(metadata, tmp_path):
    _, rows = write(tmp_path, {"text": ["a", "b"], "label": ["x", "y"]}, metadata)
    assert dict(rows[0].labels) == {"label": ("x",)}


def test_bytes_that_are_no_text_are_a_bad_row(tmp_path):
    broken = pyarrow.array([b"good", b"bad \xff"]).cast(pyarrow.binary()).view(pyarrow.string())
    _, rows = write(tmp_path, {"text": broken, "label": ["x", "y"]})
    assert rows[0].input == "good"
    assert rows[1].code == "undecodable_bytes"
    assert rows[1].raw.isprintable()


def test_a_text_above_the_limit_is_a_bad_row_shown_cut(tmp_path):
    _, rows = write(tmp_path, {"text": ["a" * 3000, "b"], "label": ["x", "y"]}, max_line_bytes=2000)
    assert rows[0].code == "line_too_long"
    assert len(rows[0].raw) <= 1000


def test_wrong_kinds_of_text(tmp_path):
    _, rows = write(tmp_path, {"text": [1, 2], "label": ["x", "y"]})
    assert [row.code for row in rows] == ["text_not_text"] * 2
    with pytest.raises(MissingColumn, match="'body'"):
        write(tmp_path, {"text": ["a"], "label": ["x"]}, text_column="body")


def test_what_is_damaged_is_said_to_be(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and then nonsense PAR1")
    with pytest.raises(UnreadableFile, match=r"rows\.parquet is damaged"):
        open_source(path)
    path.write_bytes(b"\xff\xff\xff\xff\x10\x00\x00\x00 nonsense of an arrow stream")
    with pytest.raises(UnreadableFile, match=r"rows\.parquet is damaged"):
        open_source(path)
    import gzip

    path.write_bytes(gzip.compress(b"PAR1 anything"))
    with pytest.raises(UnknownFormat, match="Parquet inside gzip"):
        open_source(path)


def test_rows_are_read_in_batches(tmp_path):
    many = 2500
    _, rows = write(tmp_path, {"text": [f"row {n}" for n in range(many)], "label": ["a", "b"] * (many // 2)})
    assert [row.line for row in rows] == list(range(1, many + 1))


def test_times_that_python_does_not_reach(tmp_path):
    nanoseconds = pyarrow.array([1, 2], pyarrow.timestamp("ns"))
    far = pyarrow.array([2**60, 1], pyarrow.timestamp("us"))
    _, rows = write(tmp_path, {"text": ["a b", "c d"], "label": ["x", "y"], "at": nanoseconds, "far": far})
    assert [dict(row.labels) for row in rows] == [{"label": ("x",)}, {"label": ("y",)}]


def test_two_columns_of_one_name(tmp_path):
    twins = pyarrow.table([["a"], ["b"], ["c"]], names=["text", "label", "label"])
    with pytest.raises(UnreadableFile, match="two columns 'label'"):
        write(tmp_path, twins)


def small_file(tmp_path, table, **options):
    """Write the table well compressed, and return the path of what are a few KB."""
    path = tmp_path / "bomb.parquet"
    pyarrow.parquet.write_table(pyarrow.table(table), path, compression="zstd", **options)
    assert path.stat().st_size < 200_000
    return path


LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ({"text": [LONG] * 400, "label": ["a", "b"] * 200}, {}),
        ({"text": [LONG] * 400, "label": ["a", "b"] * 200}, {"use_dictionary": False}),
        ({"text": [LONG] * 400, "label": ["a", "b"] * 200}, {"row_group_size": 10, "use_dictionary": False}),
        ({"text": ["a", "b"] * 5, "label": [[LONG[:100_000]] * 500] * 10}, {}),
        ({"messages": [[{"role": "user", "content": LONG}] * 20] * 20, "label": ["a", "b"] * 10}, {}),
    ],
)
def test_a_small_file_that_unpacks_to_much_is_refused_before_it_is(table, options, tmp_path):
    path = small_file(tmp_path, table, **options)
    before = pyarrow.total_allocated_bytes()
    with pytest.raises(UnreadableFile, match=r"bomb.parquet has .* bytes and unpacks to more than 268,435,456"):
        list(open_source(path))
    assert pyarrow.total_allocated_bytes() - before < 300_000_000


def test_an_arrow_file_that_unpacks_to_much_is_refused(tmp_path):
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 400, pyarrow.int32()), pyarrow.array([LONG]))
    table = pyarrow.table({"text": texts, "label": ["a", "b"] * 200})
    with pyarrow.ipc.new_file(tmp_path / "bomb.arrow", table.schema, options=ZSTD) as file:
        file.write_table(table)
    with pytest.raises(UnreadableFile, match="unpacks to more than"):
        list(open_source(tmp_path / "bomb.arrow"))


ZSTD = pyarrow.ipc.IpcWriteOptions(compression="zstd")


def test_texts_that_repeat_are_read_within_what_is_allowed(tmp_path):
    path = small_file(tmp_path, {"text": [LONG[:10_000]] * 9_000, "label": ["a", "b", "c"] * 3_000})
    rows = list(open_source(path))
    assert len(rows) == 9_000
    assert {len(row.input) for row in rows} == {10_000}
    assert [row.labels["label"] for row in rows[:3]] == [("a",), ("b",), ("c",)]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view"])
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"store_schema": False}])
def test_every_kind_of_text_is_read(kind, options, tmp_path):
    text = pyarrow.array(["a", None, "c"], getattr(pyarrow, kind)())
    labels = pyarrow.array([["x"], None, []], pyarrow.list_(pyarrow.string()))
    flags = pyarrow.array([["p", "q"]] * 3, pyarrow.list_(pyarrow.string(), 2))
    table = pyarrow.table({"text": text, "label": labels, "more": flags})
    path = small_file(tmp_path, table, **options)
    first, second, third = open_source(path, ReadOptions(label_columns=("label", "more")))
    assert (first.input, dict(first.labels)) == ("a", {"label": ("x",), "more": ("p", "q")})
    assert second.code == "no_text"
    assert dict(third.labels) == {"label": (), "more": ("p", "q")}
