"""`tamis thresholds`: what the thresholds and abstain rules of a model give, and other ones, without training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import ModelArgument, find, opened
from tamis.cli.option_groups import grouped
from tamis.cli.reading import MaxBadShare, Reading
from tamis.errors import InvalidSetting, UnknownModel

if TYPE_CHECKING:
    from tamis.data.formats import ReadOptions
    from tamis.data.loading import Part
    from tamis.ml.artifact import Artifact
    from tamis.ml.manifest import Manifest
    from tamis.ml.rethresholding import Evidence, Rethresholded
    from tamis.settings import Settings

OptimiseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--optimise",
        metavar="OBJECTIVE",
        help="f1, micro-f1, macro-f1, precision>=0.95, recall>=0.9, cost:fp=1,fn=5; LABEL=OBJECTIVE for one label; "
        "repeatable.",
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="LABEL=X", help="Give a threshold by hand; repeatable.")
]
Shared = Annotated[bool, typer.Option("--shared", help="One threshold for all labels of a target.")]
AbstainLosses = Annotated[
    list[str] | None,
    typer.Option(
        "--abstain-loss",
        metavar="X",
        help="Share of in-scope answers that single-label targets may leave out; TARGET=X for one, repeatable.",
    ),
]
TargetName = Annotated[str | None, typer.Option("--target", metavar="NAME", help="Of this target alone.")]
DataFile = Annotated[
    str | None,
    typer.Option("--data", metavar="FILE", help="Choose by these labelled rows, not by those held out in training."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for the new model.")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Register the new model under this name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what the new thresholds would give.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the model that is in the folder.")]


@dataclass(frozen=True, slots=True)
class Found:
    """A model: its folder, whether that is one of the hub's cache, and what it is called in the home, if anything."""

    folder: Path
    of_hub: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a new model went: a folder, and its name in the home."""

    folder: Path | None
    name: str | None = None


@app.command()
@grouped
def thresholds(
    model: ModelArgument,
    optimise: OptimiseOption = None,
    fixed: Set = None,
    shared: Shared = False,
    abstain_loss: AbstainLosses = None,
    target: TargetName = None,
    data: DataFile = None,
    out_dir: Out = None,
    name: Name = None,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: AsJson = False,
    max_bad_share: MaxBadShare = 0.0,
    *,
    reading: Reading,
) -> None:
    """Show what the thresholds of a model give, or choose others for a purpose: a new version, without training.

    With --abstain-loss, how sure single-label targets must be to answer. The model itself is never changed. One of the
    home gets a new version of its name, unless --out or --name says else.
    """
    from tamis.evaluation.objectives import parse_fixed, parse_losses, parse_purpose
    from tamis.ml.artifact import open_artifact
    from tamis.ml.rethresholding import parent_of, rethreshold
    from tamis.settings import load_settings

    settings = load_settings()
    losses = parse_losses(abstain_loss or ())
    purpose = parse_purpose(optimise, parse_fixed(fixed or ()), shared=shared, abstain_loss=losses)
    found = _found(model, settings)
    place = _Place(found, out_dir, name, force)
    if purpose and not dry_run:
        place.refuse()
    artifact = open_artifact(found.folder, of_hub=found.of_hub)
    options = reading.options()
    evidence, told = _evidence(artifact, model if found.of_hub else found.folder, data, options, max_bad_share)
    if not purpose:
        _show(artifact.manifest, evidence, target, told, as_json=as_json)
        return
    parent = parent_of(artifact.manifest, found.folder, found.name)
    made = rethreshold(artifact.manifest, evidence, purpose, parent, target)
    kept = Kept(None) if dry_run else place.keep(artifact, made.manifest, settings)
    _tell(parent.name, made, kept, [*told, *made.remarks], as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the new model is to go."""

    found: Found
    folder: Path | None
    name: str | None
    force: bool

    def refuse(self) -> None:
        """Do nothing where the model can be kept."""
        from tamis.cli.train import refuse_taken
        from tamis.ml.registry import require_name

        if self.name is not None:
            require_name(self.name)
        if self.folder is not None:
            refuse_taken(self.folder, force=self.force)
        if self.folder is None and self.name is None and self.found.name is None:
            raise InvalidSetting(
                "Say where the new model goes: --out DIR or --name NAME (or --dry-run, only to look). The model itself "
                "is never changed.",
                setting="out",
            )

    def keep(self, artifact: Artifact, manifest: Manifest, settings: Settings) -> Kept:
        """Write the model, and register it where it has a name."""
        from tamis.ml.rethresholding import write_changed

        with TemporaryDirectory(prefix="tamis-") as made:
            folder = self.folder or Path(made, "model")
            write_changed(artifact, manifest, folder, overwrite=self.force)
            if self.folder is not None and self.name is None:
                return Kept(self.folder)
            return Kept(self.folder, _registered(folder, self.name, self.found.name, settings))


