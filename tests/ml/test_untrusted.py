import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import DamagedArtifact
from tamis.ml.untrusted import MAX_DEPTH, map_file, parse_object, render_json

HERE = Path("model/manifest.json")

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.dictionaries(
    st.text(), st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
)


@settings(max_examples=40, deadline=None)
@given(documents)
def test_what_is_rendered_is_read_back(document):
    assert parse_object(render_json(document).encode(), HERE) == document


def test_lists_of_plain_values_stay_on_one_line():
    document = {"labels": ["a", "b"], "rows": [{"n": 1}], "empty": {}}
    assert render_json(document).splitlines() == [
        "{",
        '  "labels": ["a", "b"],',
        '  "rows": [',
        "    {",
        '      "n": 1',
        "    }",
        "  ],",
        '  "empty": {}',
        "}",
    ]


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[1]", "not an object"),
        (b'"text"', "not an object"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"x": {"a": 1, "a": 2}}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"1" * 6000 + b"}", "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b'{"a": "\\ud83d"}', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "not valid JSON"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested too deep"),
    ],
)
def test_bad_json_is_refused_with_its_place_and_cause(raw, cause):
    with pytest.raises(DamagedArtifact, match=cause) as caught:
        parse_object(raw, HERE)
    assert str(HERE) in str(caught.value)


def test_nesting_up_to_the_limit_and_surrogate_pairs_are_fine():
    raw = b'{"a":' * MAX_DEPTH + b'"\\ud83d\\ude00"' + b"}" * MAX_DEPTH
    value = parse_object(raw, HERE)
    for _ in range(MAX_DEPTH):
        value = value["a"]
    assert value == "😀"


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60) | documents.map(lambda document: json.dumps(document).encode()[:-1]))
def test_any_bytes_are_read_or_refused(raw):
    with contextlib.suppress(DamagedArtifact):
        assert isinstance(parse_object(raw, HERE), dict)


def test_a_file_is_mapped_read_only(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "empty").touch()
    mapped = map_file(tmp_path / "a", limit=3)
    assert mapped.tobytes() == b"abc"
    assert not mapped.flags.writeable
    assert isinstance(mapped.base, np.memmap)
    assert map_file(tmp_path / "empty").tobytes() == b""


def test_what_is_not_a_plain_file_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"abcd")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    for name, cause in [("missing", "cannot be read"), ("link", "symbolic link"), ("pipe", "plain"), (".", "irectory")]:
        with pytest.raises(DamagedArtifact, match=cause):
            map_file(tmp_path / name)
    with pytest.raises(DamagedArtifact, match="4 bytes, and 3 are allowed"):
        map_file(tmp_path / "a", limit=3)
    assert map_file(tmp_path / "link", follow_links=True).tobytes() == b"abcd"
