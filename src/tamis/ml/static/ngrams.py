"""Runs as n-grams: characters within a run, words within and across runs, each a 64-bit hash.

It knows no vocabulary: which n-grams matter is for `lexical`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tamis.ml.static.runs import WORD, Codes, Hashes, Ints, Runs, code_points, hash_stretches, scramble, stretches

CHARACTERS = (2, 3, 4)
"""Lengths of character n-grams; a run is padded by one space on each side."""

MOST_MARKS = 30
"""Combining marks in a row that are kept, as in Unicode's stream-safe text: putting n in order takes n² steps."""

_PAIR = 0x94D049BB133111EB


@dataclass(frozen=True, slots=True, eq=False)
class Grams:
    """N-grams, each with where it stands: `where` (grams,) is a run or an input, `hashes` (grams,) says what it is."""

    where: Ints
    hashes: Hashes


def fold_case(text: str) -> str:
    """Return the text in lower case and Unicode's compatibility form (NFKC), so that spellings meet."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    if len(lowered) > MOST_MARKS:
        lowered = _long_marks().sub(lambda found: found[0][:MOST_MARKS], lowered)
    return unicodedata.normalize("NFKC", lowered)


@lru_cache(maxsize=1)
def _long_marks() -> re.Pattern[str]:
    """What finds more combining marks in a row than are kept."""
    planes = (range(0x300, 0x3100), range(0xA600, 0xAC00), range(0xFB00, 0xFFA0), range(0x10000, 0x20000))
    marks = (chr(code) for plane in planes for code in plane)
    kind = "".join(mark for mark in marks if unicodedata.combining(unicodedata.normalize("NFKD", mark)[0]))
    return re.compile(f"[{kind}]{{{MOST_MARKS + 1},}}")


@dataclass(frozen=True, slots=True, eq=False)
class RunGrams:
    """The n-grams of each different run."""

    characters: Grams
    words: Grams
    n_runs: int


def grams_of_runs(runs: Runs) -> RunGrams:
    """Return the character n-grams and the words of each run; `where` is the run."""
    folded = [fold_case(string) for string in runs.strings]
    codes, classes = code_points(f" {'  '.join(folded)} " if folded else "")
    lengths = np.fromiter(map(len, folded), dtype=np.int64, count=len(folded)) + 2  # padded
    ends = np.cumsum(lengths)
    of_run = np.repeat(np.arange(len(folded)), lengths)
    left = np.repeat(ends, lengths) - np.arange(len(codes))  # characters until the run's end
    salt = (runs.run_fields.astype(np.uint64) * np.uint64(0xA0761D6478BD642F))[of_run]
    characters = _character_grams(codes, of_run, left, salt)
    starts, stops = stretches(classes == WORD)
    words = Grams(of_run[starts], hash_stretches(codes, starts, stops) ^ salt[starts])
    return RunGrams(characters, words, len(folded))


def _character_grams(codes: Codes, of_run: Ints, left: Ints, salt: Hashes) -> Grams:
    where, mixed, salts = [], [], []
    base = np.uint64(0x9E3779B97F4A7C15)
    rolling = codes.astype(np.uint64)
    wide = rolling
    for length in range(2, max(CHARACTERS) + 1):
        rolling = rolling[:-1] * base + wide[length - 1 :]
        if length in CHARACTERS:
            fits = np.flatnonzero(left[: len(rolling)] >= length)
            where.append(of_run[fits])
            mixed.append(rolling[fits] + np.uint64(length))
            salts.append(salt[fits])
    salted: Hashes = np.concatenate(mixed)
    salted ^= np.concatenate(salts)
    return Grams(np.concatenate(where), scramble(salted))


def word_pairs(runs: Runs, words: Grams) -> Grams:
    """Return pairs of neighbouring words of a segment; `where` is the group (row and field)."""
    per_run = np.bincount(words.where, minlength=len(runs.strings))
    first = np.cumsum(per_run) - per_run
    counts = per_run[runs.run]
    total = int(counts.sum())
    offset = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    sequence = words.hashes[np.repeat(first[runs.run], counts) + offset]
    segment = np.repeat(runs.segment, counts)
    group = np.repeat(runs.group, counts)
    inside = np.flatnonzero(segment[:-1] == segment[1:])
    return Grams(group[inside], pair_hashes(sequence[inside], sequence[inside + 1]))


def pair_hashes(first: Hashes, second: Hashes) -> Hashes:
    """Return (words,) the hash of each pair of words, from the words' hashes."""
    return scramble(first * np.uint64(_PAIR) + second)
