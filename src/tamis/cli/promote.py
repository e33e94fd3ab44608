"""`tamis promote`: a model takes another's place behind an alias, if it is good enough on the same rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.alias import BY
from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import find_in_home, opened
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading

if TYPE_CHECKING:
    from tamis.data.formats import ReadOptions
    from tamis.evaluation.gate import GateReport
    from tamis.store.records import ModelRecord
    from tamis.workspace.promotions import Asked, Outcome
    from tamis.workspace.workspace import Workspace

Candidate = Annotated[str, typer.Argument(metavar="MODEL", help="A model of the home: NAME, NAME@3, an id, ft:...")]
ToAlias = Annotated[str, typer.Option("--alias", metavar="NAME", help="The alias that is to point at it.")]
Data = Annotated[
    list[str], typer.Option("--data", metavar="FILE", help="Labelled rows that neither model has seen; repeatable.")
]
If = Annotated[
    list[str],
    typer.Option("--if", metavar="CONDITION", help='What must hold: "accuracy >= current - 0.5pp"; repeatable.'),
]
First = Annotated[
    bool, typer.Option("--first", help="Let conditions on the current model pass while the alias points at nothing.")
]
AllowLabelChanges = Annotated[
    bool, typer.Option("--allow-label-changes", help="MODEL may lack labels that the current model has.")
]
AllowUnmeasured = Annotated[
    bool, typer.Option("--allow-unmeasured", help="Conditions may hold though the rows say nothing of a target.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Measure and judge, and move nothing.")]


@app.command()
@grouped
def promote(
    model: Candidate,
    alias: ToAlias,
    data: Data,
    conditions: If,
    first: First = False,
    allow_label_changes: AllowLabelChanges = False,
    allow_unmeasured: AllowUnmeasured = False,
    dry_run: DryRun = False,
    max_bad_share: MaxBadShare = 0.0,
    as_json: AsJson = False,
    *,
    reading: Reading,
) -> None:
    """Point an alias at a model if it is good enough: measured on the same rows as the model behind it now.

    Exits with 1, and moves nothing, where a condition does not hold.
    """
    from tamis.workspace.promotions import Asked

    options = reading.options()
    asked = Asked(
        alias=alias,
        model=model,
        conditions=conditions,
        data=", ".join(Path(each).name for each in data),
        first=first,
        allow_label_changes=allow_label_changes,
        allow_unmeasured=allow_unmeasured,
        dry_run=dry_run,
        by=BY,
    )
    with opened() as workspace:
        known = replace(asked, model=find_in_home(workspace, model).id)
        outcome = _promoted(workspace, known, data, (options, max_bad_share))
    if as_json:
        print_json(_as_json(outcome))
    else:
        from tamis.cli.promote_view import show

        show(outcome, out)
    if not outcome.passed:
        raise typer.Exit(1)


def _promoted(workspace: Workspace, asked: Asked, data: list[str], reading: tuple[ReadOptions, float]) -> Outcome:
    """Promote, measured in this process."""
    from tamis.cli.reading_view import say_left_out
    from tamis.evaluation.conditions import parse_all
    from tamis.ml.model import load
    from tamis.ml.promotion import Rivals, contest, rows_for
    from tamis.workspace.promotions import name_of

    def measure(candidate: ModelRecord, current: ModelRecord | None) -> GateReport:
        rivals = Rivals(
            candidate=load(workspace.models.folder(candidate)),
            name=name_of(candidate),
            current=None if current is None else load(workspace.models.folder(current)),
            current_name=None if current is None else name_of(current),
        )
        options, max_bad_share = reading
        part = rows_for(rivals, data[0] if len(data) == 1 else data, options, max_bad_share=max_bad_share)
        say_left_out(part.tallies, {"evaluation": part.notes}, None)
        return contest(
            rivals,
            part.data,
            parse_all(asked.conditions),
            allow_label_changes=asked.allow_label_changes,
            allow_unmeasured=asked.allow_unmeasured,
        )

    return workspace.promotions.promote(asked, measure)


def _as_json(outcome: Outcome) -> dict[str, object]:
    from tamis.workspace.promotions import name_of

    return {
        "alias": outcome.alias,
        "candidate": name_of(outcome.candidate),
        "former": None if outcome.former is None else name_of(outcome.former),
        "passed": outcome.passed,
        "moved": outcome.moved,
        "why": outcome.why,
        "report": None if outcome.report is None else outcome.report.model_dump(mode="json"),
    }
