from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.review.personal import find_personal, is_card, is_iban, masked


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to jo.doe+x@mail.example.org, please", ["email"]),
        ("my card 4111 1111 1111 1111 was declined", ["card"]),
        ("5500-0000-0000-0004", ["card"]),
        ("IBAN DE89 3704 0044 0532 0130 00 thanks", ["iban"]),
        ("GB82WEST12345698765432", ["iban"]),
        ("call +44 20 7946 0958 or (020) 7946 0958", ["phone", "phone"]),
        ("ring 555 012 3456 now", ["phone"]),
        ("0171-555-0123 or a@b.example.org", ["phone", "email"]),
    ],
)
def test_what_is_personal_is_found(text, kinds):
    assert [found.kind for found in find_personal(text)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567890123456 shipped",  # no card: its check digit is wrong
        "DE89 3704 0044 0532 0130 01",  # no IBAN: its check digits are wrong
        "on 12/11/2023 I paid 1,234,567.89",
        "2024-01-02 12:30:45",
        "version 1.2.3.4.5.6.7",
        "1000000000000",
        "(1914-1918) was a war",
        "tracking 00123456",
        "@home with 5 cats",
        "",
    ],
)
def test_what_only_looks_like_it_is_not(text):
    assert find_personal(text) == []


def test_check_digits():
    assert is_card("4111 1111 1111 1111")
    assert not is_card("4111 1111 1111 1112")
    assert is_iban("GB82 WEST 1234 5698 7654 32")
    assert not is_iban("GB82 WEST 1234 5698 7654 33")


def test_masked_texts_hold_no_more_of_it():
    text = "I am a@b.example.org, card 4111111111111111"
    assert masked(text) == "I am [email], card [card]"
    assert find_personal(masked(text)) == []


def test_all_of_a_long_text_is_looked_at():
    text = "x" * 5 + " so it is." * 30_000 + " write to jo@mail.example.org or +44 20 7946 0958"
    assert [found.kind for found in find_personal(text)] == ["email", "phone"]
    assert masked(text).endswith(" write to [email] or [phone]")


def test_very_much_of_it_is_found_once_each():
    n = 40_000  # with each compared to all others, this would never end
    found = find_personal("jo@mail.example.org 4111 1111 1111 1111, " * n)
    assert [each.kind for each in found] == ["email", "card"] * n


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="0123456789 +-()@.aZé", max_size=60))
def test_finds_never_overlap_and_masking_is_done_in_one_go(text):
    found = find_personal(text)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert all(text[each.start : each.end] for each in found)
