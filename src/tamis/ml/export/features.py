"""Texts as numbers for a static model's model.onnx: n-grams with their weights, and tokens with their shares.

This file stands by itself: it needs numpy and tokenizers, and neither Tamis nor any other file than those beside it.
`features(texts)` is what `onnxruntime.InferenceSession.run` takes as its inputs.

A text is cut into runs at white space. A run's character n-grams and words, and pairs of neighbouring words, are hashed
and looked up: what is known is a column with a TF-IDF value. Its tokens, and those of the first three runs (the
opening), are averaged by the model itself. Chats have three fields: the last user turn, earlier ones, all else.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Text = str | Sequence[Mapping[str, str]]
"""A text, or a chat: `[{"role": "user", "content": "..."}]`."""

Hashes = NDArray[np.uint64]

OPENING_RUNS = 3
LONGEST_RUN = 10_000
LONG_WORD = 256
MOST_MARKS = 30
REMEMBERED = 50_000
MASK = (1 << 64) - 1
BASE, PAIR, FIELD = 0x9E3779B97F4A7C15, 0x94D049BB133111EB, 0xA0761D6478BD642F
MARKS = (range(0x300, 0x3100), range(0xA600, 0xAC00), range(0xFB00, 0xFFA0), range(0x10000, 0x20000))


class Weighted(NamedTuple):
    """Columns with values, and the sum of the squared weights of all n-grams, known or not."""

    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    squares: float


class Run(NamedTuple):
    """A run in a field: its character n-grams, its words, the words' hashes in order, its tokens."""

    characters: Weighted
    words: Weighted
    hashes: Hashes
    tokens: list[int]


class Block:
    """The known n-grams of a kind."""

    def __init__(self, arrays: Mapping[str, Any], kind: str, first: int, first_private: int, unknown: float) -> None:
        """Take the arrays of a kind; `first` and `first_private` are its first columns."""
        self._hashes, self._idf = arrays[f"{kind}.hashes"], arrays[f"{kind}.idf"].astype(np.float64)
        self._single, self._owner = arrays[f"{kind}.single_hashes"], arrays[f"{kind}.single_owners"]
        self._share = arrays[f"{kind}.single_shares"].astype(np.float64) * unknown
        self._first, self._first_private, self._unknown = first, first_private, unknown

    def look_up(self, hashes: Hashes, *, damp: bool = False) -> Weighted:
        """Return the columns of n-grams, each as often as it is there, or 1 + log of that."""
        different, counts = np.unique(hashes, return_counts=True)
        place, known = _find(self._hashes, different)
        of_one, single = _find(self._single, different[~known])
        times = 1 + np.log(counts[known]) if damp else counts[known]
        idf = np.full(len(different), self._unknown)
        idf[known] = self._idf[place[known]]
        columns = [self._first + place[known], self._first_private + self._owner[of_one[single]].astype(np.int64)]
        values = [times * idf[known], counts[~known][single] * self._share[of_one[single]]]
        return Weighted(np.concatenate(columns), np.concatenate(values), float((counts * idf**2).sum()))


class Features:
    """Makes the inputs of model.onnx."""

    def __init__(self, folder: str | Path) -> None:
        """Read features.json, features.npz and tokenizer.json in the folder of the model."""
        place = Path(folder)
        told = json.loads((place / "features.json").read_text(encoding="utf-8"))
        with np.load(place / "features.npz", allow_pickle=False) as stored:
            arrays = dict(stored)
        self._fields: int = told["fields"]
        self._unknown_token: int | None = told["unknown_token"]
        first, private = told["first_columns"], told["first_columns"]["private"]
        self._characters, self._words, self._pairs = (
            Block(arrays, kind, first[kind], private, told["unknown_idf"][kind])
            for kind in ("characters", "words", "pairs")
        )
        self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
        self._run = lru_cache(REMEMBERED)(self._read_run)

    def __call__(self, texts: Iterable[Text]) -> dict[str, NDArray[Any]]:
        """Return the inputs of the model for some texts or chats, which may be of different lengths.

        Returns:
            `columns` int64 and `values` float32 (texts, n-grams); `tokens` int64 and `shares` float32
            (texts, pools, tokens). Shorter texts are filled up with values and shares of 0.
        """
        segments = [self._segments(text) for text in texts]
        lexical = [self._lexical(each) for each in segments]
        pools = [self._pools(each) for each in segments]
        columns, values = _filled([[each] for each in lexical], 1)
        tokens, shares = _filled(pools, self._fields + 1)
        return {"columns": columns[:, 0], "values": values[:, 0], "tokens": tokens, "shares": shares}

    def _segments(self, text: Text) -> list[tuple[int, list[str]]]:
        """The field and the runs of the text, or of each message."""
        if isinstance(text, str):
            return [(0, split(text))]
        last = max((n for n, message in enumerate(text) if message["role"] == "user"), default=len(text) - 1)
        fields = [0 if n == last else 1 if message["role"] == "user" else 2 for n, message in enumerate(text)]
        runs = [split(message["content"]) for message in text]
        return list(zip(fields if self._fields > 1 else [0] * len(runs), runs, strict=True))

    def _lexical(self, segments: list[tuple[int, list[str]]]) -> dict[int, float]:
        """The columns of the n-grams with their values."""
        found: dict[int, float] = defaultdict(float)
        for field in range(self._fields):
            counts = Counter(run for at, runs in segments if at == field for run in runs)
            times = {run: 1 + math.log(count) for run, count in counts.items()}
            read = {run: self._run(run, field) for run in counts}
            pairs = self._pairs.look_up(self._hashes_of_pairs(segments, field), damp=True)
            of_characters = _inverse_root(sum(times[run] ** 2 * read[run].characters.squares for run in counts))
            of_words = sum(times[run] ** 2 * read[run].words.squares for run in counts) + pairs.squares
            of_words = _inverse_root(of_words)
            for run in counts:
                _add(found, read[run].characters, times[run] * of_characters)
                _add(found, read[run].words, times[run] * of_words)
            _add(found, pairs, of_words)
        return found

    def _hashes_of_pairs(self, segments: list[tuple[int, list[str]]], field: int) -> Hashes:
        """Hashes of neighbouring words, which do not cross messages."""
        pairs = [
            (int(first) * PAIR + int(second)) & MASK
            for at, runs in segments
            if at == field
            for first, second in pairwise(word for run in runs for word in self._run(run, field).hashes)
        ]
        return scramble(np.array(pairs, dtype=np.uint64))

    def _pools(self, segments: list[tuple[int, list[str]]]) -> list[dict[int, float]]:
        """The share of each token in each field, and in the opening."""
        pools: list[list[int]] = [[] for _ in range(self._fields + 1)]
        for field, runs in segments:
            for place, run in enumerate(runs):
                tokens = self._run(run, field).tokens
                pools[field] += tokens
                if field == 0 and place < OPENING_RUNS:
                    pools[-1] += tokens
        return [{token: count / len(pool) for token, count in Counter(pool).items()} for pool in pools]

    def _read_run(self, run: str, field: int) -> Run:
        salt = np.uint64(field * FIELD & MASK)
        folded = f" {fold(run)} "
        codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        words = scramble_words(folded) ^ salt
        whole = run.encode("utf-8", "replace").decode("utf-8")  # no halves of surrogate pairs
        tokens = self._tokenizer.encode(whole, add_special_tokens=False).ids
        return Run(
            self._characters.look_up(character_grams(codes.astype(np.uint64), salt)),
            self._words.look_up(words),
            words,
            [token for token in tokens if token != self._unknown_token],
        )


