"""The comparison itself: the same rows for all contenders, one contender after the other.

Owns which rows are measured, what is warned of, and what is told of the rows that were used for something else. Figures
are made by `tamis.evaluation.comparison`, contenders by `tamis.labelers.entering`. Memory: the scores of one contender
at a time, at most `MOST_SCORES`; of the others what each row adds to the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.data.formats import ReadOptions
from tamis.data.loading import Check, Part, load, load_splits
from tamis.data.out_of_scope import scoped
from tamis.data.recoding import only, recoded
from tamis.data.truth import Bools, SingleTruth, Truth
from tamis.errors import DataError, InvalidSetting
from tamis.evaluation.comparison import Comparison, ContenderKind, ContenderReport, TargetContest
from tamis.evaluation.paired import RESAMPLES
from tamis.labelers.contenders import BaselineContender, Contender, ModelContender, Spoken
from tamis.labelers.earlier import EarlierContender
from tamis.labelers.endpoint import Endpoint, is_llm, parse_llm
from tamis.labelers.entering import (
    Learning,
    Llms,
    all_targets,
    common_targets,
    enter_baseline,
    enter_llm,
    host_of,
    is_baseline,
    names_of,
    outside_of_all,
    threshold_rows,
)
from tamis.ml.given import Data, given_to_measure, open_given
from tamis.ml.model import Model
from tamis.ml.model import load as load_model
from tamis.ml.own_rows import served
from tamis.ml.reading import reading_for
from tamis.schema import Target

MOST_SCORES = 50_000_000
"""Rows x labels of one comparison. About fifteen bytes each are held while one contender answers."""

Told = Callable[[str, int, int], None]
"""Called as the comparison goes on: what is being done, rows done, rows in all."""


Heard = Callable[[Contender, Spoken, Dataset], None]
"""Called with each contender that has answered, what it said, and the rows that it was asked about."""


def _unheard(what: object, done: object, rows: object) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the files of a comparison are read."""

    options: ReadOptions | None
    max_bad_share: float
    rejects: str | Path | None
    oos_label: str | None = None


def compare(  # noqa: PLR0913  (the door to a comparison)
    contenders: Sequence[str | Path | Model | Contender] | Mapping[str, str | Path | Model | Contender],
    data: Data,
    *,
    train: Data = None,
    validation: Data = None,
    limit: int | None = None,
    against: str | None = None,
    llms: Llms | None = None,
    hour_price: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    options: ReadOptions | None = None,
    max_bad_share: float = 0.0,
    rejects: str | Path | None = None,
    oos_label: str | None = None,
    home: str | Path | None = None,
    told: Told = _unheard,
    heard: Heard = _unheard,
    check: Check = lambda: None,
) -> Comparison:
    """Return how good several classifiers are on the same rows, which differences are real, and what each costs.

    Args:
        contenders: 2 to 20 of: a model (or its folder, its name in the home, its repository on the hub),
            `baseline:majority`, `baseline:random`, `baseline:tfidf`, `llm:MODEL@URL`. A mapping names them.
        data: the labelled rows that all of them are asked about: anything that `Model.evaluate` takes.
        train: rows that baselines learn from and that examples for LLMs come from: best those that the models learnt
            from.
        validation: rows to choose thresholds of multi-label targets on, for baselines and for LLMs that vote.
        limit: ask about so many rows, a simple random sample.
        against: the contender that the others are shown against; the best one of each target, if not given.
        llms: how LLMs are asked.
        hour_price: of an hour of this machine, for the costs of models and baselines.
        resamples: of the bootstrap.
        seed: of the sample, the bootstrap, the draws of `baseline:random`.
        options: how to read files.
        max_bad_share: share of bad rows of each file up to which they are left out instead of refused.
        rejects: file to write bad rows of `data` to.
        oos_label: what rows carry that are out of their single-label target's scope: neither right nor wrong, and not
            learnt from. Without it, that of the models that learnt such rows.
        home: the folder of the models that are known by name.
        told: called as the comparison goes on.
        heard: called after each contender.
        check: called often; what it raises ends the comparison.

    Raises:
        InvalidSetting: a contender cannot be one, or something it needs is missing.
        DataError: the rows cannot be read, or there is no target that all have.
        UnknownModel: a model is not there.
        UpstreamFailed: an LLM endpoint does not answer at all.
    """
    begin = perf_counter()
    if limit is not None and limit < 1:
        raise InvalidSetting(f"The limit is {limit} rows: give 1 or more.", setting="limit")
    entrants = _Entrants(_opened(names_of(contenders), home), llms or Llms(), seed)
    made = [each.manifest for each in entrants.named.values() if isinstance(each, Model)]
    options = reading_for(options, made) if made else options
    reading = _Reading(options, max_bad_share, rejects, oos_label or outside_of_all(entrants.known_targets()))
    if against is not None and against not in entrants.named:
        raise InvalidSetting(f"{against!r} is none of the contenders {', '.join(entrants.named)}.", setting="against")
    entrants.learning = _learning(train, validation, reading, check)
    part = _measured(data, entrants.known_targets(), reading)
    shared = _shared_targets(entrants.known_targets() or {"the data": part.data.targets}, part.data)
    targets = scoped(shared, reading.oos_label)
    says = _says_any(part.data, targets)
    rows, n_known = _drawn(says & entrants.known_rows(part.data), limit, seed)
    chosen = recoded(only(part.data, [target.name for target in targets]).select(rows), targets)
    _require_room(chosen)
    contests = {t.name: TargetContest(t, chosen.truth[t.name], resamples=resamples, seed=seed) for t in targets}
    reports = []
    for name in entrants.named:
        with ExitStack() as opened:
            contender = entrants.enter(name, targets, opened, (told, check))
            if hour_price is not None and isinstance(contender, ModelContender | BaselineContender):
                contender.hour_price = hour_price
            spoken = contender.answer(chosen.inputs, partial(told, name), check)
        entrants.note(contender, spoken, targets)
        heard(contender, spoken, chosen)
        reports.append(_heard(contender, spoken, targets, contests))
    told("comparing", 0, 1)
    warnings = tuple(_leaks(part, chosen, entrants))
    return Comparison(
        title=" and ".join(entrants.named) if len(entrants.named) == 2 else f"{len(entrants.named)} classifiers",
        n=len(chosen),
        rows=len(part.data),
        sampled=_sampling(limit, n_known, seed),
        seed=seed,
        contenders=tuple(reports),
        targets={name: contest.finish(against) for name, contest in contests.items()},
        used=tuple(_used(part, len(chosen), entrants, clean=not warnings)),
        warnings=warnings,
        notes=tuple(_notes(part, targets, says, entrants)),
        seconds=perf_counter() - begin,
    )


