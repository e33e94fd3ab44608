import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.duplicates import (
    LEAST_CHARACTERS,
    SKETCH,
    Fingerprints,
    first_of,
    loose_form,
    near_pairs,
    sketch,
)

WORDS = [a + b + c for a in "bdkmt" for b in ("ar", "el", "on", "ush") for c in ("a", "ing", "o", "ey")]


def sentence(draw, words=12):
    return " ".join(draw.choices(WORDS, k=words))


def fingerprints(texts, **options):
    prints = Fingerprints(**options)
    prints.add(texts, [loose_form(text) for text in texts])
    return prints


def jaccard(one, other):
    first, second = ({text[i : i + 4] for i in range(len(text) - 3)} for text in (one, other))
    return len(first & second) / len(first | second)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["a", "A", "a ", "b", "ß", "SS", "  a"]), max_size=30))
def test_first_of_finds_the_first_equal_text(texts):
    prints = fingerprints(texts)
    assert first_of(prints.exact).tolist() == [texts.index(text) for text in texts]
    loose = [loose_form(text) for text in texts]
    assert first_of(prints.loose).tolist() == [loose.index(text) for text in loose]


def test_the_loose_form_forgets_case_and_spaces_only():
    assert loose_form(" Wo  ist\tdie STRASSE\n") == loose_form("wo ist die straße")
    assert loose_form("a.b") != loose_form("a b")


def test_sketches_agree_as_much_as_texts_do():
    draw = random.Random(1)
    for _ in range(30):
        words = [draw.choice(WORDS) for _ in range(60)]
        other = [draw.choice(WORDS) if draw.random() < draw.random() else word for word in words]
        one, two = " ".join(words), " ".join(other)
        first, second = sketch([one, two])
        assert (first == second).mean() == pytest.approx(jaccard(one, two), abs=0.32)  # 4 standard deviations


def test_a_sketch_does_not_depend_on_its_neighbours():
    texts = [sentence(random.Random(i), 5 + i % 40) for i in range(50)] + ["short"]
    together = sketch(texts)
    assert (together == np.vstack([sketch([text]) for text in texts])).all()
    assert not together[-1].any()
    assert together[:-1].all()


def test_near_duplicates_are_found_and_others_are_not():
    draw = random.Random(2)
    texts = [sentence(draw) for _ in range(2_000)]
    copies = {len(texts) + number: place for number, place in enumerate(range(0, 2_000, 100))}
    texts += [texts[place] + " ey" for place in copies.values()]
    pairs = near_pairs(fingerprints(texts).sketches, np.arange(len(texts)))
    found = dict(zip(pairs.later.tolist(), pairs.earlier.tolist(), strict=True))
    assert found == copies
    assert (pairs.alike > 0.78).all()


def test_every_later_row_has_one_earlier_partner_even_where_all_are_alike():
    draw = random.Random(3)
    stem = sentence(draw, 30)
    texts = [f"{stem} {number}" for number in range(500)]
    pairs = near_pairs(fingerprints(texts).sketches, np.arange(500))
    assert len(set(pairs.later.tolist())) == len(pairs.later) == 499
    assert (pairs.earlier < pairs.later).all()


def test_short_texts_and_no_texts_have_no_near_duplicates():
    short = "x" * (LEAST_CHARACTERS - 1)
    assert len(near_pairs(fingerprints([short, short + "y"]).sketches, np.arange(2)).later) == 0
    assert len(near_pairs(fingerprints([]).sketches, np.arange(0)).later) == 0


def test_sixty_four_bytes_a_row_are_enough():
    prints = fingerprints([sentence(random.Random(i)) for i in range(100)])
    assert prints.exact.itemsize + prints.loose.itemsize + SKETCH <= 52
    assert prints.sketches.shape == (100, SKETCH)
    assert fingerprints(["some text that is long enough"], sketches=False).sketches.shape == (0, SKETCH)


def test_any_text_can_be_sketched():
    texts = ["\ud800" * 30, "é" * 5_000, "漢字" * 40, "\x00" * 25, "🙂" * 21]
    assert sketch(texts).all()
