"""The last layer for the first token alone gives the logits and the gradients of the whole layer."""

import pytest
import torch

from tamis.ml.encoder.first_token import ALIKE, first_token_alone, reads_first_token
from tamis.ml.encoder.network import load_network, parts_of


@pytest.fixture
def network(base_folder):
    def load(kind):
        torch.manual_seed(0)
        model = load_network(base_folder(kind), 3, 0)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return model

    return load


@pytest.fixture
def texts():
    ids = torch.randint(5, 200, (4, 11), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    for row, length in enumerate((11, 7, 3, 1)):
        mask[row, length:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", sorted(ALIKE))
def test_logits_and_gradients_are_those_of_the_whole_layer(network, texts, kind, attention):
    model = network(kind).train()
    model.set_attn_implementation(attention)
    for module in model.modules():
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    assert reads_first_token(model, 0)
    assert model.training
    found = []
    for inside in (False, True):
        if inside:
            with first_token_alone(model):
                logits = model(**texts).logits
        else:
            logits = model(**texts).logits
        (logits * torch.arange(12.0).reshape(4, 3)).sum().backward()
        found.append((logits.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}))
        model.zero_grad(set_to_none=True)
    (whole, of_whole), (first, of_first) = found
    torch.testing.assert_close(first, whole, rtol=1e-4, atol=1e-5)
    assert of_first.keys() == of_whole.keys()
    for name, gradient in of_whole.items():
        torch.testing.assert_close(of_first[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_weights_keep_their_names_and_the_layer_is_itself_again(network, texts):
    model = network("bert").eval()
    names = [name for name, _ in model.named_parameters()]
    layer = parts_of(model).layers[-1]
    heard = []
    layer.register_forward_hook(lambda _, __, output: heard.append(tuple(output.shape[:2])))
    with torch.no_grad():
        with first_token_alone(model):
            assert [name for name, _ in model.named_parameters()] == names
            model(**texts)
        model(**texts)
    assert heard == [(4, 1), (4, 11)]
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("kind", ["distilbert", "modernbert", "deberta-v2", "albert", "llama"])
def test_other_architectures_are_left_alone(network, kind):
    assert not reads_first_token(network(kind), 0)


def test_a_head_that_reads_other_tokens_too_is_noticed(network, monkeypatch):
    model = network("bert")
    pooler = model.bert.pooler
    monkeypatch.setattr(pooler, "forward", lambda hidden: pooler.activation(pooler.dense(hidden.mean(1))))
    assert not reads_first_token(model, 0)
    assert "forward" not in vars(parts_of(model).layers[-1])


def test_a_layer_of_other_parts_is_noticed(network):
    """The layer itself computes; in training another module would be where its dropout is looked for."""
    model = network("bert")
    parts_of(model).layers[-1].attention.self.dropout = torch.nn.ReLU()
    assert model(input_ids=torch.ones((1, 3), dtype=torch.int64)).logits.isfinite().all()
    assert not reads_first_token(model, 0)


def test_a_network_that_no_input_suits_is_left_to_others(network):
    model = network("bert")
    for layer in parts_of(model).layers:
        layer.chunk_size_feed_forward = 2
    with pytest.raises(ValueError, match="chunk"):
        model(input_ids=torch.ones((1, 3), dtype=torch.int64))
    assert not reads_first_token(model, 0)