def split(text: str) -> list[str]:
    """Return the runs of a text; one that is too long is read as several."""
    runs = text.replace("\0", " ").split()
    return [run[at : at + LONGEST_RUN] for run in runs for at in range(0, len(run), LONGEST_RUN)]


def fold(run: str) -> str:
    """Return a run in lower case and Unicode's compatibility form; of many combining marks in a row some are kept."""
    lowered = run.lower()
    if lowered.isascii():
        return lowered
    if len(lowered) > MOST_MARKS:
        stretches = ((marks, "".join(some)) for marks, some in groupby(lowered, is_mark))
        lowered = "".join(some[:MOST_MARKS] if marks else some for marks, some in stretches)
    return unicodedata.normalize("NFKC", lowered)


@cache
def is_mark(character: str) -> bool:
    """Return whether a character combines with the one before."""
    inside = any(ord(character) in plane for plane in MARKS)
    return inside and bool(unicodedata.combining(unicodedata.normalize("NFKD", character)[0]))


@cache
def is_word(character: str) -> bool:
    """Return whether a character belongs to words."""
    letter = character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")
    return letter and not character.isspace()


def scramble(values: Hashes) -> Hashes:
    """Return the values with their bits well mixed (the finaliser of splitmix64, Steele et al. 2014)."""
    mixed = values ^ (values >> np.uint64(30))
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    mixed = mixed ^ (mixed >> np.uint64(27))
    mixed = mixed * np.uint64(0x94D049BB133111EB)
    found: Hashes = mixed ^ (mixed >> np.uint64(31))
    return found


def character_grams(codes: Hashes, salt: np.uint64) -> Hashes:
    """Return the hashes of all stretches of two, three and four code points."""
    rolling, hashes = codes, []
    for length in (2, 3, 4):
        rolling = rolling[:-1] * np.uint64(BASE) + codes[length - 1 :]
        hashes.append((rolling + np.uint64(length)) ^ salt)
    return scramble(np.concatenate(hashes))


def scramble_words(folded: str) -> Hashes:
    """Return the hash of each word."""
    words = ["".join(letters) for inside, letters in groupby(folded, is_word) if inside]
    return np.array([_hash_of(word) for word in words], dtype=np.uint64)


def _hash_of(word: str) -> int:
    if len(word) > LONG_WORD:
        return int.from_bytes(blake2b(word.encode("utf-32-le", "surrogatepass"), digest_size=8).digest(), "little")
    total, power = 0, 1
    for letter in word:
        total, power = (total + (ord(letter) + 1) * power) & MASK, power * BASE & MASK
    return int(scramble(np.array([total], dtype=np.uint64))[0])


def _find(sorted_hashes: Hashes, hashes: Hashes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each hash stands, and whether it is there at all."""
    if not len(sorted_hashes):
        return np.zeros(len(hashes), dtype=np.int64), np.zeros(len(hashes), dtype=bool)
    place = np.minimum(np.searchsorted(sorted_hashes, hashes), len(sorted_hashes) - 1)
    return place, sorted_hashes[place] == hashes


def _inverse_root(squares: float) -> float:
    return 1 / math.sqrt(max(squares, 1e-12)) if squares > 0 else 0.0


def _add(found: dict[int, float], some: Weighted, factor: float) -> None:
    for column, value in zip(some.columns.tolist(), some.values.tolist(), strict=True):
        found[column] += factor * value


def _filled(rows: Sequence[Sequence[Mapping[int, float]]], parts: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(rows, parts, longest) keys and values, filled up with 0."""
    longest = max((len(part) for row in rows for part in row), default=0)
    keys = np.zeros((len(rows), parts, max(longest, 1)), dtype=np.int64)
    values = np.zeros(keys.shape, dtype=np.float32)
    for at, row in enumerate(rows):
        for place, part in enumerate(row):
            keys[at, place, : len(part)] = list(part)
            values[at, place, : len(part)] = list(part.values())
    return keys, values