@dataclass(slots=True)
class _Entrants:
    """The contenders before and while they enter; `thresholds`: what they chose them on, by contender and target."""

    named: dict[str, object]
    llms: Llms
    seed: int
    learning: Learning = field(default_factory=Learning)
    spent: float = 0.0
    thresholds: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, Model]:
        """The models among them."""
        return {name: given for name, given in self.named.items() if isinstance(given, Model)}

    @property
    def learners(self) -> list[str]:
        """Those that learn from the training rows."""
        return [name for name, what in self.named.items() if is_baseline(what)]

    @property
    def shown(self) -> list[str]:
        """Those that are shown training rows."""
        return [name for name, what in self.named.items() if self.llms.shots and _is_llm(what)]

    @property
    def earlier(self) -> dict[str, EarlierContender]:
        """Those who say what they said in an earlier comparison."""
        return {name: what for name, what in self.named.items() if isinstance(what, EarlierContender)}

    def known_rows(self, data: Dataset) -> Bools:
        """Which rows all can answer."""
        known = np.ones(len(data), dtype=bool)
        for each in self.earlier.values():
            known &= each.knows(data.keys)
        return known

    def known_targets(self) -> dict[str, Sequence[Target]]:
        """The targets of all who have their own, and of the training rows where somebody needs them."""
        known: dict[str, Sequence[Target]] = {name: model.targets for name, model in self.models.items()}
        known |= {name: what.targets for name, what in self.named.items() if _is_contender(what)}
        train = self.learning.train
        if train is not None and any(is_baseline(what) or _is_llm(what) for what in self.named.values()):
            known[self.learning.train_name] = train.targets
        return known

    def enter(self, name: str, targets: Sequence[Target], opened: ExitStack, going_on: tuple[Told, Check]) -> Contender:
        """Make a contender ready; what it needs to be open is closed by `opened`."""
        given, (told, check) = self.named[name], going_on
        if isinstance(given, Model):
            return ModelContender(name, given)
        if is_baseline(given):
            told(f"{name}: learning", 0, 1)
            return enter_baseline(name, str(given), self.learning, targets, self.seed, check)
        if not _is_llm(given):
            return cast("Contender", given)
        contender = enter_llm(name, self._endpoint(str(given)), self.llms, self.learning, targets, self.spent)
        opened.callback(contender.close)
        rows = threshold_rows(self.learning, targets, self.seed) if contender.samples > 1 else None
        if rows is not None:
            contender.choose(rows, partial(told, f"{name}: validation rows"), check)
        return contender

    @property
    def keyless(self) -> frozenset[str]:
        """The hosts of LLMs that the key is not for."""
        return self.llms.keyless(str(what) for what in self.named.values() if _is_llm(what))

    def _endpoint(self, reference: str) -> Endpoint:
        endpoint = parse_llm(reference, key=self.llms.key, default_url=self.llms.default_url)
        return replace(endpoint, key="") if host_of(endpoint) in self.keyless else endpoint

    def note(self, contender: Contender, spoken: Spoken, targets: Sequence[Target]) -> None:
        """Remember what a contender cost, and what it chose its thresholds on."""
        if contender.kind is ContenderKind.LLM:
            self.spent += spoken.cost.this_run or 0.0
        for target in targets:
            if where := contender.cuts(target.name)[1]:
                self.thresholds[contender.name, target.name] = where


