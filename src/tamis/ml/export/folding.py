"""Calibration as a part of a network's weights: of its classifier's last layer, and of the norm before that.

Calibration is affine in the logits, so scales become part of the layer's rows, and shifts of its bias. Decoders' last
layers have no bias: where a norm with a bias stands before the layer, a change of that gives the same shift. It does
not know artifacts nor files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tamis.errors import InvalidSetting
from tamis.extras import require
from tamis.ml.manifest import TargetManifest
from tamis.schema import Kind

if TYPE_CHECKING:
    import torch

EXACT = 1e-9
"""How far the shift that a norm gives may be off the one that is wanted."""


class Head:
    """The last layer of a classifier, of which each row is a label, as it is before anything is folded in."""

    def __init__(self, network: Any, layer: Any) -> None:  # noqa: ANN401  a third party's objects
        """Remember the weights; the network is on the CPU."""
        self._layer = layer
        self._norm: Any = None if layer.bias is not None else _norm_before(network, layer)
        self._weight, self._bias = _copy(layer.weight), _copy(layer.bias)
        self._norm_bias: Any = None if self._norm is None else _copy(self._norm.bias)

    @property
    def takes_shifts(self) -> bool:
        """Whether there is a place for what calibration adds to a label's logit."""
        return self._bias is not None or self._norm is not None

    def fold(self, rows: slice, target: TargetManifest) -> None:
        """Make the network give the calibrated logits of one target, whose labels are some rows, and nothing else.

        Raises:
            InvalidSetting: the architecture has no place for what calibration adds to a logit.
        """
        torch_: Any = require("torch", "encoder")
        scale, shift = (
            torch_.tensor(np.broadcast_to(np.array(numbers, np.float64), len(target.computed.labels)).copy())
            for numbers in (target.calibration.scale, target.calibration.bias)
        )
        weight = self._weight[rows] * scale[:, None]
        self._layer.out_features = len(target.computed.labels)
        self._layer.weight = torch_.nn.Parameter(weight.float())
        if self._bias is not None:
            self._layer.bias = torch_.nn.Parameter((self._bias[rows] * scale + shift).float())
            return
        wanted = shift - (shift.mean() if target.kind is Kind.SINGLE_LABEL else 0)  # a softmax sees no shift of all
        moved = None if self._norm_bias is None else _moving(weight, wanted)
        if moved is not None:
            self._norm.bias = torch_.nn.Parameter((self._norm_bias + moved).float())
        elif float(wanted.abs().max()) > EXACT:
            raise InvalidSetting(
                f"The classifier of this architecture has no bias, and the calibration of target {target.name!r} adds "
                "a number to each label's logit: as a folder of transformers it would give other scores. Export it "
                "with --to onnx, or train it again: Tamis no longer fits such numbers for these architectures.",
                setting="to",
                target=target.name,
            )


def _copy(weight: Any) -> Any:  # noqa: ANN401
    return None if weight is None else weight.detach().double().clone()


def _moving(weight: torch.Tensor, shift: torch.Tensor) -> torch.Tensor | None:
    """Return what is to be added to the layer's input for its output to move by `shift`; None where nothing does."""
    torch_: Any = require("torch", "encoder")
    moved = torch_.linalg.lstsq(weight, shift[:, None], driver="gelsd").solution[:, 0]
    off = float((weight @ moved - shift).abs().max())
    return moved if off <= EXACT * max(1.0, float(shift.abs().max())) else None


def _norm_before(network: Any, layer: Any) -> Any:  # noqa: ANN401
    """Return the norm with a bias whose output is what the layer is given; None where there is no such one."""
    torch_: Any = require("torch", "encoder")
    said: list[tuple[Any, Any]] = []
    given: list[Any] = []
    hooks = [
        module.register_forward_hook(lambda norm, _, out: said.append((norm, out)))
        for module in network.modules()
        if isinstance(module, torch_.nn.LayerNorm) and module.bias is not None
    ]
    hooks.append(layer.register_forward_pre_hook(lambda _, args: given.append(args[0])))
    try:
        with torch_.inference_mode():
            ids = torch_.zeros((1, 2), dtype=torch_.int64)
            network(input_ids=ids, attention_mask=torch_.ones_like(ids))
    finally:
        for hook in hooks:
            hook.remove()
    return next((norm for norm, out in reversed(said) if torch_.equal(out, given[-1])), None)
