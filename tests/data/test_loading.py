import json

import pytest

from tamis.data.formats import ReadOptions, open_source
from tamis.data.loading import load, load_splits, read_inputs
from tamis.errors import DataError, InvalidSetting, NoRows, TooManyBadRows, UnreadableFile
from tamis.schema import Example, Kind, Target

ROWS = [("one", "a"), ("two", "b"), ("three", "a")]


def write(path, rows, key="label"):
    path.write_text("".join(json.dumps({"text": text, key: label}) + "\n" for text, label in rows))
    return path


def with_bad_rows(path):
    path.write_text(
        '{"text": "one", "label": "a"}\nnonsense\n{"text": "two", "label": "b"}\n{"text": "", "label": "b"}\n' * 2
    )
    return path


def test_splits_are_loaded_together(tmp_path):
    train = write(tmp_path / "train.jsonl", [("one", ["a"]), ("two", "b")], "labels")
    validation = write(tmp_path / "validation.jsonl", [("three", "b"), ("four", "never seen")], "labels")
    loaded = load_splits(train, str(validation), [validation, validation])
    assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (2, 2, 4)
    assert loaded.train.targets == (Target(name="labels", kind=Kind.MULTI_LABEL, labels=("a", "b")),)
    assert loaded.validation.truth["labels"].unseen == ("never seen",)
    assert [(tally.split, tally.rows, tally.rejected) for tally in loaded.tallies] == [
        ("train", 2, 0), ("validation", 2, 0), ("test", 2, 0), ("test", 2, 0),
    ]  # fmt: skip
    (note,) = loaded.notes["train"]
    assert (note.code, note.detail) == ("mixed_values", "labels: 1 lists, 1 labels")


def test_examples_and_open_sources_are_taken_too(tmp_path):
    examples = [Example(text, {"t": (label,)}, line) for line, (text, label) in enumerate(ROWS)]
    source = open_source(write(tmp_path / "x.jsonl", ROWS, "label"), ReadOptions())
    loaded = load_splits(iter(examples), test=source)
    assert list(loaded.train.lines) == [0, 1, 2]
    assert loaded.tallies[0].file == "train data"
    assert loaded.tallies[1].detected.format == "jsonl"


def test_too_many_bad_rows_are_refused_with_the_first_three(tmp_path):
    path = with_bad_rows(tmp_path / "train.jsonl")
    with pytest.raises(TooManyBadRows) as caught:
        load_splits(path)
    message = str(caught.value)
    assert "4 of 8 rows of the train data are bad (50.00%; allowed: 0.00%)" in message
    assert [f"{path}:{line}: " in message for line in (2, 4, 6, 8)] == [True, True, True, False]
    assert "... and 1 more" in message
    assert "--max-bad-share 0.5 " in message
    assert caught.value.context["rejected"] == 4


def test_a_suggested_share_is_enough(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "one", "label": "a"}\n' * 28 + "bad\n" * 2)
    with pytest.raises(TooManyBadRows, match=r"--max-bad-share 0\.07 "):
        load_splits(path, max_bad_share=0.06)
    assert load_splits(path, max_bad_share=0.07).rejected == 2


def test_bad_rows_below_the_share_are_left_out_counted_and_written(tmp_path):
    path, rejects = with_bad_rows(tmp_path / "train.jsonl"), tmp_path / "rejects.jsonl"
    loaded = load_splits(path, max_bad_share=0.5, rejects=rejects)
    (tally,) = loaded.tallies
    assert (len(loaded.train), tally.rejected, tally.codes) == (4, 4, {"not_json": 2, "empty_text": 2})
    written = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(row["line"], row["code"]) for row in written] == [
        (2, "not_json"), (4, "empty_text"), (6, "not_json"), (8, "empty_text"),
    ]  # fmt: skip
    assert written[0]["raw"] == "nonsense"
    json.dumps(tally.to_json())


def test_all_rejected_rows_are_written_even_if_the_data_is_refused(tmp_path):
    path, rejects = tmp_path / "train.jsonl", tmp_path / "rejects.jsonl"
    rejects.write_text("of an earlier run\n")
    path.write_text("bad\n" * 100)
    with pytest.raises(TooManyBadRows, match="no row is left"):
        load_splits(path, max_bad_share=1.0, rejects=rejects)
    assert len(rejects.read_text().splitlines()) == 100
    with pytest.raises(InvalidSetting, match="cannot be written"):
        load_splits(path, rejects=tmp_path / "none" / "rejects.jsonl")


def test_the_share_is_one_of_each_split(tmp_path):
    train = write(tmp_path / "train.jsonl", ROWS * 30)
    with pytest.raises(TooManyBadRows, match="validation data"):
        load_splits(train, with_bad_rows(tmp_path / "v.jsonl"), max_bad_share=0.1)
    with pytest.raises(InvalidSetting, match="from 0 to 1"):
        load_splits(train, max_bad_share=50)


def test_a_folder_brings_its_own_splits(tmp_path):
    write(tmp_path / "train.jsonl", ROWS)
    write(tmp_path / "validation.jsonl", ROWS[:2])
    write(tmp_path / "test.jsonl", ROWS[:1])
    loaded = load_splits(tmp_path)
    assert (len(loaded.train), len(loaded.validation), len(loaded.test)) == (3, 2, 1)
    assert [note.code for note in loaded.notes["test"]] == ["split_found"]
    other = write(tmp_path / "other.jsonl", ROWS * 2)
    assert len(load_splits(tmp_path, other).validation) == 6
    alone = load_splits(tmp_path, options=ReadOptions(split="test"))
    assert (len(alone.train), alone.validation) == (1, None)
    assert len(load_splits(other, tmp_path).validation) == 2


