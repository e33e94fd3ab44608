"""Data that a Python program holds (lists, frames, datasets) as sources of rows, like files.

    "train.jsonl", ["a.csv", "b.csv"]                      paths: left to the readers of files
    [{"text": ..., "labels": {...}}, ...]                  rows as in the hosted products' files, or with other keys
    [("a text", "a label"), ...]                           pairs; a chat may stand for the text, a list for the label
    (texts, labels)                                        a tuple of two columns
    (texts, {"intent": [...], "topics": [[...], ...]})     a tuple with several targets
    {"text": [...], "label": [...]}                        columns
    pandas.DataFrame, datasets.Dataset                     tables
    [Weighted("a.jsonl", 2.5), "b.jsonl"]                  any of these, with a weight
    datasets.DatasetDict, {"train": ..., "test": ...}      splits

Owns which shapes are taken. What is wrong with a row is decided by the same code as for files; places are told as the
program has them, `train[3]`. It imports none of the libraries whose objects it takes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, cast

import numpy as np

from tamis.data.formats import Detected, ReadOptions, Source
from tamis.data.formats.columnar import class_names
from tamis.data.formats.columns import Columns, Table, assign
from tamis.data.formats.hub import hub_id
from tamis.data.formats.jsonl import SAMPLE_ROWS, columns_of, row_maker
from tamis.data.formats.split_files import TEST, TRAIN, VALIDATION, pick, split_name
from tamis.data.formats.table_rows import TableRows
from tamis.data.formats.values import Value, kind_of
from tamis.data.loading import Given, Weighted
from tamis.data.rows import BadRow, Notes, Rejected
from tamis.errors import DataError, InvalidSetting, UnreadableFile
from tamis.schema import Example, Message

Data = object
"""What a caller may give as data: see the table on top of this module."""

BATCH = 1_000
_PLAIN = frozenset({str, int, bool, type(None)})
_MISSING = frozenset({"NAType", "NaTType"})

Maker = Callable[[Any, int], Example]
"""Makes the example of a row with its number from 1, or raises BadRow."""

Cells = Callable[[Sequence[int], int, int], Sequence[Iterable[object]]]
"""The columns at these places, from one row to another."""


class RejectedItem(Rejected):
    """A row of data in memory that cannot be used; `line` counts from 1, what people read has Python's index."""

    __slots__ = ()

    def __str__(self) -> str:
        """`name[index]: cause. Cure` for people."""
        return f"{self.file}[{self.line - 1}]: {self.cause}. {self.cure}"


class HeldSource:
    """Rows in memory as a source; a row's line is its number from 1."""

    def __init__(
        self,
        name: str,
        detected: Detected,
        rows: Callable[[], Iterable[object]],
        maker: Callable[[Notes], Maker],
        options: ReadOptions,
    ) -> None:
        """Remember where rows come from and what makes examples of them."""
        self.name, self.detected = name, detected
        self.notes = Notes()
        self._rows, self._maker, self._longest = rows, maker, options.max_line_bytes

    def __iter__(self) -> Iterator[Example | Rejected]:
        """Yield the rows."""
        self.notes = Notes()
        example = self._maker(self.notes)
        for number, row in enumerate(self._rows(), start=1):
            try:
                made = example(row, number)
                if isinstance(made.input, str) and len(made.input) > self._longest:
                    raise BadRow("line_too_long", f"The text is longer than {self._longest:,} bytes")
                yield made
            except BadRow as bad:
                told = bad.at(self.name, number, _shown(row))
                yield RejectedItem(told.file, told.line, told.code, told.cause, told.cure, told.raw)


def given_splits(
    train: Data, validation: Data | None = None, test: Data | None = None, options: ReadOptions | None = None
) -> tuple[Given, Given | None, Given | None]:
    """Return training, validation and test data as `load_splits` takes them.

    Of training data that has splits of its own, those that are not given are taken.

    Raises:
        InvalidSetting: something is no data.
        DataError: a table has no column of texts or labels, or columns of different lengths.
    """
    options = options or ReadOptions()
    own = _splits_in(train)
    if own is not None and options.split is None:
        named = {split_name(name): {name: data} for name, data in own.items()}
        validation = named.get(VALIDATION) if validation is None else validation
        test = named.get(TEST) if test is None else test
    further = replace(options, split=None)
    return (
        open_given(train, options, TRAIN),
        None if validation is None else open_given(validation, further, VALIDATION),
        None if test is None else open_given(test, further, TEST),
    )


