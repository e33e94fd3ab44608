"""What configurations of strangers ask for is looked at before any memory is taken for it."""

import json
import re
import resource
import shutil

import pytest
from safetensors.numpy import load_file, save_file

from tamis.errors import DamagedArtifact, UnknownBaseModel
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


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"encoder_layers": 10**6}, "encoder_layers is 1,000,000, and 512 is the most"),
        ({"attention_types": [[["global"], 10**9]]}, "attention_types is 1,000,000,000, and 65,536"),
        ({"block_sizes": [500, 13]}, "block_sizes is 513 in all, and 512"),
        ({"block_sizes": [0] * 513}, "the length of block_sizes is 513, and 512"),
        ({"inner_group_num": 10**9}, "inner_group_num is 1,000,000,000, and 65,536"),
        ({"text_config": {"anything": 1 << 17}}, "text_config.anything is 131,072"),
    ],
)
def test_what_would_be_counted_through_is_bounded_whatever_its_name(folder, entries, told):
    changed(folder / "config.json", **entries)
    with pytest.raises(DamagedArtifact, match=r"config\.json.*" + re.escape(told)):
        load_base(str(folder))


def test_labels_that_a_configuration_claims_are_not_made(folder):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    changed(folder / "config.json", num_labels=4 * 10**9, id2label=None, label2id=None)
    assert load_network(load_base(str(folder)).folder, 3, 0).config.num_labels == 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "kilobytes"


def test_a_file_of_weights_that_a_configuration_names_is_not_read(folder):
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    zeros = {name: 0 * array for name, array in load_file(folder / "model.safetensors").items()}
    save_file(zeros, folder / "other.safetensors", {"format": "pt"})
    changed(folder / "config.json", transformers_weights="other.safetensors")
    assert any(weight.any() for weight in load_network(folder, 3, 0).base_model.embeddings.parameters())


def sharded(folder, name):
    """The weights under another name, that an index gives."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / name)
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_an_index_says_which_weights_are_checked_and_hashed(folder):
    sharded(folder, "part-1.safetensors")
    (folder / "model-0.safetensors").write_bytes(b"not read")
    base = load_base(str(folder))
    assert base.n_weights > 0
    assert {"part-1.safetensors", "model.safetensors.index.json"} < set(base.facts()["files"])
    assert load_network(folder, 3, 0).config.num_labels == 3


@pytest.mark.parametrize("name", ["../outside.safetensors", "/outside.safetensors", "a/b.safetensors", "weights.bin"])
def test_an_index_may_name_files_beside_it_alone(folder, name):
    sharded(folder, "part-1.safetensors")
    index = {"metadata": {}, "weight_map": {"a": "part-1.safetensors", "b": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(DamagedArtifact, match=re.escape(f"it names {name!r}")):
        load_base(str(folder))


@pytest.mark.parametrize("found", [{}, {"weight_map": []}, {"weight_map": {"a": 1}}])
def test_an_index_without_names(folder, found):
    sharded(folder, "part-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(found))
    with pytest.raises(DamagedArtifact, match="names no file"):
        load_base(str(folder))


def test_a_file_that_an_index_names_and_that_is_not_there(folder):
    sharded(folder, "part-1.safetensors")
    (folder / "part-1.safetensors").unlink()
    with pytest.raises(UnknownBaseModel, match=r"names 'part-1\.safetensors', which is not there"):
        load_base(str(folder))


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer.json", "model.safetensors", "README.md"])
def test_links_to_files_elsewhere_are_not_followed(folder, tmp_path, name):
    secret = tmp_path / "secret"
    if (folder / name).exists():
        (folder / name).rename(secret)
    else:
        secret.write_text("of nobody's business")
    (folder / name).symlink_to(secret)
    with pytest.raises(DamagedArtifact, match=r"a link to a file outside of its folder.*if you trust where"):
        load_base(str(folder))


def test_links_within_the_folder_and_to_the_folder_are_good(folder, tmp_path):
    (folder / "inner").mkdir()
    (folder / "tokenizer.json").rename(folder / "inner" / "kept.json")
    (folder / "tokenizer.json").symlink_to(folder / "inner" / "kept.json")
    (tmp_path / "elsewhere").symlink_to(folder)
    assert load_base(str(tmp_path / "elsewhere")).n_layers == load_base(str(folder)).n_layers
