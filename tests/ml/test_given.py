import enum
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, DatasetDict, Features, List, Value
from datasets import Dataset as HubDataset

from tamis.data.formats import ReadOptions, open_source
from tamis.data.loading import load, load_splits
from tamis.errors import DataError, InvalidSetting, MissingColumn, NoRows, TooManyBadRows, UnreadableFile
from tamis.ml.given import column_values, given_splits, given_to_measure, labelled, open_given, plain
from tamis.ml.training import train
from tamis.schema import Example, Kind, Message

TEXTS, LABELS = ["one", "two", "three"], ["a", "b", "a"]
CHAT = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "There."}]
EXPECTED = [("one", ("a",)), ("two", ("b",)), ("three", ("a",))]


class Colour(str, enum.Enum):  # noqa: UP042  str() of a StrEnum would be no trap
    RED = "red"


def features(**columns):
    return Features({"text": Value("string"), **columns})


def read(data, **options):
    """Return (input, labels by target) of each row, and the source."""
    source = open_given(data, ReadOptions(**options), "train")
    return [(row.input, dict(row.labels)) for row in source if isinstance(row, Example)], source


def bad(data, **options):
    """Return the rejected rows."""
    return [row for row in open_given(data, ReadOptions(**options), "train") if not isinstance(row, Example)]


