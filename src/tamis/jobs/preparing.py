"""Labelled files made ready to learn from: read as their owner said, split, written anew, counted, reviewed.

What comes of it are training, validation and test files in the workspace, a review of them, and what a page shows
beside it. It does not know who asked, nor what is decided on the findings.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from tamis.data.check_page import check_page
from tamis.data.checks.report import CheckReport, Finding, TargetReport
from tamis.data.checks.survey import CheckOptions, Listeners, check
from tamis.data.dataset import Dataset, require_learnable
from tamis.data.languages import NAMES, UNDETERMINED
from tamis.data.layout import Layout
from tamis.data.loading import Loaded, load_splits
from tamis.data.review.report import Place, Review
from tamis.data.rows import FOR_CALLERS
from tamis.data.splits import split_rows
from tamis.data.writers import rows_of, write_jsonl
from tamis.errors import LimitExceeded, NoRows
from tamis.jobs.operating import Acting, Done
from tamis.jobs.reviewing import kept_report, settled
from tamis.jobs.tools import files_here, name_on_disk
from tamis.ml.cards import CARDS
from tamis.ml.progress import Listener, Progress
from tamis.ml.review import ReviewOptions, review
from tamis.store.records import FileRecord, ReviewRecord

TRAINING, VALIDATION, TEST = "training", "validation", "test"
PARTS = (TRAINING, VALIDATION, TEST)

SPLITS = {TRAINING: "train", VALIDATION: "validation", TEST: "test"}
"""What `data` calls the parts."""

SOURCE = "prepared"
"""What files say of where they come from that were made here."""

MOST_LEFT_OUT = 200
"""Rows that could not be used and are told one by one."""

_ELSEWHERE = ("Summary", "Findings", "Rejected rows")
_JARGON = ("Effective labels",)
_SHARES = {"read": 0.1, "written": 0.15, "counted": 0.35}
_PIECE = 1 << 20

Sources = Mapping[str, tuple[str, NDArray[np.int64]]]
"""By split: the file that its rows were read from, and their lines there."""

_ENOUGH_TEXTS, _WORTH_TELLING = 20, 0.05
"""Texts whose language was looked for, and the share in others than a base model knows, from which that is told."""

_REVIEWED = frozenset(
    {
        *("conflicting_labels", "near_conflicts", "overlap", "near_overlap", "repeats", "similar_label_names"),
        *(
            "duplicates",
            "loose_duplicates",
            "near_duplicates",
            "lonely_labels",
            "few_rows_of_label",
            "imbalance",
            "unknown_target",
            "bad_rows_left_out",
        ),
    }
)
"""Findings of the count that the review has too, with their rows and with what can be done."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to make ready.

    Attributes:
        files: their ids by part, training at least.
        layout: how they are laid out; None where they are as they shall be, and nothing is written.
        shares: of the training file's rows, for parts without a file.
        seed: of the split.
        most_bytes: what all files may have together.
        before: the review of the file that this one was made from: what was settled there stays settled.
    """

    files: Mapping[str, str]
    layout: Layout | None = None
    shares: Mapping[str, float] | None = None
    seed: int = 0
    most_bytes: int | None = None
    before: str | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Asked:
        """Read it from an operation."""
        layout = None if told.get("layout") is None else Layout.model_validate(told["layout"])
        shares, most = dict(told.get("shares") or {}), told.get("most_bytes")
        return cls(dict(told["files"]), layout, shares, int(told.get("seed", 0)), most, told.get("before"))


def prepare(acting: Acting) -> Done:
    """Make files ready.

    Raises:
        DataError: they cannot be read or learnt from.
        LimitExceeded: there are too many labels, or there is no room for what comes of it.
    """
    asked, tools = Asked.of(acting.told), acting.tools
    folder = acting.work / "made"
    folder.mkdir(parents=True, exist_ok=True)
    with files_here(tools.store, list(asked.files.values()), acting.work) as here:
        given = {part: here[file_id] for part, file_id in asked.files.items()}
        left_out: dict[str, Any] = {}
        sources: Sources = {}
        if asked.layout is None:
            names = _linked(given, folder)
        else:
            names, left_out, sources = _written(acting, asked, asked.layout, given, folder)
        with chdir(folder):  # so that nothing names a place of this machine
            report = _counted(acting, names)
            loaded = _loaded(acting, names)
            found = _sourced(review(loaded, ReviewOptions(), listener=_listener(acting)), sources)
    files = asked.files if asked.layout is None else _stored(acting, asked, {p: folder / n for p, n in names.items()})
    record = _reviewed(acting, files, found, asked.before)
    result = {
        "blocks": _blocks(report),
        "findings": [each.model_dump(mode="json") for each in _findings(report) if each.code not in _REVIEWED],
        "left_out": left_out,
        "targets": [
            {"name": each.name, "kind": each.kind.value, "labels": list(each.labels)} for each in loaded.train.targets
        ],
    }
    summary = {
        "files": dict(files),
        "rows": dict(found.rows),
        "review": record.id,
        "left_out": left_out.get("count", 0),
    }
    return Done(json.dumps(result).encode(), "check.json", "application/json", summary)


def _linked(given: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Put the files into one folder, as they are."""
    names: dict[str, str] = {}
    for part, path in given.items():
        names[part] = path.name if path.name not in names.values() else f"{part}-{path.name}"
        (folder / names[part]).symlink_to(path)
    return names


