"""`tamis split`: one file becomes training, validation and test files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.layout import plain
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading, RejectsFile
from tamis.cli.reading_view import say_left_out
from tamis.errors import InvalidSetting, NothingToLearn, OutputExists

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tamis.data.dataset import Dataset
    from tamis.data.formats.options import ReadOptions
    from tamis.data.loading import Loaded
    from tamis.data.splits import Untestable

    Split = Mapping[str, NDArray[np.intp]]

_SHOWN = 8

File = Annotated[str, typer.Argument(metavar="FILE", help="Labelled rows: a file, a folder, or a hub dataset.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files; it is made if need be.")]
Validation = Annotated[float, typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Share of the rows to choose on.")]
Test = Annotated[float, typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Share of the rows to report on.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Another seed gives another split.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the files of an earlier split.")]


@app.command()
@grouped
def split(
    file: File,
    out_dir: Out,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
    max_bad_share: MaxBadShare = 0.0,
    rejects: RejectsFile = None,
    force: Force = False,
    as_json: AsJson = False,
    *,
    reading: Reading,
) -> None:
    """Divide labelled rows into train.jsonl, validation.jsonl and test.jsonl.

    Every label keeps its share in each file. Rows with the same text stay together. The order of rows plays no part.
    """
    from tamis.data.loading import load_splits
    from tamis.data.splits import require_shares, split_rows, untestable_labels

    read = reading.options()
    shares = {"train": round(1 - validation - test, 9), "validation": validation, "test": test}
    paths = {name: out_dir / f"{name}.jsonl" for name in shares}
    require_shares(shares)
    _require_free(file, paths, force=force)
    _require_one_split(file, read)
    loaded = load_splits(file, options=read, max_bad_share=max_bad_share, rejects=rejects)
    _require_labels(loaded.train, file)
    rows = split_rows(loaded.train, shares, seed)
    written = _write(loaded.train, rows, paths, force=force)
    untestable = untestable_labels(loaded.train, rows)
    if as_json:
        print_json(_as_json(loaded, rows, written, untestable) | {"seed": seed})
        return
    say_left_out(loaded.tallies, {"train": loaded.notes["train"]}, rejects)
    _show_files(rows, shares, written)
    _show_untestable(untestable)


def _require_free(file: str, paths: Mapping[str, Path], *, force: bool) -> None:
    """Refuse before anything is read, not after."""
    for path in paths.values():
        if not path.exists():
            continue
        if Path(file).exists() and path.samefile(file):
            raise InvalidSetting(f"{file} would be overwritten by its own part: choose another --out.", setting="out")
        if not force:
            raise OutputExists(f"{path} is already there: choose another --out, or replace it with --force.", path=path)


def _require_one_split(file: str, read: ReadOptions) -> None:
    from tamis.data.formats import hub_splits

    own = hub_splits(file, read) if read.split is None else ()
    if len(own) > 1:
        message = f"{file} has splits of its own: {', '.join(own)}. Use them as they are, or name the one to divide"
        raise InvalidSetting(f"{message}, like --split {own[0]}.", setting="split")


def _require_labels(dataset: Dataset, file: str) -> None:
    if not dataset.targets:
        raise NothingToLearn(f"No row of {file} has a label: label the rows, or name the column (--label-column).")


def _write(dataset: Dataset, rows: Split, paths: Mapping[str, Path], *, force: bool) -> dict[str, Path]:
    """Write the splits that have rows; files of an earlier split that now have none are removed, or they would leak."""
    from tamis.data.writers import rows_of, write_jsonl

    written = {name: path for name, path in paths.items() if len(rows[name])}
    write_jsonl({path: rows_of(dataset, rows[name]) for name, path in written.items()}, overwrite=force)
    for name in paths.keys() - written.keys():
        paths[name].unlink(missing_ok=True)
    return written


def _as_json(
    loaded: Loaded, rows: Split, written: Mapping[str, Path], untestable: list[Untestable]
) -> dict[str, object]:
    return {
        "rows": {name: len(own) for name, own in rows.items()},
        "files": {name: str(path) for name, path in written.items()},
        "rejected": loaded.rejected,
        "untestable": [asdict(label) for label in untestable],
        "read": [tally.to_json() for tally in loaded.tallies],
    }


def _show_files(rows: Split, shares: Mapping[str, float], written: Mapping[str, Path]) -> None:
    total = sum(map(len, rows.values()))
    for name, own in rows.items():
        if name in written:
            figures = f"{len(own):>9,} rows  {len(own) / total:6.1%}"
            out.print(f"[bold]{name:<10}[/] {figures}  {escape(str(written[name]))}", soft_wrap=True)
        elif shares[name]:
            out.print(f"[bold yellow]{name:<10}[/]        no row  There are too few for a share of {shares[name]:.1%}.")


def _show_untestable(untestable: list[Untestable]) -> None:
    """Say which labels the held-out files cannot speak of, the ones with the most rows first."""
    found: defaultdict[tuple[str, str], list[Untestable]] = defaultdict(list)
    for label in untestable:
        for split in label.missing:
            found[split, label.target].append(label)
    for (split, target), labels in found.items():
        labels.sort(key=lambda label: -label.rows)
        named = ", ".join(f"{label.label} ({label.rows})" for label in labels[:_SHOWN])
        more = f" and {len(labels) - _SHOWN:,} more (--json names them all)" if len(labels) > _SHOWN else ""
        out.print(
            f"[yellow]![/] {escape(plain(target))}: {_labels(len(labels))} no row in the {split} data, so nothing "
            f"can be said of {'it' if len(labels) == 1 else 'them'} there: {escape(plain(named))}{more}",
            soft_wrap=True,
        )


def _labels(count: int) -> str:
    return "1 label has" if count == 1 else f"{count:,} labels have"
