from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from tamis.data.truth import UNKNOWN, SingleTruth, multi_truth
from tamis.ml.static import network as module
from tamis.ml.static.losses import loss_of
from tamis.ml.static.network import BETA1, BETA2, TINY, Adam, Batch, Gradients, Network, backward, start_network

TOKENS, D, POOLS, H = 9, 3, 2, 5
ROWS = np.array([4, 0, 2, 5, 1])

SINGLE = loss_of(SingleTruth(np.array([0, 2, UNKNOWN, 1, 2, UNKNOWN], dtype=np.int32), 3), 0.5, 0.05)
MULTI = loss_of(multi_truth([[0], [1], None, [0, 1], [], [1]], 2), 0.5)
LOSSES = {
    "single": [(slice(0, 3), SINGLE)],
    "multi": [(slice(0, 2), MULTI)],
    "both": [(slice(0, 3), SINGLE), (slice(3, 5), MULTI)],
}


def network_of(n_labels, seed=0):
    """A network in double precision, nothing of it zero."""
    random = np.random.default_rng(seed)
    return Network(
        random.standard_normal((TOKENS, D)),
        random.standard_normal((D * POOLS, H)),
        random.standard_normal(H) * 0.1,
        random.standard_normal((H, n_labels)),
        random.standard_normal(n_labels) * 0.1,
    )


def batch_of(mask=False, seed=1):
    random = np.random.default_rng(seed)
    shares = random.random((len(ROWS) * POOLS, TOKENS)) * (random.random((len(ROWS) * POOLS, TOKENS)) < 0.4)
    shares[3] = 0  # a pool without tokens
    shares[:, 7] = 0  # a token that the batch does not have
    dropped = (random.random((len(ROWS), H)) < 0.6) / 0.6
    return Batch(sparse.csr_array(shares), ROWS, dropped if mask else None)


def loss_by_the_book(network, batch, losses):
    """The mean loss, from dense arrays and the losses alone."""
    pooled = (batch.pools.toarray() @ network.embeddings).reshape(len(batch.rows), -1)
    hidden = np.maximum(pooled @ network.hidden + network.hidden_bias, 0)
    logits = (hidden if batch.mask is None else hidden * batch.mask) @ network.heads + network.head_bias
    return sum(loss(logits[:, columns], batch.rows)[0] for columns, loss in losses) / len(batch.rows)


def by_differences(network, batch, losses, step=1e-6):
    found = []
    for parameter in network.parameters:
        slope = np.zeros_like(parameter)
        for cell in np.ndindex(*parameter.shape):
            kept, values = parameter[cell], []
            for move in (step, -step):
                parameter[cell] = kept + move
                values.append(loss_by_the_book(network, batch, losses))
            parameter[cell] = kept
            slope[cell] = (values[0] - values[1]) / (2 * step)
        found.append(slope)
    return found


def all_of(gradients):
    whole = np.zeros((TOKENS, D))
    whole[gradients.tokens] = gradients.embeddings
    return [whole, *gradients.others]


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
class TestBackward:
    def test_gradients_are_those_of_finite_differences(self, losses, mask):
        network, batch = network_of(losses[-1][0].stop), batch_of(mask)
        loss, gradients = backward(network, batch, losses)
        assert loss == pytest.approx(loss_by_the_book(network, batch, losses), abs=1e-9)
        for mine, book in zip(all_of(gradients), by_differences(network, batch, losses), strict=True):
            np.testing.assert_allclose(mine, book, atol=1e-6)
            assert np.abs(book).max() > 1e-3
        assert 7 not in gradients.tokens

    def test_halves_in_threads_are_the_whole(self, losses, mask):
        network, batch = network_of(losses[-1][0].stop), batch_of(mask)
        with ThreadPoolExecutor(2) as threads:
            loss, gradients = backward(network, batch, losses, threads)
        alone, without = backward(network, batch, losses)
        assert loss == alone
        for mine, other in zip(all_of(gradients), all_of(without), strict=True):
            np.testing.assert_array_equal(mine, other)
        rows = [Batch(batch.pools[[2 * i, 2 * i + 1]], ROWS[[i]], batch.mask[[i]] if mask else None) for i in range(5)]
        one_by_one = [all_of(backward(network, row, losses)[1]) for row in rows]
        for mine, parts in zip(all_of(gradients), zip(*one_by_one, strict=True), strict=True):
            np.testing.assert_allclose(mine, sum(parts) / 5, atol=1e-12)