def given_to_measure(data: Data, options: ReadOptions | None = None) -> Given:
    """Return data to measure a model on as `load` takes it: of several splits the test data, or else the validation.

    Raises:
        InvalidSetting: it is no data.
        DataError: a table has no column of texts or labels, or columns of different lengths.
    """
    options = options or ReadOptions()
    own = _splits_in(data)
    if own is not None and options.split is None:
        usual = [name for wanted in (TEST, VALIDATION) for name in own if split_name(name) == wanted]
        options = replace(options, split=usual[0] if usual else None)
    return open_given(data, options, "data")


def open_given(data: Data, options: ReadOptions, name: str) -> Given:
    """Return data as something that yields examples; of several splits the one that `options` or `name` names.

    Args:
        data: see the table on top of this module.
        options: how to read it; column names and the like are those of the data.
        name: what to call it: `train`, `validation`, `test`, `data`.

    Raises:
        InvalidSetting: it is no data, or has no such split.
        DataError: a table has no column of texts or labels, or columns of different lengths.
    """
    if isinstance(data, str | Path):
        return data
    own = _splits_in(data)
    if own is not None:
        there = next((known for known in own if split_name(known) == name and options.split is None), None)
        split = there or pick(own, options.split, name)
        return open_given(own[split], replace(options, split=None), f"{name}[{split!r}]")
    if isinstance(data, Weighted):
        data = [data]
    if isinstance(data, list | tuple) and any(isinstance(item, Weighted) for item in data):
        return [_weighted(item, options, f"{name}[{place}]") for place, item in enumerate(data)]
    if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[0], str | Path | Mapping | Example):
        return labelled(data[0], data[1], options, name)
    held = _table_in(data, options, name)
    if held is not None:
        return held
    if hasattr(data, "detected"):
        return cast("Source", data)
    if not isinstance(data, Iterable) or isinstance(data, bytes) or hasattr(data, "columns"):
        raise InvalidSetting(
            f"{name} is of type {type(data).__name__}: give a path, a list of rows, a tuple (texts, labels), a pandas "
            "DataFrame or a Hugging Face dataset.",
            setting=name,
        )
    return _listed(data, options, name)


def labelled(inputs: object, labels: object, options: ReadOptions, name: str) -> HeldSource:
    """Return a column of inputs and one of labels, or several by target, as one source.

    Raises:
        InvalidSetting: one is no column.
        DataError: their lengths differ.
    """
    texts = column_values(inputs, f"{name}[0]")
    table = _frame_columns(labels) if _is_a(labels, "pandas", "DataFrame") else labels
    if isinstance(table, Mapping):
        binary = options.binary_columns if table is not labels else False
        targets = {str(target): column for target, column in table.items()}
        own = "text" if "text" not in targets else max(targets, key=len) + " of"  # a name that no target has
        columns = {own: texts, **targets}
        chosen = replace(
            options,
            text_column=0,
            label_columns=options.label_columns or tuple(columns)[1:],
            binary_columns=binary,
        )
        return _table("texts and labels", _held(columns, name), chosen, name)
    values = column_values(labels, f"{name}[1]")
    if getattr(labels, "ndim", 1) != 1:
        raise InvalidSetting(
            f"{name}[1] is an array of {labels.ndim} dimensions, which does not name its labels: "  # type: ignore[attr-defined]
            "give a list of names a row, or a DataFrame with a 0/1 column a label.",
            setting=name,
        )
    _same_lengths({"texts": len(texts), "labels": len(values)}, name)
    return _objects("texts and labels", list(zip(texts, values, strict=True)), options, name)


def column_values(column: object, name: str) -> list[object]:
    """Return the values of a list, an array, a Series, a one-column DataFrame or a column of a dataset.

    Raises:
        InvalidSetting: it is none of these.
    """
    if _is_a(column, "pandas", "DataFrame"):
        columns = _frame_columns(column)
        if len(columns) != 1:
            raise InvalidSetting(
                f"{name} is a DataFrame of {len(columns)} columns ({', '.join(map(repr, list(columns)[:10]))}): give "
                "one of them.",
                setting=name,
            )
        (column,) = columns.values()
    if not hasattr(column, "tolist") and hasattr(column, "__array__"):
        column = np.asarray(column)
    if hasattr(column, "tolist"):
        values = column.tolist()
        if isinstance(values, list):
            return values
    if isinstance(column, str | bytes | Mapping | Message) or not isinstance(column, Iterable):
        raise InvalidSetting(f"{name} is of type {type(column).__name__}: give a list or another column of values.")
    return list(column)


