"""Options that do nothing with a base model are told of."""

import pytest

from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.planning import Method, ignored, method_of


@pytest.mark.parametrize(
    ("given", "n_frozen", "told"),
    [
        ({}, 1, []),
        ({"freeze_layers": 3}, 3, []),
        ({"freeze_layers": 0}, 0, []),
        ({"lora": True, "lora_rank": 4}, 0, []),
        ({"freeze_layers": 900}, 3, ["freeze_layers = 900 is more than the base model's 3 layers"]),
        ({"freeze_layers": 2}, 0, ["freeze_layers = 2 did nothing: the layers of this base model share"]),
        ({"lora_rank": 4}, 1, ["lora_rank = 4 did nothing: the weights themselves"]),
    ],
)
def test_what_did_nothing_is_told(base_of, given, n_frozen, told):
    base, options = base_of("bert"), EncoderOptions(**given)
    found = ignored(base, options, method_of(base, options), n_frozen)
    assert len(found) == len(told)
    assert all(each.startswith(begin) for each, begin in zip(found, told, strict=True))


def test_a_large_base_model_is_trained_by_lora_whatever_was_to_be_frozen(base_of):
    (told,) = ignored(base_of("bert"), EncoderOptions(freeze_layers=2), Method(0, True, {}), 0)
    assert "trained by LoRA" in told
    assert "lora=false" in told
