"""Low-rank additions to a base model in half precision, as on a GPU: here on the CPU."""

import copy

import pytest
import torch

from tamis.ml.encoder.lora import in_full, merged, with_lora
from tamis.ml.encoder.machine import Machine
from tamis.ml.encoder.network import load_network, parts_of

HALVES = [torch.float16, torch.bfloat16]
KINDS = ["llama", "distilbert", "roberta", "modernbert"]
IDS = torch.tensor([[1, 40, 50, 60, 2]])


def logits(model, dtype=None):
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
        return model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits


@pytest.fixture
def half(base_folder):
    """A function: a base model in half precision with additions."""

    def make(kind, dtype):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = load_network(base_folder(kind), 3, 0, dtype=dtype)
            return with_lora(model, parts_of(model), 4)[0]

    return make


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_trained_is_in_32_bits(half, kind, dtype):
    model = half(kind, dtype)
    trained = {weight.dtype for weight in model.parameters() if weight.requires_grad}
    still = {weight.dtype for weight in model.parameters() if not weight.requires_grad}
    assert (trained, still) == ({torch.float32}, {dtype})
    assert logits(model).isfinite().all(), "without autocast, as its padding is checked"
    assert logits(model, dtype).isfinite().all()


def test_scaled_gradients_of_16_bits_can_be_learnt_from(half):
    model = half("distilbert", torch.float16)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer, scaler = torch.optim.AdamW(weights, lr=1e-3), torch.amp.GradScaler("cpu")
    before = [weight.detach().clone() for weight in weights]
    scaler.scale(logits(model, torch.float16).float().logsumexp(1).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    assert sum(not torch.equal(*pair) for pair in zip(before, weights, strict=True)) > len(weights) // 3


@pytest.mark.parametrize("dtype", HALVES)
def test_added_up_they_are_what_they_were_beside_the_weights(half, dtype):
    model = half("llama", dtype).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
        wanted = logits(copy.deepcopy(model).float())
        plain = merged(model)
        assert not any(module._forward_pre_hooks for module in plain.modules())
        torch.testing.assert_close(logits(plain), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_in_half_precision_can_compute_in_full(half, kind):
    model = half(kind, torch.bfloat16).eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad():
        with in_full(model):
            found = logits(model)
        rounded, after = logits(model), model.state_dict()
        wanted = logits(copy.deepcopy(model).float())
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
    assert (rounded - wanted).abs().max() > 1e-5, "half precision would be noticed"
    assert all(torch.equal(before[name], after[name]) and after[name].dtype == before[name].dtype for name in before)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_run_on_a_base_in_half_precision_learns(monkeypatch, base_of, dataset_of, rows_of, dtype):
    from tamis.ml.encoder.trainer import EncoderTrainer
    from tamis.ml.schedule import hyperparameters
    from tamis.ml.trained import Attended, Task

    made = Machine.__init__

    def like_a_gpu(machine, precision="auto"):
        made(machine, precision)
        machine.half = dtype

    monkeypatch.setattr(Machine, "__init__", like_a_gpu)
    monkeypatch.setattr(Machine, "is_cpu", property(lambda _: False))
    monkeypatch.setattr(Machine, "precision", lambda _: torch.autocast("cpu", dtype=dtype))
    monkeypatch.setattr("tamis.ml.encoder.network.PADDED_ALIKE", 1e-5)
    train, valid = (dataset_of([(text, {"t": label}) for text, label in rows_of(n, seed=n)]) for n in (60, 51))
    chosen = hyperparameters(epochs=8, learning_rate=3e-4, encoder={"lora": True})
    finished = EncoderTrainer(base_of("llama"), Task(train, valid, chosen, {}), Attended()).train()
    right = finished.held.said["logits"].argmax(1) == finished.held.data.truth["t"].codes
    assert right.mean() > 0.6
    assert {weight.dtype for weight in finished.network.parameters()} == {torch.float32}
