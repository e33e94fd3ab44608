"""Rows of JSON to a file or to stdout, and predictions as such rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tamis.cli.console import json_line
from tamis.errors import InvalidSetting
from tamis.schema import Input, Prediction, Target

Row = dict[str, object]

STDOUT = Path("-")


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a line a row: a file appears only when it is whole; `-`, pipes and devices get each line at once.

    Raises:
        InvalidSetting: it cannot be written.
    """
    if path == STDOUT:
        for row in rows:
            sys.stdout.write(json_line(row) + "\n")
    elif path.exists() and not path.is_file():
        _stream(path, rows)
    else:
        from tamis.data.writers import write_jsonl

        write_jsonl({path: rows}, overwrite=True)


def input_keys(given: Input) -> Row:
    """Return `{"text": …}`, or `{"messages": […]}` of a chat."""
    if isinstance(given, str):
        return {"text": given}
    return {"messages": [{"role": message.role, "content": message.content} for message in given]}


def prediction_keys(prediction: Prediction, targets: Iterable[Target], top: int | None = None) -> Row:
    """Return what a model said: `predicted`, `scores`, `abstained` and (of targets that may) `evidence`, by target.

    `predicted` has the form of labels in data: one name, or null where the model abstains; a list for a multi-label
    target. `scores` has every label, the highest first, or the `top` ones.
    """
    predicted, scores, abstained = Row(), dict[str, dict[str, float]](), dict[str, bool]()
    evidence = dict[str, float]()
    for target in targets:
        answer = prediction[target.name]
        predicted[target.name] = list(answer.labels) if target.is_multi else answer.label
        scores[target.name] = {name: round(score, 6) for name, score in highest(answer.scores, top)}
        abstained[target.name] = answer.abstained
        if answer.evidence is not None:
            evidence[target.name] = round(answer.evidence, 4)
    said: Row = {"predicted": predicted, "scores": scores, "abstained": abstained}
    return said | {"evidence": evidence} if evidence else said


def highest(scores: Mapping[str, float], top: int | None = None) -> list[tuple[str, float]]:
    """Return labels with their scores, the highest first, at most `top` of them."""
    return sorted(scores.items(), key=lambda item: -item[1])[:top]


def _stream(path: Path, rows: Iterable[Row]) -> None:
    try:
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(json_line(row) + "\n" for row in rows)
    except OSError as error:
        why = error.strerror or str(error)
        raise InvalidSetting(f"{path} cannot be written: {why}. Choose another file.", path=str(path)) from error