def _registered(folder: Path, name: str | None, parent: str | None, settings: Settings) -> str:
    """Keep a folder as the next version of a new name, or else of the parent's."""
    from tamis.ml.registry import register

    if not settings.has_database:
        return str(register(settings.home, name or str(parent).partition("@")[0], folder))
    with opened(settings) as workspace:
        if name is not None:
            return str(workspace.models.register(name, folder))
        added = workspace.models.add_version(str(parent), folder)
        return f"{added.name}@{added.version}"


def _found(given: str, settings: Settings) -> Found:
    """Find the model.

    Raises:
        UnknownModel: there is none.
        HubFailed: it can only be on the hub, and that cannot be asked.
    """
    from tamis.ml.published import fetch_model, is_repository
    from tamis.ml.registry import folder_at, resolve

    if (folder := folder_at(given)) is not None:
        return Found(folder)
    try:
        if not settings.has_database:
            folder = resolve(settings.home, given)
            return Found(folder, name=f"{folder.parent.name}@{folder.name}")
        with opened(settings) as workspace:
            record = find(workspace, given)
            return Found(workspace.models.folder(record), name=f"{record.name}@{record.version}")
    except UnknownModel:
        if not is_repository(given):
            raise
    return Found(fetch_model(given), of_hub=True)


def _evidence(
    artifact: Artifact, model: str | Path, data: str | None, options: ReadOptions | None, max_bad_share: float
) -> tuple[Evidence, list[str]]:
    """What thresholds are chosen by, and what is to be told of it."""
    from tamis.data.loading import load as load_data
    from tamis.ml.model import load
    from tamis.ml.rethresholding import evidence_in

    if data is None:
        return evidence_in(artifact), []
    loaded = load(model)
    part = load_data(data, loaded.targets, loaded.reading(options), max_bad_share=max_bad_share)
    return loaded.threshold_evidence(part.data), _warnings(artifact.manifest, part)


def _warnings(manifest: Manifest, part: Part) -> list[str]:
    """What to mind of rows that thresholds are chosen by."""
    from tamis.ml.own_rows import served

    told = []
    tests = {file.name for file in manifest.data.files if file.split == "test"}
    judged = [Path(tally.file).name for tally in part.tallies if Path(tally.file).name in tests]
    if judged:
        told.append(f"{judged[0]} was the model's test data: chosen by it, thresholds look better on it than they are.")
    if served(part.data, manifest).learnt_from:
        told.append(
            "These are the rows that the model learnt from: its scores are too sure of them, so choose by others."
        )
    told.append("Rows that thresholds are chosen by are no test rows any more: measure the new model on others.")
    return told


def _show(manifest: Manifest, evidence: Evidence, target: str | None, told: list[str], *, as_json: bool) -> None:
    from tamis.cli.thresholds_view import show, show_answers
    from tamis.ml.rethresholding import OTHERS, answers_of, tables_of

    tables, answers = tables_of(manifest, evidence, target), answers_of(manifest, evidence, target)
    if as_json:
        shown = {
            name: table.to_json()
            | {"others": {str(cut): [list(pair) for pair in table.at(cut)] for cut in OTHERS if table.counts}}
            for name, table in tables.items()
        }
        abstain = {
            name: table.to_json() | {"others": [rule.to_json() for rule in table.others()]}
            for name, table in answers.items()
        }
        print_json({"model": manifest.name, "targets": shown, "abstain": abstain, "remarks": told})
        return
    show(tables, out, others=True)
    show_answers(answers, out, others=True)


def _tell(parent: str, made: Rethresholded, kept: Kept, remarks: list[str], *, as_json: bool) -> None:
    from tamis.cli.layout import marked
    from tamis.cli.thresholds_view import show, show_answers

    if as_json:
        place = {"model": None if kept.folder is None else str(kept.folder), "name": kept.name, "parent": parent}
        shown = {name: table.to_json() for name, table in made.tables.items()}
        abstain = {name: table.to_json() for name, table in made.answers.items()}
        dry = {"dry_run": kept == Kept(None)}
        print_json(place | dry | {"targets": shown, "abstain": abstain, "remarks": remarks})
        return
    show(made.tables, out, others=False)
    show_answers(made.answers, out, others=False)
    for remark in remarks:
        out.print(marked("warning", remark))
    if kept == Kept(None):
        out.print("Nothing was written: this is what the thresholds would give.", soft_wrap=True)
    for what, where in (("Model", kept.folder), ("Name", kept.name)):
        if where is not None:
            out.print(f"[dim]{what}[/]", end="  ")
            out.print(str(where), markup=False, soft_wrap=True)
