"""A graph with other weights computes what a network with these does."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from tamis.ml.encoder.onnx_file import export, with_weights
from tamis.ml.encoder.reweighting import reweighted
from tamis.ml.encoder.session import Session

IDS = np.array([[1, 7, 8, 9, 2]], dtype=np.int64)


def weights_of(network):
    return {name: weight.detach().numpy() for name, weight in network.state_dict().items()}


def noisy(network, seed):
    """A copy in which no two weights are alike."""
    other, draw = deepcopy(network), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(torch.randn(weight.shape, generator=draw) * 0.05)
    return other


@pytest.mark.parametrize("kind", ["bert", "mistral"])
def test_it_computes_what_the_other_network_does(exported, tmp_path, kind):
    plain = exported(kind)[0]
    network, other = noisy(plain, 1), noisy(plain, 2)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    export(network, tmp_path / "one", [[1, 7, 2]], 0)
    changed = {name: weight.detach().numpy() for name, weight in other.named_parameters() if "embed" not in name}
    assert reweighted(tmp_path / "one", tmp_path / "two", weights_of(network), changed)
    both = with_weights(network, {**weights_of(network), **changed}).eval()
    mask = np.ones_like(IDS)
    with torch.inference_mode():
        wanted = both(input_ids=torch.from_numpy(IDS), attention_mask=torch.from_numpy(mask)).logits.numpy()
    np.testing.assert_allclose(Session(tmp_path / "two").run(IDS, mask), wanted, atol=1e-4)
    assert np.abs(Session(tmp_path / "one").run(IDS, mask) - wanted).max() > 1e-3


def test_weights_that_are_not_to_be_told_apart_are_left(exported, tmp_path):
    network, folder = exported("bert")
    before = weights_of(network)
    alike = next(name for name in before if name.endswith("LayerNorm.weight"))
    assert not reweighted(folder, tmp_path, before, {alike: before[alike] + 1})
    assert not (tmp_path / "model.onnx").exists()


def test_where_nothing_changes_it_is_the_same_graph(exported, tmp_path):
    network, folder = exported("bert")
    assert reweighted(folder, tmp_path, weights_of(network), {})
    for name in ("model.onnx", "model.onnx.data"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
