import gzip
import io
import os

import pytest

from tamis.data.formats import unpacked
from tamis.data.formats.opening import CutLine, DataFile, decoded, numbered_lines, open_text
from tamis.data.rows import BadRow
from tamis.errors import NoRows, UnknownFormat, UnreadableFile


def opened(tmp_path, content, name="rows.txt", encoding=None):
    path = tmp_path / name
    path.write_bytes(content)
    return open_text(path, "given name", encoding)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain words", "utf-8"),
        ("déjà vu".encode(), "utf-8"),
        ("déjà vu".encode("utf-8-sig"), "utf-8-sig"),
        ("déjà vu".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "déjà vu".encode("utf-16-be"), "utf-16"),
        ("plain words, and more".encode("utf-16-le"), "utf-16-le"),
        ("plain words, and more".encode("utf-16-be"), "utf-16-be"),
        ("déjà vu".encode("utf-32"), "utf-32"),
        ("déjà vu".encode("latin-1"), "cp1252"),
        ("it\u2019s \u201cquoted\u201d \u2014 so".encode("cp1252"), "cp1252"),
        ("où déjà vu".encode() + b"\xff", "utf-8"),
        (b"words \xff\xfe words", "utf-8"),
        ("где моя карта".encode("cp1251"), "utf-8"),
        (b"plain " * 100_000 + "déjà".encode("latin-1"), "cp1252"),
        (("é" * 200_000).encode(), "utf-8"),
    ],
)
def test_encodings_are_detected(content, encoding, tmp_path):
    assert opened(tmp_path, content).encoding == encoding


def test_a_named_encoding_is_taken_as_it_is(tmp_path):
    assert opened(tmp_path, "где".encode("koi8-r"), encoding="koi8-r").head() == "где"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"BZh9rest", "bzip2"),
        (b"\xfd7zXZ\x00rest", "xz"),
        (b"%PDF-1.7", "PDF"),
        (b"SQLite format 3\x00", "SQLite"),
        (bytes(range(256)) * 4, "not text"),
    ],
)
def test_what_is_not_text_is_named(content, what, tmp_path):
    with pytest.raises(UnknownFormat, match=rf"given name.*{what}"):
        opened(tmp_path, content)


def test_what_cannot_be_read_is_said_why(tmp_path):
    with pytest.raises(UnreadableFile, match="no file given name"):
        open_text(tmp_path / "none", "given name", None)
    with pytest.raises(UnreadableFile, match="is a folder"):
        open_text(tmp_path, "given name", None)
    with pytest.raises(NoRows, match="is empty"):
        opened(tmp_path, b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableFile, match="pipe or device"):
        open_text(tmp_path / "pipe", "given name", None)


def test_damaged_gzip_is_said_to_be_damaged(tmp_path):
    with pytest.raises(UnreadableFile, match="gzip data is damaged"):
        opened(tmp_path, b"\x1f\x8b\x08\x00 nonsense that is no gzip data")


def test_every_line_end_counts_once():
    lines = list(numbered_lines(io.TextIOWrapper(io.BytesIO(b"a\r\nb\rc\n\n\r\nd"), newline=None), 100))
    assert lines == [(1, "a\n"), (2, "b\n"), (3, "c\n"), (4, "\n"), (5, "\n"), (6, "d")]


@pytest.mark.parametrize("length", [9, 10, 11, 21, 22, 23, 33, 1000])
def test_lines_at_and_above_the_limit(length):
    text = io.StringIO("x" * length + "\nnext\n")
    (_, first), second = list(numbered_lines(text, 10))
    assert (type(first) is CutLine) == (length > 10)
    assert first == "x" * min(length, 10) + ("" if length > 10 else "\n")
    assert second == (2, "next\n")


def test_undecodable_bytes_become_marks_that_are_told(tmp_path):
    text = opened(tmp_path, "déjà".encode() + b" \xff vu").head()
    assert text == "déjà \udcff vu"
    told = decoded(BadRow("lone_surrogate", "?"), text)
    assert (told.code, told.cause) == (
        "undecodable_bytes",
        "Not text in the file's encoding: byte 0xff at column 6 of the row",
    )


def test_a_suffix_is_told_behind_compression(tmp_path):
    assert DataFile(tmp_path / "Rows.CSV.gz", "x").suffix == ".csv"
    assert DataFile(tmp_path / "rows", "x").suffix == ""


def test_packed_text_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacked, "ALWAYS_ALLOWED", 10_000)
    row = b'{"text": "where is my parcel", "label": "a"}\n'
    good = opened(tmp_path, gzip.compress(row * 200), "good.jsonl.gz")
    with good.open() as text:
        assert len(text.read()) == 200 * len(row)
    with pytest.raises(UnreadableFile, match=r"bomb\.jsonl\.gz has .* and unpacks to more than"):
        opened(tmp_path, gzip.compress(row * 100_000), "bomb.jsonl.gz")