def _is_llm(given: object) -> bool:
    return isinstance(given, str) and is_llm(given)


def _is_contender(given: object) -> TypeGuard[Contender]:
    return not isinstance(given, str | Path | Model)


def _opened(named: dict[str, object], home: str | Path | None) -> dict[str, object]:
    """The contenders with the models loaded; references that are wrong are refused before anything is computed."""
    opened: dict[str, object] = {}
    for name, given in named.items():
        if _is_llm(given):
            parse_llm(str(given), default_url="http://localhost")
        is_reference = isinstance(given, str | Path) and not is_baseline(given) and not _is_llm(given)
        opened[name] = load_model(cast("str | Path", given), home=home) if is_reference else given
        if not isinstance(opened[name], str | Model) and not hasattr(given, "answer"):
            raise InvalidSetting(
                f"{name} is of type {type(given).__name__}: give a model, its name, a baseline or an LLM.",
                setting="contenders",
            )
    return opened


def _learning(train: Data, validation: Data, reading: _Reading, check: Check) -> Learning:
    """Read the rows to learn from.

    Raises:
        InvalidSetting: there are validation rows alone.
    """
    if train is None:
        if validation is not None:
            raise InvalidSetting("Validation rows are of no use without training rows: give --train.", setting="train")
        return Learning()
    options = reading.options or ReadOptions()
    loaded = load_splits(
        open_given(train, options, "train"),
        None if validation is None else open_given(validation, options, "validation"),
        options=options,
        max_bad_share=reading.max_bad_share,
        oos_label=reading.oos_label,
        check=check,
    )
    name = str(train) if isinstance(train, str | Path) else "the training data"
    return Learning(loaded.train, loaded.validation, name)


def _measured(data: Data, known: Mapping[str, Sequence[Target]], reading: _Reading) -> Part:
    """Read the rows that are measured, in the codes of all labels that anybody has."""
    given = given_to_measure(data, reading.options)
    targets = scoped(all_targets(known), reading.oos_label) if known else None
    return load(given, targets, reading.options, max_bad_share=reading.max_bad_share, rejects=reading.rejects)


def _shared_targets(known: Mapping[str, Sequence[Target]], data: Dataset) -> tuple[Target, ...]:
    """The targets that all have and that some row mentions.

    Raises:
        DataError: there is none.
    """
    shared = common_targets(known)
    there = tuple(target for target in shared if data.truth[target.name].known.any())
    if not there:
        raise DataError(
            f"No row has a label of a target that all contenders have ({', '.join(t.name for t in shared)}): there is "
            "nothing to compare on. Name the targets alike."
        )
    return there


def _drawn(can_be: Bools, limit: int | None, seed: int) -> tuple[NDArray[np.intp], int]:
    """The rows to ask about, in the order of the file, and how many they were drawn from.

    Raises:
        DataError: there is none.
    """
    rows = np.flatnonzero(can_be)
    if not len(rows):
        raise DataError("The LLMs were asked about none of these rows in earlier comparisons: ask them anew.")
    drawn = limit is not None and limit < len(rows)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:limit]) if drawn else rows, len(rows)


def _says_any(data: Dataset, targets: Sequence[Target]) -> Bools:
    """Which rows say something of any of these targets."""
    says: Bools = np.any([_says(data.truth[target.name]) for target in targets], axis=0)
    return says


def _says(truth: Truth) -> Bools:
    return truth.known | truth.out_of_scope if isinstance(truth, SingleTruth) else truth.known


def _require_room(data: Dataset) -> None:
    widest = sum(len(target.labels) for target in data.targets)
    if len(data) * widest > MOST_SCORES:
        raise InvalidSetting(
            f"{len(data):,} rows of {widest:,} labels are {len(data) * widest:,} scores, more than the {MOST_SCORES:,} "
            f"that a comparison holds: ask about {MOST_SCORES // widest:,} rows with --limit (in Python limit).",
            setting="limit",
        )


