"""Fixes applied to a file: the new file, the log of what changed, and the version that it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tamis.data.formats.options import ReadOptions
from tamis.data.loading import Tally, refuse_overwriting
from tamis.data.review.fixes import Change, Fixed, log_rows, require_left
from tamis.data.review.rewriting import Rewriting, rewrite
from tamis.data.review.versions import Version, file_hash, log_of, version_of, write_log
from tamis.errors import InvalidSetting, NoRows, OutputExists


@dataclass(frozen=True, slots=True)
class Places:
    """Which file is read, where the new one goes, and where the log (None: beside it)."""

    source: Path
    output: Path
    log: Path | None = None
    overwrite: bool = False

    @property
    def log_path(self) -> Path:
        """Where the log goes."""
        return self.log or log_of(self.output)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What fixes did. `output` and `log` are None where nothing was written; so is `version`."""

    rows_before: int
    rows_after: int
    changes: tuple[Change, ...]
    output: Path | None = None
    log: Path | None = None
    version: Version | None = None

    def to_json(self) -> dict[str, object]:
        """Plain types; changes in numbers, since the log has them all."""
        counts: dict[str, int] = {}
        for change in self.changes:
            counts[change.fix] = counts.get(change.fix, 0) + 1
        return {
            "rows_before": self.rows_before,
            "rows_after": self.rows_after,
            "changes": counts,
            "output": str(self.output) if self.output else None,
            "log": str(self.log) if self.log else None,
            "version": self.version.model_dump(mode="json") if self.version else None,
        }


def refuse_places(places: Places, *read: str) -> None:
    """Refuse before anything is read what could not be written afterwards, or would overwrite what is read.

    Raises:
        InvalidSetting: the output or the log is a file that is read, or both are one file.
        OutputExists: the output is there already.
    """
    if places.source.exists() and not places.source.is_file():
        raise InvalidSetting(f"{places.source} is no file: give one file at a time, not a folder.", setting="file")
    if places.output.is_dir():
        raise InvalidSetting(f"{places.output} is a folder: name a file.", setting="output")
    if places.output.resolve() == places.log_path.resolve():
        raise InvalidSetting(f"{places.output} cannot hold both the rows and the log: name another --log.")
    refuse_overwriting((places.output, places.log_path), places.source, *read)
    for path in (places.output, places.log_path):
        if path.exists() and not places.overwrite:
            raise OutputExists(f"{path} is already there: choose another name, or replace it with --force.", path=path)


def apply_fixes(
    result: Fixed, chosen: Sequence[object], places: Places, read: ReadOptions, tallies: Sequence[Tally], *, write: bool
) -> Outcome:
    """Write the file that fixes led to, and its log.

    Raises:
        NoRows: no row would be left.
        NothingToLearn: a target would have too few labels left.
        InvalidSetting: a file cannot be written, or the new labels do not fit its columns.
    """
    if not len(result.data):
        raise NoRows("No row would be left: ask for less.")
    require_left(result.before, result.data)
    before, after = len(result.before), len(result.data)
    if not write:
        return Outcome(before, after, result.changes)
    altered = result.altered()
    multi = frozenset(target.name for target in result.before.targets if target.is_multi)
    kept = frozenset(result.rows.tolist()) if after < before else range(before)
    rewrite(places.source, places.output, read, Rewriting(kept, altered, multi), overwrite=places.overwrite)
    version = _version(places, chosen, before, after)
    head = {
        "version": version.model_dump(mode="json"),
        "file": places.source.name,
        "output": places.output.name,
        "applied": list(map(str, chosen)),
        "rows_before": before,
        "rows_after": after,
        "left_out_unreadable": sum(tally.rejected for tally in tallies if tally.split == "train"),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_log(places.log_path, head, log_rows(result.before, result.changes))
    return Outcome(before, after, result.changes, places.output, places.log_path, version)


def _version(places: Places, chosen: Sequence[object], before: int, after: int) -> Version:
    """The version that the new file is: what the old one was, and one step more."""
    old = version_of(places.source) or Version.first(file_hash(places.source), before)
    return old.after(file_hash(places.output), map(str, chosen), after)
