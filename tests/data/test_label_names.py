import pytest

from tamis.data.label_names import folded, same_names, similar_names


@pytest.mark.parametrize(
    ("one", "other"),
    [("Refund", "refund"), ("card_lost", "card lost"), ("refunds", "refund"), ("queries", "query"), ("boxes", "box")],
)
def test_case_spaces_and_plural_make_no_other_name(one, other):
    assert folded(one) == folded(other)


def test_words_that_end_in_s_keep_it():
    assert folded("status") == "status" != folded("statu")
    assert folded("class") != folded("clas")


def test_groups_keep_the_order_of_the_labels():
    assert same_names(["b", "Refund", "a", "refunds", "B"]) == [["b", "B"], ["Refund", "refunds"]]


def test_a_slip_is_similar_and_numbers_and_other_words_are_not():
    assert list(similar_names(["refund_request", "refund_requst"])) == [("refund_request", "refund_requst")]
    assert not list(similar_names(["intent_10", "intent_11"]))
    assert not list(similar_names(["turn the light on", "turn the light off"]))
    assert not list(similar_names(["a", "b"]))
