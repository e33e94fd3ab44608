import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.formats import ReadOptions, open_source
from tamis.data.rows import RAW_LIMIT, Rejected
from tamis.errors import MissingColumn
from tamis.schema import Example, Message

GOOD = '{"text": "a good row", "labels": {"intent": "x"}}'
CHAT = '{"messages": %s, "labels": {"intent": "x"}}'


def read(tmp_path, *lines, options=None, encoding="utf-8", name="rows.jsonl"):
    path = tmp_path / name
    path.write_bytes("\n".join(lines).encode(encoding, "surrogatepass"))
    source = open_source(path, options)
    return source, list(source)


def verdict(tmp_path, line, **options):
    """The one rejected row between two good ones."""
    _, rows = read(tmp_path, GOOD, line, GOOD, options=ReadOptions(**options))
    assert [type(row) for row in rows] == [Example, Rejected, Example]
    assert rows[1].line == 2
    assert rows[2].line == 3
    return rows[1]


BAD = {
    "hello": "not_json",
    '{"text": "a", "labels": {"t": "x"}': "not_json",
    '{"text": "a", "labels": {"t": "x"}} {"text": "b"}': "not_json",
    "{'text': 'a'}": "not_json",
    '{"text": "a\tb", "labels": {"t": "x"}}': "not_json",
    '{"text": "a", "n": %s, "labels": {"t": "x"}}' % ("9" * 5000): "not_json",
    '["a", "x"]': "not_an_object",
    '"a"': "not_an_object",
    "null": "not_an_object",
    "3": "not_an_object",
    '{"text": "a", "score": NaN, "labels": {"t": "x"}}': "not_a_number",
    '{"text": "a", "score": -Infinity, "labels": {"t": "x"}}': "not_a_number",
    '{"text": "a", "text": "b", "labels": {"t": "x"}}': "duplicate_key",
    '{"text" : "a:b", "text": "b", "labels": {"t": "x"}}': "duplicate_key",
    '{"text": "say \\":\\" now", "labels": {"t": "x", "t": "y"}}': "duplicate_key",
    '{"text": "a", "labels": {"t": "x"}, "labels" : {"u": "x"}}': "duplicate_key",
    '{"text": "a", "meta": [{"k": 1, "k": 2}], "labels": {"t": "x"}}': "duplicate_key",
    '{{"text": "a", "labels": {{"t": {}1{}}}}}'.format("[" * 40, "]" * 40): "too_deep",
    '{"text": "a", "deep": %s, "labels": {"t": "x"}}' % ("[" * 200_000 + "]" * 200_000): "too_deep",
    "[" * 200_000: "too_deep",
    '{"a":' * 100_000: "too_deep",
    "{}": "no_text",
    '{"labels": {"t": "x"}}': "no_text",
    '{"text": null, "labels": {"t": "x"}}': "no_text",
    '{"text": "", "labels": {"t": "x"}}': "empty_text",
    '{"text": " \\n\\t ", "labels": {"t": "x"}}': "empty_text",
    '{"text": "\\u200b\\ufeff", "labels": {"t": "x"}}': "empty_text",
    '{"text": "\\u00a0\\u3000", "labels": {"t": "x"}}': "empty_text",
    '{"text": 3, "labels": {"t": "x"}}': "text_not_text",
    '{"text": true, "labels": {"t": "x"}}': "text_not_text",
    '{"text": {"a": "b"}, "labels": {"t": "x"}}': "text_not_text",
    '{"text": "a", "messages": [{"role": "user", "content": "b"}], "labels": {"t": "x"}}': "two_inputs",
    '{"text": "a\\u0000b", "labels": {"t": "x"}}': "control_character",
    '{"text": "a\\u001bb", "labels": {"t": "x"}}': "control_character",
    '{"text": "a\\u007fb", "labels": {"t": "x"}}': "control_character",
    '{"text": "a\\u0092b", "labels": {"t": "x"}}': "control_character",
    '{"text": "a\\ud800b", "labels": {"t": "x"}}': "lone_surrogate",
    '{"text": "a\\udc80b", "labels": {"t": "x"}}': "lone_surrogate",
    '{"text": "a"}': "no_labels",
    '{"text": "a", "labels": {}}': "no_labels",
    '{"text": "a", "labels": {"t": ""}}': "empty_label",
    '{"text": "a", "labels": {"t": "  "}}': "empty_label",
    '{"text": "a", "labels": {"t": ["x", ""]}}': "empty_label",
    '{"text": "a", "labels": {"t": {"x": 1}}}': "bad_label",
    '{"text": "a", "labels": {"t": [["x"]]}}': "bad_label",
    '{"text": "a", "labels": {"t": ["x", null]}}': "bad_label",
    '{"text": "a", "labels": {"t": 0.5}}': "bad_label",
    '{"text": "a", "labels": {"t": 1e999}}': "bad_label",
    '{"text": "a", "labels": {"t": "x\\u0000"}}': "control_character",
    '{"text": "a", "labels": {"t": "\\ud83d"}}': "lone_surrogate",
    '{"text": "a", "labels": {"t": "%s"}}' % ("x" * 257): "label_too_long",
    '{"text": "a", "labels": {"": "x"}}': "bad_target",
    '{"text": "a", "labels": {"%s": "x"}}' % ("t" * 257): "bad_target",
    '{"text": "a", "labels": {"t\\u0001": "x"}}': "control_character",
    CHAT % "[]": "no_messages",
    CHAT % '"hello"': "bad_message",
    CHAT % '["hello"]': "bad_message",
    CHAT % '[{"content": "a"}]': "bad_message",
    CHAT % '[{"role": 1, "content": "a"}]': "bad_message",
    CHAT % '[{"role": "user", "content": 3}]': "bad_message",
    CHAT % '[{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}]': "bad_message",
    CHAT % '[{"role": "bot", "content": "a"}]': "unknown_role",
    CHAT % '[{"role": "assistant", "content": "a"}]': "no_user_message",
    CHAT % '[{"role": "user", "content": " "}]': "no_user_message",
    CHAT % '[{"role": "user", "content": "a\\u0000"}]': "control_character",
    CHAT % '[{"role": "user", "content": "a\\ud800"}]': "lone_surrogate",
}


