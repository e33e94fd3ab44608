"""What is to be labelled, as people write it: names of labels, or a file that declares targets.

    {"intent": ["refund", "delivery"]}                                     one of these
    {"intent": {"labels": {"refund": "wants money back", "other": ""}}}    the same, with what they mean
    {"topics": {"labels": ["billing", "damage"], "kind": "multi_label"}}   any number of these
    {"intent": {"labels": ["refund"], "oos_label": "oos"}}                 one of these, or "oos" where none fits

In JSON or TOML.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tamis.data.declared import DeclaredTarget
from tamis.errors import InvalidSetting, UnreadableFile
from tamis.schema import Kind, Target

MOST_BYTES = 10_000_000
LIKE = '{"intent": ["refund", "delivery"], "topics": {"labels": ["billing", "damage"], "kind": "multi_label"}}'


@dataclass(frozen=True, slots=True)
class Task:
    """The targets, and what their labels mean by target and label."""

    targets: tuple[Target, ...]
    descriptions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    labels: list[str] | dict[str, str]
    kind: str = Kind.SINGLE_LABEL
    none_labels: list[str] | None = None
    oos_label: str | None = None


_FILE = TypeAdapter(dict[str, list[str] | _Declared])


def task_of_names(names: Sequence[str], target: str = "label", *, several: bool = False) -> Task:
    """Return the task to give one of these labels, or any number of them.

    Raises:
        InvalidSetting: there are too few, or one twice.
    """
    kind = Kind.MULTI_LABEL if several else Kind.SINGLE_LABEL
    return Task((_target(target, _Declared(labels=[name.strip() for name in names], kind=kind)),))


def read_task(path: str | Path) -> Task:
    """Return the task that a file declares; see the top of this module.

    Raises:
        UnreadableFile: the file cannot be read.
        InvalidSetting: it declares no targets.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}. Name a file with targets.") from error
    try:
        if len(content) > MOST_BYTES:
            raise ValueError("it is too large")
        text = content.decode("utf-8")
        held = tomllib.loads(text) if str(path).endswith(".toml") else json.loads(text)
        declared = _FILE.validate_python(held)
    except (ValidationError, ValueError, RecursionError) as error:
        raise InvalidSetting(f"{path} declares no targets ({_first(error)}). Write it like {LIKE}.") from error
    if not declared:
        raise InvalidSetting(f"{path} declares no targets. Write it like {LIKE}.", setting="targets")
    whole = {name: _Declared(labels=each) if isinstance(each, list) else each for name, each in declared.items()}
    targets = tuple(_target(name, each) for name, each in whole.items())
    return Task(targets, {name: each.labels for name, each in whole.items() if isinstance(each.labels, dict)})


def _target(name: str, declared: _Declared) -> Target:
    labels = tuple(declared.labels)
    try:
        kind = Kind(declared.kind)
    except ValueError:
        raise InvalidSetting(
            f"Target {name!r} is of the kind {declared.kind!r}: take single_label or multi_label.", setting="targets"
        ) from None
    DeclaredTarget(name, labels, kind)  # refuses empty names, and names that stand twice
    outside = declared.oos_label
    if outside is not None and (kind is Kind.MULTI_LABEL or outside in labels or not outside.strip()):
        raise InvalidSetting(
            f"Target {name!r}: an oos_label is for single-label targets, and none of their labels.", setting="targets"
        )
    least = 1 if kind is Kind.MULTI_LABEL or outside is not None else 2
    if len(labels) < least:
        raise InvalidSetting(f"Target {name!r} has {len(labels)} label(s): give {least} or more.", setting="targets")
    none_labels = None if declared.none_labels is None else tuple(declared.none_labels)
    made = Target.of(name, kind, labels, none_labels)
    return made if outside is None else made.model_copy(update={"oos_label": outside})


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, found['loc']))[:80]}: {found['msg']}"
    return str(error)[:120] or "it is nested too deep"
