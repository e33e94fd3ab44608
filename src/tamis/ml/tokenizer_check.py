"""Tokenizers that strangers made: only what is known to take time and memory in proportion to the text is let through.

A tokenizer.json is a small program: it can replace a letter by two, sixteen times over; it can hold a regular
expression that never ends; it can leave out pieces at random. It does not know what a base model or an artifact is.
"""

from __future__ import annotations

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tamis.ml.untrusted import damaged, map_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENIZER = 128 << 20
MOST_STEPS = 256
MOST_ADDED_TOKENS = 100_000
MOST_GROWTH = 16
"""Characters that one may become by what is replaced and put before; model2vec's own makes 3 of a full stop."""

LONGEST_WORD = 1_000
"""The longest word that WordPiece may look at, in characters: its time grows with the square."""

LONGEST_PATTERN = 1_000
LONGEST_MAPPED = 64
"""Bytes that a compiled map may make of a character; Unicode's longest needs 33."""

_ONCE = frozenset({"BertNormalizer", "ByteLevel", "NFKC", "NFKD", "Precompiled"})
_NORMALIZERS = _ONCE | {"Lowercase", "NFC", "NFD", "Nmt", "Prepend", "Replace", "Strip", "StripAccents"}
_PRE_TOKENIZERS = frozenset({
    *("BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "FixedLength", "Metaspace", "Punctuation"),
    *("Split", "UnicodeScripts", "Whitespace", "WhitespaceSplit"),
})  # fmt: skip
_MODELS = frozenset({"BPE", "Unigram", "WordLevel", "WordPiece"})

_CLASS = re.compile(
    r"\[\^?(?:\\.|[^\[\]\\])+\]|\\[pP]\{\^?\w+\}|\\[sSdDwWrntR]|\\[^\w]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}"
)
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{|\?[*+{])")
_WITHOUT_END = re.compile(r"[*+]|\{\d*,\}")

Step = dict[str, Any]


def open_tokenizer(path: Path) -> tuple[Tokenizer, bytes]:
    """Return the tokenizer of a stranger's file, and the file.

    Raises:
        DamagedArtifact: it is none that can be used.
    """
    from tokenizers import Tokenizer

    raw = map_file(path, limit=MAX_TOKENIZER, follow_links=True).tobytes()
    try:
        tokenizer = Tokenizer.from_buffer(raw)
        refuse_hostile(tokenizer)
    except Exception as error:  # the package raises nothing narrower
        raise damaged(path, f"it is not a tokenizer that can be used ({error})") from error
    return tokenizer, raw


def refuse_hostile(tokenizer: Tokenizer) -> None:
    """Do nothing where the tokenizer is one of the known kinds, within bounds.

    Raises:
        ValueError: it is not; the message says what is wrong with it.
    """
    _check_model(tokenizer)
    added = len(tokenizer.get_added_tokens_decoder())
    if added > MOST_ADDED_TOKENS:
        raise ValueError(f"it adds {added:,} tokens to its vocabulary, and {MOST_ADDED_TOKENS:,} are allowed")
    normalizers = _steps(tokenizer.normalizer, "normalizers", _NORMALIZERS)
    for kind, count in Counter(step["type"] for step in normalizers).items():
        if kind in _ONCE and count > 1:
            raise ValueError(f"its normalizer has {count} steps {kind}, and one is allowed")
    _check_growth(normalizers)
    for step in [*normalizers, *_steps(tokenizer.pre_tokenizer, "pretokenizers", _PRE_TOKENIZERS)]:
        _check_pattern(step.get("pattern"))
        _check_map(step.get("precompiled_charsmap"))


def _check_model(tokenizer: Tokenizer) -> None:
    model: Any = tokenizer.model
    kind = type(model).__name__
    if kind not in _MODELS:
        raise ValueError(f"its model is of the kind {kind}, which is not known")
    if getattr(model, "dropout", None):
        raise ValueError("its model leaves out merges at random (dropout), so that its answers would be, too")
    longest = getattr(model, "max_input_chars_per_word", 0)
    if longest > LONGEST_WORD:
        raise ValueError(f"its model looks at words of {longest:,} characters, and {LONGEST_WORD:,} are allowed")


def _steps(component: Any, inner: str, known: frozenset[str]) -> list[Step]:  # noqa: ANN401  a third party's object
    """The steps of a normalizer or pre-tokenizer, sequences in sequences taken apart."""
    steps = list(_flat(from_json(component.__getstate__()), inner)) if component is not None else []
    if len(steps) > MOST_STEPS:
        raise ValueError(f"it has {len(steps):,} steps, and {MOST_STEPS} are allowed")
    for step in steps:
        if step["type"] not in known:
            raise ValueError(f"it has a step of the kind {str(step['type'])[:40]!r}, which is not known")
    return steps


def _flat(step: Step, inner: str) -> Iterator[Step]:
    if step["type"] != "Sequence":
        yield step
        return
    for part in step[inner]:
        yield from _flat(part, inner)


def _check_growth(steps: list[Step]) -> None:
    """Refuse steps by which a character may become many: a bound from above, worked out from the last step back."""
    weights: defaultdict[str, float] = defaultdict(lambda: 1.0)
    others, before = 1.0, 0.0
    for step in reversed(steps):
        if step["type"] == "Prepend":
            before += sum(weights.get(character, others) for character in step["prepend"])
        elif step["type"] == "Replace":
            content = sum(weights.get(character, others) for character in step["content"])
            pattern = step["pattern"].get("String")
            if pattern:
                for character in pattern:
                    weights[character] = max(weights.get(character, others), content / len(pattern))
            else:  # it may match any character, and perhaps between any two
                most = max(others, *weights.values(), 0)
                others = max(most, content) if _consumes(step["pattern"].get("Regex", "")) else most + content
                weights.clear()
        else:
            others = max(others, *weights.values(), 0)
            weights.clear()
        if max(others, before, *weights.values(), 0) > MOST_GROWTH:
            raise ValueError(f"its normalizer makes more than {MOST_GROWTH} characters of one")


def _consumes(regex: str) -> bool:
    """Whether a simple expression surely takes a character away where it matches."""
    if len(regex) > LONGEST_PATTERN or re.search(r"[()^$&]|\\[bBAzZGKk]", regex):
        return False
    try:
        return re.match(regex, "") is None
    except re.error:
        return False


def _check_pattern(pattern: Any) -> None:  # noqa: ANN401  JSON
    """Refuse a regular expression in which a repetition holds another, or that knows more than regular languages."""
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    if regex is None:
        return
    plain = _CLASS.sub("C", regex) if len(regex) <= LONGEST_PATTERN else ""
    wild = (
        not plain
        or "[" in plain
        or "\\" in plain
        or "(?<" in plain
        or _REPEATED_GROUP.search(plain)
        or any(len(_WITHOUT_END.findall(part)) > 2 for part in re.split(r"[|()]", plain))
    )
    if wild:
        raise ValueError(f"its regular expression {regex[:60]!r} may take for ever")


def _check_map(encoded: Any) -> None:  # noqa: ANN401  JSON
    """Refuse a compiled map of characters (SentencePiece's) that is damaged, or makes much of little."""
    if not encoded:
        return
    raw = base64.b64decode(encoded, validate=True)
    size = int.from_bytes(raw[:4], "little")
    if size % 4 or 4 + size > len(raw):
        raise ValueError("its map of characters is damaged")
    longest = max(map(len, raw[4 + size :].split(b"\0")))
    if longest > LONGEST_MAPPED:
        raise ValueError(f"its map of characters makes {longest:,} bytes of one, and {LONGEST_MAPPED} are allowed")