@pytest.mark.parametrize("line", BAD, ids=[f"{code}-{place}" for place, code in enumerate(BAD.values())])
def test_a_bad_row_is_told_and_passed_over(line, tmp_path):
    bad = verdict(tmp_path, line)
    assert bad.code == BAD[line]
    assert bad.cause
    assert bad.raw == line[:RAW_LIMIT] or "\\" in bad.raw
    assert json.loads(json.dumps(bad.to_json()).encode())["code"] == bad.code


def test_the_column_of_a_syntax_error_is_told(tmp_path):
    assert "column 24" in verdict(tmp_path, '{"text": "a", "labels" "x"}').cause


def test_undecodable_bytes_are_a_bad_row_of_a_utf8_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes((GOOD + '\n{"text": "é').encode() + b'\xff\xfe", "labels": {"t": "x"}}\n' + GOOD.encode())
    rows = list(open_source(path))
    assert rows[1].code == "undecodable_bytes"
    assert "0xff at column 12" in rows[1].cause
    assert rows[1].raw.isprintable()
    assert rows[2].line == 3


def test_a_broken_half_in_utf16_is_a_bad_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        ("\ufeff" + GOOD + '\n{"text": "a\ud83d b", "labels": {"t": "x"}}').encode("utf-16-le", "surrogatepass")
    )
    assert [getattr(row, "code", None) for row in open_source(path)] == [None, "undecodable_bytes"]


def test_too_long_a_line_is_cut_and_the_next_is_read(tmp_path):
    bad = verdict(tmp_path, '{"text": "%s", "labels": {"t": "x"}}' % ("a" * 5000), max_line_bytes=1000)
    assert bad.code == "line_too_long"
    assert len(bad.raw) <= RAW_LIMIT


def test_the_line_limit_counts_bytes(tmp_path):
    options = ReadOptions(max_line_bytes=100)
    rows = read(tmp_path, json.dumps({"text": "é" * 40, "label": "x"}, ensure_ascii=False), options=options)[1]
    assert rows[0].code == "line_too_long"
    assert isinstance(read(tmp_path, '{"text": "%s", "label": "x"}' % ("e" * 40), options=options)[1][0], Example)


def test_blank_lines_count_as_lines(tmp_path):
    _, rows = read(tmp_path, "", GOOD, "  ", "", GOOD, "")
    assert [row.line for row in rows] == [2, 5]


