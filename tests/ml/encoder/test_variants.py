"""The smallest form whose answers stay the same is served."""

import numpy as np
import pytest

from tamis.data.truth import SingleTruth
from tamis.ml.encoder import variants
from tamis.ml.encoder.placement import DATA
from tamis.ml.encoder.variants import Question, choose_form
from tamis.schema import Kind, Target

N = 1_000
TARGET = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))


SURE = np.tile(np.array([[4.0, -4.0], [-4.0, 4.0]], dtype=np.float32), (N // 2, 1))


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """A function: choose among forms of which each changes some rows' logits."""

    def choose(said=None, **changed):
        def write(source, folder, *, products):
            (folder / DATA).write_bytes(b"0" * (25 if products else 60))

        def logits_of(place):
            logits = SURE.copy()
            logits[: changed.get(names[place.name], 0)] *= -1
            return logits

        monkeypatch.setattr(variants, "quantise", write)
        (tmp_path / "float32").mkdir()
        (tmp_path / "float32" / DATA).write_bytes(b"0" * 100)
        names = {"float32": "float32", "int8": "int8", "int8-tables": "tables"}
        truth = {"t": SingleTruth(np.arange(N, dtype=np.int32) % 2, 2)}
        return choose_form(tmp_path, logits_of, Question((TARGET,), truth, said))

    return choose


def test_integers_are_served_where_answers_stay_the_same(chosen):
    made = chosen(int8=5)
    assert (made.form, made.trials[0].changed, made.trials[0].asked) == ("int8", 5, N)
    assert "8-bit" in made.told()
    assert "5 of 1,000 answers changed" in made.told()


def test_more_than_one_changed_answer_in_200_is_too_many(chosen):
    made = chosen(int8=6)
    assert made.form == "int8-tables"
    assert [trial.passes for trial in made.trials] == [False, True]


def test_nothing_but_32_bits_may_be_good_enough(chosen):
    made = chosen(int8=300, tables=6)
    assert made.form == "float32"
    assert "6 of 1,000 answers changed" in made.told()


def test_how_far_the_chosen_form_is_off_comes_along(chosen):
    moved = chosen(int8=300, tables=3).moved
    np.testing.assert_array_equal(moved[:3], -2 * SURE[:3])
    assert not moved[3:].any()


def test_nothing_is_off_in_32_bits(chosen):
    assert chosen(int8=300, tables=300).moved is None


@pytest.mark.parametrize(("sure", "form"), [(3.0, "int8"), (1.5, "float32")])
def test_answers_are_those_of_whom_had_not_seen_the_rows(chosen, sure, form):
    """Integers and tables move the logits of many rows by 8; who had not seen them may have been surer than that."""
    assert chosen(said=sure * SURE, int8=300, tables=300).form == form
