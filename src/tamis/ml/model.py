"""A model to use: load it, classify with it, evaluate it, save it.

It does not know how it was trained, nor where models are kept under names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, cast, overload

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.data.formats import ReadOptions
from tamis.data.loading import load as load_data
from tamis.errors import DataError, UnknownModel
from tamis.evaluation.calibration import reliability_bins
from tamis.evaluation.figures import rounded
from tamis.evaluation.report import EvaluationReport, start
from tamis.ml.artifact import open_artifact, write_artifact
from tamis.ml.decisions import raw_reliability
from tamis.ml.given import Data, given_to_measure
from tamis.ml.golden import check_golden, golden_inputs
from tamis.ml.manifest import Calibration, Manifest
from tamis.ml.predictor import Chat, Inputs, Predictor, is_one
from tamis.ml.published import fetch_model, is_repository
from tamis.ml.reading import reading_for
from tamis.ml.registry import resolve
from tamis.ml.scorer import Scorer
from tamis.ml.threshold_record import RECORD
from tamis.ml.tiers import tier
from tamis.schema import Prediction, Target

if TYPE_CHECKING:
    from tamis.ml.explaining import Explanation
    from tamis.ml.publishing import Published
    from tamis.ml.rethresholding import Evidence
    from tamis.ml.training import TrainingRun

Floats = NDArray[np.float32]

Visit = Callable[[int, Mapping[str, Floats]], None]
"""Called while an evaluation goes on: the first row of a chunk, and its (rows, labels) scores by target."""

ROWS_AT_ONCE = 16_384
SCORES_AT_ONCE = 8_000_000
"""Bounds of a chunk of an evaluation, in rows and in rows x labels."""


class Model:
    """A trained classifier.

    Attributes:
        manifest: all that is known of it.
        targets: what it answers.
        folder: where it is stored; None while it is in memory only.
        run: how its training went; None for a model that was loaded.
        predictor: what computes its scores.
    """

    def __init__(
        self,
        scorer: Scorer,
        manifest: Manifest,
        *,
        folder: Path | None = None,
        run: TrainingRun | None = None,
        record: bytes = b"",
    ) -> None:
        """Put a model together; `load` and `tamis.train` are the usual ways to one.

        `record` is what `tamis.ml.threshold_record` writes of its held-out rows, if anything.
        """
        self.manifest, self.folder, self.run, self._record = manifest, folder, run, record
        self.predictor = Predictor(scorer, manifest)
        self._scorer = scorer

    def __repr__(self) -> str:
        """Name, targets and place."""
        targets = ", ".join(f"{target.name} ({len(target.labels):,} labels)" for target in self.targets)
        return f"<tamis.Model {self.name!r}: {targets}; {self.folder or 'in memory'}>"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it answers."""
        return self.predictor.targets

    def reading(self, options: ReadOptions | None = None) -> ReadOptions:
        """Return how files are read for this model: as these options say, else like the data that it learnt from."""
        return reading_for(options, [self.manifest])

    @property
    def scorer(self) -> Scorer:
        """What computes its logits."""
        return self._scorer

    @overload
    def classify(self, inputs: str | Chat) -> Prediction: ...  # type: ignore[overload-overlap]
    @overload
    def classify(self, inputs: Inputs) -> list[Prediction]: ...

    def classify(self, inputs: str | Chat | Inputs) -> Prediction | list[Prediction]:
        """Return what the model says.

        Args:
            inputs: one text or one chat (a list of `{"role": …, "content": …}`) gives one prediction; several in a
                list, or anything that can be iterated, give a list of predictions, in their order.

        Raises:
            InvalidSetting: an input is neither a text nor a chat; the message names its index.
        """
        if is_one(inputs):
            return self.predictor.predict([cast("str | Chat", inputs)])[0]
        return self.predictor.predict(cast("Inputs", inputs))

    @overload
    def explain(  # type: ignore[overload-overlap]
        self, inputs: str | Chat, *, target: str | None = ..., label: str | None = ..., top: int | None = ...
    ) -> Explanation: ...
    @overload
    def explain(
        self, inputs: Inputs, *, target: str | None = ..., label: str | None = ..., top: int | None = ...
    ) -> list[Explanation]: ...

    def explain(
        self,
        inputs: str | Chat | Inputs,
        *,
        target: str | None = None,
        label: str | None = None,
        top: int | None = None,
    ) -> Explanation | list[Explanation]:
        """Return why the model says what it says: how much each word moves the score of a label.

        The weight of a word is what the log-odds of the label's calibrated score lose without it, as the model itself
        answers the input without that word.

        Args:
            inputs: one text or chat gives one explanation; several give a list of them, in their order.
            target: explain this one alone; None: all targets.
            label: explain this label; None: those that the model gives, or where it gives none, the one that comes
                first.
            top: so many pieces a label, the strongest; None: all.

        Raises:
            InvalidSetting: an input is neither a text nor a chat, or there is no such target.
            UndeclaredLabel: there is no such label.
        """
        from tamis.ml.explaining import Asked

        asked = Asked(target, label, top)
        if is_one(inputs):
            return self.predictor.explain([cast("str | Chat", inputs)], asked)[0]
        return self.predictor.explain(cast("Inputs", inputs), asked)

    def scores(self, inputs: Inputs) -> dict[str, Floats]:
        """Return (inputs, labels) calibrated scores for each target, in the order of its labels.

        Raises:
            InvalidSetting: an input is neither a text nor a chat; the message names its index.
        """
        return self.predictor.scores(inputs)

    def evaluate(
        self,
        data: Data,
        *,
        options: ReadOptions | None = None,
        max_bad_share: float = 0.0,
        rejects: str | Path | None = None,
        visit: Visit | None = None,
    ) -> EvaluationReport:
        """Return how good the model is on labelled data, with 95 % intervals.

        Labels that the model does not have count as misses; rows that do not mention a target are left out of its
        figures. Memory does not grow with rows x labels.

        Args:
            data: a file, folder or hub dataset, several files, a `Dataset` made with this model's targets, or Python
                data (see `tamis.ml.given`).
            options: how to read files; what they leave open is read like the data that the model learnt from, in files
                that have its columns.
            max_bad_share: share of bad rows up to which they are left out instead of refused.
            rejects: file to write bad rows to.
            visit: called with each chunk of scores, for whoever wants to keep them.

        Raises:
            DataError: the data cannot be read, or has none of the model's targets.
        """
        if not isinstance(data, Dataset):
            options = self.reading(options)
            given = given_to_measure(data, options)
            data = load_data(given, self.targets, options, max_bad_share=max_bad_share, rejects=rejects).data
        return self._measure(self._own(data), visit)

    def with_thresholds(  # noqa: PLR0913  (a public door: each is one thing a user may say)
        self,
        optimise: str | Sequence[str] | None = None,
        *,
        fixed: Mapping[str, float] | None = None,
        shared: bool = False,
        target: str | None = None,
        abstain_loss: float | Mapping[str, float] | None = None,
        data: Data | None = None,
        options: ReadOptions | None = None,
    ) -> Model:
        """Return the model with other thresholds; scores stay as they are, and this model too.

        Args:
            optimise: what for: "f1", "micro-f1", "macro-f1", "precision>=0.95", "recall>=0.9", "cost:fp=1,fn=5"; as
                "LABEL=precision>=0.95" for one label; several in a list.
            fixed: thresholds by label, by hand.
            shared: one threshold for all labels of a target.
            target: the one that is meant, where there are several.
            abstain_loss: the share of in-scope answers that single-label targets may be silent for; 0: they always
                answer. One share for all, or by target.
            data: rows to choose by, which are then no test rows any more; None: the counts that the model keeps of
                rows held out in training.
            options: how to read files.

        Raises:
            InvalidSetting: nothing is asked for, or it cannot be done; the message says why.
            UndeclaredLabel: there is no such label or target.
            DataError: the data cannot be read, or too few rows speak of a target.
        """
        from tamis.evaluation.objectives import parse_purpose, require_purpose
        from tamis.ml.rethresholding import parent_of, rethreshold

        purpose = require_purpose(parse_purpose(optimise, fixed, shared=shared, abstain_loss=abstain_loss))
        evidence = self.threshold_evidence(data, options=options)
        made = rethreshold(self.manifest, evidence, purpose, parent_of(self.manifest, self.folder), target)
        return Model(self._scorer, made.manifest, record=self._record)

    def threshold_evidence(self, data: Data | None = None, *, options: ReadOptions | None = None) -> Evidence:
        """Return what thresholds are chosen by: counts that the model keeps, or those of rows given here.

        Raises:
            DataError: the data cannot be read, or has none of the model's targets.
            DamagedArtifact: what the model keeps is no record of counts.
        """
        from tamis.ml.rethresholding import Evidence, evidence_of
        from tamis.ml.threshold_record import held_counts

        held = held_counts(self._record, Path(self.folder or "."), self.targets)
        if data is None:
            return Evidence(held, held)
        if not isinstance(data, Dataset):
            options = self.reading(options)
            data = load_data(given_to_measure(data, options), self.targets, options).data
        return evidence_of(self._own(data), self.predictor, held)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Model:
        """Write the model to a folder, whole or not at all, and return it as stored there.

        Raises:
            OutputExists: something else is there, or a model and `overwrite` is not given.
            ModelError: the disk is full, or the place may not be written.
        """
        contents = self._scorer.contents()
        if self._record:
            contents = replace(contents, files={**contents.files, RECORD: self._record})
        write_artifact(Path(folder), self.manifest, contents, overwrite=overwrite)
        stored = load(folder)
        stored.run = self.run
        return stored

    def export(self, to: str, folder: str | Path, *, overwrite: bool = False, network_alone: bool = False) -> Path:
        """Write the model as another program wants it, with the same scores, and return the folder.

        Args:
            to: "hf", for transformers (encoders only; several targets: a folder each), or "onnx", for ONNX Runtime.
            folder: where to, whole or not at all.
            overwrite: replace an earlier export there.
            network_alone: of an ensemble, the network by itself, with a calibration of its own: other programs can hold
                no more of it, and without this an ensemble is refused.

        Raises:
            InvalidSetting: there is no such format, or the model cannot become one; the message says why.
            OutputExists: something is there that would be lost.
            GoldenRowsDrift: the export would not give the model's scores.
            MissingExtra: a library that it takes is not installed.
        """
        from tamis.ml.export.exporting import export

        with self.stored() as stored:
            return export(stored, to, Path(folder), overwrite=overwrite, network_alone=network_alone)

    def push(self, repository: str, *, private: bool = False, licence: str | None = None) -> Published:
        """Put the model on the Hugging Face hub as `owner/name`; `tamis.load` takes it from there.

        Args:
            repository: where to; it is made where there is none.
            private: others are not to see it.
            licence: of the model, by the hub's name for it; None takes the base model's, where that is known.

        Raises:
            HubFailed: no token, a token that may not, no network; the message says what to do.
            OutputExists: the repository holds something else, or is public and was to be private.
            InvalidSetting: a repository cannot be called so.
            MissingExtra: huggingface_hub is not installed.
        """
        from tamis.ml.publishing import publish, require_repository

        require_repository(repository)
        with self.stored() as folder:
            return publish(folder, repository, private=private, licence=licence)

    @contextmanager
    def stored(self) -> Iterator[Path]:
        """Yield a folder with the model: its own, or one that is there meanwhile."""
        if self.folder is not None:
            yield self.folder
            return
        with TemporaryDirectory(prefix="tamis-") as made:
            yield cast("Path", self.save(Path(made, "model")).folder)

    def _own(self, data: Dataset) -> Dataset:
        """Refuse a dataset whose label codes mean something else than the model's."""
        theirs = {target.name: target.labels for target in data.targets}
        mine = [target for target in self.targets if target.name in theirs]
        if not mine:
            raise DataError(
                f"The data has the target(s) {', '.join(theirs)}, and the model {self.name!r} has "
                f"{', '.join(target.name for target in self.targets)}. Name them alike.",
                targets=tuple(theirs),
            )
        for target in mine:
            if theirs[target.name] != target.labels:
                raise DataError(
                    f"The dataset's target {target.name!r} has other labels, or another order of them, than the "
                    f"model's: build it with the model's targets (`targets=model.targets`).",
                    target=target.name,
                )
        return data

    def _measure(self, data: Dataset, visit: Visit | None) -> EvaluationReport:
        begin = perf_counter()
        there = {target.name for target in data.targets}
        parts = {
            target.name: start(target, data.truth[target.name], self.predictor.thresholds(target.name))
            for target in self.targets
            if target.name in there
        }
        raw = {name: reliability_bins(np.zeros(0), np.zeros(0)) for name in parts}
        n_labels = sum(len(target.labels) for target in self.targets)
        step = max(1, min(ROWS_AT_ONCE, SCORES_AT_ONCE // n_labels))
        for first in range(0, len(data), step):
            rows = slice(first, first + step)
            logits = self.predictor.logits(data.inputs[rows])
            scores = self.predictor.scores_of(logits)
            judged = self.predictor.judged(scores)
            for name, part in parts.items():
                rule = judged[name]
                part.add(scores[name], *((rule.abstained, rule.evidence) if rule else ()))
                raw[name] += raw_reliability(data.truth[name].select(rows), logits[name])
            if visit:
                visit(first, scores)
        before = {name: rounded(raw[name].error()) for name in parts if self._is_calibrated(name)}
        targets = {
            name: part.finish().model_copy(update={"ece_before": before.get(name)}) for name, part in parts.items()
        }
        return EvaluationReport(n=len(data), targets=targets, seconds=round(perf_counter() - begin, 3))

    def _is_calibrated(self, target: str) -> bool:
        """Whether there were enough held-out rows to fit a calibration."""
        return self.manifest.target(target).calibration != Calibration()


def load(model: str | Path, *, home: str | Path | None = None) -> Model:
    """Load a model and check that it still computes what it did when it was made.

    Args:
        model: the folder that training wrote; or (where `home` is given) a name in the home: `name`, `name@3`; or a
            repository of the Hugging Face hub: `owner/name`, `owner/name@revision`. They are looked for in this order.
        home: the folder of the models that were registered by name.

    Raises:
        UnknownModel: there is none.
        HubFailed: it can only be on the hub, and that cannot be asked.
        MissingExtra: the same, and huggingface_hub is not installed.
        DamagedArtifact: its files are missing, damaged or do not fit each other, or its scores are no numbers.
        UnsupportedArtifact: a newer Tamis wrote it.
        GoldenRowsDrift: its scores are not those that were stored with it.
    """
    folder, of_hub = _found(model, home)
    artifact = open_artifact(folder, of_hub=of_hub)
    record = artifact.files[RECORD].tobytes() if RECORD in artifact.files else b""
    loaded = Model(tier(artifact.manifest.tier).restore(artifact), artifact.manifest, folder=folder, record=record)
    inputs = [row.input for row in artifact.manifest.golden] or golden_inputs(loaded.targets)
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused
        scores = loaded.predictor.checked_scores(inputs)
    check_golden(artifact.manifest, scores, loaded.predictor.tolerance)
    return loaded


def _found(model: str | Path, home: str | Path | None) -> tuple[Path, bool]:
    """The folder of a model, and whether it is one of the hub's cache."""
    if home is not None:
        try:
            return resolve(Path(home), model), False
        except UnknownModel:
            if not is_repository(model):
                raise
    if is_repository(model):
        return fetch_model(str(model)), True
    return Path(os.path.expanduser(model)), False
