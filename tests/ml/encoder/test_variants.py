"""The smallest form whose answers stay the same is served."""

import numpy as np
import pytest

from tamis.data.truth import SingleTruth
from tamis.ml.encoder import variants
from tamis.ml.encoder.inputs import Encoding
from tamis.ml.encoder.placement import DATA
from tamis.ml.encoder.variants import Question, choose_form
from tamis.schema import Kind, Target

N = 1_000
TARGET = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))


class Form:
    """Gives logits of which some rows are changed."""

    def __init__(self, changed):
        self.logits = np.tile(np.array([[4.0, -4.0], [-4.0, 4.0]], dtype=np.float32), (N // 2, 1))
        self.logits[:changed] *= -1

    def of_tokens(self, encoded):
        return self.logits[: len(encoded)]


@pytest.fixture
def chosen(tmp_path, monkeypatch, tokenizer_json):
    def choose(added=None, **changed):
        def write(source, folder, *, products):
            (folder / DATA).write_bytes(b"0" * (25 if products else 60))

        monkeypatch.setattr(variants, "quantise", write)
        (tmp_path / "float32").mkdir()
        (tmp_path / "float32" / DATA).write_bytes(b"0" * 100)
        names = {"float32": "float32", "int8": "int8", "int8-tables": "tables"}
        encoded = Encoding(tokenizer_json, max_length=8).encode(["a"] * N)
        truth = {"t": SingleTruth(np.arange(N, dtype=np.int32) % 2, 2)}
        question = Question((TARGET,), truth, added)
        return choose_form(tmp_path, lambda place: Form(changed.get(names[place.name], 0)), encoded, question)

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


def test_what_is_added_to_the_logits_may_keep_answers_the_same(chosen):
    sure = np.tile(np.array([[9.0, -9.0], [-9.0, 9.0]], dtype=np.float32), (N // 2, 1))
    assert chosen(added=sure, int8=300).form == "int8"