def test_rows_of_an_unknown_target_do_not_move_its_head():
    """Neither its columns nor, through them, anything else: the gradient is that of the other rows."""
    network, losses = network_of(3), LOSSES["single"]
    batch = batch_of()
    unknown = Batch(batch.pools[4:8], ROWS[2:4], None)  # rows 2 and 5 of the data
    loss, gradients = backward(network, unknown, losses)
    assert loss == 0
    assert not any(np.any(gradient) for gradient in all_of(gradients))
    _, both = backward(network_of(5), unknown, LOSSES["both"])
    by_heads, by_bias = both.others[2:]
    assert not by_heads[:, :3].any()
    assert not by_bias[:3].any()
    assert by_bias[3:].any(), "row 5 is known to the other target"


def test_a_batch_without_any_token():
    network = network_of(3)
    nothing = Batch(sparse.csr_array((2 * POOLS, TOKENS)), ROWS[:2], None)
    loss, gradients = backward(network, nothing, LOSSES["single"])
    assert np.isfinite(loss)
    assert not gradients.embeddings.any()
    assert gradients.others[-1].any(), "the bias still learns"


@pytest.mark.parametrize("n", [1, 2, 5])
def test_halves_are_all_rows_once(n):
    batch = batch_of(mask=True)
    some = Batch(batch.pools[: n * POOLS], ROWS[:n], batch.mask[:n])
    halves = some.halves()
    assert len(halves) == min(n, 2)
    np.testing.assert_array_equal(np.concatenate([half.rows for half in halves]), some.rows)
    np.testing.assert_array_equal(np.concatenate([half.mask for half in halves]), some.mask)
    np.testing.assert_array_equal(np.vstack([half.pools.toarray() for half in halves]), some.pools.toarray())


class TestStart:
    def test_heads_of_zero_say_nothing_yet(self):
        embeddings = np.ones((4, 6), dtype=np.float32)
        network = start_network(embeddings, 2, 300, 3, np.random.default_rng(0))
        assert not network.logits(np.ones((5, 12), dtype=np.float32)).any()
        assert network.hidden.std() == pytest.approx((2 / 12) ** 0.5, rel=0.1)
        assert {parameter.dtype for parameter in network.parameters} == {np.dtype(np.float32)}
        assert network.embeddings is not embeddings

    def test_a_copy_has_parameters_of_its_own(self):
        network = network_of(3)
        copy = network.copy()
        for parameter in network.parameters:
            parameter += 1
        assert not any(np.any(a == b) for a, b in zip(network.parameters, copy.parameters, strict=True))

    def test_logits_by_the_book(self):
        network, pooled = network_of(4), np.random.default_rng(3).standard_normal((7, D * POOLS))
        expected = np.maximum(pooled @ network.hidden + network.hidden_bias, 0) @ network.heads + network.head_bias
        np.testing.assert_allclose(network.logits(pooled), expected)


