"""What several processes add up."""

from types import SimpleNamespace

import pytest
import torch

from tamis.ml.encoder.machine import Machine


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_gradients_of_several_processes_take_the_dtype_of_their_weights(dtype):
    machine = Machine()
    machine.world = 2
    machine._accelerator = SimpleNamespace(reduce=lambda bucket, reduction: 2 * bucket)
    weights = [torch.nn.Parameter(torch.ones(2, 3, dtype=dtype)), torch.nn.Parameter(torch.ones(4))]
    weights[0].grad = torch.full((2, 3), 0.5, dtype=dtype)
    told = machine.together(weights, torch.tensor([1_001.0, 3.0]))
    assert told == [2_002.0, 6.0], "sums keep their digits"
    assert [weight.grad.dtype for weight in weights] == [dtype, torch.float32]
    assert (weights[0].grad == 1).all()
    assert (weights[1].grad == 0).all()
