"""One walk over labelled files that leaves a report.

Rows are read in chunks and forgotten: a row leaves 60 bytes (two hashes and a sketch of its text, its line, the number
of its label combination) and its part in counts of fixed size. The few rows that the report shows are read again.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tamis.data.checks.findings import judge
from tamis.data.checks.labels import LabelTally
from tamis.data.checks.lengths import LengthHistogram
from tamis.data.checks.likeness import Examples, examine
from tamis.data.checks.report import (
    CheckReport,
    FileReport,
    Group,
    Languages,
    Lengths,
    Place,
    RejectedRow,
    Rejects,
    Window,
)
from tamis.data.duplicates import Fingerprints, loose_form
from tamis.data.formats import ReadOptions, Source, hub_splits, open_source
from tamis.data.languages import guess
from tamis.data.review.personal import masked
from tamis.data.rows import Rejected, printable
from tamis.errors import DataError
from tamis.schema import Example, plain_text

CHUNK_ROWS = 2_000
CHUNK_CHARACTERS = 1 << 22

MEASURED_ROWS, MEASURED_CHARACTERS = 20_000, 10_000_000
"""Rows and characters of a split whose tokens and languages are all looked at; beyond, of one chunk in SAMPLED."""

SAMPLED = 16

_SHOWN_REJECTS, _SHOWN_OF_CODE = 50, 10
_EXCERPT = 160
_FURTHER = ("validation", "test")


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How to read, and what to allow.

    Attributes:
        read: how the files are read.
        max_bad_share: the share of rejected rows of a split from which the check fails; 0 allows none.
        near_duplicates: whether texts that are nearly equal are looked for.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    max_bad_share: float = 0.0
    near_duplicates: bool = True


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """What a check needs to know of a base model: how it counts tokens, and how many it sees (None: any number)."""

    name: str
    count_tokens: Callable[[list[str]], Sequence[int]]
    window: int | None = None
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who wants to hear of it while a check runs: every rejected row, and the number of rows so far."""

    rejected: Callable[[Rejected], None] | None = None
    progress: Callable[[int], None] | None = None


def check(
    sources: Mapping[str, Sequence[str | Path]],
    options: CheckOptions | None = None,
    *,
    base: BaseFacts | None = None,
    listeners: Listeners | None = None,
) -> CheckReport:
    """Look at labelled data before it is used.

    A source that cannot be read becomes a finding, not an error. Splits that a folder or hub dataset has of its own are
    looked at too, where none is given in their place, as training does.

    Args:
        sources: files, folders or hub datasets by split: "train" first, then "validation" and "test".
        options: how to read, and what to allow.
        base: counts tokens; None leaves tokens, window and the fit of languages out.
        listeners: called while it runs.
    """
    survey = _Survey(options or CheckOptions(), base, listeners or Listeners())
    for split, wanted in _plan(sources, survey.options.read).items():
        for name, read in wanted:
            survey.read(split, name, read)
        survey.close(split)
    return survey.report()


def _plan(sources: Mapping[str, Sequence[str | Path]], read: ReadOptions) -> dict[str, list[tuple[str, ReadOptions]]]:
    """What to read for each split, and how: a dataset's own splits stand in for those that are not given."""
    plan: dict[str, list[tuple[str, ReadOptions]]] = {}
    own = _own_splits(sources.get("train", ()), read)
    for split in [*sources, *(name for name in _FURTHER if name in own and name not in sources)]:
        names = [str(name) for name in sources.get(split) or sources["train"]]
        usual = split if split in _own_splits(names, read) else None
        keep = read.split if split == "train" and read.split else usual
        plan[split] = [(name, replace(read, split=keep)) for name in names]
    return plan


def _own_splits(names: Sequence[str | Path], read: ReadOptions) -> tuple[str, ...]:
    """The splits that a single folder or hub dataset has."""
    if len(names) != 1 or read.split is not None:
        return ()
    try:
        return tuple(hub_splits(names[0], read))
    except DataError:  # told where it is read
        return ()


