"""Answers on disk: found again, whoever writes them, and whatever is killed in the middle of it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tamis.errors import InvalidSetting, TamisError
from tamis.labelers.cache import Cache, key_of
from tamis.labelers.endpoint import Endpoint

KEY, OTHER = key_of("a"), key_of("b")


def test_what_is_put_is_found_again(tmp_path: Path) -> None:
    with Cache(tmp_path / "new" / "answers.jsonl") as cache:
        assert cache.get(KEY) is None
        cache.put(KEY, {"content": "é"})
        assert cache.get(KEY) == {"key": KEY, "content": "é"}
    with Cache(tmp_path / "new" / "answers.jsonl") as again:
        assert len(again) == 1
        assert again.get(KEY) == {"key": KEY, "content": "é"}


def test_the_newest_record_of_a_key_counts(tmp_path: Path) -> None:
    with Cache(tmp_path / "a.jsonl") as cache:
        for number in range(3):
            cache.put(KEY, {"number": number})
        assert cache.get(OTHER) is None
        assert cache.get(KEY) == {"key": KEY, "number": 2}


def test_two_at_the_same_file_see_each_others_answers(tmp_path: Path) -> None:
    with Cache(tmp_path / "a.jsonl") as one, Cache(tmp_path / "a.jsonl") as two:
        one.put(KEY, {"by": "one"})
        assert two.get(KEY) == {"key": KEY, "by": "one"}
        two.put(OTHER, {"by": "two"})
        assert one.get(OTHER) == {"key": OTHER, "by": "two"}


@pytest.mark.parametrize("torn", [b"{", b'{"key":"', b'{"key":"%b","content":"hal' % KEY.encode(), b"\xff\xfe\n\n"])
def test_a_write_that_was_killed_spoils_its_own_record_only(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.jsonl"
    with Cache(path) as cache:
        cache.put(OTHER, {"content": "whole"})
    with path.open("ab") as file:
        file.write(torn)
    with Cache(path) as cache:
        assert cache.get(KEY) is None
        assert cache.get(OTHER) == {"key": OTHER, "content": "whole"}
        cache.put(KEY, {"content": "new"})
        assert cache.get(KEY) == {"key": KEY, "content": "new"}


def test_a_record_of_endless_depth_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"key":"' + KEY + '","content":' + "[" * 200_000 + "\n")
    with Cache(tmp_path / "a") as cache:
        assert cache.get(KEY) is None


def test_a_line_without_its_end_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = json.dumps({"key": KEY, "content": "x"}, separators=(",", ":")).encode() + b"\n"
    with Cache(path) as cache, path.open("ab", buffering=0) as other:
        other.write(line[:30])
        assert cache.get(KEY) is None
        other.write(line[30:])
        assert cache.get(KEY) == {"key": KEY, "content": "x"}


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = (
        "import sys; from tamis.labelers.cache import Cache, key_of\n"
        "cache = Cache(sys.argv[1])\n"
        "for n in range(200): cache.put(key_of(sys.argv[2], n), {'content': sys.argv[2] * 300})\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with Cache(path) as cache:
        assert len(cache) == 600
        assert all(cache.get(key_of(name, n)) for name in "abc" for n in range(200))


def test_the_owner_alone_may_read(tmp_path: Path) -> None:
    with Cache(tmp_path / "a.jsonl"):
        assert stat.S_IMODE(os.stat(tmp_path / "a.jsonl").st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSetting, match="Name another file"):
        Cache(tmp_path / "file" / "a.jsonl")
    with pytest.raises(InvalidSetting, match="Name another file"):
        Cache(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a.jsonl")
    os.dup2(os.open("/dev/full", os.O_WRONLY), cache._out)
    with pytest.raises(TamisError, match="Make room"):
        cache.put(KEY, {})
    cache.close()


def test_each_model_of_each_endpoint_has_a_file_of_its_own(tmp_path: Path) -> None:
    endpoints = [
        Endpoint("a/b:c", "http://x.org"),
        Endpoint("a/b:c", "http://y.org"),
        Endpoint("../../x", "http://x.org"),
    ]
    paths = []
    for endpoint in endpoints:
        with Cache.of(tmp_path, endpoint) as cache:
            paths.append(cache.path)
    assert len(set(paths)) == 3
    assert all(path.parent == tmp_path for path in paths)
    assert paths[0].name.startswith("a-b-c-")


def test_keys_tell_their_parts_apart() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("a", 1) != key_of("a", 2)
    assert key_of("a") == key_of(b"a")