def test_several_targets_lists_and_nulls(tmp_path):
    line = '{"text": "a", "labels": {"tags": ["x", "y"], "intent": "z", "none": [], "later": null}}'
    source, (row,) = read(tmp_path, line)
    assert dict(row.labels) == {"tags": ("x", "y"), "intent": ("z",), "none": ()}
    assert row.listed == {"tags", "none"}
    assert [(note.code, note.detail) for note in source.notes] == [("unknown_label", "later")]


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        ({"text": "a", "label": "x"}, {"label": ("x",)}),
        ({"text": "a", "label": ["x", "y"]}, {"label": ("x", "y")}),
        ({"text": "a", "label": []}, {"label": ()}),
        ({"text": "a", "labels": "x"}, {"labels": ("x",)}),
        ({"text": "a", "labels": ["x"]}, {"labels": ("x",)}),
        ({"text": "a", "label": 3}, {"label": ("3",)}),
        ({"text": "a", "label": 3.0}, {"label": ("3",)}),
        ({"text": "a", "label": True}, {"label": ("true",)}),
        ({"text": "a", "labels": {"t": ["x", "x", " x"]}}, {"t": ("x",)}),
        ({"text": "a", "labels": {" t ": "x"}}, {"t": ("x",)}),
    ],
)
def test_forms_of_labels(row, labels, tmp_path):
    assert dict(read(tmp_path, json.dumps(row))[1][0].labels) == labels


def test_notes_are_counted_anew_in_each_reading(tmp_path):
    source, _ = read(tmp_path, *['{"text": "a", "label": 1, "id": 7}'] * 4)
    list(source)
    assert {note.code: note.count for note in source.notes} == {"label_from_number": 4, "extra_key": 4}


def test_many_different_extra_keys_do_not_fill_memory(tmp_path):
    source, _ = read(tmp_path, *[f'{{"text": "a", "label": "x", "key{n}": 1}}' for n in range(300)])
    notes = list(source.notes)
    assert len(notes) == 51
    assert sum(note.count for note in notes) == 300


def test_chats(tmp_path):
    parts = '[{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]'
    line = CHAT % f'[{{"role": "assistant", "content": null}}, {{"role": "user", "content": {parts}, "name": "Jo"}}]'
    source, (row,) = read(tmp_path, line)
    assert row.input == (Message("assistant", ""), Message("user", "one\ntwo"))
    assert {(note.code, note.detail) for note in source.notes} == {
        ("empty_message", "assistant"),
        ("extra_key", "messages.name"),
    }


def test_a_chat_may_stand_in_text(tmp_path):
    _, (row,) = read(tmp_path, '{"text": [{"role": "user", "content": "hi"}], "label": "x"}')
    assert row.input == (Message("user", "hi"),)


def test_other_keys_are_told_by_name(tmp_path):
    lines = [json.dumps({"id": n, "utterance": f"say number {n}", "intent": "ab"[n % 2]}) for n in range(20)]
    source, rows = read(tmp_path, *lines)
    assert rows[3].input == "say number 3"
    assert dict(rows[3].labels) == {"intent": ("b",)}
    assert source.detected.text == "utterance"
    assert source.notes.total("extra_key") == 20


def test_keys_can_be_named(tmp_path):
    lines = [json.dumps({"text": "not this", "body": f"body {n}", "a": "x", "b": ["y"]}) for n in range(3)]
    options = ReadOptions(text_column="body", label_columns=("a", "b"))
    _, rows = read(tmp_path, *lines, '{"body": "c"}', options=options)
    assert (rows[0].input, dict(rows[0].labels), rows[0].listed) == ("body 0", {"a": ("x",), "b": ("y",)}, {"b"})
    assert rows[3].code == "no_labels"


def test_targets_can_be_chosen(tmp_path):
    line = '{"text": "a", "labels": {"t": "x", "u": "y"}}'
    source, (row,) = read(tmp_path, line, options=ReadOptions(label_columns=("u",)))
    assert dict(row.labels) == {"u": ("y",)}
    assert source.notes.total("ignored_target") == 1
    with pytest.raises(MissingColumn, match=r"no row has the target w; there are t, u"):
        read(tmp_path, line, options=ReadOptions(label_columns=("u", "w")))


