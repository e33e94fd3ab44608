"""The language of conditions: what it reads, and where it says that reading stopped."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.errors import InvalidSetting
from tamis.evaluation.conditions import FIGURES, LONGEST, MOST, Bound, Op, parse, parse_all


def only(text):
    (condition,) = parse(text)
    return condition


@pytest.mark.parametrize(
    ("text", "figure", "target", "label", "op", "times", "plus"),
    [
        ("accuracy >= current - 0.5pp", "accuracy", None, None, ">=", 1, -0.005),
        ("accuracy>=current-0.5pp", "accuracy", None, None, ">=", 1, -0.005),
        ("macro_f1 > current", "macro_f1", None, None, ">", 1, 0),
        ("accuracy >= current * 0.99", "accuracy", None, None, ">=", 0.99, 0),
        ("accuracy ≥ current * 99% + 1 pp", "accuracy", None, None, ">=", 0.99, 0.01),
        ("recall of toxicity/insult >= 0.9", "recall", "toxicity", "insult", ">=", 0, 0.9),
        ("f1 of a-b.c/d,e>=90%", "f1", "a-b.c", "d,e", ">=", 0, 0.9),
        ('precision of "my target"/"a/b \\" >= c" >= .5', "precision", "my target", 'a/b " >= c', ">=", 0, 0.5),
        ('f1 of "and"/"surely" >= .5', "f1", "and", "surely", ">=", 0, 0.5),
        ("micro_f1 of topics >= 1", "micro_f1", "topics", None, ">=", 0, 1),
        ("log_loss <= current + 0.05", "log_loss", None, None, "<=", 1, 0.05),
        ("log_loss < 2.5", "log_loss", None, None, "<", 0, 2.5),
        ("p50_ms ≤ 2 ms", "p50_ms", None, None, "<=", 0, 2),
        ("p50_ms <= current * 1.1 + 0.2ms", "p50_ms", None, None, "<=", 1.1, 0.2),
        ("ece <= current + 1pp", "ece", None, None, "<=", 1, 0.01),
    ],
)
def test_conditions_are_read(text, figure, target, label, op, times, plus):
    found = only(text)
    assert (found.figure, found.target, found.label, found.op) == (figure, target, label, op)
    assert (found.bound.times, found.bound.plus) == pytest.approx((times, plus))
    assert found.bound.needs_current == (times != 0)
    assert (found.text, found.surely) == (text, False)


def test_several_and_surely():
    found = parse("  accuracy >= current surely and ece <= 0.1 and\tf1 of a/b > 0 surely ")
    assert [each.text for each in found] == ["accuracy >= current surely", "ece <= 0.1", "f1 of a/b > 0 surely"]
    assert [each.surely for each in found] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("", 1, "expected a figure"),
        ("accurracy >= 1", 1, "expected a figure, one of accuracy, subset_accuracy"),
        ("accuracy", 9, "expected >="),
        ("accuracy == 1", 10, "this cannot be read"),
        ("accuracy >= ", 13, "expected a number or “current”"),
        ("accuracy >= former", 13, "expected a number or “current”"),
        ("accuracy >= 90", 13, "share from 0 to 1"),
        ("accuracy >= 90pp", 13, "share from 0 to 1"),
        ("accuracy >= -1", 13, "expected a number"),
        ("accuracy >= current - 0.5", 26, "say how many percentage points"),
        ("accuracy >= current - 0.5%", 26, "say how many percentage points"),
        ("accuracy >= current -", 22, "expected a number"),
        ("accuracy >= current * 0", 13, "times nothing is 0"),
        ("accuracy >= current * current", 23, "expected a number"),
        ("accuracy >= 0.5 current", 17, "expected “and”"),
        ("accuracy >= 1e5", 14, "expected “and”"),
        ("accuracy >= 0.5 and", 20, "expected a figure"),
        ("accuracy of >= 1", 13, "expected a target"),
        ("accuracy of topic/delivery >= 1", 18, "leave the label out"),
        ("recall >= 0.9", 8, "recall of TARGET/LABEL"),
        ("recall of topic >= 0.9", 17, "expected “/” and a label"),
        ("recall of topic/ >= 0.9", 18, "expected a label"),
        ('recall of "topic/x >= 0.9', 11, "expected a target"),
        ("p50_ms of topic <= 2", 8, "of the whole model"),
        ("p50_ms <= 2 surely", 13, "no interval"),
        ("log_loss <= 50%", 15, "expected “and”"),
        ("p50_ms <= 2 s", 13, "expected “and”"),
        ("accuracy >= 0.9; drop table", 16, "this cannot be read"),
        ("__import__('os')", 1, "expected a figure"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(text, at, why):
    with pytest.raises(InvalidSetting) as refused:
        parse(text)
    message = str(refused.value)
    assert f"at character {at}: " in message
    assert why in message
    assert message.splitlines()[-1] == "  " + " " * (at - 1) + "^"


def test_what_a_stranger_sends_stays_on_its_line():
    with pytest.raises(InvalidSetting) as refused:
        parse("accuracy\n\x1b[31m >= \u202e1")
    assert len(str(refused.value).splitlines()) == 3
    assert "\x1b" not in str(refused.value)


def test_there_are_neither_none_nor_too_many():
    with pytest.raises(InvalidSetting, match="no condition"):
        parse_all([])
    with pytest.raises(InvalidSetting, match="100 at most"):
        parse_all(["ece <= 1"] * (MOST + 1))
    with pytest.raises(InvalidSetting, match="2,000 at most"):
        parse("ece <= 1" + " " * LONGEST)
    assert len(parse_all(["ece <= 1 and ece <= 1", "accuracy >= 0"])) == 3


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [*FIGURES, "of", "a/b", ">=", "<", "current", "*", "-", "0.5", "pp", "%", "ms", "and", "surely", '"', "/"]
        ),
        max_size=9,
    ).map(" ".join)
)
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        found = parse(text)
    except InvalidSetting:
        return
    assert all(parse(each.text) == (each,) for each in found)


@pytest.mark.parametrize(
    ("op", "left", "right", "holds"),
    [
        (Op.AT_LEAST, 0.895, 0.9 - 0.005, True),
        (Op.AT_LEAST, 0.8949, 0.895, False),
        (Op.ABOVE, 0.895, 0.9 - 0.005, False),
        (Op.ABOVE, 0.896, 0.895, True),
        (Op.AT_MOST, 0.1 + 0.2, 0.3, True),
        (Op.BELOW, 0.1 + 0.2, 0.3, False),
        (Op.AT_LEAST, float("nan"), 0, False),
        (Op.AT_MOST, float("nan"), 0, False),
    ],
)
def test_figures_at_the_bound(op, left, right, holds):
    assert op.holds(left, right) is holds


def test_a_number_needs_no_current_model():
    assert not Bound(0.0, 0.5).needs_current
