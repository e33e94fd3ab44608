"""The labelled sets of a data folder: which rows each method learns from and which it is measured on.

A set is a folder with `train.jsonl` and, where it has them, `validation.jsonl` and `test.jsonl`. Two splits exist:

- `test`, for reporting: learn from the training rows (with the validation file to choose by), measure on the test rows.
  A set without a test file is measured on its validation file, which then nobody may choose by.
- `validation`, for development: measure on the validation file, or on 15 % of the training rows, chosen by a hash of
  the input, where there is none. The test file is not opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CUT = 0.15
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """Files of one set: what to learn from, what to choose by (or None), what to measure on."""

    name: str
    train: Path
    validation: Path | None
    measured: Path
    note: str = ""


@dataclass
class Rows:
    """Rows as columns. `labels[target]` holds a list of labels a row, or None where the row does not mention it."""

    inputs: list[Any]
    texts: list[str]
    labels: dict[str, list[list[str] | None]]
    multi: dict[str, bool] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: Sequence[int]) -> Rows:
        return Rows(
            [self.inputs[row] for row in rows],
            [self.texts[row] for row in rows],
            {target: [values[row] for row in rows] for target, values in self.labels.items()},
            self.multi,
        )


def text_of(row: Row) -> str:
    """Return what a peer that knows no chats reads: the text, or `role: content` lines."""
    if "text" in row:
        return str(row["text"])
    return "\n".join(f"{message['role']}: {message['content']}" for message in row["messages"])


def part(text: str) -> float:
    """Return a number from 0 to 1 that depends on the text alone, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64


def read_lines(path: Path) -> list[str]:
    """Return the lines that are not blank, with their ends."""
    with path.open(encoding="utf-8") as file:
        return [line for line in file if line.strip()]


def read_rows(path: Path) -> Rows:
    """Read a JSONL file."""
    rows = [json.loads(line) for line in read_lines(path)]
    targets = dict.fromkeys(target for row in rows for target in row["labels"])
    values = {target: [row["labels"].get(target) for row in rows] for target in targets}
    return Rows(
        inputs=[row.get("text", row.get("messages")) for row in rows],
        texts=[text_of(row) for row in rows],
        labels={name: [[v] if isinstance(v, str) else v for v in column] for name, column in values.items()},
        multi={name: any(isinstance(v, list) for v in column) for name, column in values.items()},
    )


def names(data: Path) -> list[str]:
    """Return the sets of a data folder."""
    return sorted(path.parent.name for path in data.glob("*/train.jsonl"))


def plan(data: Path, name: str, split: str, work: Path) -> Plan:
    """Return the files to use for a set; `work` takes the files that have to be written."""
    folder = data / name
    train, validation, test = (folder / f"{part_name}.jsonl" for part_name in ("train", "validation", "test"))
    if split == "test":
        if test.exists():
            return Plan(name, train, validation if validation.exists() else None, test)
        return Plan(name, train, None, validation, "no test file: measured on its validation file, which nobody saw")
    own = work / name
    own.mkdir(parents=True, exist_ok=True)
    lines = read_lines(train)
    if validation.exists():
        kept, cut = lines, read_lines(validation)
        note = "measured on its validation file"
    else:
        where = [part(text_of(json.loads(line))) < CUT for line in lines]
        kept = [line for line, out in zip(lines, where, strict=True) if not out]
        cut = [line for line, out in zip(lines, where, strict=True) if out]
        note = f"no validation file: measured on {CUT:.0%} of its training rows, left out by hash"
    (own / "train.jsonl").write_text("".join(kept), encoding="utf-8")
    (own / "eval.jsonl").write_text("".join(cut), encoding="utf-8")
    return Plan(name, own / "train.jsonl", None, own / "eval.jsonl", note)
