import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import MultiLabelBinarizer

from tamis.errors import DataError, InvalidSetting
from tamis.ml.label_forms import Form, read_labels

LISTS = [["a"], ["b", "c"], []]
TABLE = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]])


def round_trip(y, multi_label=None):
    """Return what predictions would be that are right everywhere."""
    form, rows = read_labels(y, multi_label)
    place = {name: at for at, name in enumerate(form.names)}
    positive = np.zeros((len(rows), len(form.names)), dtype=bool)
    for number, row in enumerate(rows):
        for name in row if form.is_multi else [row]:
            positive[number, place[name]] = True
    return form.given(positive)


@pytest.mark.parametrize(
    ("y", "classes", "kind"),
    [
        ([3, 1, 3, 20], [1, 3, 20], "i"),
        (np.array([3, 1, 3], dtype=np.uint8), [1, 3], "u"),
        (np.array([2.0, 1.0]), [1.0, 2.0], "f"),
        ([True, False], [False, True], "b"),
        (["b", "a"], ["a", "b"], "O"),
        (np.array(["b", "a"]), ["a", "b"], "U"),
        (pd.Series(["b", "a"]), ["a", "b"], "O"),
        (pd.Series([5, 4], index=[1, 0]), [4, 5], "i"),
        (pd.Series([5, 4], dtype=object), [4, 5], "i"),
        (pd.Series(["b", "a"], dtype="category"), ["a", "b"], "O"),
        (pd.DataFrame({"y": ["b", "a"]}), ["a", "b"], "O"),
    ],
)
def test_one_label_a_row_keeps_its_type(y, classes, kind):
    form, names = read_labels(y)
    assert (form.form, form.classes.tolist(), form.classes.dtype.kind) == (Form.SINGLE, classes, kind)
    values = y["y"] if isinstance(y, pd.DataFrame) else y
    assert names == [str(value) for value in values]
    assert round_trip(y).tolist() == list(values)


def test_names_are_in_the_order_of_the_classes():
    form, _ = read_labels([10, 9, 2])
    assert form.names == ("2", "9", "10")
    assert form.given(np.eye(3, dtype=bool)).tolist() == [2, 9, 10]


@pytest.mark.parametrize(
    "y",
    [LISTS, tuple(LISTS), [("a",), {"b", "c"}, np.array([])], pd.Series(LISTS), np.array([*LISTS, None], object)[:3]],
    ids=["lists", "tuple", "several kinds", "Series", "object array"],
)
def test_lists_of_labels(y):
    form, rows = read_labels(y)
    assert (form.form, form.classes.tolist(), rows) == (Form.LISTS, ["a", "b", "c"], LISTS)
    assert round_trip(y) == LISTS


def test_lists_of_numbers_stay_numbers():
    y = [[10, 9], [2], []]
    form, rows = read_labels(y)
    assert (form.classes.tolist(), rows[0]) == ([2, 9, 10], ["10", "9"])
    assert round_trip(y) == [[9, 10], [2], []]
    assert all(type(label) is int for row in round_trip(y) for label in row)


@pytest.mark.parametrize(
    "y",
    [TABLE, TABLE.astype(bool), TABLE.astype(float), TABLE.tolist(), [np.array(row) for row in TABLE]],
    ids=["int", "bool", "float", "nested", "list of arrays"],
)
def test_tables_of_flags(y):
    form, rows = read_labels(y)
    assert (form.form, form.classes.tolist(), rows) == (Form.TABLE, [0, 1, 2], [["0"], ["1", "2"], []])
    assert np.array_equal(round_trip(y), TABLE)
    assert round_trip(y).dtype == np.int64


def test_columns_of_a_frame_are_the_classes():
    form, rows = read_labels(pd.DataFrame(TABLE, columns=["x", "y", "z"]))
    assert (form.classes.tolist(), rows[1]) == (["x", "y", "z"], ["y", "z"])
    assert np.array_equal(round_trip(pd.DataFrame(TABLE)), TABLE)


def test_sparse_tables_stay_sparse():
    for y in (csr_matrix(TABLE), csr_array(TABLE), MultiLabelBinarizer(sparse_output=True).fit_transform(LISTS)):
        form, rows = read_labels(y)
        assert (form.form, rows) == (Form.SPARSE, [["0"], ["1", "2"], []])
        assert issparse(round_trip(y))
        assert np.array_equal(round_trip(y).toarray(), TABLE)


def test_the_form_can_be_declared():
    assert read_labels(["a", "b"], multi_label=True)[1] == [["a"], ["b"]]
    assert read_labels(np.array([[1], [0]]), multi_label=True)[0].form is Form.TABLE
    assert read_labels([[0], [1]])[0].form is Form.LISTS
    for y in (LISTS, pd.Series(LISTS)):
        with pytest.raises(InvalidSetting, match=r"y\[0\] is a list of labels, where each row has one label"):
            read_labels(y, multi_label=False)
    for y in (TABLE, csr_matrix(TABLE)):
        with pytest.raises(InvalidSetting, match=r"1d array, got an array of shape \(3, 3\)"):
            read_labels(y, multi_label=False)


def test_one_column_is_taken_with_the_usual_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        form, names = read_labels(np.array([["a"], ["b"]]))
    assert (form.form, names) == (Form.SINGLE, ["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_labels(pd.DataFrame({"y": [1, 2]}))[1] == ["1", "2"]


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, InvalidSetting, "requires y to be passed, but the target y is None"),
        (["a", None], DataError, r"y\[1\] is None: the label of this row is unknown"),
        (pd.Series(["a", pd.NA]), DataError, r"y\[1\] is (<NA>|nan|NaN)"),
        ([1.0, float("nan")], DataError, "contains NaN"),
        ([["a"], None], DataError, r"y\[1\] is None"),
        ([0.5, 1.7], ValueError, "Unknown label type"),
        (["a", 1], InvalidSetting, "mixes strings and numbers"),
        ([["a", 1]], InvalidSetting, "mixes strings and numbers"),
        ([["a", None]], InvalidSetting, "None as a label"),
        ([[["a"]]], InvalidSetting, r"\['a'\] as a label"),
        (["a", " a"], DataError, "same name 'a'"),
        (["a", " "], DataError, "no visible name"),
        (np.array([[1, 2], [0, 1]]), InvalidSetting, "other values than 0 and 1"),
        (np.array([["a", "b"], ["c", "d"]]), InvalidSetting, "other values than 0 and 1"),
        (csr_matrix(np.array([[1.0, 0.5]])), InvalidSetting, "other values than 0 and 1"),
        (np.zeros((2, 2, 2)), InvalidSetting, "got an array of shape"),
        ("abc", InvalidSetting, "y is of type str"),
        (3, InvalidSetting, "y is of type int"),
    ],
)
def test_what_is_no_y_is_refused(y, error, message):
    with pytest.raises(error, match=message):
        read_labels(y)
