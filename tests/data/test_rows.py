import json
import re
from pathlib import Path

from tamis.data.rows import FAULTS, MOST_DETAILS, NOTES, RAW_LIMIT, BadRow, Note, Notes, printable


def test_a_verdict_becomes_a_rejected_row():
    bad = BadRow("empty_text", "The text is empty").at("rows.csv", 7, "x" * 5000 + "\n")
    assert str(bad) == f"rows.csv:7: The text is empty. {FAULTS['empty_text']}"
    assert len(bad.raw) == RAW_LIMIT
    assert set(bad.to_json()) == {"file", "line", "code", "cause", "cure", "raw"}


def test_what_cannot_be_shown_is_escaped():
    assert printable("a\x00b\ud800c\x1b[31m\u202ed") == "a\\x00b\\ud800c\\x1b[31m\\u202ed"
    assert printable("é 猫\n\t") == "é 猫\n\t"
    bad = BadRow("lone_surrogate", "\udcff here").at("f", 1, '{"text": "\udcff"}')
    json.dumps(bad.to_json(), ensure_ascii=False).encode()


def test_notes_are_counted_with_their_first_line():
    notes, others = Notes(), Notes()
    for line in (3, 5):
        notes.add("label_stripped", line, "intent")
    others.add("label_stripped", 1, "intent")
    notes.include(others)
    assert list(notes) == [Note("label_stripped", "intent", 3, 3)]
    assert str(next(iter(notes))) == "spaces around a label removed (intent): 3 times, first on line 3"
    assert notes.total("extra_key") == 0


def test_different_details_are_bounded():
    notes = Notes()
    for line in range(500):
        notes.add("extra_key", line, f"key {line}")
    assert len(list(notes)) == MOST_DETAILS + 1
    assert notes.total("extra_key") == 500


def test_every_code_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "data-formats.md").read_text()
    assert [code for code in (*FAULTS, *NOTES) if f"\n| `{code}` | " not in page] == []


def test_every_reason_is_one_that_a_reader_gives():
    sources = (Path(__file__).parents[2] / "src" / "tamis" / "data").rglob("*.py")
    code = "".join(path.read_text() for path in sources)
    assert [reason for reason in FAULTS if f'BadRow("{reason}"' not in code] == []
    assert [remark for remark in NOTES if not re.search(rf'[(]"{remark}", ', code)] == []