def plain(value: object, deeper: int) -> Value:
    """Return a value as JSON has it: of numpy's and pandas' types, tuples, sets and messages; missing ones as None.

    What JSON does not have stays as it is. `deeper` is how many levels of nesting are allowed.

    Raises:
        BadRow: it is nested too deep.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str | int | float):
        return _scalar(value)
    if type(value).__name__ in _MISSING:
        return None
    if not deeper:
        raise BadRow("too_deep", "Lists and objects are nested too deep")
    if isinstance(value, Message):
        return {"role": value.role, "content": value.content}
    if isinstance(value, Mapping):
        return {str(key): plain(item, deeper - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [plain(item, deeper - 1) for item in value]
        return sorted(items, key=str) if isinstance(value, set | frozenset) else items
    return plain(value.tolist(), deeper - 1) if hasattr(value, "tolist") else value


def _scalar(value: str | float) -> Value:
    """A number or a string, without the class that a library or an enumeration gave it."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    return None if value != value else float(value)


def _is_a(value: object, module: str, *names: str) -> bool:
    """Whether a value is of a library's class; a library that is not imported made no value."""
    there = sys.modules.get(module)
    kinds = tuple(getattr(there, name) for name in names if hasattr(there, name))
    return isinstance(value, kinds)


def _splits_in(data: Data) -> Mapping[str, Data] | None:
    if not isinstance(data, Mapping) or not data:
        return None
    usual = all(isinstance(name, str) and split_name(name) in (TRAIN, VALIDATION, TEST) for name in data)
    return data if usual or _is_a(data, "datasets", "DatasetDict", "IterableDatasetDict") else None


