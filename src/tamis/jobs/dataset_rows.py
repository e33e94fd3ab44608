"""The rows of a dataset: looked at one by one, counted, and written down as jobs and downloads want them.

Owns the rules of classification datasets as the hosted service documented them, but that no label is ever left out.
Memory does not grow with the rows. It does not know the database, nor where files are kept.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from tamis.data.formats import ReadOptions
from tamis.data.formats.detect import detect
from tamis.data.formats.files import open_file
from tamis.data.review.places import counted as number_of
from tamis.data.rows import Rejected, printable
from tamis.errors import DataError, InvalidSetting, LimitExceeded, MissingColumn
from tamis.schema import Example

if TYPE_CHECKING:
    from typing_extensions import Buffer

FORMATS = ("jsonl", "csv")
"""What is read, told by the content: others take memory, or unpack to any size."""

TARGET = "label"
"""The question that all rows of a dataset answer."""

LEAST_ROWS, LEAST_A_LABEL, LEAST_LABELS, LEAST_EVAL_ROWS = 40, 5, 2, 24
PIECE = 2**18
"""Bytes that are gathered before they are written."""

SHOWN_ROWS, SHOWN_WARNINGS, SAMPLES = 3, 20, 3
LONGEST_SAMPLE, MOST_SAMPLE_LABELS = 1_000, 20
"""Characters and labels of a row that stands for a file: lists of datasets hold them all."""

_CURES = {
    "no_text": 'Give the row "text": "..."',
    "text_not_text": "Write the text as a string",
    "no_labels": 'Give the row "label"',
    "bad_label": "Write the label as the dataset's type has it: a string, or a list of strings",
    "empty_label": "Write the label's name",
}
"""Cures where a dataset's rows have fewer forms than others."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of a dataset are to be read.

    Attributes:
        several: whether a row has a list of labels, or one label.
        skip: whether bad rows are left out, and told, instead of refused.
        options: of the reader.
        max_labels: how many labels there may be.
    """

    several: bool
    skip: bool
    options: ReadOptions
    max_labels: int


def reading_of(options: ReadOptions, several: bool, skip: bool, delimiter: str | None, max_labels: int) -> Reading:
    """Return how rows are read, with the limits of `options`.

    Raises:
        InvalidSetting: that is no delimiter.
    """
    chosen = replace(options, text_column="text", label_columns=("label",), delimiter=delimiter)
    return Reading(several, skip, chosen, max_labels)


@dataclass(slots=True)
class LabelCount:
    """How often a label occurs, with the first few texts that carry it."""

    rows: int = 0
    texts: set[str] = field(default_factory=set)  # different ones, as many as are needed to say that they are enough


@dataclass(slots=True)
class Counted:
    """What was found in one file: rows, labels, what is bad."""

    file: str
    rows: int = 0
    bad: int = 0
    first_bad: list[str] = field(default_factory=list)
    labels: dict[str, LabelCount] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """As one process tells it to another."""
        labels = {label: [count.rows, sorted(count.texts)] for label, count in self.labels.items()}
        return {
            "rows": self.rows,
            "bad": self.bad,
            "first_bad": self.first_bad,
            "labels": labels,
            "samples": self.samples,
        }

    @classmethod
    def of(cls, file: str, told: Mapping[str, Any]) -> Counted:
        """The way back."""
        labels = {label: LabelCount(rows, set(texts)) for label, (rows, texts) in told["labels"].items()}
        return cls(file, told["rows"], told["bad"], told["first_bad"], labels, told["samples"])

    def to_json(self) -> list[dict[str, Any]]:
        """The labels with their counts, the most frequent first."""
        ordered = sorted(self.labels.items(), key=lambda item: -item[1].rows)
        return [
            {"label": label, "total_examples": count.rows, "samples": sorted(count.texts)[:SAMPLES]}
            for label, count in ordered
        ]


def read_rows(path: Path, name: str, how: Reading, counted: Counted) -> Iterator[tuple[str, list[str]]]:
    """Yield the text and the labels of each good row; `counted` takes note of all.

    Raises:
        DataError: the file cannot be read.
        LimitExceeded: there are too many labels.
    """
    try:
        kind, detected = detect(path, name, how.options)
        if kind not in FORMATS or detected.compression:  # before anything of it is unpacked
            raise _other(name, kind, detected.compression)
        source = open_file(path, name, how.options)
    except MissingColumn:
        raise MissingColumn(
            f"{name} has no columns `text` and `{TARGET}`: a CSV file begins with the row text,{TARGET}, and each row "
            "of a JSONL file is an object with both."
        ) from None
    except InvalidSetting as error:
        raise DataError(f"{name}: {error.for_callers}") from None
    for row in source:
        refused = _refusal(row, name, how.several)
        if refused or not isinstance(row, Example) or not isinstance(row.input, str):
            counted.bad += 1
            if len(counted.first_bad) < SHOWN_WARNINGS:
                counted.first_bad.append(refused)
            continue
        labels = list(next(iter(row.labels.values())))
        _count(counted, row.input, labels, how)
        yield row.input, labels


def _other(name: str, kind: str, compression: str | None) -> DataError:
    what = f"packed with {compression}" if compression else f"of the format {kind}"
    return DataError(f"{name} is {what}: send plain JSON lines or CSV.")


def _refusal(row: Example | Rejected, name: str, several: bool) -> str:
    """Why a row is none of this dataset, with its place and the cure; nothing where it is one."""
    if isinstance(row, Rejected):
        cure = _CURES.get(row.code)
        return f"{name}:{row.line}: {row.cause}. {cure}." if cure else row.for_callers()
    if not isinstance(row.input, str):
        return f"{name}:{row.line}: The text is a chat. Write it as a string."
    if len(row.labels) != 1:
        why = "The row has no label" if not row.labels else "The row answers more than one question"
        return f'{name}:{row.line}: {why}. Give the row "{TARGET}".'
    (target,) = row.labels
    if target != TARGET:
        return f'{name}:{row.line}: The row names the target {target[:80]!r}. Give it "{TARGET}" instead.'
    if (target in row.listed) != several:
        got, wanted = ("a list", "a string") if not several else ("a string", "a list of strings, empty for none")
        return f"{name}:{row.line}: The label is {got}. Write {wanted}, or choose the dataset's other type."
    return ""


def _count(counted: Counted, text: str, labels: Sequence[str], how: Reading) -> None:
    counted.rows += 1
    if len(counted.samples) < SAMPLES:
        value = labels[:MOST_SAMPLE_LABELS] if how.several else labels[0]
        shown = {"text": text[:LONGEST_SAMPLE], TARGET: value}
        counted.samples.append(json.dumps(shown, ensure_ascii=False))
    for label in labels:
        count = counted.labels.setdefault(label, LabelCount())
        count.rows += 1
        if len(count.texts) < LEAST_A_LABEL:
            count.texts.add(text[:200])
    if len(counted.labels) > how.max_labels:
        raise LimitExceeded(
            f"{counted.file} has more than {how.max_labels:,} labels (max_labels): are the columns swapped?",
            setting="max_labels",
        )


def judge(train: Counted, evaluation: Counted | None, how: Reading) -> tuple[str | None, list[str]]:
    """Return why the rows cannot be learnt from, if so, and what is worth saying of them else."""
    parts = [train, *([evaluation] if evaluation else [])]
    faults = [fault for part in parts if (fault := _too_bad(part, how))]
    faults += _too_little(train, how)
    warnings = [warning for part in parts for warning in _left_out(part, how)]
    rare = [
        f"{label!r} ({len(count.texts)} in {number_of(count.rows)})"
        for label, count in train.labels.items()
        if len(count.texts) < LEAST_A_LABEL
    ]
    if rare:
        more = f" and {len(rare) - SHOWN_WARNINGS} more" if len(rare) > SHOWN_WARNINGS else ""
        warnings.append(
            f"{number_of(len(rare), 'label')} {'has' if len(rare) == 1 else 'have'} fewer than {LEAST_A_LABEL} "
            f"different examples: {', '.join(rare[:SHOWN_WARNINGS])}{more}. They are kept and learnt; add "
            "examples, since what they score cannot be trusted."
        )
    if evaluation is not None and evaluation.rows < LEAST_EVAL_ROWS:
        warnings.append(
            f"{evaluation.file} has {evaluation.rows} rows: with fewer than {LEAST_EVAL_ROWS}, what they say of the "
            "model is rough."
        )
    if evaluation is not None and (unseen := sorted(evaluation.labels.keys() - train.labels.keys())):
        warnings.append(
            f"{evaluation.file} has labels that the training data does not have: {', '.join(unseen[:SHOWN_WARNINGS])}. "
            "They count as misses."
        )
    return (" ".join(faults) or None), [printable(warning) for warning in warnings]


def _too_bad(part: Counted, how: Reading) -> str:
    if not part.bad or how.skip:
        return ""
    shown = " ".join(part.first_bad[:SHOWN_ROWS])
    more = f" (and {part.bad - SHOWN_ROWS:,} more)" if part.bad > SHOWN_ROWS else ""
    total = part.bad + part.rows
    return (
        f"{part.bad:,} of {total:,} rows are malformed: {shown}{more} Correct them, or create the dataset with "
        "skip_malformed_input=True, which leaves them out."
    )


def _left_out(part: Counted, how: Reading) -> list[str]:
    if not part.bad or not how.skip:
        return []
    more = part.bad - len(part.first_bad)
    return [
        f"{number_of(part.bad, 'malformed row')} of {part.file} {'was' if part.bad == 1 else 'were'} left out.",
        *part.first_bad,
        *([f"... and {more:,} more."] if more else []),
    ]


def _too_little(train: Counted, how: Reading) -> list[str]:
    if train.rows < LEAST_ROWS:
        return [f"{train.file} has {train.rows} valid examples: at least {LEAST_ROWS} are needed."]
    found = []
    if len(train.labels) < LEAST_LABELS:
        there = ", ".join(map(repr, train.labels)) or "none"
        found.append(
            f"{train.file} has {number_of(len(train.labels), 'label')} ({there}): at least {LEAST_LABELS} are needed."
        )
    everywhere = [label for label, count in train.labels.items() if count.rows == train.rows]
    if how.several and everywhere:
        found.append(
            f"The label {everywhere[0]!r} is on every example of {train.file}, so that there is nothing to tell it by: "
            "take it away, or add examples without it."
        )
    return found


Write = Callable[[bytes], Any]


def avro_schema(several: bool) -> dict[str, Any]:
    """Return the Avro schema of rows (https://avro.apache.org/docs/1.11.1/specification/)."""
    kind: Any = {"type": "array", "items": "string"} if several else "string"
    fields = [{"name": "text", "type": "string"}, {"name": TARGET, "type": kind}]
    return {"type": "record", "name": "row", "namespace": "classification", "fields": fields}


class RowWriters:
    """Writes the same rows twice: as JSON lines for jobs, as Avro for downloads."""

    def __init__(self, jsonl: Write, avro: Write, several: bool) -> None:
        """Take what takes the bytes."""
        from fastavro.write import Writer

        self._jsonl, self._several, self._held = jsonl, several, bytearray()
        self._avro = Writer(cast("IO[bytes]", _File(avro)), avro_schema(several), codec="deflate")

    def write(self, text: str, labels: list[str]) -> None:
        """Write a row."""
        value = labels if self._several else labels[0]
        self._held += json.dumps({"text": text, "labels": {TARGET: value}}, ensure_ascii=False).encode() + b"\n"
        if len(self._held) >= PIECE:
            self._let_go()
        self._avro.write({"text": text, TARGET: value})

    def finish(self) -> None:
        """Write what is still held."""
        self._avro.flush()
        self._let_go()

    def _let_go(self) -> None:
        if self._held:
            self._jsonl(bytes(self._held))
            self._held.clear()


class _File(io.RawIOBase):
    """A file that gives on what is written to it."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, content: Buffer) -> int:
        written = bytes(content)
        self._write(written)
        return len(written)
