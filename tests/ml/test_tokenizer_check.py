"""Real tokenizers pass; those that are made to take for ever, or to fill the memory, do not."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from tamis.errors import DamagedArtifact
from tamis.ml.artifact import TOKENIZER, open_artifact
from tamis.ml.base_models import load_base
from tamis.ml.static.stored import restore
from tamis.ml.tokenizer_check import MOST_GROWTH, refuse_hostile
from tamis.testing import tiny_base

GPT_4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT_4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def tokenizer(model=None, normalizer=None, pre_tokenizer=None) -> Tokenizer:
    made = Tokenizer(model or models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    if normalizer is not None:
        made.normalizer = normalizer
    if pre_tokenizer is not None:
        made.pre_tokenizer = pre_tokenizer
    return made


def bert():
    model = models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")
    return tokenizer(model, normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer())


def unigram():
    steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD()]
    steps += [normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")]
    pieces = models.Unigram([("<unk>", 0.0), ("▁a", -1.0)], unk_id=0, byte_fallback=False)
    cut = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    return tokenizer(pieces, normalizers.Sequence(steps), cut)


def model2vec_style():
    steps = [normalizers.Lowercase(), *(normalizers.Replace(sign, f" {sign} ") for sign in PUNCTUATION)]
    steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return tokenizer(None, normalizers.Sequence(steps), pre_tokenizers.Metaspace())


def byte_level(pattern):
    steps = [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(use_regex=False)]
    made = tokenizer(models.BPE({"a": 0}, []), normalizers.NFC(), pre_tokenizers.Sequence(steps))
    made.decoder = decoders.ByteLevel()
    return made


def llama():
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    return tokenizer(models.BPE({"<unk>": 0, "▁": 1}, [], unk_token="<unk>"), normalizers.Sequence(steps))


def compiled(*mapped: bytes):
    """A tokenizer of the SentencePiece kind whose map has an empty trie and these strings."""
    blob = (1024).to_bytes(4, "little") + bytes(1024) + b"\0".join(mapped) + b"\0"
    document = json.loads(unigram().to_str())
    document["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(blob).decode()}
    return Tokenizer.from_str(json.dumps(document))


@pytest.mark.parametrize(
    "make",
    [
        bert,
        unigram,
        model2vec_style,
        llama,
        lambda: compiled("\ufdfa".encode(), b"a" * 33),
        *(lambda pattern=pattern: byte_level(pattern) for pattern in (GPT_2, GPT_4, GPT_4O)),
    ],
)
def test_real_kinds_of_tokenizers_pass(make):
    refuse_hostile(make())


def test_the_built_in_base_model_and_the_tiny_one_pass(tmp_path):
    assert load_base("static-en").card.id == "static-en"
    assert load_base(str(tiny_base(tmp_path / "tiny"))).card.id == "tiny"


def twice(*steps):
    return normalizers.Sequence(list(steps))


@pytest.mark.parametrize(
    "normalizer",
    [
        twice(*[normalizers.Replace("a", "aa")] * 16),
        twice(*[normalizers.Replace("ab", "abab")] * 9),
        twice(normalizers.Replace("a", "bbbb"), normalizers.Replace("b", "cccccccc")),
        twice(normalizers.Replace("A", "bbbb"), normalizers.Lowercase(), normalizers.Replace("b", "cccccccc")),
        twice(*[normalizers.Replace(Regex("."), "xx")] * 6),
        twice(normalizers.Replace(Regex(""), "y" * 20)),
        twice(normalizers.Replace("z", "z" * 1000)),
        twice(normalizers.Prepend("p" * 1000)),
        twice(normalizers.Prepend("ppp"), normalizers.Replace("p", "q" * 10)),
        twice(twice(twice(*[normalizers.Replace("a", "aa")] * 8))),
    ],
)
def test_texts_that_would_grow_are_refused(normalizer):
    with pytest.raises(ValueError, match=f"makes more than {MOST_GROWTH} characters of one"):
        refuse_hostile(tokenizer(normalizer=normalizer))


ENDLESS = [
    *(
        "(a+)+$",
        "(?:a*)*b",
        "(a|aa)+c",
        r"(a)\1",
        "a+a+a+b",
        r"(?<n>a)\g<n>",
        "(a{1,9}){1,9}",
        "[a-z&&[^b]]+",
        "a" * 1001,
    ),
    *(r"(?<=a)b", "(?:a{2,})*", "(a+)?+"),
]


@pytest.mark.parametrize("pattern", ENDLESS)
@pytest.mark.parametrize("place", ["normalizer", "pre_tokenizer"])
def test_expressions_that_may_take_for_ever_are_refused(pattern, place):
    step = normalizers.Replace(Regex(pattern), "") if place == "normalizer" else None
    made = tokenizer(normalizer=step, pre_tokenizer=None if step else pre_tokenizers.Split(Regex(pattern), "removed"))
    with pytest.raises(ValueError, match="may take for ever"):
        refuse_hostile(made)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: tokenizer(models.BPE({"a": 0}, [], dropout=0.5)), "at random"),
        (lambda: tokenizer(models.WordPiece({"[UNK]": 0}, max_input_chars_per_word=10**9)), "1,000,000,000 characters"),
        (lambda: tokenizer(normalizer=twice(*[normalizers.BertNormalizer()] * 2)), "one is allowed"),
        (lambda: tokenizer(normalizer=twice(*[normalizers.Strip()] * 300)), "300 steps"),
        (lambda: compiled(b"x" * 65), "makes 65 bytes of one"),
    ],
)
def test_what_else_is_refused(make, cause):
    with pytest.raises(ValueError, match=cause):
        refuse_hostile(make())


def test_too_many_added_tokens_are_refused(monkeypatch):
    monkeypatch.setattr("tamis.ml.tokenizer_check.MOST_ADDED_TOKENS", 2)
    made = tokenizer()
    made.add_tokens([AddedToken(f"added {n}") for n in range(3)])
    with pytest.raises(ValueError, match="adds 3 tokens"):
        refuse_hostile(made)


def test_a_base_model_with_such_a_tokenizer_is_refused(tmp_path):
    folder = tiny_base(tmp_path / "tiny")
    document = json.loads((folder / "tokenizer.json").read_text())
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    document["normalizer"] = {"type": "Sequence", "normalizers": [step] * 30}
    (folder / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(DamagedArtifact, match="more than 16 characters of one"):
        load_base(str(folder))


def test_a_model_with_such_a_tokenizer_is_refused(tiny_folder):
    artifact = open_artifact(tiny_folder)
    document = json.loads(artifact.tokenizer_json)
    document["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "(a+)+$"},
        "behavior": "Removed",
        "invert": False,
    }
    content = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    with pytest.raises(DamagedArtifact, match="may take for ever"):
        restore(replace(artifact, files={**artifact.files, TOKENIZER: content}))