class _Columns:
    """A table of any kind: the names of its columns, how many rows, their cells, and names of class numbers."""

    def __init__(
        self, names: Sequence[object], rows: int, cells: Cells, classes: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.names, self.rows, self.cells = tuple(map(str, names)), rows, cells
        self.classes = classes or {}

    def read(self, places: Iterable[int], rows: int | None = None) -> Iterator[tuple[object, ...]]:
        """Yield rows of all columns, with None where a column is not in `places`."""
        wanted = sorted(set(places))
        end = self.rows if rows is None else min(rows, self.rows)
        for start in range(0, end, BATCH):
            stop = min(start + BATCH, end)
            block = dict(zip(wanted, self.cells(wanted, start, stop), strict=True))
            yield from zip(*(block.get(place, repeat(None)) for place in range(len(self.names))), strict=False)


def _table_in(data: Data, options: ReadOptions, name: str) -> HeldSource | None:
    """Tables of the libraries, and columns by name."""
    if _is_a(data, "pandas", "DataFrame"):
        return _table("DataFrame", _of_frame(data), options, name)
    if _is_a(data, "datasets", "Dataset", "IterableDataset"):
        return _table("dataset", _of_dataset(data), options, name)
    if isinstance(data, Mapping):
        if not data:
            raise InvalidSetting(f"{name} is an empty dictionary: give columns by name, like text and label.")
        return _table("columns", _held(data, name), options, name)
    return None


def _of_frame(frame: Any) -> _Columns:  # noqa: ANN401  a third party's table
    def cells(places: Sequence[int], start: int, stop: int) -> list[list[object]]:
        return [frame.iloc[start:stop, place].tolist() for place in places]

    return _Columns(frame.columns, len(frame), cells)


def _frame_columns(frame: Any) -> dict[str, object]:  # noqa: ANN401
    return {str(column): frame.iloc[:, place].tolist() for place, column in enumerate(frame.columns)}


def _of_dataset(dataset: Any) -> _Columns:  # noqa: ANN401
    features = dataset.features.to_dict() if dataset.features else {}
    classes = {name: found for name, feature in features.items() if (found := class_names(feature))}
    if not hasattr(dataset, "__len__"):  # a stream: its rows are needed together in any case
        rows = list(dataset.with_format(None))
        names = tuple(dataset.column_names or dict.fromkeys(key for row in rows for key in row))

        def cells(places: Sequence[int], start: int, stop: int) -> list[list[object]]:
            return [[row.get(names[place]) for row in rows[start:stop]] for place in places]

        return _Columns(names, len(rows), cells, classes)

    def batches(places: Sequence[int], start: int, stop: int) -> list[list[object]]:
        wanted = [dataset.column_names[place] for place in places]
        batch = dataset.select_columns(wanted).with_format(None)[start:stop]
        return [batch[name] for name in wanted]

    return _Columns(dataset.column_names, len(dataset), batches, classes)


def _held(columns: Mapping[Any, object], name: str) -> _Columns:
    held = [column_values(column, f"{name}[{key!r}]") for key, column in columns.items()]
    _same_lengths({str(key): len(values) for key, values in zip(columns, held, strict=True)}, name)

    def cells(places: Sequence[int], start: int, stop: int) -> list[list[object]]:
        return [held[place][start:stop] for place in places]

    return _Columns(list(columns), len(held[0]), cells)


def _same_lengths(lengths: Mapping[str, int], name: str) -> None:
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{count:,} {what}" for what, count in lengths.items())
        raise DataError(f"{name} has columns of different lengths: {told}. Give one value a row in each.")


def _table(form: str, given: _Columns, options: ReadOptions, name: str) -> HeldSource:
    nesting = options.max_nesting
    everywhere = range(len(given.names))
    sample = [[_or_none(cell, nesting) for cell in row] for row in given.read(everywhere, SAMPLE_ROWS)]
    columns = assign(Table(name, given.names, sample, classes=given.classes), options)
    used = {columns.text, *(label.place for label in columns.labels), *(place for place, _ in columns.flags)}

    def maker(notes: Notes) -> Maker:
        example = TableRows(columns, options, notes).example
        return lambda cells, line: example([plain(cell, nesting) for cell in cells], line)

    return HeldSource(name, _detected(form, columns, options), lambda: given.read(used), maker, options)


def _or_none(value: object, nesting: int) -> Value:
    try:
        return plain(value, nesting)
    except BadRow:
        return None


def _listed(data: Iterable[Any], options: ReadOptions, name: str) -> Given:
    """A list of paths, of examples, or of rows."""
    iterator = iter(data)
    start = list(islice(iterator, 1))
    if not start or isinstance(start[0], Path | Example):
        return chain(start, iterator)
    if isinstance(start[0], str):
        _refuse_texts(start[0], name)
        return chain(start, iterator)
    return _objects("rows", data if isinstance(data, list | tuple) else [*start, *iterator], options, name)


def _weighted(item: object, options: ReadOptions, name: str) -> str | Path | Weighted:
    if isinstance(item, str | Path):
        return item
    if not isinstance(item, Weighted):
        raise InvalidSetting(
            f"{name} is of type {type(item).__name__}: beside weighted data, give paths.", setting=name
        )
    return replace(item, data=open_given(item.data, options, name))


def _refuse_texts(first: str, name: str) -> None:
    if not os.path.exists(os.path.expanduser(first)) and hub_id(first) is None:
        shown = first if len(first) <= 80 else f"{first[:80]}..."
        raise UnreadableFile(
            f"{name} is a list of strings, which are taken for paths, and there is no file {shown!r}. Give texts with "
            "their labels as one tuple: (texts, labels).",
            file=first,
        )


def _objects(form: str, rows: Sequence[object], options: ReadOptions, name: str) -> HeldSource:
    nesting = options.max_nesting
    sample = []
    for row in rows[:SAMPLE_ROWS]:
        try:
            sample.append(_object(row, nesting))
        except BadRow:
            continue
    columns = columns_of(sample, options, name)

    def maker(notes: Notes) -> Maker:
        example = row_maker(columns, options, notes).example
        return lambda row, line: example(_object(row, nesting), line)

    return HeldSource(name, _detected(form, columns, options), lambda: rows, maker, options)


def _object(row: object, nesting: int) -> dict[str, Value]:
    """A row as an object: itself, or the input and the labels that a pair holds."""
    read = plain(row, nesting)
    if isinstance(read, dict):
        return read
    if isinstance(read, list) and len(read) == 2:
        return {"text": read[0], "labels" if isinstance(read[1], dict) else "label": read[1]}
    if isinstance(read, list):
        raise BadRow("not_an_object", f"The row is a list of {len(read):,} values, not a pair of text and label")
    raise BadRow("not_an_object", f"The row is {kind_of(read)}, neither an object nor a pair of text and label")


def _detected(form: str, columns: Columns | None, options: ReadOptions) -> Detected:
    if columns is None:
        return Detected(format=form, text="text or messages", labels={"*": "*"})
    return Detected(
        format=form,
        text=columns.names[columns.text],
        labels=columns.roles,
        unread=columns.unread,
        style=columns.style(options),
        guessed=columns.guessed,
        warnings=columns.warnings,
    )


def _shown(row: object) -> str:
    """The row as JSON, for the rejects file."""
    try:
        return json.dumps(row, ensure_ascii=False, default=lambda value: type(value).__name__)
    except (ValueError, TypeError, RecursionError):  # circular, odd keys, too deep
        return f"a {type(row).__name__}"
