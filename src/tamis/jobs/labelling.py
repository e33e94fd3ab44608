"""A file of texts or chats in, the same rows with a model's labels out: what the dashboard calls labelling a file.

All columns and keys of the rows are kept, the model's answers stand behind them. Memory does not grow with the rows. It
does not know who asked; `jobs.operating` calls it.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

from tamis.data.formats.files import open_file
from tamis.data.formats.jsonl import JsonSource
from tamis.data.formats.options import Source
from tamis.data.formats.tables import TableSource
from tamis.data.rows import Rejected, printable
from tamis.errors import LimitExceeded, NoRows
from tamis.jobs.models_here import finder
from tamis.jobs.operating import Acting, Done
from tamis.jobs.tools import files_here
from tamis.ml.manifest import TargetManifest
from tamis.ml.predictor import Predictor
from tamis.ml.reading import reading_for
from tamis.schema import Answer, Example, Input, Prediction, plain_text

CSV, JSONL = "csv", "jsonl"
FORMATS = (CSV, JSONL)

AT_ONCE = 512
MOST_COLUMNS = 1_000
"""Keys of JSON rows that become columns of a table; a hostile file may have a million."""

MOST_OF_TABLE = 10_000
"""Columns of a table: each of its rows is written with all of them, however short it was."""

SHOWN_ROWS, SHOWN_BAD, SHOWN_LABELS, SHOWN_TEXT = 20, 5, 200, 300

LINE, PROBLEM = "line", "problem"
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How cells begin that spreadsheets may run (OWASP: CSV injection); the last four are the first in full width."""

_FEEDS = ("\t", "\r", "\n")
_BREAKS = ",;\t\r\n"
"""What cells and rows are parted by: a spreadsheet that expects another mark than the file's begins a cell there."""

_OVERLOOKED = "".join(map(chr, range(33))) + '"\x7f\xa0\ufeff\u3000'
"""Blanks, control characters and quotes: what comes after them may be a cell's beginning to a spreadsheet."""

_DECIMAL_POINT = re.compile(r"[+-]?\d+\.(?!\d{3}$)\d+")
"""A number as English spreadsheets write it; with three digits behind the point it may be a thousand."""

_LONE = re.compile("[\ud800-\udfff]")

