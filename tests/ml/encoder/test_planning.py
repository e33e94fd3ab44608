"""Options that do nothing with a base model are told of."""

from dataclasses import replace

import pytest

from tamis.errors import InvalidSetting
from tamis.ml.encoder import planning
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.planning import Method, ignored, method_of, plan_of
from tamis.ml.schedule import hyperparameters


@pytest.mark.parametrize(
    ("given", "n_frozen", "told"),
    [
        ({}, 1, []),
        ({"freeze_layers": 3}, 3, []),
        ({"freeze_layers": 0}, 0, []),
        ({"lora": True, "lora_rank": 4}, 0, []),
        ({"freeze_layers": 2}, 0, ["freeze_layers = 2 does nothing: the layers of this base model share"]),
        ({"lora_rank": 4}, 1, ["lora_rank = 4 does nothing: the weights themselves"]),
    ],
)
def test_what_does_nothing_is_told(base_of, dataset_of, given, n_frozen, told):
    base, options = base_of("bert"), EncoderOptions(**given)
    found = ignored(
        base, options, method_of(base, options, dataset_of([("a", {"t": "x"}), ("b", {"t": "y"})])), n_frozen
    )
    assert len(found) == len(told)
    assert all(each.startswith(begin) for each, begin in zip(found, told, strict=True))


def test_no_more_layers_are_frozen_than_there_are(base_of, dataset_of):
    data = dataset_of([("a", {"t": "x"}), ("b", {"t": "y"})])
    assert method_of(base_of("bert"), EncoderOptions(freeze_layers=3), data).n_frozen == 3
    told = r"freeze_layers = 4 is more than the 3 layers of the base model .+\. Give 0 to 3, or leave it out: 1"
    with pytest.raises(InvalidSetting, match=told):
        method_of(base_of("bert"), EncoderOptions(freeze_layers=4), data)


def test_a_large_base_model_is_trained_by_lora_whatever_was_to_be_frozen(base_of):
    (told,) = ignored(base_of("bert"), EncoderOptions(freeze_layers=2), Method(0, True, {}), 0)
    assert "trained by LoRA" in told
    assert "lora=false" in told


@pytest.mark.parametrize(("n_rows", "targets", "n_frozen"), [(90, 1, 1), (89, 1, 3), (90, 2, 3), (120, 2, 1)])
def test_lower_layers_are_taught_where_each_label_has_many_rows(
    base_of, dataset_of, monkeypatch, n_rows, targets, n_frozen
):
    """One target has three labels, the other four: many are 30 rows of each, of the target with most labels, too."""
    monkeypatch.setattr(planning, "ROWS_TO_TEACH_LAYERS", 30)
    base = base_of("bert")
    tuned = replace(base, card=base.card.model_copy(update={"tuned": {"freeze_layers": 3}}))
    names = {"three": "abc", "four": "abcd"}
    of = dict(list(names.items())[:targets])
    data = dataset_of([(str(n), {name: labels[n % len(labels)] for name, labels in of.items()}) for n in range(n_rows)])
    assert method_of(tuned, EncoderOptions(), data).n_frozen == n_frozen
    assert method_of(tuned, EncoderOptions(freeze_layers=2), data).n_frozen == 2
    assert method_of(base, EncoderOptions(), data).n_frozen == 1


@pytest.mark.parametrize(
    ("n_rows", "n_labels", "updates"),
    [(60, 3, 100), (640, 40, 120), (640, 64, 192), (640, 320, 200), (2_000, 64, 315)],
)
def test_many_labels_are_learnt_for_longer(base_of, dataset_of, n_rows, n_labels, updates):
    data = dataset_of([(str(n), {"t": f"label {n % n_labels}", "u": "ab"[n % 2]}) for n in range(n_rows)])
    method = method_of(base_of("bert"), EncoderOptions(), data)
    plan = plan_of(n_rows, 10 * n_rows, hyperparameters(), EncoderOptions(), method)
    assert plan.updates == plan.least == updates
    fewer = plan_of(n_rows, 10 * n_rows, hyperparameters(epochs=1), EncoderOptions(), method)
    assert fewer.least == fewer.updates < updates
    more = plan_of(n_rows, 10 * n_rows, hyperparameters(epochs=100), EncoderOptions(), method)
    assert more.least == updates < more.updates