def _written(
    acting: Acting, asked: Asked, layout: Layout, given: Mapping[str, Path], folder: Path
) -> tuple[dict[str, str], dict[str, Any], Sources]:
    """Read the files, split what is to be split, write each part; say what could not be used, and what came whence."""
    acting.tell(0.0, "reading the rows")
    choices = acting.tools.choices
    loaded = load_splits(
        given[TRAINING],
        given.get(VALIDATION),
        given.get(TEST),
        layout.options(choices.reading),
        max_bad_share=1.0,
    )
    n_labels = sum(len(target.labels) for target in loaded.train.targets)
    if n_labels > choices.max_labels:
        raise LimitExceeded(
            f"The rows have {n_labels:,} different labels, and {choices.max_labels:,} are allowed (max_labels). Is the "
            "column of labels the right one?",
            setting="max_labels",
        )
    require_learnable(loaded.train)
    acting.tell(_SHARES["read"], "splitting and writing the rows")
    datasets = _parts(loaded, asked)
    stem = given[TRAINING].name.partition(".")[0] or "rows"
    names = {part: f"{stem}.{SPLITS[part]}.jsonl" for part in datasets}
    every = {folder / names[part]: rows_of(data, np.arange(len(data))) for part, data in datasets.items()}
    write_jsonl(every, overwrite=True)
    sources = {SPLITS[part]: (given.get(part, given[TRAINING]).name, data.lines) for part, data in datasets.items()}
    return names, _left_out(loaded), sources


def _sourced(found: Review, sources: Sources) -> Review:
    """Note of each row where it stands in the file that it was read from: there a person can correct it."""

    def known(place: Place) -> Place:
        name, lines = sources[place.split]
        return place.model_copy(update={"source_file": name, "source_line": int(lines[place.line - 1])})

    if not sources:
        return found
    findings = [
        finding.model_copy(
            update={
                "items": tuple(item.model_copy(update={"rows": tuple(map(known, item.rows))}) for item in finding.items)
            }
        )
        for finding in found.findings
    ]
    return found.model_copy(update={"findings": tuple(findings)})


def _parts(loaded: Loaded, asked: Asked) -> dict[str, Dataset]:
    """The rows of each part: of its own file, else a share of the training file's rows."""
    own = {VALIDATION: loaded.validation, TEST: loaded.test}
    shares = {part: share for part, share in (asked.shares or {}).items() if share > 0 and part not in asked.files}
    train = {TRAINING: loaded.train}
    if shares:
        rows = split_rows(loaded.train, {TRAINING: 1 - sum(shares.values()), **shares}, asked.seed)
        train = {part: loaded.train.select(rows[part]) for part in rows if len(rows[part])}
    found = {**train, **{part: data for part, data in own.items() if data is not None}}
    return {part: found[part] for part in PARTS if part in found}


def _left_out(loaded: Loaded) -> dict[str, Any]:
    """The rows that could not be used: how many, why, and the first of them."""
    codes: Counter[str] = Counter()
    for tally in loaded.tallies:
        codes.update(tally.codes)
    first = [bad for tally in loaded.tallies for bad in tally.first][:MOST_LEFT_OUT]
    return {
        "count": loaded.rejected,
        "codes": dict(codes.most_common()),
        "first": [
            {
                "file": Path(bad.file).name,
                "line": bad.line,
                "cause": bad.cause,
                "cure": FOR_CALLERS.get(bad.code, bad.cure),
                "raw": bad.raw[:300],
            }
            for bad in first
        ],
    }


def _counted(acting: Acting, names: Mapping[str, str]) -> CheckReport:
    """Count what the files hold."""
    begin, end = _SHARES["written"], _SHARES["counted"]

    def progress(rows: int) -> None:
        acting.tell(begin + (end - begin) * (1 - 1 / (1 + rows / 50_000)), f"counting, {rows:,} rows so far")

    acting.tell(begin, "counting")
    sources = {SPLITS[part]: [name] for part, name in names.items()}
    options = CheckOptions(acting.tools.choices.reading, max_bad_share=1.0)
    return check(sources, options, listeners=Listeners(progress=progress))


