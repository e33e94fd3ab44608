import random

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from tamis.data.dataset import build
from tamis.ml.static.model import Semantics
from tamis.ml.static.tokens import RunTokenizer
from tamis.schema import Example

DIMENSIONS = 12
KNOWN = 199


@pytest.fixture(scope="session")
def words():
    """199 words, all different."""
    syllables = [first + second for first in "bdfglmnprst" for second in "aeiou"]
    chosen = random.Random(1)
    found = dict.fromkeys("".join(chosen.choices(syllables, k=chosen.randint(1, 3))) for _ in range(400))
    return list(found)[:KNOWN]


@pytest.fixture(scope="session")
def semantics(words):
    """A base model that knows these words, and token 0 for all others."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, **{word: i + 1 for i, word in enumerate(words)}}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    matrix = np.random.default_rng(2).standard_normal((KNOWN + 1, DIMENSIONS)).astype(np.float16)
    return Semantics(matrix, RunTokenizer(tokenizer.to_str().encode(), 0))


@pytest.fixture(scope="session")
def texts_about(words):
    """A function: `n` texts, the label of told by one of its words (label i of `k` owns six words)."""

    def make(n, k, seed=0, length=5):
        chosen = random.Random(seed)
        made = []
        for row in range(n):
            text = [chosen.choice(words[row % k :: k][:6]), *chosen.choices(words[-19:], k=length - 1)]
            chosen.shuffle(text)
            made.append((" ".join(text), f"label {row % k}"))
        return made

    return make


@pytest.fixture(scope="session")
def data_of():
    """A function: the dataset of (input, labels by target) pairs; a list makes a target multi-label."""

    def make(rows, targets=None):
        return build(
            [
                Example(
                    given,
                    {name: (label,) if isinstance(label, str) else tuple(label) for name, label in labels.items()},
                    line,
                    frozenset(name for name, label in labels.items() if not isinstance(label, str)),
                )
                for line, (given, labels) in enumerate(rows, start=1)
            ],
            targets,
        )

    return make


HOSTILE = (
    "",
    " \t\n\u2003",
    "\0\0 \0",
    "\ud800 \udfff x",
    "👩‍👩‍👧 👋🏽",
    "שלום עולם",
    "我喜欢猫。",
    "نص عربي",
    "é" * 3000,
    "a " * 50_000,
    "x" * 100_000,
    "no known word here",
    "?!",
)


@pytest.fixture(scope="session")
def hostile():
    """Texts that tend to break things."""
    return HOSTILE
