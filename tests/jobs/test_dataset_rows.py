"""What rows a dataset takes, what it says of the others, and that no label is ever left out."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tamis.data.formats import ReadOptions
from tamis.errors import DataError, LimitExceeded, MissingColumn
from tamis.jobs.dataset_rows import Counted, Reading, judge, read_rows

OPTIONS = ReadOptions(text_column="text", label_columns=("label",))


def reading(several: bool = False, skip: bool = False, max_labels: int = 100) -> Reading:
    return Reading(several, skip, OPTIONS, max_labels)


def look(tmp_path: Path, rows: list[Any], how: Reading | None = None, name: str = "train.jsonl") -> Counted:
    path = tmp_path / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    counted = Counted(name)
    list(read_rows(path, name, how or reading(), counted))
    return counted


def good(n: int = 40, labels: str = "ab") -> list[Any]:
    return [{"text": f"text {at}", "label": labels[at % len(labels)]} for at in range(n)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"text": "x"}, "The row has no 'label'. Give the row \"label\"."),
        ({"text": "x", "label": None}, 'The row has no label. Give the row "label".'),
        ({"label": "a"}, 'Give the row "text": "..."'),
        ({"text": " ", "label": "a"}, "The text is empty"),
        ({"text": 5, "label": "a"}, "Write the text as a string"),
        ({"text": "x", "label": ["a"]}, "The label is a list. Write a string, or choose the dataset's other type."),
        ({"text": "x", "label": {"a": "b"}}, "'a'. Give it \"label\" instead"),
        ({"text": "x", "label": ""}, 'The row has no label. Give the row "label".'),
        ({"messages": [{"role": "user", "content": "x"}], "label": "a"}, 'Give the row "text": "..."'),
        ({"text": [{"role": "user", "content": "x"}], "label": "a"}, "The text is a chat. Write it as a string."),
        ("{", "Not JSON"),
        ('{"text": "\\ud800", "label": "a"}', "train.jsonl:41"),
    ],
)
def test_a_bad_row_is_told_with_place_and_cure(tmp_path: Path, row: Any, says: str) -> None:
    counted = look(tmp_path, [*good(), row])
    assert (counted.rows, counted.bad) == (40, 1)
    assert counted.first_bad[0].startswith("train.jsonl:41: ")
    assert says in counted.first_bad[0]
    error, _ = judge(counted, None, reading())
    assert error is not None
    assert error.startswith("1 of 41 rows are malformed: train.jsonl:41: ")
    assert "skip_malformed_input=True" in error
    error, warnings = judge(counted, None, reading(skip=True))
    assert error is None
    assert warnings == ["1 malformed row of train.jsonl was left out.", counted.first_bad[0]]


def test_a_list_is_wanted_where_rows_have_several(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": ["a", "b"][: n % 3]} for n in range(45)]
    counted = look(tmp_path, [*rows, {"text": "x", "label": "a"}], reading(several=True))
    assert (counted.rows, counted.labels["a"].rows, counted.labels["b"].rows) == (45, 30, 15)
    assert "The label is a string. Write a list of strings, empty for none" in counted.first_bad[0]


def test_rare_labels_stay_and_are_named(tmp_path: Path) -> None:
    same = [{"text": "the same", "label": "copied"}] * 9
    counted = look(tmp_path, [*good(), *same, {"text": "x", "label": "rare"}])
    error, warnings = judge(counted, None, reading())
    assert error is None
    assert counted.labels.keys() == {"a", "b", "copied", "rare"}
    assert len(warnings) == 1
    assert warnings[0].startswith(
        "2 labels have fewer than 5 different examples: 'copied' (1 in 9 rows), 'rare' (1 in 1 row). They are kept"
    )


@pytest.mark.parametrize(
    ("rows", "several", "says"),
    [
        (good(39), False, "train.jsonl has 39 valid examples: at least 40 are needed."),
        (good(40, "a"), False, "train.jsonl has 1 label ('a'): at least 2 are needed."),
        (
            [{"text": str(n), "label": ["all", "ab"[n % 2]]} for n in range(40)],
            True,
            "The label 'all' is on every example",
        ),
        ([{"text": str(n), "label": []} for n in range(40)], True, "has 0 labels (none)"),
    ],
)
def test_too_little_to_learn(tmp_path: Path, rows: list[Any], several: bool, says: str) -> None:
    how = reading(several)
    error, _ = judge(look(tmp_path, rows, how), None, how)
    assert error is not None
    assert says in error


def test_evaluation_rows(tmp_path: Path) -> None:
    train = look(tmp_path, good())
    held = look(tmp_path, [*good(10), {"text": "x", "label": "new"}], name="eval.jsonl")
    error, warnings = judge(train, held, reading())
    assert error is None
    assert any("eval.jsonl has 11 rows" in warning for warning in warnings)
    assert any("training data does not have: new" in warning for warning in warnings)
    held = look(tmp_path, [*good(), {"text": "x"}], name="eval.jsonl")
    error, _ = judge(train, held, reading())
    assert error is not None
    assert "eval.jsonl:41" in error


def test_many_bad_rows_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    counted = look(tmp_path, [*good(), *[{"text": "x"}] * 30])
    error, _ = judge(counted, None, reading())
    assert error is not None
    assert "30 of 70 rows" in error
    assert "(and 27 more)" in error
    _, warnings = judge(counted, None, reading(skip=True))
    assert (len(warnings), warnings[-1]) == (22, "... and 10 more.")


def test_a_table_without_the_columns(tmp_path: Path) -> None:
    with pytest.raises(MissingColumn, match=r"a\.csv has no columns `text` and `label`"):
        look(tmp_path, ["body,intent", "x,y"], name="a.csv")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        look(tmp_path, ["PK\x03\x04"], name="a.csv")
    (tmp_path / "b.jsonl").write_bytes(gzip.compress(json.dumps(good()[0]).encode()))
    with pytest.raises(DataError, match=r"b\.jsonl is packed with gzip: send plain JSON lines or CSV"):
        list(read_rows(tmp_path / "b.jsonl", "b.jsonl", reading(), Counted("b.jsonl")))
    with pytest.raises(DataError, match=r"c\.jsonl is of the format json"):
        look(tmp_path, [json.dumps(good())], name="c.jsonl")


def test_too_many_labels(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match=r"train\.jsonl has more than 2 labels"):
        look(tmp_path, good(40, "abc"), reading(max_labels=2))