def test_the_only_target_may_have_another_name(tmp_path):
    train = write(tmp_path / "train.jsonl", ROWS)
    table = tmp_path / "test.csv"
    table.write_text("text,intent\none,a\ntwo,c\n")
    loaded = load_splits(train, test=table)
    assert loaded.test.labels_of("label", 0) == ("a",)
    assert loaded.test.truth["label"].unseen == ("c",)
    assert [(note.code, note.detail) for note in loaded.notes["test"]] == [("target_renamed", "intent -> label")]


def test_other_targets_are_an_error_or_a_note(tmp_path):
    train = write(tmp_path / "train.jsonl", [("one", {"t": "a", "u": "x"}), ("two", {"t": "b", "u": "y"})], "labels")
    test = write(tmp_path / "test.jsonl", ROWS)
    with pytest.raises(DataError, match=r"the target.* label, but expected are t, u"):
        load_splits(train, test=test)
    mixed = write(tmp_path / "mixed.jsonl", [("one", {"t": "a", "w": "x"})], "labels")
    (note,) = load_splits(train, test=mixed).notes["test"]
    assert (note.code, note.detail) == ("ignored_target", "w")


def test_data_to_measure_on_is_encoded_with_given_targets(tmp_path):
    write(tmp_path / "train.jsonl", ROWS)
    test = write(tmp_path / "test.jsonl", [("one", "b"), ("two", "new")])
    targets = (Target(name="label", kind=Kind.SINGLE_LABEL, labels=("b", "a")),)
    part = load(test, targets)
    assert list(part.data.truth["label"].codes) == [0, 2]
    assert part.data.targets == targets
    assert [note.code for note in load(tmp_path, targets).notes] == ["split_found"]
    with pytest.raises(DataError, match="the target"):
        load(test, (*targets, targets[0].model_copy(update={"name": "other"}))[1:] * 2)


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(UnreadableFile):
        load_splits(tmp_path / "none.jsonl")
    with pytest.raises(NoRows):
        load_splits([])
    (tmp_path / "blank.jsonl").write_text("\n\n")
    with pytest.raises(NoRows):
        load_splits(tmp_path / "blank.jsonl")
    with pytest.raises(NoRows):
        load(tmp_path / "blank.jsonl", ())


@pytest.mark.parametrize(
    ("name", "content", "inputs"),
    [
        ("in.txt", "one, two\n\nthree\n", [("one, two", 1), ("three", 3)]),
        ("in", "one; two\nthree; four\n", [("one; two", 1), ("three; four", 2)]),
        ("in.jsonl", '{"text": "one"}\n{"text": "two", "id": 3}\n', [("one", 1), ("two", 2)]),
        ("in.csv", "id,text\n1,one\n2,two\n", [("one", 2), ("two", 3)]),
        ("in.csv", "text\none\ntwo\n", [("one", 2), ("two", 3)]),
        ("in.json", '["a"]\n', None),
    ],
)
def test_inputs_without_labels(name, content, inputs, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    rows = list(read_inputs(path))
    if inputs is None:
        assert rows[0].code == "not_an_object"
    else:
        assert [(row.input, row.line) for row in rows] == inputs


def test_memory_does_not_grow_with_rows(tmp_path):
    import tracemalloc

    def peak(rows):
        path = tmp_path / f"{rows}.jsonl"
        with path.open("w") as stream:
            for row in range(rows):
                stream.write(f'{{"text": "text number {row}", "labels": {{"t": "label {row}"}}, "id": {row}}}\n')
        source = open_source(path)
        tracemalloc.start()
        for _ in source:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(1_000), peak(10_000)
    assert large - small < 9_000 * 200  # a label's name a row, remembered up to a limit, but no rows


@pytest.mark.parametrize("place", ["rows.jsonl", "link.jsonl", "folder"])
def test_data_is_never_overwritten_by_its_own_rejects(tmp_path, place):
    folder = tmp_path / "folder"
    folder.mkdir()
    kept = write(folder / "rows.jsonl", ROWS)
    (tmp_path / "link.jsonl").symlink_to(kept)
    before = kept.read_bytes()
    given = {"rows.jsonl": kept, "link.jsonl": tmp_path / "link.jsonl", "folder": str(folder)}[place]
    with pytest.raises(InvalidSetting, match="overwritten"):
        load_splits(given, rejects=kept)
    with pytest.raises(InvalidSetting, match="overwritten"):
        load_splits(write(tmp_path / "other.jsonl", ROWS), test=[given], rejects=kept)
    with pytest.raises(InvalidSetting, match="overwritten"):
        load(given, (), rejects=kept)
    assert kept.read_bytes() == before
    (folder / "notes.txt").touch()
    load_splits(given, rejects=folder / "notes.txt")


def test_rejects_of_a_file_whose_name_is_not_text(tmp_path):
    bad = with_bad_rows(tmp_path / "rows\udcff.jsonl")
    load_splits(bad, max_bad_share=1.0, rejects=tmp_path / "rejects.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert {row["file"] for row in rows} == {str(bad)}


def test_a_target_of_its_own_for_each_row_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tamis.data.dataset.MOST_CELLS", 100)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": "a", "labels": {f"id-{n}": "x"}}) + "\n" for n in range(20)))
    with pytest.raises(DataError, match="11 targets in the first 11 rows"):
        load_splits(path)
