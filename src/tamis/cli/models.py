"""`tamis models`: what can be asked under a name, and the names themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import find, opened
from tamis.errors import ModelError

if TYPE_CHECKING:
    from tamis.ml.registry import Version
    from tamis.settings import Settings
    from tamis.store.records import ModelRecord
    from tamis.workspace.models import Models

models = typer.Typer(help="List the models; with a command: delete one.", invoke_without_command=True)
app.add_typer(models, name="models")

Known = Annotated[str, typer.Argument(metavar="MODEL", help="A name: NAME, NAME@3, an alias, an id, ft:...")]
Yes = Annotated[bool, typer.Option("--yes", help="Delete without asking.")]

FIGURES = {"accuracy": "accuracy", "micro_f1": "micro-F1"}
"""What a target is judged by: single-label, multi-label."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as it is listed; one that cannot be opened has its `trouble` instead of the rest."""

    name: str
    place: str
    created: datetime | None = None
    size_mb: float = 0.0
    targets: Sequence[tuple[str, str, int]] = ()
    """Name, kind, number of labels."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only a database knows: `id`, `ft`, `aliases`, `job`, `archived`."""
    trouble: ModelError | None = None

    def figure(self, target: str) -> tuple[str, float | None, str]:
        """What a target is judged by: on the test data where there was some, else on held-out rows.

        The metrics are for people, so nothing has checked them: what is no share is passed over.
        """
        for source, rows in (("test", "test data"), ("held_out", "held-out rows")):
            found = self.metrics.get(source)
            figures = found.get(target) if isinstance(found, dict) else None
            for name in FIGURES:
                value = figures.get(name) if isinstance(figures, dict) else None
                if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
                    return name, float(value), rows
        return "", None, ""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON."""
        known: dict[str, object] = {"model": self.name, "folder": self.place}
        if self.trouble:
            return known | {"error": {"code": self.trouble.code, "message": str(self.trouble)}}
        targets = {}
        for target, kind, labels in self.targets:
            name, value, rows = self.figure(target)
            figure = {name: value, "measured_on": rows} if name else {}
            targets[target] = {"kind": kind, "labels": labels, **figure}
        created = self.created.isoformat() if self.created else None
        return {**known, **self.more, "created": created, "size_mb": self.size_mb, "targets": targets}


@models.callback()
def list_models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models of `tamis train --name` and those that jobs made: what each answers, how good it is."""
    if context.invoked_subcommand is not None:
        return
    from tamis.cli.models_view import show
    from tamis.settings import load_settings

    settings = load_settings()
    entries = _entries(settings)
    if as_json:
        print_json({"home": str(settings.home), "models": [entry.to_json() for entry in entries]})
    elif entries:
        show(entries, settings.home, out)
    else:
        where = f"There are no models in {settings.home} yet: tamis train FILE --name NAME"
        out.print(where, markup=False, soft_wrap=True)


@models.command()
def delete(model: Known, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a model for good, with its files. One that an alias points at is not deleted."""
    with opened() as workspace:
        found = find(workspace, model)
        name = f"{found.name}@{found.version}"
        if not yes:
            typer.confirm(
                f"Delete {name} ({found.bytes / 1e6:,.1f} MB, made {_moment(found):%Y-%m-%d})?", abort=True, err=True
            )
        workspace.models.delete(found.id)
    if as_json:
        print_json({"deleted": found.id, "model": name})
    else:
        out.print(f"{name} is deleted.", markup=False, soft_wrap=True)


def _entries(settings: Settings) -> list[Entry]:
    """All models, by name, the newest version first; those of the home that cannot be opened too."""
    from tamis.ml.registry import versions

    if not settings.has_database:
        return [_of_folder(version) for version in versions(settings.home)]
    with opened(settings) as workspace:
        records = sorted(workspace.models.list(), key=lambda record: (record.name, -record.version))
        entries = [_of_record(record, workspace.models) for record in records]
    known = {entry.place for entry in entries}
    return entries + [_of_folder(version) for version in versions(settings.home) if str(version.folder) not in known]


def _of_folder(version: Version) -> Entry:
    from tamis.ml.artifact import open_artifact

    try:
        manifest = open_artifact(version.folder, check_hashes=False).manifest
    except ModelError as error:
        return Entry(str(version), str(version.folder), trouble=error)
    return Entry(
        str(version),
        str(version.folder),
        manifest.created,
        round(sum(file.bytes for file in manifest.files.values()) / 1e6, 1),
        [(target.name, target.kind.value, len(target.labels)) for target in manifest.targets],
        manifest.metrics,
    )


def _of_record(record: ModelRecord, known: Models) -> Entry:
    more = {
        "id": record.id,
        "ft": record.ft,
        "aliases": list(known.aliases(record.id)),
        "job": record.job_id,
        "archived": record.archived,
    }
    return Entry(
        f"{record.name}@{record.version}",
        known.place(record),
        _moment(record),
        round(record.bytes / 1e6, 1),
        [(str(target["name"]), str(target["kind"]), len(target["labels"])) for target in record.targets],
        record.metrics,
        more,
    )


def _moment(record: ModelRecord) -> datetime:
    return datetime.fromtimestamp(record.created_at, UTC)