def _loaded(acting: Acting, names: Mapping[str, str]) -> Loaded:
    parts = [names.get(part) for part in PARTS]
    if parts[0] is None:
        raise NoRows("There is no training data.")
    return load_splits(parts[0], parts[1], parts[2], acting.tools.choices.reading, max_bad_share=1.0)


def _listener(acting: Acting) -> Listener:
    begin = _SHARES["counted"]

    def listener(progress: Progress) -> None:
        judging = progress.stage.startswith("fold")
        stage = f"looking for wrong labels, {progress.stage}" if judging else progress.stage
        acting.tell(begin + (0.98 - begin) * progress.share, stage)

    return listener


def _stored(acting: Acting, asked: Asked, paths: Mapping[str, Path]) -> dict[str, str]:
    """Make files of the workspace of what was written."""
    store, files = acting.tools.store, {}
    for part, path in paths.items():
        file_id = str(uuid4())
        with store.objects.writer(f"files/{file_id}") as writer, path.open("rb") as stream:
            lines = 0
            while piece := stream.read(_PIECE):
                lines += piece.count(b"\n")
                writer.write(piece)
            written = writer.commit()
        record = FileRecord(
            id=file_id,
            name=name_on_disk(path.name),
            purpose="fine-tune",
            source=SOURCE,
            sample_type="instruct",
            bytes=written.bytes,
            sha256=written.sha256,
            key=f"files/{file_id}",
            created_at=int(time()),
            num_lines=lines,
            mimetype="application/jsonl",
            created_by=acting.record.created_by,
            layout=None if asked.layout is None else asked.layout.model_dump(mode="json"),
        )
        kept = store.files.add(record, asked.most_bytes)
        if kept is None:
            store.objects.delete(record.key)
            raise LimitExceeded(
                "There is no room for the files that come of it (max_storage_bytes): delete some files first.",
                setting="max_storage_bytes",
            )
        files[part] = file_id
    return files


def _reviewed(acting: Acting, files: Mapping[str, str], found: Review, before: str | None) -> ReviewRecord:
    """Keep the review as if it had been asked for by itself."""
    now, review_id = int(time()), str(uuid4())
    kept = kept_report(acting.tools, review_id, found)
    record = ReviewRecord(
        id=review_id,
        status="SUCCESS",
        training_file=files[TRAINING],
        validation_files=tuple(files[part] for part in (VALIDATION,) if part in files),
        test_files=tuple(files[part] for part in (TEST,) if part in files),
        options={"suspects": True, "learning_curve": False},
        created_at=now,
        modified_at=now,
        finished_at=now,
        progress=1.0,
        summary=tuple(kept["summary"]),
        decisions=settled(acting.tools, before, found) if before else {},
        result_key=kept["result_key"],
        bytes=kept["bytes"],
        created_by=acting.record.created_by,
    )
    acting.tools.store.reviews.add(record)
    return record


def _findings(report: CheckReport) -> Iterator[Finding]:
    """What was found, and which base models do not know the texts' languages: none is chosen yet."""
    yield from report.findings
    train = next((each for each in report.languages if each.split == SPLITS[TRAINING]), None)
    if train is None or train.measured < _ENOUGH_TEXTS:
        return
    told = {code: share for code, share in train.shares.items() if code != UNDETERMINED and share >= 0.01}
    lost = {code for card in CARDS.values() if card.languages for code in told if code not in card.languages}
    share = sum(told[code] for code in lost)
    if share > _WORTH_TELLING:
        names = ", ".join(NAMES[code] for code in sorted(lost, key=lambda code: -told[code])[:5])
        short = [card.id for card in CARDS.values() if card.languages and not lost <= set(card.languages)]
        yield Finding(
            severity="warning",
            code="other_languages",
            message=f"{share:.0%} of the texts to learn from seem to be in a language that {' and '.join(short)} "
            f"{'was' if len(short) == 1 else 'were'} not made for: {names}.",
            action="A base model that knows it is likely to do better; with these, look at what such texts get.",
        )


def _blocks(report: CheckReport) -> list[dict[str, Any]]:
    """What the count's page shows of labels, texts and repeats; its findings and bad rows are told elsewhere."""
    blocks, shown = [], False
    plainly = {f"Target {target.name}": _plainly(target) for target in report.targets}
    for block in check_page(report).outline()["blocks"]:
        if block["kind"] == "section":
            shown = block["title"] not in _ELSEWHERE
            block |= plainly.get(block["title"], {})
        if block["kind"] == "facts":
            block |= {"facts": [fact for fact in block["facts"] if fact[0] not in _JARGON]}
        if shown:
            blocks.append(block)
    return blocks


def _plainly(target: TargetReport) -> dict[str, str]:
    """The title and the first words of a target's section, for people who have only a table."""
    n = f"{len(target.labels):,} labels"
    told = f"A text may have any number of these {n}." if target.is_multi else f"A text has one of these {n}."
    return {"title": f"Labels of {target.name}", "intro": told}
