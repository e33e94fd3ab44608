import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from model2vec import StaticModel
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tamis.errors import DamagedArtifact, MissingExtra, UnknownBaseModel, UnsupportedArtifact
from tamis.ml.base_models import load_base
from tamis.ml.cards import CARDS, BaseModelCard
from tamis.ml.static import base_model as static
from tamis.ml.static.base_model import StaticBase

WORDS = ["[UNK]", "where", "is", "my", "parcel", "refund", "please", "!", "the", "card"]
TEXTS = ["Where is my parcel", "refund please!", "the unheard of card", "is is is", "nothing known"]
RANDOM = np.random.default_rng(3)
VECTORS = RANDOM.standard_normal((len(WORDS), 6)).astype(np.float32)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def word_tokenizer(**kind) -> Tokenizer:
    model = models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = Tokenizer(kind.get("model", model))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def pooled(base: StaticBase, texts: list[str]) -> np.ndarray:
    tokenizer = Tokenizer.from_buffer(base.tokenizer_json)
    rows = []
    for text in texts:
        ids = [i for i in tokenizer.encode(text, add_special_tokens=False).ids if i != base.unknown_id]
        matrix = base.matrix.astype(np.float32)
        rows.append(matrix[ids].mean(axis=0) if ids else np.zeros(matrix.shape[1], dtype=np.float32))
    pooled = np.array(rows)
    return pooled / (np.linalg.norm(pooled, axis=1, keepdims=True) + 1e-32) if base.normalize else pooled


def saved(folder, **options):
    model = StaticModel(**{"vectors": VECTORS, "tokenizer": word_tokenizer(), **options})
    model.save_pretrained(folder)
    return model


# Built in


def test_static_en_is_as_its_card_says():
    base = load_base("static-en")
    card = CARDS["static-en"]
    assert base.matrix.shape == (card.vocabulary, card.dimensions)
    assert base.matrix.dtype == np.float16
    assert not base.matrix.flags.writeable
    assert isinstance(base.matrix.base.base, np.ndarray)  # a view of the file, not a copy
    assert base.card.revision.startswith("wordllama ")
    assert base.card.model_copy(update={"revision": None}) == card
    assert Tokenizer.from_buffer(base.tokenizer_json).get_vocab_size() == card.vocabulary
    near = pooled(base, ["my parcel is late", "the delivery has not come", "a recipe for soup"])
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    assert near[0] @ near[1] > near[0] @ near[2]


def test_static_en_imports_neither_wordllama_nor_a_network():
    code = (
        "import sys; from tamis.ml.base_models import load_base; load_base('static-en'); "
        "print([name for name in ('wordllama', 'requests', 'huggingface_hub', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cards_name_licence_and_source():
    for name, card in CARDS.items():
        assert card.id == name
        assert card.licence != "unknown"
        assert card.source
        assert BaseModelCard.model_validate_json(card.model_dump_json(), strict=True) == card


def test_without_wordllama_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(static, "find_spec", lambda _: None)
    with pytest.raises(UnknownBaseModel, match="pip install wordllama"):
        load_base("static-en")


# Folders of model2vec


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalize": True},
        {"vectors": VECTORS.astype(np.float16)},
        {"vectors": VECTORS.astype(np.float64)},
        {"weights": RANDOM.random(len(WORDS)).astype(np.float32)},
        {"weights": RANDOM.random(len(WORDS)), "vectors": VECTORS.astype(np.float16)},
        {"vectors": VECTORS[:4], "token_mapping": np.arange(len(WORDS)) % 4},
        {
            "vectors": VECTORS[:4],
            "token_mapping": (np.arange(len(WORDS)) % 4).astype(np.int32),
            "weights": RANDOM.random(len(WORDS)).astype(np.float32),
            "normalize": True,
        },
    ],
    ids=["plain", "normalised", "f16", "f64", "weights", "f64 weights of f16", "mapping", "all"],
)
def test_pools_to_what_model2vec_gives(tmp_path, options):
    model = saved(tmp_path, **options)
    base = load_base(str(tmp_path))
    assert base.matrix.dtype in (np.float16, np.float32)
    assert base.matrix.shape == (len(WORDS), 6)
    assert base.normalize is options.get("normalize", False)
    tolerance = 3e-3 if model.embedding.dtype == np.float16 else 1e-6
    assert np.allclose(pooled(base, TEXTS), model.encode(TEXTS), atol=tolerance)


