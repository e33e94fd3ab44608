import json

import pytest

from tamis.data.checks import survey as module
from tamis.data.checks.survey import BaseFacts, CheckOptions, Listeners, check
from tamis.data.formats import Detected, ReadOptions
from tamis.errors import UnreadableFile
from tamis.schema import Example

WORDS = BaseFacts("words", lambda texts: [len(text.split()) for text in texts], window=4, languages=("en",))


def write(folder, name, *rows):
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def row(text, **labels):
    return {"text": text, "labels": labels}


def by_code(report):
    return {finding.code: finding for finding in report.findings}


@pytest.fixture
def train(tmp_path):
    rows = [row(f"message number {i} about {'cats' if i % 2 else 'dogs'}", y="ab"[i % 2]) for i in range(60)]
    return write(tmp_path, "train.jsonl", *rows)


def test_good_data_is_ready(train):
    report = check({"train": [train]}, base=WORDS)
    assert report.ready
    assert report.rows == {"train": 60}
    assert report.targets[0].labels[0].rows == {"train": 30}
    assert report.files[0].detected.startswith("jsonl")
    assert report.files[0].detection["encoding"] == "utf-8"


def test_lengths_and_window(train):
    report = check({"train": [train]}, base=WORDS)
    by_unit = {lengths.unit: lengths for lengths in report.lengths}
    assert by_unit["words"].median == by_unit["tokens"].median == 5
    assert by_unit["characters"].longest == len("message number 59 about cats")
    assert (report.window.rows_over, report.window.share_over) == (60, 1.0)
    assert {lengths.unit for lengths in check({"train": [train]}).lengths} == {"characters", "words"}


def test_bad_rows_are_told_with_place_cause_and_cure(tmp_path, train):
    with train.open("a", encoding="utf-8") as stream:
        stream.write('not json\n{"text": "", "labels": {"y": "a"}}\n')
    heard = []
    report = check({"train": [train]}, listeners=Listeners(rejected=heard.append))
    assert not report.ready
    assert [(bad.line, bad.code) for bad in report.rejects.first] == [(61, "not_json"), (62, "empty_text")]
    assert all(bad.cause and bad.cure for bad in report.rejects.first)
    assert report.rejects.by_code == {"not_json": 1, "empty_text": 1}
    assert [bad.line for bad in heard] == [61, 62]
    assert by_code(report)["bad_rows"].where[0][0].line == 61
    assert check({"train": [train]}, CheckOptions(max_bad_share=0.1)).ready


def test_findings_show_the_rows_they_are_about(tmp_path, train):
    test = write(tmp_path, "test.jsonl", row("MESSAGE number 3  about cats", y="a"), row("something else", y="a"))
    told = by_code(check({"train": [train], "test": [test]}))
    for code in ("overlap", "conflicting_labels"):
        ((first, second),) = told[code].where
        assert (first.file, first.line, first.text) == (str(train), 4, "message number 3 about cats")
        assert (second.file, second.line, second.labels) == (str(test), 1, {"y": ("a",)})


def test_several_files_make_one_split(tmp_path, train):
    other = write(tmp_path, "more.jsonl", row("message number 3 about cats", y="b"))
    report = check({"train": [train, other]})
    assert (report.rows, len(report.files)) == ({"train": 61}, 2)
    ((first, second),) = by_code(report)["duplicates"].where
    assert (first.file, first.line, second.file, second.line) == (str(train), 4, str(other), 1)


def test_what_cannot_be_read_is_a_finding(tmp_path, train):
    report = check({"train": [train], "test": [tmp_path / "missing.jsonl"]})
    assert not report.ready
    assert "missing.jsonl" in by_code(report)["unreadable"].message
    assert report.rows == {"train": 60, "test": 0}


class Failing:
    """A source whose disk fails after some rows."""

    name, detected, notes = "failing", Detected("jsonl"), ()

    def __iter__(self):
        for line in range(1, 8):
            yield Example("the same text", {"y": ("ab"[line % 2],)}, line)
        raise UnreadableFile("The disk failed.")


def test_a_file_that_breaks_off_keeps_what_was_read_before(monkeypatch):
    monkeypatch.setattr(module, "open_source", lambda name, options: Failing())
    report = check({"train": ["failing"]})
    assert report.rows == {"train": 7}
    assert by_code(report)["unreadable"].message == "The disk failed. (7 rows were read before.)"
    assert [place.line for place in by_code(report)["conflicting_labels"].where[0]] == [1, 2]


