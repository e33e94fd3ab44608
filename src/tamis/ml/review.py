"""A review of labelled data: all that `data.review` finds, with out-of-fold scores of our own models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.loading import Loaded
from tamis.data.review.corpus import TRAIN, Corpus
from tamis.data.review.doubtful import Proposal, proposals, suspect_findings
from tamis.data.review.labels import label_findings
from tamis.data.review.repeats import find_repeats, repeat_findings
from tamis.data.review.report import LearningCurve, Review, Scored, ranked
from tamis.data.review.scores import Scores, SingleScores
from tamis.data.review.suspects import Suspects, find_suspects
from tamis.data.review.texts import find_traits, text_findings
from tamis.ml.base_models import load_base
from tamis.ml.learning_curve import learning_curve
from tamis.ml.neighbours import Neighbours
from tamis.ml.out_of_fold import OutOfFold, out_of_fold
from tamis.ml.progress import Listener, Progress, Stop, StopCheck, nobody, nothing
from tamis.ml.static.base_model import StaticBase
from tamis.ml.trained import Attended

DEFAULT_BASE = "static-en"

NOTHING_SCORED = "There are too few different texts, or too few labels, to judge labels by models of other rows."


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """What to do beside looking at texts and labels.

    Attributes:
        base: the static base model that judges labels.
        suspects: whether labels are judged by out-of-fold scores at all.
        learning_curve: whether to find out if more rows would help.
        seed: of folds and fits.
    """

    base: str = DEFAULT_BASE
    suspects: bool = True
    learning_curve: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Reviewer:
    options: ReviewOptions
    attended: Attended
    remarks: list[str] = field(default_factory=list)

    def tell(self, stage: str, share: float) -> None:
        self.attended.check()
        self.attended.listener(Progress(stage, share))

    def part(self, begin: float, end: float) -> Attended:
        """Who attends a part of the work that goes from one share to another."""

        def told(progress: Progress) -> None:
            self.attended.listener(Progress(progress.stage, begin + (end - begin) * progress.share))

        return Attended(told, self.attended.check)


def review(
    loaded: Loaded, options: ReviewOptions | None = None, *, listener: Listener = nobody, stop: Stop | None = None
) -> Review:
    """Look at labelled data row by row and label by label, and say what could be done.

    Args:
        loaded: training data, and what is measured on, if there is any.
        options: what to do.
        listener: told what goes on.
        stop: asked now and then whether to end.

    Raises:
        Cancelled: `stop` said so.
        UnknownBaseModel: there is no such base model here.
    """
    begin = perf_counter()
    reviewer = _Reviewer(options or ReviewOptions(), Attended(listener, nothing if stop is None else StopCheck(stop)))
    corpus = corpus_of(loaded)
    reviewer.tell("comparing texts", 0.0)
    findings = list(repeat_findings(corpus, find_repeats(corpus)))
    reviewer.tell("reading texts", 0.1)
    findings += text_findings(corpus, find_traits(corpus.train))
    base = static_base(reviewer.options.base)
    folded, suspects = _judged(reviewer, corpus.train, base)
    scores = dict(folded.scores) if folded else {}
    reviewer.tell("comparing labels", 0.75)
    findings += label_findings(corpus, scores)
    neighbours = Neighbours(corpus.train, base)
    supporting = {name: neighbours.supporting(name) for name in suspects}
    findings = [*suspect_findings(corpus, suspects, supporting), *findings]
    curve = _curve(reviewer, corpus.train, base)
    reviewer.tell("done", 1.0)
    return Review(
        rows={name: len(data) for name, data in corpus.splits.items()},
        version=corpus.train.content_hash(),
        findings=ranked(findings),
        scored=_scored(folded, scores) if folded else None,
        curve=curve,
        remarks=tuple(reviewer.remarks),
        seconds=round(perf_counter() - begin, 2),
    )


def corpus_of(loaded: Loaded) -> Corpus:
    """Return the splits that were read, with the files their rows come from."""
    splits = {TRAIN: loaded.train, "validation": loaded.validation, "test": loaded.test}
    files: dict[str, list[tuple[str, int]]] = {}
    for tally in loaded.tallies:
        files.setdefault(tally.split, []).append((tally.file, tally.rows))
    return Corpus({name: data for name, data in splits.items() if data is not None}, files)


def doubtful_labels(
    data: Dataset, base: str = DEFAULT_BASE, *, listener: Listener = nobody
) -> dict[str, list[Proposal]]:
    """Return what is proposed for the rows whose labels are likely to be wrong, by target: what `suspects` applies."""
    reviewer = _Reviewer(ReviewOptions(base), Attended(listener))
    _, suspects = _judged(reviewer, data, static_base(base))
    return {name: proposals(data, name, each, 0.0) for name, each in suspects.items()}


def static_base(name: str) -> StaticBase:
    """Return a static base model; where an encoder is named, the built-in static one, which takes seconds."""
    loaded = load_base(name)
    return loaded if isinstance(loaded, StaticBase) else static_base(DEFAULT_BASE)


def _judged(reviewer: _Reviewer, data: Dataset, base: StaticBase) -> tuple[OutOfFold | None, dict[str, Suspects]]:
    """Judge the labels of each target that can be learnt."""
    if not reviewer.options.suspects:
        return None, {}
    learnable = [target for target in data.targets if _can_be_judged(data, target.name)]
    judged = Dataset(
        data.inputs,
        tuple(learnable),
        {target.name: data.truth[target.name] for target in learnable},
        data.keys,
        data.lines,
        data.weights,
    )
    attended = reviewer.part(0.2, 0.75)
    folded = out_of_fold(judged, base, seed=reviewer.options.seed, attended=attended) if learnable else None
    if folded is None or not folded.scores:
        reviewer.remarks.append(NOTHING_SCORED)
        return None, {}
    return folded, {name: find_suspects(scores) for name, scores in folded.scores.items()}


def _can_be_judged(data: Dataset, target: str) -> bool:
    """Whether at least two labels (or one of a multi-label target) stand in two rows or more."""
    counts = data.truth[target].counts()
    return int((counts > 1).sum()) >= (1 if data.target(target).is_multi else 2)


def _scored(folded: OutOfFold, scores: Mapping[str, Scores]) -> Scored:
    agreement = {}
    for name, each in scores.items():
        if isinstance(each, SingleScores):
            rows = np.flatnonzero(each.own)
            agreement[name] = float((each.probabilities[rows].argmax(axis=1) == 0).mean()) if len(rows) else 0.0
        else:
            given = each.probabilities >= 0.5
            both = int((given & each.carried).sum())
            agreement[name] = 2 * both / max(int(given.sum() + each.carried.sum()), 1)
    return Scored(
        folds=folded.folds,
        rounds=folded.rounds,
        fitted_rows=folded.fitted_rows,
        seconds=round(folded.seconds, 2),
        agreement={name: round(share, 4) for name, share in agreement.items()},
    )


def _curve(reviewer: _Reviewer, data: Dataset, base: StaticBase) -> LearningCurve | None:
    if not reviewer.options.learning_curve:
        return None
    reviewer.tell("learning curve", 0.8)
    curve = learning_curve(data, base, seed=reviewer.options.seed, attended=reviewer.part(0.8, 0.99))
    if curve is None:
        reviewer.remarks.append("There are too few rows for a learning curve.")
    return curve
