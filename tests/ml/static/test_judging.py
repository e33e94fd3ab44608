from dataclasses import replace

import numpy as np
import pytest

from tamis.data.dataset import Dataset
from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.static.judging import (
    MOST_ROWS,
    SHARES,
    TEMPERATURES,
    USUAL_SHARE,
    Judge,
    best_share,
    loss_at_best_temperature,
    means,
    some_rows,
)
from tamis.ml.static.losses import loss_of
from tamis.schema import Kind, Target

EVERY = slice(None)


def single(codes, n_labels=2, unseen=()):
    return SingleTruth(np.array(codes, dtype=np.int32), n_labels, unseen)


def saying(codes, size, n_labels=2):
    """Logits that say these codes."""
    return (np.eye(n_labels, dtype=np.float32)[codes] - 0.5) * np.float32(size)


class TestRows:
    def test_unknown_rows_and_unseen_labels_cannot_be_judged(self):
        assert some_rows(single([0, UNKNOWN, 2, 1], unseen=("odd",))).tolist() == [0, 3]

    def test_no_label_is_an_answer_too(self):
        assert some_rows(multi_truth([[0], None, [], [1]], 2)).tolist() == [0, 2, 3]

    def test_very_many_rows_are_thinned_evenly(self):
        rows = some_rows(single([0, 1] * MOST_ROWS))
        assert len(rows) == MOST_ROWS
        assert rows[0] == 0
        assert rows[-1] == 2 * MOST_ROWS - 1
        assert np.diff(rows).max() <= 3
        assert len(some_rows(single([0, 1] * MOST_ROWS, 5000))) == 500


class TestShares:
    codes = np.arange(400) % 2

    def test_a_part_that_is_wrong_gets_none(self):
        lexical, wrong = saying(self.codes, 4), saying(1 - self.codes, 20)
        assert best_share(lexical, wrong, single(self.codes)) == 0

    def test_a_part_that_alone_is_right_gets_most(self):
        noise = np.random.default_rng(0).standard_normal((400, 2)).astype(np.float32)
        assert best_share(noise, saying(self.codes, 3), single(self.codes)) > USUAL_SHARE

    def test_little_evidence_is_none(self):
        lexical, wrong = saying(self.codes[:4], 4), saying(1 - self.codes[:4], 1)
        assert best_share(lexical, wrong, single(self.codes[:4])) == USUAL_SHARE

    @pytest.mark.parametrize("truth", [single([UNKNOWN] * 3), multi_truth([None] * 3, 2), single([2] * 3, 2, ("x",))])
    def test_nothing_to_judge_by(self, truth):
        assert best_share(np.ones((3, 2), np.float32), np.ones((3, 2), np.float32), truth) == USUAL_SHARE

    def test_it_is_one_of_the_shares(self):
        random = np.random.default_rng(1)
        logits = random.standard_normal((2, 400, 2)).astype(np.float32)
        assert best_share(logits[0], logits[1], single(self.codes)) in SHARES


def test_the_temperature_does_not_decide():
    """Logits that are too sure lose less than they would; never more than at temperature 1."""
    truth = single([0, 1, 1, 0, 0])
    loss, logits = loss_of(truth, 0.0), saying(np.array([0, 1, 1, 1, 0]), 4)
    best = loss_at_best_temperature(logits, loss, EVERY)
    assert best == min(loss(logits * np.float32(each), EVERY)[0] for each in TEMPERATURES)
    assert best < loss(logits, EVERY)[0]


class TestJudge:
    def test_losses_of_all_targets_and_their_figures(self, data_of):
        data = data_of(
            [("a", {"t": "x", "m": ["p"]}), ("b", {"t": "y", "m": []}), ("c", {"t": "x"}), ("d", {"m": ["p", "q"]})]
        )
        columns = {"t": slice(0, 2), "m": slice(2, 4)}
        logits = np.array([[9, 0, 9, -9], [9, 0, -9, -9], [9, 0, 0, 0], [0, 0, 9, -9]], dtype=np.float32)
        total, metrics = Judge(data, columns)(logits, np.zeros_like(logits))
        rates = {"t.precision": 1 / 3, "t.recall": 1 / 2, "m.precision": 1 / 2, "m.recall": 1 / 2}
        assert metrics == pytest.approx({"t.accuracy": 2 / 3, "m.micro_f1": 2 * 2 / (3 + 2), **rates})
        assert means(metrics) == pytest.approx(
            {"valid_metric": (2 / 3 + 4 / 5) / 2, "valid_precision": 5 / 12, "valid_recall": 1 / 2}
        )
        assert means({}) == {}
        parts = []
        for name, rows in (("t", [0, 1, 2]), ("m", [0, 1, 3])):
            at = np.array(rows)
            loss = loss_of(data.truth[name], 0.0)
            parts.append(loss_at_best_temperature(logits[at][:, columns[name]], loss, at) / 3)
        assert total == pytest.approx(sum(parts))

    def test_a_target_that_no_row_knows_is_left_out(self, data_of):
        train = data_of([("a", {"t": "x", "u": "k"}), ("b", {"t": "y", "u": "l"})])
        watched = data_of([("a", {"t": "x"}), ("b", {"t": "zz"})], train.targets)
        total, metrics = Judge(watched, {"t": slice(0, 2), "u": slice(2, 4)})(np.zeros((2, 4)), np.zeros((2, 4)))
        assert set(metrics) == {"t.accuracy", "t.precision", "t.recall"}
        assert total == pytest.approx(np.log(2))


class TestRowWeights:
    """Two rows contradict all others, and weigh more than they do."""

    truth = single([0] * 20 + [1] * 2)
    weights = np.array([1] * 20 + [1000] * 2, dtype=np.float32)
    lexical, semantic = saying([0] * 22, 4), saying([1] * 22, 8)

    def test_the_share_is_that_of_the_heavy_rows(self):
        assert best_share(self.lexical, self.semantic, self.truth) < 0.5
        assert best_share(self.lexical, self.semantic, self.truth, self.weights) > 0.5

    def test_early_stopping_listens_to_them(self):
        data = Dataset(
            inputs=["x"] * 22,
            targets=(Target.of("a", Kind.SINGLE_LABEL, ("0", "1")),),
            truth={"a": self.truth},
            keys=np.zeros(22, dtype=np.uint64),
            lines=np.zeros(22, dtype=np.int64),
        )
        right, wrong = self.lexical, -self.lexical
        for weights, better, worse in ((None, right, wrong), (self.weights, wrong, right)):
            judge = Judge(replace(data, weights=weights), {"a": slice(0, 2)})
            nothing = np.zeros_like(better)
            assert judge(better, nothing)[0] < judge(worse, nothing)[0]