def test_rows_that_cannot_be_read_again_are_shown_by_their_place(monkeypatch):
    class Once(Failing):
        reads = 0

        def __iter__(self):
            self.reads += 1
            if self.reads > 1:
                raise UnreadableFile("It is gone.")
            yield from (Example("the same text", {"y": (label,)}, line) for line, label in ((4, "a"), (9, "b")))

    once = Once()
    monkeypatch.setattr(module, "open_source", lambda name, options: once)
    (group,) = by_code(check({"train": ["once"]}))["conflicting_labels"].where
    assert [(place.line, place.text) for place in group] == [(4, ""), (9, "")]


def test_the_splits_of_a_folder_are_found(tmp_path):
    for split in ("train", "test"):
        write(tmp_path, f"{split}.jsonl", *(row(f"{split} text {i}", y="ab"[i % 2]) for i in range(60)))
    report = check({"train": [tmp_path]})
    assert report.rows == {"train": 60, "test": 60}
    assert "split_found" in by_code(report)
    assert check({"train": [tmp_path]}, CheckOptions(ReadOptions(split="test"))).rows == {"train": 60}


def test_chats_are_checked_like_texts(tmp_path):
    chat = [{"role": "user", "content": "Where is my order?"}]
    path = write(tmp_path, "chat.jsonl", *({"messages": chat, "labels": {"y": label}} for label in "ab"))
    report = check({"train": [path]})
    assert report.likeness.conflicts == 1
    assert by_code(report)["conflicting_labels"].where[0][0].text == "user: Where is my order?"


def test_large_files_are_measured_on_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_ROWS", 10)
    monkeypatch.setattr(module, "MEASURED_ROWS", 100)
    path = write(tmp_path, "many.jsonl", *(row(f"one two three {i}", y="ab"[i % 2]) for i in range(1_000)))
    report = check({"train": [path]}, base=BaseFacts("b", WORDS.count_tokens, window=3))
    by_unit = {lengths.unit: lengths for lengths in report.lengths}
    assert by_unit["words"].measured == 1_000
    assert 100 < by_unit["tokens"].measured < 200
    assert by_unit["tokens"].median == 4
    assert report.window.rows_over == 1_000
    assert report.languages[0].measured == by_unit["tokens"].measured


def test_long_texts_are_measured_on_a_sample_too(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_CHARACTERS", 1_000)
    monkeypatch.setattr(module, "MEASURED_CHARACTERS", 5_000)
    path = write(tmp_path, "long.jsonl", *(row("one two " * 50 + str(i), y="ab"[i % 2]) for i in range(100)))
    report = check({"train": [path]}, base=WORDS)
    by_unit = {lengths.unit: lengths for lengths in report.lengths}
    assert by_unit["words"].measured == 100
    assert 12 <= by_unit["tokens"].measured < 30


def test_progress_counts_rows(train, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_ROWS", 25)
    heard = []
    check({"train": [train]}, listeners=Listeners(progress=heard.append))
    assert heard == [25, 50, 60]


def test_near_duplicates_can_be_left_out(tmp_path, train):
    long = "the parcel that I ordered from your shop last week has not arrived"
    path = write(tmp_path, "near.jsonl", row(long, y="a"), row(long + "!", y="a"))
    assert check({"train": [path]}).likeness.repeats[0].near == 1
    assert check({"train": [path]}, CheckOptions(near_duplicates=False)).likeness.repeats[0].near == 0


def test_texts_shown_are_short_and_printable(tmp_path):
    text = "a" * 10_000 + "\u202e"
    path = write(tmp_path, "long.jsonl", row(text, y="a"), row(text, y="b"))
    ((first, _),) = by_code(check({"train": [path]}))["conflicting_labels"].where
    assert len(first.text) == 160
    text = "\u202eevil"
    path = write(tmp_path, "bidi.jsonl", row(text, y="a"), row(text, y="b"))
    ((first, _),) = by_code(check({"train": [path]}))["conflicting_labels"].where
    assert first.text.isprintable()


def test_personal_data_is_not_shown(tmp_path):
    text = "write to jane.doe@example.org"
    broken = '{"text": "or to jane.doe@example.org'
    path = write(tmp_path, "people.jsonl", row(text, y="a"), row(text, y="b"), broken)
    report = check({"train": [path]})
    ((first, _),) = by_code(report)["conflicting_labels"].where
    assert first.text == "write to [email]"
    assert "jane" not in report.model_dump_json()


def test_the_report_is_plain_json(train):
    plain = check({"train": [train]}, base=WORDS).model_dump(mode="json")
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_rows_leave_at_most_64_bytes(train):
    survey = module._Survey(CheckOptions(), None, Listeners())
    survey.read("train", str(train), ReadOptions())
    prints, tally = survey._prints, survey._tally
    columns = [prints._exact, prints._loose, prints._sketches, tally._ids, survey._lines]
    assert sum(len(column) * column.itemsize for column in columns) <= 64 * 60
