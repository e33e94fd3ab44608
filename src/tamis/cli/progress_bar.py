"""A run as it goes on, on stderr: one live line where a person is looking, else a plain line every tenth of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tamis.cli.console import err

if TYPE_CHECKING:
    from tamis.ml.progress import Listener, Progress


@contextmanager
def progress_bar(*, only_live: bool = False, shown: bool = True) -> Iterator[Listener]:
    """Yield what listens to a run; the live line is gone when the run is over.

    Args:
        only_live: say nothing where nobody is looking.
        shown: False says nothing at all.
    """
    if not shown:
        yield lambda _: None
    elif err.is_terminal:
        with _live() as listener:
            yield listener
    elif only_live:
        yield lambda _: None
    else:
        yield _plain_lines()


@contextmanager
def _live() -> Iterator[Listener]:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(bar_width=18),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}[dim]{task.fields[figures]}[/]"),
    )
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=1.0, figures="")
        last: Mapping[str, float] = {}

        def listen(told: Progress) -> None:
            nonlocal last
            last = told.checkpoint or told.fold or last
            bar.update(task, completed=told.share, description=told.stage, figures=_figures(last))

        yield listen


def _plain_lines() -> Callable[[Progress], None]:
    """A line every tenth of the run."""
    told_tenth = -1

    def listen(told: Progress) -> None:
        nonlocal told_tenth
        if (tenth := int(told.share * 10)) > told_tenth:
            err.print(f"{told.share:4.0%}  {told.stage}{_figures(told.checkpoint or told.fold)}", soft_wrap=True)
            told_tenth = tenth

    return listen


def _figures(checkpoint: Mapping[str, float]) -> str:
    epoch, loss = checkpoint.get("epoch"), checkpoint.get("valid_loss")
    if epoch is None or loss is None:
        return ""
    return f" · pass {epoch:.1f}, loss {loss:.3f}"
