import numpy as np
import pytest

from tamis.data.dataset import build
from tamis.data.declared import Declarations, DeclaredTarget
from tamis.data.loading import load, load_splits
from tamis.data.out_of_scope import set_apart
from tamis.data.truth import OUT_OF_SCOPE, UNKNOWN
from tamis.errors import InvalidSetting, TooManyBadRows
from tamis.schema import Example, Kind, Target


def row(text, **labels):
    listed = frozenset(name for name, value in labels.items() if isinstance(value, list))
    return Example(text, {name: tuple(v) if isinstance(v, list) else (v,) for name, v in labels.items()}, 1, listed)


ROWS = [row("a", t="x", m=["p"]), row("b", t="y"), row("c", t="oos"), row("d", t="oos", m=["p"]), row("e", m=["oos"])]


def test_the_label_is_none_of_the_target_and_its_rows_are_out_of_scope():
    data = load_splits(iter(ROWS), oos_label="oos").train
    target = data.target("t")
    assert (target.labels, target.oos_label) == (("x", "y"), "oos")
    assert data.truth["t"].codes.tolist() == [0, 1, OUT_OF_SCOPE, OUT_OF_SCOPE, UNKNOWN]
    assert data.truth["t"].known.tolist() == [True, True, False, False, False]
    assert data.truth["t"].out_of_scope.tolist() == [False, False, True, True, False]
    assert data.labels_of("t", 2) == ("oos",)
    assert data.target("m").labels == ("oos", "p")  # a multi-label target says that with an empty list


def test_it_may_be_in_the_other_data_alone():
    loaded = load_splits(iter(ROWS[:2]), test=iter(ROWS), oos_label="oos")
    assert loaded.train.target("t").oos_label == "oos"
    assert loaded.test.truth["t"].out_of_scope.sum() == 2
    assert loaded.test.truth["t"].unseen == ()
    part = load(iter(ROWS), loaded.train.targets)
    assert part.data.truth["t"].codes.tolist() == loaded.test.truth["t"].codes.tolist()


def test_a_label_that_no_row_carries_is_refused():
    with pytest.raises(InvalidSetting, match="No row carries the label 'other'"):
        load_splits(iter(ROWS), oos_label="other")
    with pytest.raises(InvalidSetting, match="single-label target"):
        load_splits(iter(ROWS), oos_label="p")


def test_declared_targets_need_not_declare_it():
    targets = [DeclaredTarget("t", ("y", "x"), Kind.SINGLE_LABEL)]
    found = load_splits(iter(ROWS[:4]), declared=Declarations(targets, "oos"), oos_label="oos").train
    assert found.targets[0].labels == ("y", "x")
    with pytest.raises(TooManyBadRows):
        load_splits(iter(ROWS[:4]), declared=Declarations(targets))


def test_rows_are_set_apart_where_nothing_else_is_known_of_them():
    data = load_splits(iter(ROWS), oos_label="oos").train
    kept, outside = set_apart(data)
    assert list(kept.inputs) == ["a", "b", "d", "e"]
    assert list(outside.inputs) == ["c", "d"]


def test_data_without_such_rows_is_what_it_was():
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("x", "y"))
    assert "oos_label" not in target.model_dump()
    assert "oos" in target.model_copy(update={"oos_label": "oos"}).model_dump_json()
    plain = build(ROWS[:2], [target])
    assert set_apart(plain)[0] is plain
    told = build(ROWS[:4], [target.model_copy(update={"oos_label": "oos"})])
    hidden = build([ROWS[0], ROWS[1], row("c"), row("d")], [target])
    assert told.content_hash() != hidden.content_hash()
    assert np.array_equal(told.truth["t"].known, hidden.truth["t"].known)
