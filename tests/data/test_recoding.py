"""The same rows in the codes of other targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.dataset import Dataset, build
from tamis.data.recoding import only, recoded
from tamis.schema import Example, Kind, Target


def target(kind: Kind, *labels: str, oos: str | None = None) -> Target:
    return Target(name="t", kind=kind, labels=labels, oos_label=oos)


def labels_of(data: Dataset) -> list[tuple[str, ...] | None]:
    return [data.labels_of("t", row) for row in range(len(data))]


LABELS = st.sampled_from(["a", "b", "c", "d", "oos"])


@given(
    st.lists(st.one_of(st.none(), st.lists(LABELS, max_size=1)), min_size=1, max_size=8),
    st.lists(LABELS, min_size=1, unique=True),
    st.lists(LABELS, min_size=1, unique=True),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_recoding_is_what_building_would_have_been(
    said: list[list[str] | None], old: list[str], new: list[str], multi: bool
) -> None:
    kind = Kind.MULTI_LABEL if multi else Kind.SINGLE_LABEL
    examples = [
        Example(str(row), {} if labels is None or (not multi and not labels) else {"t": tuple(labels)}, row)
        for row, labels in enumerate(said)
    ]
    before, wanted = build(examples, [target(kind, *old)]), build(examples, [target(kind, *new)])
    found = recoded(before, [target(kind, *new)])
    assert labels_of(found) == labels_of(wanted)
    assert found.truth["t"].unseen == wanted.truth["t"].unseen
    assert found.content_hash() == wanted.content_hash()


def test_rows_out_of_scope_stay_so_or_become_unseen() -> None:
    examples = [Example("1", {"t": ("a",)}), Example("2", {"t": ("oos",)}), Example("3", {})]
    inside = build(examples, [target(Kind.SINGLE_LABEL, "a", "b", oos="oos")])
    same = recoded(inside, [target(Kind.SINGLE_LABEL, "b", "a", oos="oos")])
    assert same.truth["t"].codes.tolist() == [1, -2, -1]  # type: ignore[union-attr]
    unseen = recoded(inside, [target(Kind.SINGLE_LABEL, "a", "b")])
    assert labels_of(unseen) == [("a",), ("oos",), None]
    assert unseen.truth["t"].unseen == ("oos",)
    back = recoded(unseen, [target(Kind.SINGLE_LABEL, "a", "b", oos="oos")])
    assert labels_of(back) == labels_of(inside)
    label = recoded(inside, [target(Kind.SINGLE_LABEL, "oos", "a")])
    assert label.truth["t"].codes.tolist() == [1, 0, -1]  # type: ignore[union-attr]


def test_nothing_is_copied_where_nothing_changes() -> None:
    data = build([Example("1", {"t": ("a",)}), Example("2", {"t": ("b",)})])
    assert recoded(data, data.targets).truth["t"] is data.truth["t"]


def test_some_targets_only() -> None:
    data = build([Example("1", {"t": ("a",), "u": ("x",)}), Example("2", {"t": ("b",), "u": ("y",)})])
    assert [each.name for each in only(data, ["u"]).targets] == ["u"]
    assert np.array_equal(only(data, ["u"]).keys, data.keys)
    with pytest.raises(KeyError):
        only(data, ["nothing"])
