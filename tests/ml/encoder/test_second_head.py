"""A head for training only."""

import pytest
import torch

from tamis.ml.encoder.network import load_network, parts_of
from tamis.ml.encoder.second_head import SecondHead, can_have


@pytest.fixture(scope="module")
def network(base_folder):
    return lambda kind: load_network(base_folder(kind), 3, 0)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "electra"])
def test_it_reads_the_mean_of_the_tokens_without_padding(network, kind):
    model = network(kind).eval()
    second = SecondHead(parts_of(model), 32, 3).eval()
    ids = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
    mask = (ids != 0).long()
    model(input_ids=ids, attention_mask=mask)
    both = second(mask)
    hidden = model.base_model(input_ids=ids[1:, :3], attention_mask=mask[1:, :3]).last_hidden_state
    assert both.shape == (2, 3)
    assert both[1].tolist() == pytest.approx(second.linear(hidden.mean(1))[0].tolist(), abs=1e-5)


def test_its_weights_have_names_that_no_network_has(network):
    model = network("bert")
    second = SecondHead(parts_of(model), 32, 3)
    assert len(second.weights) == 2
    assert not set(second.weights) & set(dict(model.named_parameters()))


def test_it_hears_nothing_where_nothing_is_learnt_nor_once_it_has_left(network):
    model = network("bert").eval()
    second = SecondHead(parts_of(model), 32, 3)
    ids = torch.tensor([[1, 5, 2]])
    with torch.no_grad():
        model(input_ids=ids)
    assert second._heard is None
    second.leave()
    model(input_ids=ids)
    assert second._heard is None


@pytest.mark.parametrize(("kind", "able"), [("bert", True), ("modernbert", False), ("llama", False)])
def test_architectures_that_can_have_one(network, kind, able):
    assert can_have(network(kind)) is able