class TestAdam:
    def gradients(self, network, seed, tokens):
        random = np.random.default_rng(seed)
        return Gradients(
            np.array(tokens),
            random.standard_normal((len(tokens), D)),
            [random.standard_normal(parameter.shape) for parameter in network.parameters[1:]],
        )

    def test_steps_are_those_of_the_paper(self):
        """Bias-corrected moments; weights decay apart from the gradient, biases and embeddings do not."""
        network, rate, decay = network_of(3), 0.01, 0.3
        expected = network.copy()
        adam = Adam.of(network, decay)
        means = [np.zeros_like(p) for p in network.parameters]
        squares = [np.zeros_like(p) for p in network.parameters]
        for step in range(1, 6):
            gradients = self.gradients(network, step, list(range(TOKENS)))
            for i, gradient in enumerate([gradients.embeddings, *gradients.others]):
                own = 2 * rate if i == 0 else rate
                means[i] = BETA1 * means[i] + (1 - BETA1) * gradient
                squares[i] = BETA2 * squares[i] + (1 - BETA2) * gradient**2
                if i in (1, 3):
                    expected.parameters[i][...] *= 1 - own * decay
                root = np.sqrt(squares[i] / (1 - BETA2**step))
                expected.parameters[i][...] -= own * means[i] / (1 - BETA1**step) / (root + TINY)
            adam.step(network, gradients, rate, 2 * rate)
        for mine, book in zip(network.parameters, expected.parameters, strict=True):
            np.testing.assert_allclose(mine, book, atol=1e-6)

    def test_tokens_that_a_batch_does_not_have_stay(self):
        network = network_of(3)
        before = network.embeddings.copy()
        Adam.of(network, 0.1).step(network, self.gradients(network, 0, [1, 4]), 0.01, 0.01)
        assert np.flatnonzero((network.embeddings != before).any(axis=1)).tolist() == [1, 4]

    def test_more_rows_than_a_block_are_moved_once_each(self, monkeypatch):
        one, other = network_of(3), network_of(3)
        adams = [Adam.of(network, 0.1) for network in (one, other)]
        for step in range(3):
            monkeypatch.undo()
            adams[0].step(one, self.gradients(one, step, [0, 2, 3, 5, 8]), 0.01, 0.02)
            monkeypatch.setattr(module, "BLOCK_ROWS", 2)
            adams[1].step(other, self.gradients(other, step, [0, 2, 3, 5, 8]), 0.01, 0.02)
        for a, b in zip(one.parameters, other.parameters, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_two_threads_do_the_same(self):
        one, other = network_of(3), network_of(3)
        with ThreadPoolExecutor(2) as threads:
            for network, pool in ((one, None), (other, threads)):
                adam = Adam.of(network, 0.1)
                for step in range(3):
                    adam.step(network, self.gradients(network, step, [0, 2 + step]), 0.01, 0.02, pool)
        for a, b in zip(one.parameters, other.parameters, strict=True):
            np.testing.assert_array_equal(a, b)


class TestSomeLabels:
    """A batch that looks at some of the labels: nothing is known of the others, and they stay as they are."""

    LABELS = np.array([0, 2, 3])

    def test_gradients_are_those_of_a_network_with_these_labels_alone(self):
        network, whole = network_of(5), batch_of(mask=True)
        some = Network(*network.parameters[:3], network.heads[:, self.LABELS], network.head_bias[self.LABELS])
        loss, gradients = backward(network, replace(whole, labels=self.LABELS), LOSSES["single"])
        wanted, book = backward(some, whole, LOSSES["single"])
        assert loss == wanted
        assert gradients.labels is self.LABELS
        for mine, other in zip(all_of(gradients), all_of(book), strict=True):
            np.testing.assert_array_equal(mine, other)

    def test_a_step_moves_these_and_no_others(self):
        network, rate = network_of(5), 0.1
        before, adam = network.copy(), Adam.of(network, 0.5)
        some = Network(*before.copy().parameters[:3], before.heads[:, self.LABELS], before.head_bias[self.LABELS])
        other = Adam.of(some, 0.5)
        for _ in range(2):
            gradients = backward(network, replace(batch_of(), labels=self.LABELS), LOSSES["single"])[1]
            adam.step(network, gradients, rate, rate)
            other.step(some, backward(some, batch_of(), LOSSES["single"])[1], rate, rate)
        rest = np.array([1, 4])
        np.testing.assert_array_equal(network.heads[:, rest], before.heads[:, rest])
        np.testing.assert_array_equal(network.head_bias[rest], before.head_bias[rest])
        np.testing.assert_allclose(network.heads[:, self.LABELS], some.heads, rtol=1e-6)
        np.testing.assert_allclose(network.head_bias[self.LABELS], some.head_bias, rtol=1e-6)
        np.testing.assert_allclose(network.hidden, some.hidden, rtol=1e-6)
        assert not adam.means[3][:, rest].any()
