"""The manifest of an artifact: all that is known of a model besides its tensors and its tokenizer.

It owns the shape of `manifest.json`, what must be consistent in it, and the steps from one format to the next. It does
not read or write files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from tamis.data.review.versions import Version
from tamis.evaluation.evidence import Evidence
from tamis.ml.cards import BaseModelCard, Tier
from tamis.ml.tiers import tier
from tamis.schema import Input, Kind, Target

FORMAT = 1
"""The format that this version writes; `UPGRADES` leads there from older ones."""

Document = dict[str, JsonValue]

UPGRADES: dict[int, Callable[[Document], Document]] = {}
"""The document of the next format, by the format of the given one. Format 1 is the first: no step leads to it."""

FULL_GOLDEN_LABELS = 100
"""Golden rows hold the scores of all labels up to so many, else those of the highest."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Names that an artifact's files may have: no separators, no drives, no hidden files."""


def _plain(facts: dict[str, JsonValue]) -> dict[str, JsonValue]:
    json.dumps(facts, allow_nan=False)
    return facts


Facts = Annotated[dict[str, JsonValue], AfterValidator(_plain)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Calibration(_Part):
    """Calibrated logits are `scale * logit + bias`, each one number, or one a label."""

    scale: tuple[Annotated[float, Field(ge=0, le=1e6)], ...] = (1.0,)
    bias: tuple[Annotated[float, Field(ge=-1e6, le=1e6)], ...] = (0.0,)


class Abstain(_Part):
    """The model says nothing where its evidence is below `threshold`; `coverage` is the share it then answers.

    `evidence` has the weights of what counts (see `tamis.evaluation.evidence`); null: the highest score. `loss` is the
    share of in-scope answers that it was allowed to cost.
    """

    threshold: Annotated[float, Field(ge=-1e6, le=1e6)]
    coverage: Share
    evidence: dict[Evidence, Annotated[float, Field(ge=-1e6, le=1e6)]] | None = None
    loss: Share = 0.03

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.evidence is None and not 0 <= self.threshold <= 1:
            raise ValueError("a threshold of scores is between 0 and 1")
        return self


class ChosenFor(_Part):
    """What a target's thresholds were chosen for, where that was said, and by which rows.

    `objective` is that of the labels which are not in `labels` (other objectives) or `fixed` (thresholds by hand); null
    left them as they were. `rows` were counted: rows `held_out` in training, or `data` of the content hash `sha256`;
    none for thresholds by hand. Of the labels `not_kept` none is known to do what was asked: they have the closest.
    """

    objective: str | None = None
    labels: dict[str, str] = {}
    fixed: dict[str, Share] = {}
    source: Literal["held_out", "data"] | None = None
    rows: Count = 0
    sha256: Sha256 | None = None
    not_kept: tuple[str, ...] = ()


class TargetManifest(_Part):
    """One target of the model and how its scores become answers."""

    name: Annotated[str, Field(min_length=1)]
    kind: Kind
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    none_labels: tuple[str, ...] = ()
    calibration: Calibration = Calibration()
    thresholds: tuple[Share, ...] | None = None  # multi-label only, one a label
    chosen_for: ChosenFor | None = None  # what the thresholds are for; null: for F1, as training does unasked
    abstain: Abstain | None = None
    weight: Annotated[float, Field(ge=0, le=1e9)] = 1.0  # of its loss in training, beside the other targets'
    oos_label: Annotated[str, Field(min_length=1)] | None = None  # of rows that have none of the labels
    oos_learnt: bool = False  # such rows have a column of their own behind those of the labels

    @property
    def target(self) -> Target:
        """The target alone."""
        none, oos = self.none_labels, self.oos_label
        return Target(name=self.name, kind=self.kind, labels=self.labels, none_labels=none, oos_label=oos)

    @property
    def computed(self) -> Target:
        """The target as weights and logits have it: what was learnt of rows out of scope is a label more."""
        if not self.oos_learnt or self.oos_label is None:
            return self.target
        return self.target.model_copy(update={"labels": (*self.labels, self.oos_label), "oos_label": None})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_repeats(f"labels of target {self.name!r}", self.labels)
        if not set(self.none_labels) <= set(self.labels):
            raise ValueError(f"target {self.name!r} has a none label that is not one of its labels")
        for name, numbers in (("scale", self.calibration.scale), ("bias", self.calibration.bias)):
            if len(numbers) not in (1, len(self.computed.labels)):
                raise ValueError(
                    f"target {self.name!r} has {len(self.labels)} labels and {len(numbers)} values of {name}"
                )
        self._check_thresholds()
        if self.oos_label is not None and (self.kind is Kind.MULTI_LABEL or self.oos_label in self.labels):
            raise ValueError(f"target {self.name!r} cannot have {self.oos_label!r} for rows out of its scope")
        if self.oos_learnt and self.oos_label is None:
            raise ValueError(f"target {self.name!r} learnt rows out of its scope that have no name")
        return self

    def _check_thresholds(self) -> None:
        if self.kind is Kind.SINGLE_LABEL and self.thresholds is not None:
            raise ValueError(f"target {self.name!r} is single-label and has thresholds")
        if self.kind is Kind.MULTI_LABEL and len(self.thresholds or ()) != len(self.labels):
            given = len(self.thresholds or ())
            raise ValueError(f"target {self.name!r} has {len(self.labels)} labels and {given} thresholds")


class DataFile(_Part):
    """A file that the model was made from: its name without folders, what it was for, how much its rows counted.

    `version` says what it was made from, where that is known (`tamis fix` writes it down).
    """

    name: str
    split: str
    rows: Count
    weight: Annotated[float, Field(gt=0, le=1e9)] = 1.0
    version: Version | None = None


class DataManifest(_Part):
    """What the model was trained on; `sha256` is the dataset's content hash."""

    sha256: Sha256
    train_rows: Count
    validation_rows: Count
    files: tuple[DataFile, ...] = ()


class ParentManifest(_Part):
    """The model that this one was grown from: its name, the sha256 of its manifest.json, and what was added.

    `kept` are targets that no row mentioned: their scores and answers are the parent's. `thresholds` are targets whose
    thresholds alone were chosen again: nothing was trained.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    sha256: Sha256
    labels: dict[str, tuple[str, ...]] = {}
    targets: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()


class GoldenRow(_Part):
    """An input with the scores that the model gave when it was made.

    By target: a score a label, in the order of the labels, or the highest ones by label
    (more than `FULL_GOLDEN_LABELS` labels).
    """

    input: Input
    scores: dict[str, tuple[Share, ...] | dict[str, Share]]


class NetworkAlone(_Part):
    """What a model would be without the static model that answers together with its network: exports are that.

    `targets` as the model's own, calibrated and with thresholds for the network alone; its golden rows and figures.
    """

    targets: Annotated[tuple[TargetManifest, ...], Field(min_length=1)]
    golden: tuple[GoldenRow, ...] = ()
    metrics: Facts = {}


class Versions(_Part):
    """The software that made the model, and the threads it was given."""

    python: str
    numpy: str
    scipy: str
    tokenizers: str
    tamis: str
    threads: Annotated[int, Field(ge=1)]


class FileEntry(_Part):
    """How to recognise a file of the artifact."""

    sha256: Sha256
    bytes: Count


class Manifest(_Part):
    """All that is known of a model besides its tensors and its tokenizer."""

    format: Literal[1] = 1
    tamis_version: str
    created: AwareDatetime
    name: Annotated[str, Field(min_length=1, max_length=200)]
    base_model: BaseModelCard
    tier: Tier = "static"
    architecture: Facts
    targets: Annotated[tuple[TargetManifest, ...], Field(min_length=1)]
    hyperparameters: Facts = {}
    data: DataManifest
    parent: ParentManifest | None = None
    training: Facts = {}
    metrics: Facts = {}
    checkpoints: tuple[Facts, ...] = ()
    versions: Versions
    golden: tuple[GoldenRow, ...] = ()
    network_alone: NetworkAlone | None = None
    tolerance: Annotated[float, Field(gt=0, le=0.01)] = 1e-5
    files: dict[str, FileEntry] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_repeats("targets", [target.name for target in self.targets])
        for name in self.files:
            if not PLAIN_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a plain file name")
        alone = self.network_alone
        if alone is not None and [each.computed for each in alone.targets] != [each.computed for each in self.targets]:
            raise ValueError("the network alone has other targets than the model")
        for row in (*self.golden, *(alone.golden if alone else ())):
            self._check_golden(row)
        return self

    def _check_golden(self, row: GoldenRow) -> None:
        if row.scores.keys() != {target.name for target in self.targets}:
            raise ValueError("a golden row does not have the targets of the model")
        for target in self.targets:
            scores = row.scores[target.name]
            complete = isinstance(scores, tuple)
            if (complete and len(scores) != len(target.labels)) or not (complete or set(scores) <= set(target.labels)):
                raise ValueError(f"a golden row does not have the labels of target {target.name!r}")

    def target(self, name: str) -> TargetManifest:
        """The target of that name."""
        return next(target for target in self.targets if target.name == name)

    @property
    def tokens_read(self) -> int | None:
        """Of a text, about how many tokens the model reads at most (of a chat one window); None: all, or not known."""
        return tier(self.tier).tokens_read(self.architecture)


def installed_versions(threads: int) -> Versions:
    """Return what is installed here."""
    return Versions(
        python=python_version(),
        numpy=version("numpy"),
        scipy=version("scipy"),
        tokenizers=version("tokenizers"),
        tamis=tamis_version(),
        threads=threads,
    )


def tamis_version() -> str:
    """Return the version of Tamis that runs."""
    try:
        return version("tamis")
    except PackageNotFoundError:  # run from its source, not installed
        return "0+source"


def now() -> datetime:
    """Return the time for `Manifest.created`: UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def upgrade(document: Document) -> Document:
    """Return the document in the format of this version; `document["format"]` is a known format."""
    while (step := document["format"]) != FORMAT:
        document = UPGRADES[int(str(step))](document)
    return document


def _refuse_repeats(what: str, names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"the {what} name {repeated[0]!r} twice")