Cells = Mapping[str, object]
Kept = tuple[Cells, Example | Rejected]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for.

    Attributes:
        model: id of the model.
        file: id of the file.
        output: `csv` or `jsonl`; empty: as the file is.
        text_column: column or key with the texts; None: found out.
        scores: whether every label's score is written, not the highest alone.
        spreadsheet: whether a table is made for spreadsheets: they know its encoding, and run none of its cells.
        private: whether the result is for those alone who may train, as the file is.
    """

    model: str
    file: str
    output: str = ""
    text_column: str | None = None
    scores: bool = False
    spreadsheet: bool = True
    private: bool = False


@dataclass(slots=True)
class _Counted:
    """What the first look at the file found."""

    rows: int = 0
    bad: int = 0
    first_bad: list[str] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)
    has_points: bool = False  # in the numbers of a table


@dataclass(slots=True)
class _Said:
    """What the model said so far of one target."""

    entry: TargetManifest
    labels: Counter[str] = field(default_factory=Counter)
    none: int = 0
    abstained: int = 0

    def count(self, answer: Answer) -> None:
        self.labels.update(answer.labels)
        self.abstained += answer.abstained
        self.none += not answer.labels and not answer.abstained

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.entry.name,
            "multi": self.entry.target.is_multi,
            "labels": self.labels.most_common(SHOWN_LABELS),
            "n_labels": len(self.labels),
            "none": self.none,
            "abstained": self.abstained,
        }


def classify(acting: Acting) -> Done:
    """Write the file with the model's labels.

    Raises:
        DataError: the file cannot be read, or none of its rows can.
        UnknownModel: the model is gone.
        LimitExceeded: it has more rows than are allowed.
    """
    wanted = Wanted(**acting.told)
    predictor, _ = finder(acting.tools.store, acting.tools.choices)(wanted.model)
    with files_here(acting.tools.store, [wanted.file], acting.work) as paths:
        path = paths[wanted.file]
        options = replace(acting.tools.choices.reading, labelled=False, text_column=wanted.text_column)
        options = reading_for(options, [predictor.manifest])
        source = open_file(path, path.name, options)
        acting.tell(0.0, "Reading the file")
        counted = _counted(source, acting.tools.choices.max_batch_requests)
        return _Labelling(acting, wanted, predictor, source, counted).done(path.name)


def _counted(source: Source, most: int) -> _Counted:
    """Look through all rows once: how many there are, what is wrong with them, which columns they have."""
    found = _Counted()
    if isinstance(source, TableSource):
        found.columns = dict.fromkeys(source.names)
        if len(found.columns) > MOST_OF_TABLE:
            raise LimitExceeded(
                f"The table has more than {MOST_OF_TABLE:,} columns: leave out those that are not needed."
            )
    for kept, row in _rows(source):
        found.rows += 1
        if found.rows > most:
            raise LimitExceeded(
                f"The file has more than {most:,} rows (max_batch_requests): split it.",
                setting="max_batch_requests",
                limit=most,
            )
        if isinstance(row, Rejected):
            found.bad += 1
            found.first_bad += [row.for_callers()] if len(found.first_bad) < SHOWN_BAD else []
        if isinstance(source, TableSource):
            found.has_points = found.has_points or any(_DECIMAL_POINT.fullmatch(str(cell)) for cell in kept.values())
        elif len(found.columns) < MOST_COLUMNS:
            found.columns.update(dict.fromkeys(islice(kept, MOST_COLUMNS)))
    if found.rows == found.bad:
        why = f" {found.first_bad[0]}" if found.first_bad else ""
        raise NoRows(f"There is no row in the file that a model could be asked about.{why}")
    return found


def _rows(source: Source) -> Iterator[Kept]:
    """Yield rows with all that the file has of them."""
    if isinstance(source, TableSource):
        for cells, row in source.with_cells():
            yield dict(zip(source.names, cells, strict=False)), row
    elif isinstance(source, JsonSource):
        yield from source.with_objects()
    else:
        for row in source:
            yield (_input(row.input) if isinstance(row, Example) else {}), row


def _input(given: Input) -> Cells:
    if isinstance(given, str):
        return {"text": given}
    return {"messages": [{"role": message.role, "content": message.content} for message in given]}


class _Labelling:
    """One file on its way through a model."""

    def __init__(self, acting: Acting, wanted: Wanted, predictor: Predictor, source: Source, counted: _Counted) -> None:
        self._acting, self._wanted, self._predictor = acting, wanted, predictor
        self._source, self._counted = source, counted
        self._said = [_Said(entry) for entry in predictor.entries]
        self._preview: list[Row] = []
        self._cut = 0
        self._point = "."

    def done(self, name: str) -> Done:
        """Write the result and return it; `name` is the file's."""
        output = self._wanted.output or (JSONL if isinstance(self._source, JsonSource) else CSV)
        delimiter = self._source.detected.delimiter or ","
        ending = "tsv" if output == CSV and delimiter == "\t" else output
        path = self._acting.work / f"labelled.{ending}"
        if output == CSV:
            self._write_table(path, delimiter)
        else:
            with path.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(self._lines())
        stem = re.sub(r"(\.gz|\.gzip)?$", "", name, flags=re.IGNORECASE)
        stem = re.sub(r"\.(csv|tsv|tab|psv|jsonl|ndjson|json|txt|parquet|arrow)$", "", stem, flags=re.IGNORECASE)
        media_type = {"csv": "text/csv", "tsv": "text/tab-separated-values"}.get(ending, "application/jsonl")
        return Done(path, f"{stem}-labelled.{ending}", media_type, self._summary())

    def _summary(self) -> dict[str, Any]:
        return {
            "rows": self._counted.rows,
            "bad": self._counted.bad,
            "first_bad": [printable(each) for each in self._counted.first_bad],
            "cut": self._cut,
            "text": self._source.detected.text,
            "targets": [said.to_json() for said in self._said],
            "preview": self._preview,
        }

    def _answered(self) -> Iterator[tuple[Cells, Example | Rejected, Prediction | None]]:
        """Yield each row with what the model says of it; tell how far it is."""
        rows, done, total = iter(_rows(self._source)), 0, self._counted.rows
        while batch := list(islice(rows, AT_ONCE)):
            inputs = [row.input for _, row in batch if isinstance(row, Example)]
            predictions = iter(self._predict(inputs))
            for kept, row in batch:
                if isinstance(row, Rejected):
                    yield kept, row, None
                    continue
                prediction = next(predictions)
                self._note(row.input, prediction)
                yield kept, row, prediction
            done += len(batch)
            self._acting.tell(done / total, f"{done:,} of {total:,} rows")

    def _predict(self, inputs: Sequence[Input]) -> list[Prediction]:
        if not inputs:
            return []
        self._cut += len(self._predictor.too_long(inputs))
        return self._predictor.predictions(self._predictor.checked_scores(inputs))

    def _note(self, given: Input, prediction: Prediction) -> None:
        for said in self._said:
            said.count(prediction[said.entry.name])
        if len(self._preview) < SHOWN_ROWS:
            answers = {said.entry.name: prediction[said.entry.name] for said in self._said}
            self._preview.append(
                {
                    "text": _LONE.sub("\N{REPLACEMENT CHARACTER}", plain_text(given)[:SHOWN_TEXT]),
                    "answers": {
                        name: {
                            "labels": list(answer.labels)[:SHOWN_LABELS],
                            "confidence": round(answer.confidence, 4),
                            "abstained": answer.abstained,
                        }
                        for name, answer in answers.items()
                    },
                }
            )

    def _lines(self) -> Iterator[str]:
        """The rows as JSON, with the keys that `tamis classify --output` writes."""
        for kept, row, prediction in self._answered():
            told: Row = dict(kept)
            if prediction is None:
                told |= {LINE: row.line, PROBLEM: _problem(row)}
            else:
                told |= self._keys(prediction)
            yield json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() + "\n"

    def _keys(self, prediction: Prediction) -> Row:
        answers = [(said.entry, prediction[said.entry.name]) for said in self._said]
        keys: Row = {
            "predicted": {e.name: list(a.labels) if e.target.is_multi else a.label for e, a in answers},
            "confidence": {entry.name: round(answer.confidence, 6) for entry, answer in answers},
            "abstained": {entry.name: answer.abstained for entry, answer in answers},
        }
        if self._wanted.scores:
            scores = {e.name: {label: round(score, 6) for label, score in a.scores.items()} for e, a in answers}
            keys["scores"] = scores
        return keys

    def _write_table(self, path: Path, delimiter: str) -> None:
        encoding = "utf-8-sig" if self._wanted.spreadsheet else "utf-8"
        cell = _tamer(delimiter) if self._wanted.spreadsheet else str
        if self._wanted.spreadsheet and delimiter == ";" and not self._counted.has_points:
            self._point = ","  # as where tables are parted by semicolons because numbers have commas
        with path.open("w", encoding=encoding, errors="backslashreplace", newline="") as file:
            self._write_cells(file, delimiter, cell)

    def _write_cells(self, file: IO[str], delimiter: str, cell: Callable[[str], str]) -> None:
        columns = list(self._counted.columns)
        added = _free([*self._headers(), *([PROBLEM] if self._counted.bad else [])], columns)
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n" if self._wanted.spreadsheet else "\n")
        writer.writerow([cell(name) for name in [*columns, *added]])
        for kept, row, prediction in self._answered():
            cells = [_plain(kept.get(name)) for name in columns]
            cells += [""] * len(self._headers()) if prediction is None else self._cells(prediction)
            if self._counted.bad:
                cells.append(_problem(row) if isinstance(row, Rejected) else "")
            writer.writerow([cell(value) for value in cells])

    def _headers(self) -> list[str]:
        names = []
        for said in self._said:
            entry = said.entry
            names += [f"predicted_{entry.name}", f"confidence_{entry.name}"]
            names += [f"abstained_{entry.name}"] if entry.abstain is not None else []
            names += [f"score_{entry.name}_{label}" for label in entry.labels] if self._wanted.scores else []
        return names

    def _cells(self, prediction: Prediction) -> list[str]:
        cells = []
        for said in self._said:
            answer = prediction[said.entry.name]
            cells += [_labels(answer.labels), self._number(answer.confidence)]
            cells += ["yes" if answer.abstained else "no"] if said.entry.abstain is not None else []
            scores = [self._number(answer.scores[label]) for label in said.entry.labels] if self._wanted.scores else []
            cells += scores
        return cells

    def _number(self, value: float) -> str:
        return f"{value:.6f}".replace(".", self._point)


