"""`tamis models`: what stands in the home under a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tamis.cli.app import app
from tamis.cli.console import out, print_json
from tamis.errors import ModelError

if TYPE_CHECKING:
    from tamis.ml.manifest import Manifest
    from tamis.ml.registry import Version

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

FIGURES = {"accuracy": "accuracy", "micro_f1": "micro-F1"}
"""What a target is judged by: single-label, multi-label."""

NAME = 24
MOST_TARGETS = 20


@dataclass(frozen=True, slots=True)
class _Entry:
    version: Version
    manifest: Manifest | None
    trouble: ModelError | None = None

    @property
    def size_mb(self) -> float:
        files = self.manifest.files.values() if self.manifest else ()
        return round(sum(file.bytes for file in files) / 1e6, 1)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models that were trained with --name: each version, what it answers, how good it is."""
    from tamis.ml.registry import versions
    from tamis.settings import load_settings

    home = load_settings().home
    entries = [_entry(version) for version in versions(home)]
    if as_json:
        print_json({"home": str(home), "models": [_as_json(entry) for entry in entries]})
    elif entries:
        _show(entries, home)
    else:
        out.print(f"There are no models in {home} yet: tamis train FILE --name NAME", markup=False, soft_wrap=True)


def _entry(version: Version) -> _Entry:
    from tamis.ml.artifact import open_artifact

    try:
        return _Entry(version, open_artifact(version.folder, check_hashes=False).manifest)
    except ModelError as error:
        return _Entry(version, None, error)


def _figure(manifest: Manifest, target: str) -> tuple[str, float | None, str]:
    """What a target is judged by: on the test data where there was some, else on held-out rows.

    The manifest's metrics are for people, so nothing has checked them: what is no share is passed over.
    """
    for source, rows in (("test", "test data"), ("held_out", "held-out rows")):
        found = manifest.metrics.get(source)
        figures = found.get(target) if isinstance(found, dict) else None
        for name in FIGURES:
            value = figures.get(name) if isinstance(figures, dict) else None
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
                return name, float(value), rows
    return "", None, ""


def _as_json(entry: _Entry) -> dict[str, object]:
    known: dict[str, object] = {"model": str(entry.version), "folder": str(entry.version.folder)}
    manifest = entry.manifest
    if manifest is None:
        return known | {"error": {"code": entry.trouble.code, "message": str(entry.trouble)} if entry.trouble else None}
    targets = {}
    for target in manifest.targets:
        name, value, rows = _figure(manifest, target.name)
        figure = {name: value, "measured_on": rows} if name else {}
        targets[target.name] = {"kind": target.kind.value, "labels": len(target.labels), **figure}
    return known | {"created": manifest.created.isoformat(), "size_mb": entry.size_mb, "targets": targets}


def _show(entries: list[_Entry], home: Path) -> None:
    from tamis.cli.layout import plain

    for entry in entries:
        if entry.manifest is not None:
            _show_one(entry, entry.manifest)
    for entry in entries:
        if entry.trouble:
            out.print(Text(f"✗ {entry.version}: {plain(str(entry.trouble))}", style="red"), soft_wrap=True)
    out.print(Text(f"In {plain(str(home))}", style="dim"), soft_wrap=True)


def _show_one(entry: _Entry, manifest: Manifest) -> None:
    """A line for the version, and one for each target."""
    from tamis.cli.layout import cut, figures_table
    from tamis.evaluation.verdict import percent

    told = f"  {manifest.created:%Y-%m-%d %H:%M}, {entry.size_mb:,.1f} MB"
    out.print(Text.assemble((str(entry.version), "bold"), (told, "dim")), soft_wrap=True)
    table = figures_table("", "", "", text=1)
    table.show_header = False
    for target in manifest.targets[:MOST_TARGETS]:
        name, value, rows = _figure(manifest, target.name)
        figure = f"{FIGURES[name]} {percent(value)} on {rows}" if name else "not measured"
        count = f"{len(target.labels):,} label{'' if len(target.labels) == 1 else 's'}"
        table.add_row(Text("  " + cut(target.name, NAME)), count, Text(figure, style="dim"))
    if len(manifest.targets) > MOST_TARGETS:
        table.add_row(Text(f"  and {len(manifest.targets) - MOST_TARGETS:,} more", style="dim"))
    table.columns[-1].justify = "left"
    out.print(table)