def _heard(
    contender: Contender, spoken: Spoken, targets: Sequence[Target], contests: Mapping[str, TargetContest]
) -> ContenderReport:
    """Count what a contender said."""
    own = {target.name: target.labels for target in contender.targets}
    for target in targets:
        cuts, where = contender.cuts(target.name)
        contests[target.name].add(
            contender.name, spoken.said[target.name], own[target.name], cuts=cuts, thresholds=where
        )
    return ContenderReport(
        name=contender.name,
        kind=contender.kind,
        about=contender.about,
        speed=spoken.speed,
        cost=spoken.cost,
        outcomes=spoken.outcomes,
        cached=spoken.cached,
        notes=spoken.notes,
    )


def _sampling(limit: int | None, rows: int, seed: int) -> str | None:
    if limit is None or limit >= rows:
        return None
    return f"a simple random sample of the {rows:,} rows (seed {seed})"


def _used(part: Part, n: int, entrants: _Entrants, *, clean: bool) -> Iterator[str]:
    """Which rows were used for what; clean: nothing is known that was learnt from these or chosen on them."""
    files = ", ".join(Path(tally.file).name or tally.file for tally in part.tallies)
    for_what = "nothing was learnt from them or chosen on them" if clean else "what else they served for is warned of"
    yield f"Measured on {n:,} rows of {files}: {for_what}."
    learning = entrants.learning
    if learning.train is not None:
        what = f"the {len(learning.train):,} rows of {Path(learning.train_name).name}"
        for names, verb in ((entrants.learners, "learnt from"), (entrants.shown, "saw examples of")):
            if names:
                yield f"{', '.join(names)} {verb} {what}."
    chosen: dict[str, list[str]] = {}
    for (name, _), where in entrants.thresholds.items():
        if name not in entrants.models:
            chosen.setdefault(where, []).append(name)
    for where, names in chosen.items():
        yield f"{', '.join(dict.fromkeys(names))}: thresholds of multi-label targets were chosen on {where}."
    for name, model in entrants.models.items():
        rows = model.manifest.data
        held = f" and {rows.validation_rows:,} validation rows" if rows.validation_rows else ""
        yield (
            f"{name} learnt from {rows.train_rows:,} rows{held} when it was made; its calibration and thresholds are "
            "stored in it."
        )


def _leaks(part: Part, chosen: Dataset, entrants: _Entrants) -> Iterator[str]:
    """Why the figures may be better than they should be."""
    files = {Path(tally.file).name for tally in part.tallies}
    for name, model in entrants.models.items():
        made = model.manifest
        known = served(part.data, made)
        if known.learnt_from:
            yield f"These are the rows that {name} learnt from: its figures say nothing of other rows."
        if known.chosen_by:
            yield f"The thresholds of {name} were chosen by these rows, and look better on them than they are."
        for file in sorted(files & {each.name for each in made.data.files if each.split == "validation"}):
            yield f"{name} was calibrated on a file of the name {file}: if it is this one, its figures flatter it."
    learning = entrants.learning
    for rows, what in ((learning.train, "training"), (learning.validation, "validation")):
        if rows is None:
            continue
        same = int(np.isin(chosen.keys, rows.keys).sum())
        if same:
            texts = "1 of the texts is" if same == 1 else f"{same:,} of the {len(chosen):,} texts are"
            yield f"{texts} in the {what} data too: whoever learnt from it has seen them, and looks better than it is."


def _notes(part: Part, targets: Sequence[Target], says: Bools, entrants: _Entrants) -> Iterator[str]:
    """What else should be known."""
    if dropped := int((~says).sum()):
        yield f"{dropped:,} rows say nothing of the targets that are compared, and were left out."
    if unknown := int((says & ~entrants.known_rows(part.data)).sum()):
        yield f"{unknown:,} rows were left out that {' or '.join(entrants.earlier)} was not asked about then."
    left = [name for name in _names(entrants.known_targets().values()) if name not in {t.name for t in targets}]
    if left:
        yield f"Not compared, since not all contenders or no rows have them: {', '.join(left)}."
    if not entrants.known_targets():
        yield "The LLMs were told the labels that these rows carry: nothing else says which there are."
    if entrants.keyless:
        hosts = ", ".join(sorted(entrants.keyless))
        yield f"The key was not sent to {hosts}: of several hosts it is for that of TAMIS_LLM_BASE_URL alone."
    yield from part.read_as
    for note in part.notes:
        if note.code == "target_renamed":
            yield f"{str(note)[0].upper()}{str(note)[1:]}."
    rejected = sum(tally.rejected for tally in part.tallies)
    if rejected:
        yield f"{rejected:,} rows could not be used, and were left out."


def _names(targets: Iterable[Sequence[Target]]) -> list[str]:
    return list(dict.fromkeys(target.name for some in targets for target in some))