def test_whole_numbers_pool_to_the_same_direction(tmp_path):
    model = saved(tmp_path, vectors=np.clip(VECTORS * 40, -127, 127).astype(np.int8))
    assert np.allclose(pooled(load_base(str(tmp_path)), TEXTS), model.encode(TEXTS) / 127, atol=1e-6)


def test_a_unigram_tokenizer_knows_its_unknown_token_only_in_json(tmp_path):
    pieces = [(word, 0.0 if word == "[UNK]" else -1.0) for word in WORDS]
    tokenizer = word_tokenizer(model=models.Unigram(pieces, unk_id=0, byte_fallback=False))
    model = saved(tmp_path, tokenizer=tokenizer)
    base = load_base(str(tmp_path))
    assert base.unknown_id == 0
    assert np.allclose(pooled(base, TEXTS), model.encode(TEXTS), atol=1e-6)


def test_a_tokenizer_without_an_unknown_token(tmp_path):
    model = models.BPE(vocab={word: i for i, word in enumerate(WORDS)}, merges=[])
    saved(tmp_path, tokenizer=word_tokenizer(model=model))
    assert load_base(str(tmp_path)).unknown_id is None


def test_truncation_and_padding_are_taken_off(tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_file({"embeddings": VECTORS}, tmp_path / "model.safetensors")
    encoded = Tokenizer.from_buffer(load_base(str(tmp_path)).tokenizer_json).encode("where is my parcel please")
    assert len(encoded.ids) == 5


def test_the_card_of_a_folder(tmp_path):
    folder = tmp_path / "my-base"
    saved(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nlanguage:\n- en\n- de\ntags: [x]\n---\n# Hello\n")
    card = load_base(str(folder)).card
    assert (card.id, card.licence, card.languages) == ("my-base", "apache-2.0", ("en", "de"))
    assert (card.vocabulary, card.dimensions, card.source) == (len(WORDS), 6, "a local folder")
    assert card.revision == "sha256:" + hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert str(tmp_path) not in card.model_dump_json()  # the paths of this machine are nobody's business
    (folder / "README.md").write_bytes(b"---\nlanguage: [fr, it]\nlicense: 'mit'\n---\xff")
    card = load_base(str(folder)).card
    assert (card.licence, card.languages) == ("mit", ("fr", "it"))


@pytest.mark.parametrize("inner", ["", "0_StaticEmbedding"])
def test_folders_of_sentence_transformers(tmp_path, inner):
    (tmp_path / inner).mkdir(exist_ok=True)
    save_file({"embedding.weight": VECTORS}, tmp_path / inner / "model.safetensors")
    word_tokenizer().save(str(tmp_path / inner / "tokenizer.json"))
    assert np.array_equal(load_base(str(tmp_path)).matrix, VECTORS)
    assert not load_base(str(tmp_path)).normalize
    modules = [
        {"type": "sentence_transformers.models.StaticEmbedding"},
        {"type": "sentence_transformers.models.Normalize"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    assert load_base(str(tmp_path)).normalize


# What is refused


def parts(folder, tensors, tokenizer=None) -> str:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (tokenizer or word_tokenizer()).save(str(folder / "tokenizer.json"))
    return str(folder)


@pytest.mark.parametrize(
    ("tensors", "cause"),
    [
        ({"embeddings": VECTORS[:5]}, "knows token 9, and model.safetensors has 5 rows"),
        ({"embeddings": VECTORS[0]}, "shape"),
        ({"embeddings": VECTORS[:, :0]}, "shape"),
        ({"embeddings": np.ones((len(WORDS), 2), dtype=bool)}, "type bool"),
        ({"embeddings": VECTORS, "weights": np.ones(3, dtype=np.float32)}, "one a token"),
        ({"embeddings": VECTORS, "weights": np.ones(len(WORDS), dtype=np.int32)}, "one a token"),
        ({"embeddings": VECTORS, "mapping": np.full(len(WORDS), 10)}, "not there"),
        ({"embeddings": VECTORS, "mapping": np.full(len(WORDS), -1)}, "not there"),
        ({"embeddings": VECTORS, "mapping": np.zeros(len(WORDS))}, "row a token"),
        ({"embeddings": VECTORS, "mapping": np.zeros((2, 5), dtype=np.int64)}, "row a token"),
        ({"embeddings": VECTORS, "mapping": np.zeros(0, dtype=np.int64)}, "row a token"),
        ({"embeddings": np.where(VECTORS > 1, np.nan, VECTORS)}, "NaN"),
        ({"embeddings": VECTORS.astype(np.float64) * 1e300}, "NaN or inf"),
        ({"embeddings": VECTORS * 1e38, "weights": np.full(len(WORDS), 1e38)}, "NaN or inf"),
        ({"embeddings": np.where(VECTORS > 1, np.inf, VECTORS).astype(np.float16)}, "NaN or inf"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, tensors, cause):
    with pytest.raises(DamagedArtifact, match=cause):
        load_base(parts(tmp_path, tensors))


def test_a_mapping_cannot_blow_up_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(static, "MAX_NUMBERS", 59)
    with pytest.raises(DamagedArtifact, match="more than 59 numbers"):
        load_base(parts(tmp_path, {"embeddings": VECTORS[:1], "mapping": np.zeros(len(WORDS), dtype=np.int64)}))


def test_damaged_files_are_refused(tmp_path):
    parts(tmp_path, {"embeddings": VECTORS})
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(DamagedArtifact, match=r"model\.safetensors"):
        load_base(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(whole.replace(b"F32", b"F31"))
    with pytest.raises(UnsupportedArtifact, match="F31"):
        load_base(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(whole)
    (tmp_path / "tokenizer.json").write_bytes(b'{"model": 3}')
    with pytest.raises(DamagedArtifact, match="not a tokenizer"):
        load_base(str(tmp_path))
    word_tokenizer().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_bytes(b"{")
    with pytest.raises(DamagedArtifact, match=r"config\.json"):
        load_base(str(tmp_path))


def test_an_encoder_is_no_static_base(tmp_path):
    with pytest.raises(UnknownBaseModel, match="no tensor named embeddings"):
        load_base(parts(tmp_path, {"encoder.layer.0.weight": VECTORS}))


def test_pickled_weights_are_never_read(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnknownBaseModel, match="pickled"):
        load_base(str(tmp_path))


@pytest.mark.parametrize("name", ["static_en", "", "./no/such/folder", "a/b/c", "x" * 5000, "a\0b", "-/-", "a b/c"])
def test_a_name_that_is_nothing(name):
    with pytest.raises(UnknownBaseModel, match=r"built in \(static-en, minilm-l6\), not a folder here"):
        load_base(name)


def test_an_empty_folder_says_what_it_needs(tmp_path):
    with pytest.raises(UnknownBaseModel, match=r"needs model\.safetensors and tokenizer\.json"):
        load_base(str(tmp_path))


# The hub


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def cached(cache, repository="someone/words"):
    """A repository as the hub's library caches it: links to blobs."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot, blobs = place / "snapshots" / COMMIT, place / "blobs"
    saved(snapshot)
    blobs.mkdir()
    for path in [path for path in snapshot.iterdir() if path.is_file()]:
        path.rename(blobs / path.name)
        path.symlink_to(blobs / path.name)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    return snapshot


@pytest.mark.parametrize("name", ["someone/words", "someone/words@main", f"someone/words@{COMMIT}"])
def test_a_repository_in_the_cache_needs_no_network(cache, name):
    cached(cache)
    base = load_base(name)
    assert np.array_equal(base.matrix, VECTORS)
    assert base.card.id == "someone/words"
    assert base.card.revision == COMMIT
    assert base.card.source == "https://huggingface.co/someone/words"


def test_a_repository_that_is_not_in_the_cache_is_downloaded(cache, tmp_path, monkeypatch):
    asked = []

    def download(repository, *, revision, allow_patterns, local_files_only=False):
        asked.append((repository, revision, local_files_only))
        folder = tmp_path / COMMIT
        folder.mkdir(exist_ok=True)
        if not local_files_only:
            saved(folder)
        assert not any("bin" in pattern or "*" in pattern for pattern in allow_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert load_base("someone/words@v2").card.revision == COMMIT
    small_files_first = [("someone/words", "v2", True), ("someone/words", "v2", False)]
    assert asked == [*small_files_first, ("someone/words", "v2", True)]


def test_without_a_network_the_message_says_where_it_looked(cache):
    with pytest.raises(UnknownBaseModel) as caught:
        load_base("someone/words")
    for part in ("'someone/words'", "no such folder", "cache", "hub", "give a folder with its safetensors"):
        assert part in str(caught.value)


@pytest.mark.parametrize("error", [FileNotFoundError("not here"), RuntimeError("not here\nand more"), TimeoutError()])
def test_any_trouble_of_the_hub_is_told(cache, monkeypatch, error):
    def fail(*_, local_files_only=False, **__):
        raise FileNotFoundError if local_files_only else error

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(UnknownBaseModel, match=r"hub \((not here|TimeoutError)\)"):
        load_base("someone/words")


def test_the_hub_needs_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"tamis\[hub\]"):
        load_base("someone/words")
