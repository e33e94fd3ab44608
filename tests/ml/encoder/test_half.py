"""Networks in half precision as a GPU serves them: here on the CPU."""

import pytest
import torch

from tamis.ml.encoder.half import halves_of, narrow
from tamis.ml.encoder.network import load_network

KINDS = ["bert", "roberta", "electra", "distilbert", "modernbert", "deberta-v2", "albert", "llama", "mistral", "qwen2"]
FP16, BF16 = torch.float16, torch.bfloat16
CPU = torch.device("cpu")
IDS = torch.tensor([[1, 40, 50, 60, 70, 2], [1, 90, 80, 2, 0, 0]])
ASKED = [(IDS, (IDS != 0).long()), (IDS[:1, :3], torch.ones(1, 3, dtype=torch.long))]


def logits(network):
    with torch.inference_mode():
        return network(input_ids=IDS, attention_mask=ASKED[0][1]).logits


@pytest.fixture
def network_of(base_folder):
    def make(kind):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return load_network(base_folder(kind), 4, 0).eval()

    return make


@pytest.mark.parametrize("dtype", [FP16, BF16])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_in_half_precision_and_what_follows_is_not(network_of, kind, dtype):
    network = network_of(kind)
    wanted = logits(network)
    assert narrow(network, CPU, (dtype,), ASKED) == dtype
    weights = dict(network_of(kind).named_parameters())
    wide = {name for name, weight in network.named_parameters() if weight.dtype == torch.float32}
    assert any(name.startswith(("classifier", "score")) for name in wide)
    assert 0 < len(wide) < len(weights) / 3
    assert all(torch.equal(dict(network.named_parameters())[name], weights[name]) for name in wide), "all digits"
    found = logits(network)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, atol=0.05 if dtype == BF16 else 0.01, rtol=0)


@pytest.mark.parametrize(("factor", "chosen"), [(1.0, FP16), (1e7, BF16), (float("nan"), torch.float32)])
def test_numbers_that_do_not_fit_take_the_next(network_of, factor, chosen):
    network = network_of("llama")
    with torch.no_grad():
        network.model.layers[1].mlp.down_proj.weight.mul_(factor)
    wanted = logits(network)
    assert narrow(network, CPU, (FP16, BF16), ASKED) == chosen
    if chosen == torch.float32:
        assert {weight.dtype for weight in network.parameters()} == {chosen}
        assert not any(module._forward_pre_hooks for module in network.modules())
    else:
        torch.testing.assert_close(logits(network), wanted, atol=0.05, rtol=0)


def test_activations_near_the_end_of_the_range_do_not_fit(network_of):
    network = network_of("bert")
    with torch.no_grad():
        network.bert.encoder.layer[0].intermediate.dense.bias.fill_(40_000)
        network.bert.encoder.layer[0].output.dense.weight.zero_()
    assert narrow(network, CPU, (FP16, BF16), ASKED) == BF16


def test_a_cpu_computes_in_full(network_of):
    assert halves_of(CPU) == ()
    network = network_of("bert")
    wanted = logits(network)
    assert narrow(network, CPU, (), ASKED) == torch.float32
    assert torch.equal(logits(network), wanted)
