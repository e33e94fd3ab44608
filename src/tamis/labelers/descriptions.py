"""What labels mean, in words, as a file says it: JSON of `{target: {label: text}}`."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from tamis.errors import InvalidSetting, UnreadableFile

Descriptions: TypeAlias = dict[str, dict[str, str]]

MOST_BYTES = 10_000_000


def read_descriptions(path: str | Path) -> Descriptions:
    """Return what labels mean, by target and label.

    Raises:
        UnreadableFile: the file cannot be read.
        InvalidSetting: it holds something else.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise UnreadableFile(f"{path} cannot be read: {why}. Name a file with what labels mean.") from error
    try:
        if len(content) > MOST_BYTES:
            raise ValueError("it is too large")
        return TypeAdapter(Descriptions).validate_json(content, strict=True)
    except (ValidationError, ValueError) as error:
        raise InvalidSetting(
            f'{path} does not say what labels mean: write JSON like {{"intent": {{"refund": "wants money back"}}}}.',
            setting="descriptions",
        ) from error
