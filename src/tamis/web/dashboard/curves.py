"""How a training goes, from its checkpoints: curves for the charts, the best one so far, what is said in a line.

The checkpoint that a model is taken from is the first of the lowest loss on held-out rows, as trainers have it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tamis.web.dashboard.formats import cut, number, percent, seconds

if TYPE_CHECKING:
    from tamis.store.records import CheckpointRecord

LOSSES, JUDGED_BY = ("epoch", "train_loss", "valid_loss"), (".accuracy", ".micro_f1")
NAMES = {"accuracy": "accuracy", "micro_f1": "micro-F1"}
MEAN, TRAIN_MEAN, OF_TRAINING = "valid_metric", "train_metric", "train_"
TITLES = {"epoch": "passes", "train_loss": "training loss", "valid_loss": "validation loss", MEAN: "mean of targets"}
MOST_POINTS = 240
MOST_TOLD = 4
MOST_TARGETS = 8
"""Targets that have a curve of their own; with more there is the mean alone."""

Values = list[float | None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is: `share` of 1, what it is at, and the seconds that are left."""

    stage: str = ""
    share: float | None = None
    seconds_left: float | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Progress:
        """Read it from a job's metadata, where it stands once training has begun."""
        said = metadata.get("progress")
        if not isinstance(said, dict):
            return cls()
        return cls(str(said.get("stage") or ""), _number(said.get("share")), _number(said.get("seconds_left")))

    def told(self, rate: float | None = None) -> str:
        """Return it in a line, with the tokens a second."""
        stage = cut(self.stage or "beginning", 80)
        said = [stage[:1].upper() + stage[1:]]
        if self.share is not None:
            said.append(percent(self.share))
        if self.seconds_left is not None:
            said.append(f"{seconds(self.seconds_left)} left")
        if rate:
            said.append(f"{number(rate)} tokens a second")
        return " · ".join(said)


@dataclass(frozen=True, slots=True)
class Best:
    """The checkpoint of the lowest loss on held-out rows: its place among the curves' points, and its figures."""

    place: int
    step: int
    epoch: float | None
    loss: float
    quality: tuple[tuple[str, str, float], ...]

    @property
    def told(self) -> str:
        """It in words."""
        after = "" if self.epoch is None else f" after {self.epoch:.1f} passes over the data"
        of = [f" ({cut(target, 30)})" if target and len(self.quality) > 1 else "" for target, _, _ in self.quality]
        figures = [f"{name} {percent(value)}{place}" for (_, name, value), place in zip(self.quality, of, strict=True)]
        return ", ".join([f"validation loss {self.loss:.4g}{after}", *figures[:MOST_TOLD]])


@dataclass(frozen=True, slots=True)
class Curves:
    """What the charts draw: points in the order of their steps.

    `quality` holds for each curve what it is of (a target, or nothing for the mean of all), the figure, its values, and
    the same of rows that are learnt from, None where that is not known.
    """

    step: Sequence[int] = ()
    epoch: Values = field(default_factory=list)
    train_loss: Values = field(default_factory=list)
    valid_loss: Values = field(default_factory=list)
    quality: Sequence[tuple[str, str, Values, Values | None]] = ()
    best: Best | None = None
    rate: float | None = None

    @property
    def has_training(self) -> bool:
        """Whether some figure of rows that are learnt from is known."""
        return any(training for _, _, _, training in self.quality)

    def to_json(self) -> dict[str, Any]:
        """Return what the script of the page reads."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "train_loss": self.train_loss,
            "valid_loss": self.valid_loss,
            "quality": [
                {"name": cut(name, 40), "figure": figure, "values": of, "training": training}
                for name, figure, of, training in self.quality
            ],
            "best": self.best.place if self.best else None,
            "told": self.best.told if self.best else "",
        }


def curves_of(checkpoints: Sequence[CheckpointRecord]) -> Curves:
    """Return the curves of a job's checkpoints, which come the last step first."""
    rows = list(reversed(checkpoints))
    if not rows:
        return Curves()
    best = _best_of(rows)
    points = [rows[place] for place in _thinned(len(rows), best)]
    names = judged({name for row in rows for name in row.metrics})
    where = None if best is None else points.index(rows[best])
    return Curves(
        step=[row.step for row in points],
        epoch=_values(points, "epoch"),
        train_loss=_values(points, "train_loss"),
        valid_loss=_values(points, "valid_loss"),
        quality=[(*_split(name), _values(points, name), _known(points, in_training(name))) for name in names],
        best=None if best is None or where is None else _told(rows[best], where, names),
        rate=next((value for row in checkpoints[:1] if (value := _number(row.metrics.get("tokens_per_second")))), None),
    )


def judged(there: Collection[str]) -> list[str]:
    """Return the figures that tell how right a model is: those of its targets, and of several their mean."""
    own = sorted(name for name in there if name.endswith(JUDGED_BY))
    mean = [MEAN] if MEAN in there and len(own) != 1 else []
    return mean if len(own) > MOST_TARGETS else [*own, *mean]


def shown_figures(there: Collection[str]) -> list[str]:
    """Return those figures of checkpoints that tell how a training goes, in the order of the table's columns."""
    of_both = [each for name in judged(there) for each in (name, in_training(name))]
    return [name for name in (*LOSSES, *of_both) if name in there]


def in_training(figure: str) -> str:
    """Return what a figure that tells how right a model is is called where it is of rows that are learnt from."""
    target, _, name = figure.rpartition(".")
    return TRAIN_MEAN if figure == MEAN else f"{target}.{OF_TRAINING}{name}"


def title_of(figure: str) -> str:
    """Return what people call a figure of a checkpoint."""
    if figure in TITLES:
        return TITLES[figure]
    if figure == TRAIN_MEAN:
        return f"{TITLES[MEAN]}, in training"
    target, name = _split(figure)
    if name.startswith(OF_TRAINING):
        return f"{title_of(f'{target}.{name.removeprefix(OF_TRAINING)}')}, in training"
    return f"{cut(target, 40)}, {name}"


def _best_of(rows: Sequence[CheckpointRecord]) -> int | None:
    losses = [(_number(row.metrics.get("valid_loss")), place) for place, row in enumerate(rows)]
    return min(((loss, place) for loss, place in losses if loss is not None), default=(0.0, None))[1]


def _told(row: CheckpointRecord, place: int, names: Sequence[str]) -> Best:
    found = [(*_split(name), value) for name in names if (value := _number(row.metrics.get(name))) is not None]
    return Best(place, row.step, _number(row.metrics.get("epoch")), row.metrics["valid_loss"], tuple(found))


def _thinned(n_rows: int, best: int | None) -> list[int]:
    """The places of rows that are drawn: all, or every so many of very many, always the best and the last."""
    every = -(-n_rows // MOST_POINTS)
    return sorted({*range(0, n_rows, every), n_rows - 1, *([] if best is None else [best])})


def _values(rows: Sequence[CheckpointRecord], name: str) -> Values:
    return [None if (value := _number(row.metrics.get(name))) is None else round(value, 6) for row in rows]


def _known(rows: Sequence[CheckpointRecord], name: str) -> Values | None:
    values = _values(rows, name)
    return None if all(value is None for value in values) else values


def _split(name: str) -> tuple[str, str]:
    """A figure's target and its name; no target for the mean of all."""
    if name == MEAN:
        return "", "mean of all targets"
    target, _, figure = name.rpartition(".")
    return target, NAMES.get(figure, figure)


def _number(value: object) -> float | None:
    """A number as it should be; what a child wrote is not checked before."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
