"""A comparison as it goes on, on stderr: who answers, and how many rows are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tamis.cli.console import err
from tamis.cli.layout import cut

Told = Callable[[str, int, int], None]

NAME = 40


@contextmanager
def comparison_progress(*, shown: bool = True) -> Iterator[Told]:
    """Yield what is told how far a comparison is: a live line where a person is looking, else a line a contender.

    Args:
        shown: False says nothing where nobody is looking.
    """
    if err.is_terminal:
        with _live() as told:
            yield told
    else:
        yield _plain() if shown else lambda what, done, rows: None


@contextmanager
def _live() -> Iterator[Told]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(bar_width=18), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=1)

        def told(what: str, done: int, rows: int) -> None:
            from rich.markup import escape

            bar.update(task, completed=done, total=rows, description=escape(cut(what, NAME)))

        yield told


def _plain() -> Told:
    """A line when somebody begins, and one every quarter of the rows of what takes long."""
    last: tuple[str, int] = ("", -1)

    def told(what: str, done: int, rows: int) -> None:
        nonlocal last
        quarter = 4 * done // max(1, rows)
        if (what, quarter) != last:
            err.print(f"{what}  {done:,} of {rows:,}" if rows > 1 else what, markup=False, soft_wrap=True)
            last = (what, quarter)

    return told
