from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save
from tokenizers import Tokenizer

from tamis.errors import DamagedArtifact
from tamis.ml.artifact import TENSORS, TOKENIZER, open_artifact
from tamis.ml.scorer import FAMILIAR
from tamis.ml.static.model import architecture_of, tensors_of
from tamis.ml.static.stored import restore

TEXTS = ["where is my parcel", "", "refund the card please", "包裹 👋"]


@pytest.fixture
def artifact(tiny_folder):
    return open_artifact(tiny_folder)


def changed(artifact, name, tensor):
    """The artifact with one tensor replaced, or left out."""
    tensors = {key: value for key, value in artifact.tensors.items() if key != name}
    kept = tensors if tensor is None else {**tensors, name: tensor}
    return replaced(artifact, TENSORS, save({name: np.ascontiguousarray(kept[name]) for name in kept}))


def replaced(artifact, name, content):
    return replace(artifact, files={**artifact.files, name: np.frombuffer(content, dtype=np.uint8)})


def described(artifact, **facts):
    manifest = artifact.manifest
    architecture = {name: fact for name, fact in {**manifest.architecture, **facts}.items() if fact is not ...}
    return replace(artifact, manifest=manifest.model_copy(update={"architecture": architecture}))


def test_a_restored_model_stores_the_same_tensors_as_views_of_the_file(artifact):
    model = restore(artifact)
    tensors = tensors_of(model)
    assert tensors.keys() == artifact.tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, artifact.tensors[name])
        if not name.endswith(".points"):  # these are few, and computed with as 32-bit numbers
            assert tensor.size == 0 or np.shares_memory(tensor, artifact.tensors[name])
            assert not tensor.flags.writeable
    assert architecture_of(model) == artifact.manifest.architecture


def test_it_computes(artifact):
    logits = restore(artifact).logits(TEXTS)
    assert {name: values.shape for name, values in logits.items()} == {
        FAMILIAR: (4, 3),
        "intent": (4, 4),
        "topics": (4, 4),
    }


FLOATS = [
    "base.embeddings",
    "centres.0.points",
    "lexical.weights",
    "lexical.words.idf",
    "pooled.centre",
    "network.heads",
    "network.hidden",
]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(artifact, name, worst):
    tensor = artifact.tensors[name].copy()
    tensor.reshape(-1)[-1] = worst
    with pytest.raises(DamagedArtifact, match=f"{name}.*NaN or infinities"):
        restore(changed(artifact, name, tensor))


def test_every_tensor_is_needed_with_its_type_and_its_shape(artifact):
    for name, tensor in artifact.tensors.items():
        wider = tensor.astype("f8") if tensor.dtype.kind == "f" else tensor.astype("i2")
        for other in (None, wider, tensor[None], tensor[:-1] if len(tensor) else np.zeros(3, tensor.dtype)):
            if name == "network.tokens" and other is not None and other.shape == (len(tensor) - 1,):
                continue  # its length is the other tensors' measure
            with pytest.raises(DamagedArtifact):
                restore(changed(artifact, name, other))


def test_a_model_without_centres_is_as_older_versions_wrote_it(artifact):
    tensors = {name: tensor for name, tensor in artifact.tensors.items() if not name.startswith("centres.")}
    old = described(
        replaced(artifact, TENSORS, save({name: np.array(tensors[name]) for name in tensors})), nearness=...
    )
    before, now = restore(old).logits(TEXTS), restore(artifact).logits(TEXTS)
    assert before.pop(FAMILIAR).tolist() == now.pop(FAMILIAR)[:, :1].tolist()
    for name, logits in now.items():
        np.testing.assert_array_equal(logits, before[name])


@pytest.mark.parametrize("starts", [[1, 1, 1, 1, 1], [0, 2, 1, 2, 2], [0, 1, 2, 3, 99], [0, -1, 0, 0, 0]])
def test_centres_of_no_label_are_refused(artifact, starts):
    with pytest.raises(DamagedArtifact, match="centres"):
        restore(changed(artifact, "centres.0.starts", np.array(starts)))


@pytest.mark.parametrize("facts", [{"usual": {"other": 1.0}}, {"usual": {}}, {"base_scale": -1.0}, {"more": 1}])
def test_facts_of_centres_that_do_not_fit_are_refused(artifact, facts):
    with pytest.raises(DamagedArtifact):
        restore(described(artifact, nearness={**artifact.manifest.architecture["nearness"], **facts}))


def test_an_unknown_tensor_is_refused(artifact):
    with pytest.raises(DamagedArtifact, match="extra"):
        restore(changed(artifact, "extra", np.zeros(2)))


@pytest.mark.parametrize("block", ["characters", "words", "pairs"])
def test_hashes_out_of_order_are_refused(artifact, block):
    for name in (f"lexical.{block}.hashes", f"lexical.{block}.single_hashes"):
        tensor = artifact.tensors[name]
        assert len(tensor) > 1
        with pytest.raises(DamagedArtifact, match="not in order"):
            restore(changed(artifact, name, tensor[::-1].copy()))
        with pytest.raises(DamagedArtifact, match="not in order"):
            restore(changed(artifact, name, np.full_like(tensor, tensor[0])))


@pytest.mark.parametrize("bad", [-1, 10_000])
def test_places_outside_a_table_are_refused(artifact, bad):
    for name in ("network.tokens", "lexical.words.single_owners"):
        tensor = artifact.tensors[name].copy()
        tensor[0 if bad < 0 else -1] = bad
        with pytest.raises(DamagedArtifact, match=name):
            restore(changed(artifact, name, tensor))


@pytest.mark.parametrize(
    "facts",
    [
        {"fields": 2},
        {"fields": 3},
        {"fields": "1"},
        {"dimensions": 16},
        {"dimensions": 0},
        {"hidden": 5},
        {"terms": {"characters": 1, "words": 1, "pairs": 1}},
        {"terms": {"words": 1}},
        {"terms": 3},
        {"private_columns": -1},
        {"private_columns": 1 << 60},
        {"pooled_scale": None},
        {"unknown_idf": {"characters": 1.0, "words": "x", "pairs": 1.0}},
        {"unknown_token": -1},
        {"embedding_scale": ...},
        {"new": 1},
    ],
    ids=str,
)
def test_an_architecture_that_does_not_fit_is_refused(artifact, facts):
    with pytest.raises(DamagedArtifact):
        restore(described(artifact, **facts))


def test_a_tokenizer_that_is_none_or_of_another_model_is_refused(artifact):
    for other in (b"", b"{}", b"\xff", b'{"version": "1.0"}'):
        with pytest.raises(DamagedArtifact, match="not a tokenizer"):
            restore(replaced(artifact, TOKENIZER, other))
    tokenizer = Tokenizer.from_buffer(artifact.tokenizer_json)
    tokenizer.add_tokens(["something new"])
    with pytest.raises(DamagedArtifact, match="embeddings"):
        restore(replaced(artifact, TOKENIZER, tokenizer.to_str().encode()))
    tokenizer = Tokenizer.from_buffer(artifact.tokenizer_json)
    tokenizer.enable_truncation(3)
    with pytest.raises(DamagedArtifact, match="cuts or pads"):
        restore(replaced(artifact, TOKENIZER, tokenizer.to_str().encode()))