@dataclass(slots=True)
class _SplitMeasures:
    """Lengths and languages of one split."""

    characters: LengthHistogram = field(default_factory=LengthHistogram)
    words: LengthHistogram = field(default_factory=LengthHistogram)
    tokens: LengthHistogram = field(default_factory=LengthHistogram)
    languages: Counter[str] = field(default_factory=Counter)
    guessed: int = 0
    chunks: int = 0
    seen_rows: int = 0
    seen_characters: int = 0

    def weight(self) -> int:
        """For how many rows each row of the next chunk stands where not all are looked at; 0 leaves the chunk out."""
        if self.seen_rows < MEASURED_ROWS and self.seen_characters < MEASURED_CHARACTERS:
            return 1
        return SAMPLED if self.chunks % SAMPLED == 0 else 0


@dataclass(slots=True)
class _Rejects:
    by_code: Counter[str] = field(default_factory=Counter)
    by_split: Counter[str] = field(default_factory=Counter)
    first: list[RejectedRow] = field(default_factory=list)

    def add(self, row: Rejected, split: str) -> None:
        self.by_split[split] += 1
        self.by_code[row.code] += 1
        if len(self.first) < _SHOWN_REJECTS and self.by_code[row.code] <= _SHOWN_OF_CODE:
            raw = _excerpt(row.raw)
            self.first.append(RejectedRow(**{**row.to_json(), "raw": raw}))  # type: ignore[arg-type]

    def report(self) -> Rejects:
        return Rejects(
            count=self.by_code.total(),
            by_code=dict(self.by_code.most_common()),
            by_split=dict(self.by_split),
            first=tuple(self.first),
        )


