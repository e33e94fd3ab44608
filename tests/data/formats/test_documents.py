import contextlib
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.formats.documents import document_rows
from tamis.data.formats.opening import CutLine
from tamis.errors import UnreadableFile


def rows(text, limit=1000):
    return list(document_rows(io.StringIO(text), limit, "file.json"))


def test_rows_of_an_array_with_their_lines():
    assert rows('[\n {"a": 1},\n\n {"b": [2,\n {"c": 3}]}\n]\n') == [(2, '{"a": 1}'), (4, '{"b": [2,\n {"c": 3}]}')]


def test_objects_one_after_the_other():
    assert rows('{\n"a": 1\n}\n{"b": 2} {"c": 3}') == [(1, '{\n"a": 1\n}'), (4, '{"b": 2}'), (4, '{"c": 3}')]


def test_brackets_in_strings_are_text():
    assert rows('[{"a": "]}{[\\"}"}, {"b": "\\\\"}]') == [(1, '{"a": "]}{[\\"}"}'), (1, '{"b": "\\\\"}')]


def test_a_string_that_never_closes_ends_with_its_line():
    assert rows('[{"a": "open\n},\n{"b": 2}]')[1] == (3, '{"b": 2}')


def test_what_is_no_object_is_not_lost():
    assert rows('[1, {"a": 1}, "two",\n\n [3]] tail') == [
        (1, "1"), (1, '{"a": 1}'), (1, '"two"'), (3, "[3]"), (3, "tail"),
    ]  # fmt: skip


def test_too_long_a_row_is_cut():
    (_, cut), following = rows('[{"a": "%s"}, {"b": 2}]' % ("x" * 500), limit=100)
    assert type(cut) is CutLine
    assert len(cut) == 100
    assert following == (1, '{"b": 2}')


@pytest.mark.parametrize("text", ['[{"a": 1}, {"b": 2}', '[{"a": 1}, {"b": [2}', '{"a": {"b": 1}'])
def test_what_never_ends_is_an_error_with_a_line(text):
    with pytest.raises(UnreadableFile, match=r"file\.json.*line 1 never ends"):
        rows(text)


def test_a_row_far_above_the_limit_is_not_held():
    with pytest.raises(UnreadableFile, match="longer than 10 bytes"):
        rows('[{"a": "%s' % ("x" * 2_000_000), limit=10)


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), values), max_size=5), st.sampled_from([None, 1]))
def test_what_was_written_is_found(objects, indent):
    written = json.dumps(objects, indent=indent)
    assert [json.loads(row) for _, row in rows(written, limit=10_000)] == objects


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet='[]{}",:\\a1\n ', max_size=40))
def test_no_text_makes_it_fail_in_another_way(text):
    with contextlib.suppress(UnreadableFile):
        rows(text)
