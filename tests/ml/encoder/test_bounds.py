"""What configurations of strangers ask for is looked at before any memory is taken for it."""

import json
import re
import resource
import shutil

import pytest
from safetensors.numpy import load_file, save_file

from tamis.errors import DamagedArtifact
from tamis.ml.artifact import open_artifact
from tamis.ml.base_models import load_base
from tamis.ml.encoder.bounds import MOST, MOST_TOKENS, refuse_architecture, refuse_configuration
from tamis.ml.encoder.network import load_network
from tamis.ml.encoder.restoring import restore

PLAIN = {"max_length": 512, "windows": 1, "pad_id": 0, "empty_id": 1}


@pytest.fixture
def folder(base_folder, tmp_path):
    """A copy of a whole base model that may be spoilt."""
    return shutil.copytree(base_folder("bert"), tmp_path / "spoilt")


def changed(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1,000,000,000, and 512 is the most"),
        ({"hidden_size": 1 << 30}, "hidden_size is 1,073,741,824, and 131,072"),
        ({"vocab_size": 1 << 40}, "vocab_size is"),
        ({"vocab_size": -1}, "vocab_size is -1"),
        ({"max_position_embeddings": 10**400}, "max_position_embeddings is a number of more than 15 digits"),
        ({"text_config": {"n_layer": 513}}, "text_config.n_layer is 513"),
        ({"layers": [{"dim": 1 << 18}]}, "layers.dim is 262,144"),
        ({"n_inner": [1 << 21]}, "n_inner is"),
        ({"anything": 1 << 33}, "anything is"),
    ],
)
def test_sizes_beyond_all_models_are_refused_by_name(folder, entries, told):
    changed(folder / "config.json", **entries)
    with pytest.raises(DamagedArtifact, match=r"config\.json.*" + re.escape(told)):
        load_base(str(folder))


def test_what_models_say_passes(folder):
    refuse_configuration(
        {"rope_theta": 10_000_000, "num_hidden_layers": 126, "vocab_size": 262_144, "pad_token_id": -1, "tie": True,
         "max_position_embeddings": 10_485_760, "text_config": {"hidden_size": 16_384}, "eos_token_id": [1, 2]},
        folder,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"vocab_size": 16_000_000}, r"word_embeddings.weight is 16,000,000 x 32 by this config.*300 x 32 in the w"),
        ({"hidden_size": 65_536}, r"is 300 x 65,536"),
        ({"num_hidden_layers": 400}, r"it asks for [\d,]+ weights, and the files have"),
        ({"intermediate_size": 1_000_000}, r"is 1,000,000 x 32"),
    ],
)
def test_configurations_unlike_the_weights_are_refused_before_memory_is_taken(folder, entries, told):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    changed(folder / "config.json", **entries)
    with pytest.raises(DamagedArtifact, match=r"config\.json.*" + told):
        load_network(folder, 3, 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes"


@pytest.mark.parametrize(
    ("name", "positions", "entries", "told"),
    [
        ("GPTBigCodeConfig", "transformer.wpe.weight", {"n_positions": 20_000}, r"[\d,]{10,} bytes beside the weights"),
        ("GPTNeoConfig", "transformer.wpe.weight", {"max_position_embeddings": 20_000}, r"[\d,]{10,} bytes beside"),
    ],
)
def test_masks_of_a_configuration_are_counted_before_memory_is_taken(tmp_path, name, positions, entries, told):
    import torch
    import transformers

    few = {"n_embd": 8, "n_layer": 2, "n_head": 1, "n_inner": 8, "hidden_size": 8, "num_layers": 2, "num_heads": 1}
    config = getattr(transformers, name)(**few, vocab_size=300, attention_types=[[["global"], 2]],
                                         **dict.fromkeys(entries, 64))  # fmt: skip
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    assert load_network(tmp_path, 3, 0).config.num_labels == 3
    weights = load_file(tmp_path / "model.safetensors")
    save_file(weights | {positions: torch.zeros(20_000, 8).numpy()}, tmp_path / "model.safetensors", {"format": "pt"})
    changed(tmp_path / "config.json", **entries)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedArtifact, match=r"config\.json.*" + told):
        load_network(tmp_path, 3, 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


def test_heads_and_poolers_may_be_new(folder):
    weights = {name: array for name, array in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert load_network(folder, 3, 0).config.num_labels == 3


def test_a_program_for_attention_that_a_configuration_names_is_not_asked_for(folder):
    changed(folder / "config.json", attn_implementation="someone/evil", _attn_implementation="someone/evil")
    assert load_network(folder, 3, 0).config._attn_implementation in ("sdpa", "eager")


def test_a_header_of_more_numbers_than_its_file_has_is_refused(folder):
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 30], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(DamagedArtifact, match="more numbers than the file"):
        load_base(str(folder))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_length", MOST_TOKENS + 1, "131,073, and 1 to 131,072"),
        ("max_length", 0, "architecture.max_length is 0"),
        ("max_length", 10**400, "more than 15 digits"),
        ("max_length", "512", "no whole number"),
        ("windows", 10**6, "architecture.windows is 1,000,000, and 1 to 1,024"),
        ("windows", True, "no whole number"),
        ("pad_id", -1, "architecture.pad_id"),
        ("empty_id", None, "architecture.empty_id"),
    ],
)
def test_what_a_manifest_asks_for_is_bounded(tmp_path, name, value, told):
    refuse_architecture(PLAIN, tmp_path / "manifest.json")
    with pytest.raises(DamagedArtifact, match=r"manifest\.json.*" + re.escape(told)):
        refuse_architecture(PLAIN | {name: value}, tmp_path / "manifest.json")


def test_an_artifact_is_looked_at(stored):
    artifact = open_artifact(stored)
    facts = {**artifact.manifest.architecture, "max_length": 1 << 30}
    object.__setattr__(artifact, "manifest", artifact.manifest.model_copy(update={"architecture": facts}))
    with pytest.raises(DamagedArtifact, match="max_length"):
        restore(artifact)


def test_limits_are_above_what_tamis_itself_writes():
    assert MOST["max_position_embeddings"] >= MOST_TOKENS