def test_a_separator_may_be_that_of_one_target(tmp_path):
    line = '{"text": "a", "labels": {"t": "x|y", "u": "x|y"}}'
    _, (row,) = read(tmp_path, line, options=ReadOptions(label_separator={"u": "|"}))
    assert (dict(row.labels), row.listed) == ({"t": ("x|y",), "u": ("x", "y")}, {"u"})


def test_a_key_that_no_row_has_is_an_error(tmp_path):
    with pytest.raises(MissingColumn, match="'body'"):
        read(tmp_path, GOOD, options=ReadOptions(text_column="body"))


def test_unlabelled_rows_are_read_when_asked(tmp_path):
    _, rows = read(tmp_path, '{"text": "a"}', '{"messages": []}', options=ReadOptions(labelled=False))
    assert (rows[0].input, rows[1].code) == ("a", "no_messages")


def test_a_file_of_nothing_but_bad_rows_is_read_to_its_end(tmp_path):
    _, rows = read(tmp_path, "x", "y", '{"text": 1}')
    assert [row.code for row in rows] == ["not_json", "not_json", "text_not_text"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["text", "messages", "labels", "label", "role", "content", "x"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(keys, json_values, max_size=4) | st.text(max_size=20), min_size=1, max_size=4))
def test_no_row_makes_the_reader_fail(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("fuzz") / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes("\n".join([GOOD, *lines]).encode("utf-8", "surrogatepass"))
    for row in open_source(path):
        assert isinstance(row, Example | Rejected)
        json.dumps(row.to_json(), ensure_ascii=False).encode() if isinstance(row, Rejected) else None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1, max_size=9)), min_size=1, max_size=5))
def test_good_rows_come_out_as_they_went_in(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("trip") / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"text": text, "labels": {"t": label}}) for text, label in rows))
    for (text, label), row in zip(rows, open_source(path), strict=True):
        if isinstance(row, Example):
            assert (row.input, row.labels["t"]) == (text, (label.strip(),))
        else:
            assert row.code in {"empty_text", "control_character", "empty_label", "lone_surrogate"}


def test_a_target_given_twice_but_for_spaces(tmp_path):
    found = verdict(tmp_path, '{"text": "a", "labels": {"intent": "x", " intent": "y"}}')
    assert found.code == "duplicate_key"
    found = verdict(tmp_path, '{"text": "a", "labels": {" intent": "x", "intent": "y"}}')
    assert found.code == "duplicate_key"


def test_a_million_keys_in_a_row(tmp_path):
    many = json.dumps({"body": "b", "topic": "y"} | {f"key {n}": n for n in range(200_000)})
    few = ['{"body": "some words here", "topic": "x"}'] * 150
    source, rows = read(tmp_path, *few, many, *few)
    assert len(rows) == 301
    assert all(dict(row.labels).keys() == {"topic"} for row in rows)
    assert len(source.detected.unread) < 200_000


def test_a_very_long_key_is_told_in_short(tmp_path):
    source, _ = read(tmp_path, GOOD, json.dumps({"text": "a", "labels": {"intent": "x"}, "k" * 100_000: 1}))
    assert max(len(note.detail) for note in source.notes) <= 300


def test_what_tamis_label_writes_beside_labels_is_no_key_to_tell_of(tmp_path):
    beside = {"confidence": {"t": 0.9}, "line": 1, "outcome": "labelled", "why": "said so"}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a", "labels": {"t": "x"}, **beside, "id": 7}) + "\n")
    source = open_source(path)
    assert [example.labels for example in source] == [{"t": ("x",)}]
    assert [(note.code, note.detail) for note in source.notes] == [("extra_key", "id")]


def test_rows_come_with_the_whole_object(tmp_path):
    lines = ['{"id": 1, "text": "one", "n": [2]}', "", "no", '{"id": 3, "text": ""}']
    source, rows = read(tmp_path, *lines, options=ReadOptions(labelled=False))
    found = list(source.with_objects())
    assert [kept for kept, _ in found] == [{"id": 1, "text": "one", "n": [2]}, {}, {"id": 3, "text": ""}]
    assert [row for _, row in found] == rows
    assert [type(row) for row in rows] == [Example, Rejected, Rejected]
