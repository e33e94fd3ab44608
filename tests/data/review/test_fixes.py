import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.dataset import build
from tamis.data.review.doubtful import Proposal
from tamis.data.review.edits import RemoveRow
from tamis.data.review.fixes import FIXES, Context, accepted, fixed, log_rows, parse, require_left
from tamis.errors import InvalidSetting, NothingToLearn
from tamis.schema import Example


def single(rows):
    return build(Example(text, {"t": (label,)} if label else {}, line) for line, (text, label) in enumerate(rows, 1))


def multi(rows, beside=None):
    listed = frozenset({"t"})
    return build(
        Example(f"row {n}", {"t": row} | ({"other": (beside,)} if beside else {}), n + 1, listed)
        for n, row in enumerate(rows)
    )


def labels(data, target="t"):
    return [data.labels_of(target, row) for row in range(len(data))]


def after(data, text, context=None):
    return fixed(data, parse(text), context).data


@pytest.mark.parametrize(
    "text",
    [
        *("", " , ", "foo", "dedupe=3", "drop-rare", "cap-none=2", "cap-label=0", "drop-rare=x", "drop-rare=1.5"),
        *("cap-none=nan", "dedupe,dedupe", "drop-rare=2,drop-rare=3"),
    ],
)
def test_what_cannot_be_meant_is_refused(text):
    with pytest.raises(InvalidSetting) as refused:
        parse(text)
    assert str(refused.value)


def test_fixes_are_applied_in_their_own_order():
    assert [str(each) for each in parse("cap-none=0.1, dedupe,labels , drop-rare:t=20")] == [
        "labels", "dedupe", "drop-rare:t=20", "cap-none=0.1",
    ]  # fmt: skip


def test_merged_names_make_conflicts_and_repeats_visible():
    data = single([("a", "Refund"), ("a", "refund"), ("b", "refund"), ("c", "x"), ("c", "y"), ("d", "x")])
    result = fixed(data, parse("dedupe,conflicts,labels"))
    assert result.rows.tolist() == [0, 2, 5]
    assert labels(result.data) == [("refund",), ("refund",), ("x",)]


def test_rare_labels_of_a_single_label_target_take_their_rows_along():
    data = single([(f"a{n}", "a") for n in range(5)] + [("b", "b")])
    assert labels(after(data, "drop-rare=2")) == [("a",)] * 5


def test_rare_labels_of_a_multi_label_target_are_taken_from_their_rows():
    data = multi([("a", "b"), ("a",), ("b",), ("a",), ()])
    assert labels(after(data, "drop-rare=3")) == [("a",), ("a",), ("a",), ()]  # the row of b alone is not "none"


def test_a_row_that_another_target_speaks_of_stays():
    data = multi([("a",), ("a",), ("b",)], beside="x")
    assert labels(after(data, "drop-rare:t=2")) == [("a",), ("a",), None]


def test_a_cap_keeps_as_many_rows_and_always_the_same():
    data = single([(f"a{n}", "a") for n in range(50)] + [(f"b{n}", "b") for n in range(5)])
    capped = after(data, "cap-label=10")
    assert capped.truth["t"].counts().tolist() == [10, 5]
    turned = single([(f"b{n}", "b") for n in range(5)] + [(f"a{n}", "a") for n in reversed(range(50))])
    assert after(turned, "cap-label=10").content_hash() == capped.content_hash()


def test_rows_that_help_a_rare_label_stay_above_the_cap():
    data = multi([("a",)] * 20 + [("a", "b")] * 5)
    assert after(data, "cap-label=6").truth["t"].counts()[1] == 5


def test_none_is_capped_at_a_share_of_what_is_left():
    data = multi([()] * 50 + [("none",)] * 50 + [("a",)] * 90)
    capped = after(data, "cap-none=0.1")
    bare = sum(not set(own or ()) - {"none"} for own in labels(capped))
    assert bare == 10
    assert len(capped) == 100


def test_none_labels_beside_others_go():
    assert labels(after(multi([("none", "a"), ("none",), ("b",)]), "none-labels")) == [("a",), ("none",), ("b",)]


def test_leaks_need_something_to_leak_into():
    data = single([("a", "x"), ("b", "y"), ("c", "x")])
    with pytest.raises(InvalidSetting):
        fixed(data, parse("leaks"))
    test = build([Example("A", {"t": ("x",)}, 7)], data.targets)
    result = fixed(data, parse("leaks"), Context({"test": test}))
    assert result.rows.tolist() == [1, 2]
    assert "line 7" in result.changes[0].why


def test_proposals_are_taken_from_a_score_on():
    data = single([("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")])
    context = Context(proposals={"t": [Proposal(0, ("y",), 0.9), Proposal(1, ("x",), 0.6)]})
    assert labels(after(data, "suspects=0.8", context)) == [("y",), ("y",), ("x",), ("y",)]
    assert labels(after(data, "suspects", context)) == [("y",), ("x",), ("x",), ("y",)]


def test_what_is_there_by_name_must_be_there():
    with pytest.raises(InvalidSetting):
        fixed(single([("a", "x")]), parse("labels:nope"))
    with pytest.raises(InvalidSetting):
        fixed(multi([("a",), ("b",)], beside="x"), parse("cap-label=1"))


def test_every_row_that_changes_leaves_a_line():
    data = single([("aa", "x"), ("aa", "x"), ("???", "y"), ("bb", "Y"), ("cc", "y"), ("me@mail.example.org", "x")])
    result = fixed(data, parse("labels,dedupe,empty,personal"))
    lines = list(log_rows(data, result.changes))
    assert {line["kind"] for line in lines} == {"rename_label", "remove_row", "mask_text"}
    assert next(line for line in lines if line["kind"] == "rename_label")["lines"] == [4]
    assert {line["line"] for line in lines if line["kind"] == "remove_row"} == {2, 3}
    assert set(result.altered()) == {3, 5}
    assert result.altered()[5].input == "[email]"


def test_accepted_edits_are_applied_and_logged_by_finding():
    data = single([("a", "x"), ("b", "y"), ("c", "x")])
    result = accepted(data, [("duplicates", RemoveRow(row=1)), ("leaks", RemoveRow(row=1))])
    assert result.rows.tolist() == [0, 2]
    assert [change.fix for change in result.changes] == ["duplicates", "leaks"]


def test_nothing_learnable_left_is_refused():
    data = single([("a", "x"), ("b", "x"), ("c", "y")])
    result = fixed(data, parse("drop-rare=2"))
    with pytest.raises(NothingToLearn):
        require_left(data, result.data)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abcdeé? "), st.sampled_from(["x", "X", "y", "none", ""])), min_size=1, max_size=30
    ),
    names=st.lists(
        st.sampled_from([name for name in FIXES if name not in ("leaks", "suspects")]), min_size=1, unique=True
    ),
)
def test_any_fixes_leave_rows_of_the_data_and_say_so(rows, names):
    data = single(rows)
    if not data.targets:
        return
    numbers = {"drop-rare": "=2", "cap-label": "=2", "cap-none": "=0.2"}
    result = fixed(data, parse(",".join(name + numbers.get(name, "") for name in names)))
    removed = {change.edit.row for change in result.changes if isinstance(change.edit, RemoveRow)}
    assert removed == set(range(len(data))) - set(result.rows.tolist())
    for row, former in enumerate(result.rows.tolist()):
        if former not in result.altered():
            assert result.data.inputs[row] == data.inputs[former]
            assert result.data.labels_of("t", row) == data.labels_of("t", former)
