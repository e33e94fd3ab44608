"""Labels in what an LLM said. It is read with patience, and nothing is guessed: what is not clearly a label is none.

JSON may stand in a code fence, behind thoughts, or in prose; names may differ in case, in blanks, hyphens and
underscores, as long as one name alone can be meant. Two objects that differ, or a key twice, are no answer.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tamis.labelers.answer_schema import choices
from tamis.schema import Target

MOST_OBJECTS = 20
"""JSON values that are looked for in prose."""

_THOUGHTS = re.compile(r"^.*</(think|thinking|reasoning|thought)>", re.DOTALL | re.IGNORECASE)
_UNFINISHED = re.compile(r"\s*<(think|thinking|reasoning|thought)>", re.IGNORECASE)
_APOLOGY = re.compile(
    r"\W*(i['’]?m |i am |we['’]?re )?((really|very|so) )?(sorry|unable to|not able to)\b"
    r"|\W*i (can['’]?t|cannot|can not|won['’]?t|will not|must decline|decline)\b",
    re.IGNORECASE,
)


class _Unclear(Exception):
    """What cannot be read as labels; the message says why."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The labels by target that were understood, and by target why not the others."""

    labels: Mapping[str, tuple[str, ...]]
    faults: Mapping[str, str]

    @property
    def why(self) -> str:
        """All that is wrong, in one line."""
        return "; ".join(dict.fromkeys(self.faults.values()))


class Parser:
    """Reads answers for some targets."""

    def __init__(self, targets: Sequence[Target]) -> None:
        """Prepare the names."""
        self._targets = tuple(targets)
        self._keys = _Names([target.name for target in targets])
        self._labels = {target.name: _Names(choices(target)) for target in targets}

    def read(self, said: str) -> Reading:
        """Return what an answer says."""
        try:
            found = self._object(_THOUGHTS.sub("", said).strip())
        except _Unclear as unclear:
            return Reading({}, {target.name: str(unclear) for target in self._targets})
        labels: dict[str, tuple[str, ...]] = {}
        faults: dict[str, str] = {}
        for target in self._targets:
            try:
                labels[target.name] = self._of(target, found)
            except _Unclear as unclear:
                faults[target.name] = str(unclear)
        return Reading(labels, faults)

    def _object(self, said: str) -> Mapping[str, object]:
        """The object with the answer by names of targets."""
        if not said:
            raise _Unclear("the answer is empty")
        if _UNFINISHED.match(said):  # labels that are weighed there are none that are given
            raise _Unclear("the answer ends within its thoughts")
        objects = []
        for value in _values(said):
            inner = [each for _, each in value.pairs if isinstance(each, _Pairs)]
            named = self._named(value) or next(filter(None, map(self._named, inner)), {})
            if named and named not in objects:
                objects.append(named)
        if len(objects) == 1:
            return objects[0]
        if objects:
            raise _Unclear("there are several answers that differ")
        only = self._alone(said)
        if only is None:
            raise _Unclear("the answer holds no JSON object with the targets' names")
        return only

    def _named(self, value: _Pairs) -> dict[str, object]:
        """The entries of an object that are targets'."""
        named: dict[str, object] = {}
        for key, each in value.pairs:
            name = self._keys.find(key)
            if name is None:
                continue
            if name in named and named[name] != each:
                raise _Unclear(f"{name!r} stands twice in the answer")
            named[name] = each
        return named

    def _alone(self, said: str) -> dict[str, object] | None:
        """The answer where there is one target and nothing but its label, or its list, was said."""
        if len(self._targets) != 1:
            return None
        target = self._targets[0]
        unfenced = re.sub(r"^```\w*\s*|\s*```$", "", said)
        try:
            value: object = json.loads(unfenced)
        except (ValueError, RecursionError):
            value = unfenced
        if isinstance(value, list) and not target.is_multi:
            return None
        if isinstance(value, str) and self._labels[target.name].find(value) is None:
            return None
        return {target.name: value} if isinstance(value, str | list) else None

    def _of(self, target: Target, found: Mapping[str, object]) -> tuple[str, ...]:
        if target.name not in found:
            raise _Unclear(f"{target.name!r} is missing")
        given = self._listed(target, found[target.name])
        names = self._labels[target.name]
        labels = dict.fromkeys(_known(names, each, target) for each in given)
        if target.is_multi:
            return tuple(label for label in target.labels if label in labels)
        if len(labels) != 1:
            raise _Unclear(f"{target.name!r} has {len(labels)} labels, and exactly one is to be chosen")
        return tuple(labels)

    def _listed(self, target: Target, value: object) -> Sequence[object]:
        """The labels as a list, in whatever way they were given."""
        if isinstance(value, list):
            return value
        if isinstance(value, _Pairs):
            if not target.is_multi or not value.pairs or not all(isinstance(flag, bool) for _, flag in value.pairs):
                raise _Unclear(f"{target.name!r} is an object")
            flags = {_known(self._labels[target.name], label, target): flag for label, flag in value.pairs}
            return [label for label, flag in flags.items() if flag]
        several = isinstance(value, str) and target.is_multi and self._labels[target.name].find(value) is None
        return str(value).split(",") if several and value else [value]


def _known(names: _Names, given: object, target: Target) -> str:
    label = names.find(given) if isinstance(given, str) else None
    if label is None:
        shown = json.dumps(given, ensure_ascii=False, default=lambda _: "an object")[:80]
        raise _Unclear(f"{shown} is no label of {target.name!r}")
    return label


def is_apology(said: str) -> bool:
    """Whether an answer that holds no labels begins as refusals do."""
    return bool(_APOLOGY.match(_THOUGHTS.sub("", said)))


class _Names:
    """Names that are found by themselves, or by a spelling that only one of them has."""

    def __init__(self, names: Sequence[str]) -> None:
        self._exact = frozenset(names)
        self._alike: dict[str, str | None] = {}
        for name in names:
            key = _plain(name)
            self._alike[key] = None if key in self._alike else name

    def find(self, given: str) -> str | None:
        """Return the name that is meant; None where there is none, or more than one."""
        if given in self._exact:
            return given
        key = _plain(given)
        return self._alike.get(key) if key else None


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold().strip("\"'`*. \t\r\n")
    return re.sub(r"[\s_-]+", " ", folded).strip()


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A JSON object whose repeated keys are kept."""

    pairs: tuple[tuple[str, object], ...]


_DECODER = json.JSONDecoder(object_pairs_hook=lambda pairs: _Pairs(tuple(pairs)))


def _values(said: str) -> Iterator[_Pairs]:
    """Yield the JSON objects in a text, the outer ones only; at most so many."""
    at = said.find("{")
    for _ in range(MOST_OBJECTS):
        if at < 0:
            return
        try:
            value, end = _DECODER.raw_decode(said, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, _Pairs):
                yield value
        at = said.find("{", end)