def _labels(labels: Iterable[str]) -> str:
    """One label as it is, several with `|` between; as a list in JSON, where a label has that in its name."""
    given = list(labels)
    several = len(given) > 1 and any("|" in label for label in given)
    return json.dumps(given, ensure_ascii=False) if several else "|".join(given)


def _problem(row: Example | Rejected) -> str:
    return f"line {row.line}: {row.cause}" if isinstance(row, Rejected) else ""


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tamer(delimiter: str) -> Callable[[str], str]:
    """Return what puts an apostrophe before all that a spreadsheet could take for a formula; a number is none.

    Quotes keep a cell whole for those who expect the file's own delimiter. To others a cell may begin within one.
    """
    breaks = re.compile(f"([{re.escape(_BREAKS.replace(delimiter, ''))}])")

    def tame(cell: str) -> str:
        parts = breaks.split(cell)  # texts and breaks in turn
        parts[::2] = [f"'{part}" if _may_run(part) else part for part in parts[::2]]
        tamed = "".join(parts)
        return f"'{tamed}" if tamed.startswith(_FEEDS) else tamed

    return tame


def _may_run(part: str) -> bool:
    begun = part.lstrip(_OVERLOOKED)
    return begun.startswith(_FORMULA) and not _is_number(begun)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?", cell) is not None


def _free(names: Sequence[str], taken: Iterable[str]) -> list[str]:
    """The names, each so changed that no column has it yet."""
    known, found = set(taken), []
    for name in names:
        wanted, number = name, 2
        while wanted in known:
            wanted, number = f"{name}_{number}", number + 1
        known.add(wanted)
        found.append(wanted)
    return found
