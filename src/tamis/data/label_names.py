"""Names of labels that seem to be the same one, written differently."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

MOST_COMPARED = 1_000
"""Names up to which all pairs are compared letter by letter."""

_SHORTEST, _ALIKE = 6, 0.88
_DIGITS = re.compile(r"\d+")


def folded(label: str) -> str:
    """Return the name without regard to case, spaces, underscores, hyphens and English plurals."""
    plain = re.sub(r"[\s_-]+", " ", label.casefold()).strip()
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if plain.endswith(ending) and len(plain) > len(ending) + 1:
            return plain.removesuffix(ending) + instead
    return plain[:-1] if len(plain) > 3 and plain.endswith("s") and not plain.endswith(("ss", "us", "is")) else plain


def same_names(labels: Sequence[str]) -> list[list[str]]:
    """Return groups of names that differ only in what `folded` leaves out, in the order given."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[folded(label)].append(label)
    return [names for names in groups.values() if len(names) > 1]


def similar_names(labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of names that differ in a letter or two and in no digit; names that `folded` makes equal aside."""
    plain = [folded(label) for label in labels[:MOST_COMPARED]]
    for place, name in enumerate(plain):
        matcher = SequenceMatcher(b=name, autojunk=False)
        for other in range(place + 1, len(plain)):
            if _may_be_alike(name, plain[other]):
                matcher.set_seq1(plain[other])
                if matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE:
                    yield labels[place], labels[other]


def _may_be_alike(one: str, other: str) -> bool:
    shorter, longer = sorted((len(one), len(other)))
    if shorter < _SHORTEST or longer - shorter > 2 or one == other:
        return False
    if sorted(one.split()) == sorted(other.split()):
        return True
    # a word of its own is another meaning: "card lost", "card list" may be a slip, "get in", "get up" are not
    different = set(one.split()) ^ set(other.split())
    return _DIGITS.findall(one) == _DIGITS.findall(other) and all(len(word) >= _SHORTEST for word in different)
