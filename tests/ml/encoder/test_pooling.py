"""A layer on top whose first token says the mean of all, for base models that were trained to be averaged."""

import dataclasses
import json
import shutil

import pytest
import torch

import tamis
from tamis.errors import InvalidSetting
from tamis.ml.base_models import load_base
from tamis.ml.cards import CARDS
from tamis.ml.encoder.first_token import reads_first_token
from tamis.ml.encoder.network import last_linear, load_network, parts_of
from tamis.ml.encoder.options import encoder_options
from tamis.ml.encoder.planning import method_of
from tamis.ml.encoder.pooling import HANDED_ON, LOUD, add_mean_layer
from tamis.ml.export.exporting import export

KINDS = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def averaged(folder, told=MEAN):
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture
def folder(base_folder, tmp_path):
    """A base model that says that its tokens are to be averaged."""
    return averaged(shutil.copytree(base_folder("bert"), tmp_path / "base"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_token_says_the_mean(base_folder, kind):
    model = load_network(base_folder(kind), 3, 0).eval()
    ids = torch.tensor([[1, 50, 60, 70, 2], [1, 80, 2, 0, 0]])
    mask = (ids != 0).long()
    given = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        below = model.base_model(**given).last_hidden_state
        add_mean_layer(model)
        said = model.base_model(**given).last_hidden_state[:, 0]
    mean = (below * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    wanted = torch.nn.functional.layer_norm(LOUD * mean + below[:, 0], (below.shape[-1],))
    assert torch.allclose(said, wanted, atol=1e-3)
    assert len(parts_of(model).layers) == model.config.num_hidden_layers == 4
    assert reads_first_token(model, 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "electra"])
def test_the_labels_are_read_from_the_mean_itself(base_folder, kind):
    model = load_network(base_folder(kind), 3, 0).eval()
    add_mean_layer(model)
    heard = []
    last_linear(model).register_forward_hook(lambda _, given, __: heard.append(given[0]))
    ids = torch.tensor([[1, 50, 60, 70, 2]])
    with torch.no_grad():
        model(input_ids=ids)
        said = model.base_model(input_ids=ids).last_hidden_state[:, 0]
    assert torch.allclose(heard[0], torch.tanh(HANDED_ON * said), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_learnt_and_saved_as_any_layer(base_folder, kind, tmp_path):
    model = load_network(base_folder(kind), 3, 0)
    add_mean_layer(model)
    layer = parts_of(model).layers[-1]
    model(input_ids=torch.tensor([[1, 50, 60, 2]]), labels=torch.tensor([1])).loss.backward()
    learnt = {name for name, weight in layer.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert {"attention.self.value.weight", "attention.output.dense.weight", "output.dense.weight"} <= learnt
    model.eval().save_pretrained(tmp_path)
    again = load_network(tmp_path, 3, 0).eval()
    ids = torch.tensor([[1, 50, 60, 2]])
    assert torch.equal(again(input_ids=ids).logits, model(input_ids=ids).logits)


@pytest.mark.parametrize(
    ("told", "is_averaged"),
    [
        (MEAN, True),
        ({"pooling_mode": "mean"}, True),
        ({"pooling_mode": "cls"}, False),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, False),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, False),
        ({}, False),
    ],
)
def test_what_a_base_model_says(base_folder, tmp_path, told, is_averaged):
    folder = averaged(shutil.copytree(base_folder("bert"), tmp_path / "base"), told)
    assert load_base(str(folder)).is_averaged is is_averaged


def test_one_that_says_nothing(base_folder):
    base = load_base(str(base_folder("bert")))
    assert not base.is_averaged
    known = dataclasses.replace(base, card=CARDS["minilm-l6"])
    assert known.is_averaged
    repository = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2"
    assert dataclasses.replace(base, card=base.card.model_copy(update={"source": repository})).is_averaged


@pytest.mark.parametrize(
    ("pooling", "of_averaged", "of_others"), [("auto", True, False), ("first", False, False), ("mean", True, True)]
)
def test_the_choice(folder, base_folder, data, pooling, of_averaged, of_others):
    options = encoder_options({"pooling": pooling})
    assert method_of(load_base(str(folder)), options, data).pools is of_averaged
    assert method_of(load_base(str(base_folder("bert"))), options, data).pools is of_others


@pytest.mark.parametrize("kind", ["modernbert", "distilbert", "llama"])
def test_architectures_without_such_a_layer(base_folder, tmp_path, data, kind):
    base = load_base(str(averaged(shutil.copytree(base_folder(kind), tmp_path / "base"))))
    assert not method_of(base, encoder_options({}), data).pools
    with pytest.raises(InvalidSetting, match=f"pooling = mean: no layer.*architecture {kind}.*Leave it out"):
        method_of(base, encoder_options({"pooling": "mean"}), data)


@pytest.fixture
def data(dataset_of):
    return dataset_of([("a", {"t": "x"}), ("b", {"t": "y"})])


def test_a_model_of_it_is_trained_served_and_exported(folder, rows_of, tmp_path):
    rows = [{"text": text, "labels": {"thing": label}} for text, label in rows_of(60)]
    model = tamis.train(rows, base=str(folder), epochs=4, learning_rate=3e-4, out=tmp_path / "model")
    assert model.manifest.training["pooling"] == "mean"
    assert json.loads((tmp_path / "model" / "config.json").read_text())["num_hidden_layers"] == 4
    texts = [row["text"] for row in rows[:9]]
    found = [answer.answers["thing"].scores for answer in model.classify(texts)]
    again = [answer.answers["thing"].scores for answer in tamis.load(tmp_path / "model").classify(texts)]
    assert found == again
    export(tmp_path / "model", "hf", tmp_path / "hf")
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["num_hidden_layers"] == 4


def test_frozen_layers_are_those_below(folder, rows_of, tmp_path):
    rows = [{"text": text, "labels": {"thing": label}} for text, label in rows_of(40)]
    how = {"epochs": 2, "encoder_options": {"freeze_layers": 3}}
    model = tamis.train(rows, base=str(folder), out=tmp_path / "model", **how)
    assert model.manifest.training["frozen_layers"] == 3
    before, after = load_network(folder, 3, 0), load_network(tmp_path / "model", 3, 0)
    old, new = parts_of(before).layers, parts_of(after).layers
    for place in range(3):
        learnt = new[place].state_dict()
        assert all(torch.equal(learnt[name], weight) for name, weight in old[place].state_dict().items())
    assert new[3].output.dense.weight.any()