@pytest.mark.parametrize(
    "data",
    [
        (TEXTS, LABELS),
        (np.array(TEXTS), np.array(LABELS)),
        (pd.Series(TEXTS, index=[7, 8, 9]), pd.Series(LABELS, dtype="category")),
        (pd.DataFrame({"q": TEXTS}), tuple(LABELS)),
        list(zip(TEXTS, LABELS, strict=True)),
        [[text, label] for text, label in zip(TEXTS, LABELS, strict=True)],
        np.array([TEXTS, LABELS]).T,
        (row for row in zip(TEXTS, LABELS, strict=True)),
        [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)],
        [{"text": text, "labels": {"label": label}} for text, label in zip(TEXTS, LABELS, strict=True)],
        ({"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)),
        [{"body": text, "label": label, "id": text} for text, label in zip(TEXTS, LABELS, strict=True)],
        {"text": TEXTS, "label": LABELS},
        {"text": np.array(TEXTS), "label": pd.Series(LABELS)},
        pd.DataFrame({"text": TEXTS, "label": LABELS, "detected": [1, 2, 3]}, index=[5, 6, 7]),
        HubDataset.from_dict({"text": TEXTS, "label": LABELS}),
        HubDataset.from_dict({"text": TEXTS, "label": [1, 2, 1]}, features(label=ClassLabel(names=["x", "a", "b"]))),
        HubDataset.from_dict({"text": TEXTS, "label": LABELS}).with_format("numpy"),
        HubDataset.from_dict({"text": TEXTS, "label": LABELS}).to_iterable_dataset(),
        (HubDataset.from_dict({"text": TEXTS})["text"], LABELS),
        (TEXTS, {"label": LABELS}),
        (TEXTS, pd.DataFrame({"label": LABELS})),
    ],
    ids=range(22),
)
def test_the_same_rows_in_every_shape(data):
    rows, source = read(data)
    assert rows == [(text, {"label": labels}) for text, labels in EXPECTED]
    assert source.name == "train"
    assert all(type(text) is str and type(labels["label"][0]) is str for text, labels in rows)
    assert [row.line for row in source] == [1, 2, 3]  # read anew by each iteration


def test_paths_sources_and_examples_are_left_alone(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one", "label": "a"}\n')
    source = open_source(path)
    for same in (path, str(path), source):
        assert open_given(same, ReadOptions(), "train") is same
    assert list(open_given([str(path), path], ReadOptions(), "train")) == [str(path), path]
    assert list(open_given((path, path), ReadOptions(), "train")) == [path, path]
    examples = [Example("one", {"t": ("a",)}), Example("two", {"t": ("b",)})]
    assert list(open_given(iter(examples), ReadOptions(), "train")) == examples
    assert list(open_given(tuple(examples), ReadOptions(), "train")) == examples


def test_lists_are_several_labels_and_none_is_unknown():
    rows, source = read((TEXTS, [["x", "y"], [], None]))
    assert [labels for _, labels in rows] == [{"label": ("x", "y")}, {"label": ()}, {}]
    assert [(note.code, note.count, note.line) for note in source.notes] == [("unknown_label", 1, 3)]
    assert {tuple(row.listed) for row in list(source)[:2]} == {("label",)}
    rows, _ = read((TEXTS, [{"y", "x"}, ("x",), np.array(["y"])]))
    assert [labels["label"] for _, labels in rows] == [("x", "y"), ("x",), ("y",)]


def test_several_targets():
    given = (TEXTS, {"intent": LABELS, "topics": [["x"], [], ["x", "y"]], "flag": [0, 1, None]})
    rows, _ = read(given)
    assert rows[1] == ("two", {"intent": ("b",), "topics": (), "flag": ("1",)})
    assert rows[2] == ("three", {"intent": ("a",), "topics": ("x", "y")})
    assert read(given, label_columns=("topics",))[0][0] == ("one", {"topics": ("x",)})
    assert read([("one", {"intent": "a", "topics": ["x"]})])[0] == [("one", {"intent": ("a",), "topics": ("x",)})]


def test_a_target_may_be_called_like_the_column_of_texts():
    assert read((["one"], {"text": ["a"]}))[0] == [("one", {"text": ("a",)})]
    assert read((["one"], {"text": ["a"], "input": ["b"]}))[0] == [("one", {"text": ("a",), "input": ("b",)})]


def test_chats_in_every_shape():
    chat = tuple(Message(**message) for message in CHAT)
    for data in ([(CHAT, "a")], ([CHAT], ["a"]), [(chat, "a")], [{"messages": CHAT, "label": "a"}]):
        assert read(data)[0] == [(chat, {"label": ("a",)})]
    assert read(pd.DataFrame({"messages": [CHAT], "label": ["a"]}))[0] == [(chat, {"label": ("a",)})]
    kind = List({"role": Value("string"), "content": Value("string")})
    table = HubDataset.from_dict(
        {"messages": [CHAT], "label": ["a"]}, Features({"messages": kind, "label": Value("string")})
    )
    assert read(table)[0] == [(chat, {"label": ("a",)})]


def test_columns_are_told_or_named():
    frame = pd.DataFrame({"id": [1, 2, 3], "what": TEXTS, "kind": LABELS, 5: ["x", "y", "x"]})
    options = {"text_column": "what", "label_columns": ("kind", "5")}
    rows, source = read(frame, **options)
    assert rows[0] == ("one", {"kind": ("a",), "5": ("x",)})
    assert source.detected.unread == ("id",)
    assert source.detected.format == "DataFrame"
    with pytest.raises(MissingColumn, match="no column 'nothing'"):
        read(frame, label_columns=("nothing",))
    with pytest.raises(MissingColumn, match="train: no column looks like the text"):
        read(pd.DataFrame({"a": [1, 2], "b": [3, 4]}))


def test_flags_in_frames_are_one_target_and_in_dictionaries_are_not():
    flags = pd.DataFrame({"p": [1, 0, 1], "q": [True, False, False]})
    for data in (flags.assign(text=TEXTS), (TEXTS, flags)):
        rows, source = read(data)
        assert [labels["labels"] for _, labels in rows] == [("p", "q"), (), ("p",)]
        assert source.detected.style == "flags"
    assert read((TEXTS, {"x": [1, 0, 1], "y": [0, 0, 1]}))[0][0] == ("one", {"x": ("1",), "y": ("0",)})


def test_missing_cells_are_unknown():
    frame = pd.DataFrame({"text": ["one", "two", "three", "four"], "label": ["a", np.nan, None, pd.NA]})
    assert [labels for _, labels in read(frame)[0]] == [{"label": ("a",)}, {}, {}, {}]
    assert [labels for _, labels in read(frame, empty_means_none=True)[0]][1:] == [{"label": ()}] * 3
    numbers = pd.DataFrame({"text": TEXTS, "label": [3.0, np.nan, 1.0]})
    assert [labels for _, labels in read(numbers)[0]] == [{"label": ("3",)}, {}, {"label": ("1",)}]


def test_class_numbers_of_lists_get_their_names():
    kind = features(tags=List(ClassLabel(names=["p", "q"])))
    table = HubDataset.from_dict({"text": TEXTS, "tags": [[0], [], [1, 0]]}, kind)
    for data in (table, table.to_iterable_dataset()):
        assert [labels["tags"] for _, labels in read(data)[0]] == [("p",), (), ("q", "p")]


def test_long_tables_are_read_in_pieces():
    many = 2_345
    frame = pd.DataFrame({"text": [f"row {n}" for n in range(many)], "label": ["a", "b", "c", "d", "e"] * (many // 5)})
    for data in (frame, HubDataset.from_pandas(frame)):
        rows, _ = read(data)
        assert [text for text, _ in rows] == list(frame["text"])
        assert [labels["label"][0] for _, labels in rows] == list(frame["label"])


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (("", "a"), "empty_text"),
        ((" \n", "a"), "empty_text"),
        (("a\x00b", "a"), "control_character"),
        (("a\ud800", "a"), "lone_surrogate"),
        ((None, "a"), "no_text"),
        ((float("nan"), "a"), "no_text"),
        ((b"bytes", "a"), "text_not_text"),
        ((3, "a"), "text_not_text"),
        (("text", 1.5), "bad_label"),
        (("text", [None]), "bad_label"),
        (("text", ""), "empty_label"),
        (("text", "x" * 300), "label_too_long"),
        (("text", {}), "no_labels"),
        (("text", "a", "b"), "not_an_object"),
        ("text", "not_an_object"),
        (None, "not_an_object"),
        ({"text": "text"}, "no_labels"),
        ([[{"role": "king", "content": "x"}], "a"], "unknown_role"),
        (("x" * 31, "a"), "line_too_long"),
    ],
)
def test_bad_rows_are_those_of_files_and_told_by_index(row, code):
    (found,) = bad([("good", "a"), row], max_line_bytes=30)
    assert (found.code, found.line) == (code, 2)
    assert str(found).startswith("train[1]: ")
    json.dumps(found.to_json())


def test_bombs_and_circles_are_bad_rows():
    circle: list = []
    circle.append(circle)
    knot: dict = {"text": "x"}
    knot["labels"] = knot
    deep: object = "x"
    for _ in range(2_000):
        deep = [deep]
    for value in (circle, knot, deep):
        (found,) = bad([("good", "a"), {"text": "x", "labels": {"t": value}}])
        assert found.code == "too_deep"
    assert bad({"text": ["good", "bad"], "label": ["a", deep]})[0].code == "too_deep"


def test_too_many_bad_rows_name_their_indices():
    given = (["one", "", "three"], ["a", "b", "b"])
    with pytest.raises(TooManyBadRows, match=r"train\[1\]: The text is empty or only space\. Write a text"):
        load_splits(*given_splits(given))
    loaded = load_splits(*given_splits(given), max_bad_share=0.5)
    assert (len(loaded.train), loaded.rejected) == (2, 1)


def test_splits_of_a_dictionary_of_datasets():
    def part(size):
        return HubDataset.from_dict({"text": TEXTS * size, "label": LABELS * size})

    for kind in (DatasetDict, dict):
        data = kind({"train": part(3), "dev": part(2), "test": part(1)})
        loaded = load_splits(*given_splits(data))
        assert [len(split) for split in (loaded.train, loaded.validation, loaded.test)] == [9, 6, 3]
        assert [tally.file for tally in loaded.tallies] == ["train['train']", "validation['dev']", "test['test']"]
        other = load_splits(*given_splits(data, test=(TEXTS * 5, LABELS * 5)))
        assert len(other.test) == 15
        chosen = load_splits(*given_splits(data, options=ReadOptions(split="test")))
        assert (len(chosen.train), chosen.validation) == (3, None)
        assert len(load_splits(*given_splits(part(1), data)).validation) == 6
        assert len(load(given_to_measure(data), loaded.train.targets).data) == 3
        assert len(load(given_to_measure(data, ReadOptions(split="dev")), loaded.train.targets).data) == 6
    with pytest.raises(InvalidSetting, match="train has no training split; it has one, two"):
        given_splits(DatasetDict({"one": part(1), "two": part(1)}))
    alone = given_to_measure(DatasetDict({"train": part(1)}))
    assert alone.name == "data['train']"


def test_kinds_come_from_all_splits():
    loaded = load_splits(*given_splits((TEXTS, LABELS), (TEXTS, [["a"], ["b"], ["a", "c"]])))
    assert loaded.train.targets[0].kind is Kind.MULTI_LABEL
    assert loaded.validation.truth["label"].unseen == ("c",)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (3, InvalidSetting, "train is of type int: give a path, a list of rows"),
        (b"x", InvalidSetting, "of type bytes"),
        ({}, InvalidSetting, "empty dictionary"),
        ({"text": "one", "label": ["a"]}, InvalidSetting, r"train\['text'\] is of type str"),
        ({"text": ["one"], "label": ["a", "b"]}, DataError, "different lengths: 1 text, 2 label"),
        ((TEXTS, ["a"]), DataError, "3 texts, 1 labels"),
        ((TEXTS, "abc"), InvalidSetting, r"train\[1\] is of type str"),
        ((TEXTS, np.eye(3)), InvalidSetting, "2 dimensions"),
        ((pd.DataFrame({"a": TEXTS, "b": TEXTS}), LABELS), InvalidSetting, "DataFrame of 2 columns"),
        (TEXTS, UnreadableFile, r"Give texts with their labels as one tuple: \(texts, labels\)"),
        (pd.Series(["x" * 5_000]), UnreadableFile, "no file 'x{80}[.]{3}'"),
    ],
)
def test_what_is_no_data_is_refused_with_a_cure(data, error, message):
    with pytest.raises(error, match=message):
        given_splits(data)


def test_nothing_is_no_rows():
    for data in ([], (), ([], []), pd.DataFrame({"text": [], "label": []}), iter(())):
        with pytest.raises(NoRows):
            load_splits(*given_splits(data))


def test_two_columns_in_a_list_are_told_to_be_pairs():
    (first, _) = bad([TEXTS, LABELS])
    assert str(first).startswith("train[0]: The row is a list of 3 values, not a pair of text and label")


def test_plain_values():
    assert plain(np.int64(3), 1) == 3
    assert type(plain(np.str_("x"), 1)) is str
    assert (plain(Colour.RED, 1), type(plain(Colour.RED, 1))) == ("red", str)
    assert plain(np.bool_(True), 1) is True
    assert plain(np.float32(0.5), 1) == 0.5
    assert [plain(value, 1) for value in (float("nan"), np.float64("nan"), pd.NA, pd.NaT, None)] == [None] * 5
    assert plain({1: ("a", {"b"})}, 3) == {"1": ["a", ["b"]]}
    assert plain(pd.Series([1, 2]), 2) == [1, 2]


def test_columns_of_values():
    assert column_values((value for value in TEXTS), "X") == TEXTS
    assert column_values(pd.Index(TEXTS), "X") == TEXTS
    with pytest.raises(InvalidSetting, match="X is of type float"):
        column_values(1.5, "X")
    with pytest.raises(InvalidSetting, match="X is of type dict"):
        column_values({"a": 1}, "X")
    assert labelled(TEXTS, LABELS, ReadOptions(), "X").name == "X"


def test_a_target_that_no_row_of_a_fold_knows_is_learnt_from_the_others():
    texts = ["one parcel", "two refunds", "three parcels", "four refunds"] * 5  # four texts: a fold each
    given = (texts, {"topic": ["a", "b"] * 10, "tone": ["x", None, "y", "y"] * 5})
    model = train(given, epochs=1)
    assert [target.name for target in model.targets] == ["topic", "tone"]
    assert all({"topic.accuracy", "tone.accuracy"} <= row.keys() for row in model.manifest.checkpoints)
    report = model.evaluate((["one parcel"], {"tone": ["x"]}))
    assert {name: figures.n for name, figures in report.targets.items()} == {"topic": 0, "tone": 1}


def test_no_library_is_imported_for_lists():
    code = (
        "import sys\nfrom tamis.ml.given import given_splits\n"
        "list(given_splits((['one'], ['a']))[0]); list(given_splits([{'text': 'one', 'label': 'a'}])[0])\n"
        "print([name for name in ('pandas', 'datasets', 'pyarrow', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
