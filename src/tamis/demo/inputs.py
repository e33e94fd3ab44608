"""What people put in on the page: a text or a chat within its limits, and the examples that they can start from.

Examples are made of the names of the labels, or come from a file that the user names: never from training data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from tamis.data.loading import read_inputs
from tamis.data.rows import Rejected
from tamis.errors import InvalidSetting, LimitExceeded, NoRows
from tamis.ml.manifest import Manifest
from tamis.ml.predictor import checked
from tamis.schema import Input, Message, plain_text

LONGEST = 20_000
"""Characters of a text, or of all messages of a chat, unless others are given."""

MOST_MESSAGES = 200
MOST_EXAMPLES = 12
MADE_EXAMPLES = 6
ROLES = ("user", "assistant", "system")

_WORD_ENDS = re.compile(r"[_\W]+|(?<=[a-z])(?=[A-Z])")


def takes_chats(manifest: Manifest, examples: Sequence[Input] = ()) -> bool:
    """Return whether the page has a box for chats: the model learnt from chats, or an example is one."""
    learnt = manifest.training.get("chats") is True or manifest.architecture.get("fields") == 3  # 3: by an older Tamis
    return learnt or any(not isinstance(given, str) for given in examples)


def made_examples(manifest: Manifest) -> list[str]:
    """Return a few texts made of the labels' names, those of each target evenly."""
    columns = [[_words(label) for label in _spread(entry.labels)] for entry in manifest.targets]
    taken = (column[place] for place in range(MADE_EXAMPLES) for column in columns if place < len(column))
    return list(islice(dict.fromkeys(text for text in taken if text), MADE_EXAMPLES))


def read_examples(path: str | Path) -> list[Input]:
    """Return the first inputs of a file: a text a line, or JSONL, CSV or Parquet of texts or chats.

    Raises:
        DataError: it cannot be read, or one of its first rows cannot, or it has none.
    """
    found: list[Input] = []
    for row in islice(read_inputs(path), MOST_EXAMPLES):
        if isinstance(row, Rejected):
            raise NoRows(f"{row}", line=row.line)
        found.append(row.input)
    if not found:
        raise NoRows(f"{path}: there is no example in it. Write a text a line.")
    return found


def checked_input(given: object, longest: int) -> Input | None:
    """Return what a page sent as a text or a chat; None where there is nothing in it.

    Raises:
        LimitExceeded: it is longer than the demo takes.
        InvalidSetting: it is neither.
    """
    if isinstance(given, str | list | tuple):
        if len(given) > MOST_MESSAGES and not isinstance(given, str):
            raise LimitExceeded(f"The chat has {len(given):,} messages; this demo takes up to {MOST_MESSAGES:,}.")
        found = checked([given])[0]
        written = len(found) if isinstance(found, str) else sum(len(message.content) for message in found)
        if written > longest:
            raise LimitExceeded(f"That is {written:,} characters long; this demo takes up to {longest:,}. Shorten it.")
        return found if plain_text(found).strip() else None
    if given is None:
        return None
    raise InvalidSetting("What came is neither a text nor a chat.", setting="input")


def as_messages(given: Input) -> list[dict[str, str]]:
    """Return an input as the messages of a chat; a text is what the user says."""
    chat = (Message("user", given),) if isinstance(given, str) else given
    return [{"role": message.role, "content": message.content} for message in chat]


def _spread(labels: Sequence[str]) -> Sequence[str]:
    """Evenly taken labels, the first one among them."""
    return labels[:: max(1, len(labels) // MADE_EXAMPLES)][:MADE_EXAMPLES]


def _words(label: str) -> str:
    return " ".join(_WORD_ENDS.sub(" ", label).lower().split())