class _Survey:
    """What has been seen so far."""

    def __init__(self, options: CheckOptions, base: BaseFacts | None, listeners: Listeners) -> None:
        self.options, self._base, self._listeners = options, base, listeners
        self._prints = Fingerprints(sketches=options.near_duplicates)
        self._tally = LabelTally()
        self._lines = array("q")
        self._measures: dict[str, _SplitMeasures] = {}
        self._rejects = _Rejects()
        self._files: list[FileReport] = []
        self._read: list[tuple[Source, int, int]] = []  # with its first row, and the one after its last
        self._ends: dict[str, int] = {}
        self._over_window = 0.0

    def read(self, split: str, name: str, read: ReadOptions) -> None:
        """Take one source in."""
        start, rejected, error = len(self._lines), self._rejects.by_split[split], None
        source: Source | None = None
        try:
            source = open_source(name, read)
            for chunk in self._chunks(source, split):
                self._take(chunk, split)
        except DataError as trouble:
            error = str(trouble)
        if source is not None:
            self._read.append((source, start, len(self._lines)))
        self._files.append(
            FileReport(
                name=name,
                split=split,
                rows=len(self._lines) - start,
                rejected=self._rejects.by_split[split] - rejected,
                detected=source.detected.describe() if source else "",
                detection=source.detected.to_json() if source else {},
                notes=tuple(note.to_json() for note in source.notes) if source else (),
                error=error,
            )
        )

    def close(self, split: str) -> None:
        """End a split."""
        self._measures.setdefault(split, _SplitMeasures())
        self._tally.close(split)
        self._ends[split] = len(self._lines)

    def report(self) -> CheckReport:
        """What was seen, judged."""
        likeness, examples = examine(self._prints, self._tally, self._ends)
        base = self._base
        report = CheckReport(
            splits=tuple(self._ends),
            rows=dict(self._tally.rows),
            files=tuple(self._files),
            rejects=self._rejects.report(),
            targets=self._tally.reports(),
            lengths=tuple(self._lengths()),
            window=self._window(),
            likeness=likeness,
            languages=tuple(self._languages()),
            findings=(),
            more_targets=self._tally.more_targets,
        )
        findings = judge(
            report,
            self._places(examples),
            max_bad_share=self.options.max_bad_share,
            base_languages=base.languages if base else (),
        )
        return report.model_copy(update={"findings": findings})

    def _chunks(self, source: Source, split: str) -> Iterator[list[Example]]:
        """The good rows in chunks; the bad ones are counted. What was read before an error is not lost."""
        chunk: list[Example] = []
        characters = 0
        try:
            for row in source:
                if isinstance(row, Rejected):
                    self._reject(row, split)
                    continue
                chunk.append(row)
                characters += len(row.input) if isinstance(row.input, str) else 1_000
                if len(chunk) >= CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
                    yield chunk
                    chunk, characters = [], 0
        except DataError:
            yield chunk
            raise
        yield chunk

    def _reject(self, row: Rejected, split: str) -> None:
        self._rejects.add(row, split)
        if self._listeners.rejected:
            self._listeners.rejected(row)

    def _take(self, chunk: list[Example], split: str) -> None:
        texts = [plain_text(example.input) for example in chunk]
        loose = [loose_form(text) for text in texts]
        for example in chunk:
            self._tally.add(example, split)
        self._prints.add(texts, loose)
        self._lines.extend(example.line for example in chunk)
        self._measure(texts, loose, split)
        if self._listeners.progress:
            self._listeners.progress(len(self._lines))

    def _measure(self, texts: list[str], loose: list[str], split: str) -> None:
        measures = self._measures.setdefault(split, _SplitMeasures())
        measures.characters.add([len(text) for text in texts])
        measures.words.add([text.count(" ") + 1 if text else 0 for text in loose])
        weight = measures.weight()
        if weight:
            measures.guessed += len(texts)
            for code, count in Counter(map(guess, texts)).items():
                measures.languages[code] += weight * count
            if self._base:
                tokens = self._base.count_tokens(texts)
                measures.tokens.add(tokens, weight)
                window = self._base.window
                self._over_window += weight * sum(count > window for count in tokens) if window else 0
        measures.seen_rows += len(texts)
        measures.seen_characters += sum(map(len, texts))
        measures.chunks += 1

    def _lengths(self) -> Iterator[Lengths]:
        for split, measures in self._measures.items():
            if measures.characters.measured:
                yield measures.characters.report(split, "characters")
                yield measures.words.report(split, "words")
            if measures.tokens.measured:
                yield measures.tokens.report(split, "tokens")

    def _window(self) -> Window | None:
        if not self._base:
            return None
        looked_at = sum(measures.tokens.weight for measures in self._measures.values())
        share = self._over_window / looked_at if looked_at else 0.0
        return Window(
            base=self._base.name,
            tokens=self._base.window,
            rows_over=round(share * len(self._lines)),
            share_over=round(share, 4),
        )

    def _languages(self) -> Iterator[Languages]:
        for split, measures in self._measures.items():
            total = measures.languages.total()
            if total:
                shares = {code: round(count / total, 4) for code, count in measures.languages.most_common()}
                yield Languages(split=split, measured=measures.guessed, shares=shares)

    def _places(self, examples: Examples) -> dict[tuple[str, ...], tuple[Group, ...]]:
        """Where the examples stand, read again for their texts."""
        wanted = examples.rows()
        found = {
            row: place for source, start, end in self._read for row, place in self._reread(source, start, end, wanted)
        }
        return {
            key: tuple(tuple(found[row] for row in group if row in found) for group in groups)
            for key, groups in examples.groups.items()
        }

    def _reread(self, source: Source, start: int, end: int, wanted: set[int]) -> Iterator[tuple[int, Place]]:
        """The wanted rows of one source; without their texts where it cannot be read a second time."""
        missing = {row for row in wanted if start <= row < end}
        row = start
        try:
            for example in source if missing else ():
                if isinstance(example, Rejected):
                    continue
                if row in missing:
                    yield row, self._place(source.name, example)
                    missing.discard(row)
                row += 1
                if not missing:
                    return
        except DataError:
            pass
        for row in missing:
            yield row, Place(file=source.name, line=self._lines[row])

    def _place(self, file: str, example: Example) -> Place:
        labels = {self._tally.target_of(target): labels for target, labels in example.labels.items()}
        return Place(file=file, line=example.line, text=_excerpt(plain_text(example.input)), labels=labels)


def _excerpt(text: str) -> str:
    """The beginning of a text on one line, with personal data masked: reports are passed on."""
    line = " ".join(printable(masked(text[: 4 * _EXCERPT])).split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
