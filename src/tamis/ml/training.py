"""From data to a model: read, train, calibrate on held-out rows, measure, store.

The whole of a run in order; each step's own rules live where it is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from pydantic import JsonValue

from tamis.data.dataset import require_learnable
from tamis.data.declared import Declarations, DeclaredTarget, with_none_labels
from tamis.data.formats import ReadOptions
from tamis.data.layout import Layout
from tamis.data.loading import Loaded, Tally, load_splits
from tamis.data.review.versions import version_of
from tamis.data.rows import Note
from tamis.errors import GoldenRowsDrift, InvalidSetting
from tamis.evaluation.figures import rounded
from tamis.evaluation.report import EvaluationReport, TargetReport, evaluate_target
from tamis.ml.artifact import refuse_output
from tamis.ml.base_models import Base, load_base
from tamis.ml.decisions import Abstaining, Decisions, fit_decisions, plain_decisions
from tamis.ml.encoder.options import EncoderOptions
from tamis.ml.encoder.options import encoder_options as read_options
from tamis.ml.given import Data, given_splits
from tamis.ml.golden import golden_inputs, golden_rows
from tamis.ml.growing import (
    Parent,
    decisions_of,
    open_parent,
    parent_manifest,
    require_growth,
    with_rehearsed,
)
from tamis.ml.growing import remarks_on as growth_remarks
from tamis.ml.manifest import (
    DataFile,
    DataManifest,
    GoldenRow,
    Manifest,
    NetworkAlone,
    TargetManifest,
    installed_versions,
    now,
    tamis_version,
)
from tamis.ml.model import Model
from tamis.ml.processes import is_first
from tamis.ml.progress import Listener, Progress, Stop, StopCheck, nobody, nothing
from tamis.ml.reading import layout_of, learnt_layout, reading_facts, reading_for
from tamis.ml.restart import RestartPoints
from tamis.ml.rethresholding import for_purpose, remarks_on
from tamis.ml.run_facts import figures_of, peak_rss_mb, plain_facts, target_entry, threads
from tamis.ml.schedule import Hyperparameters, chosen_facts, hyperparameters
from tamis.ml.scoping import learnt_targets, widened, without_unlearnt
from tamis.ml.static.model import one_blas_thread
from tamis.ml.threshold_record import render_record
from tamis.ml.tiers import tier
from tamis.ml.trained import Attended, HeldOut, Task, Trained
from tamis.schema import Target

DEFAULT_BASE = "static-en"
REOPENED_WITHIN = 1e-6
"""How far the scores of a stored model may be from those in memory."""

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """How a training run went.

    Attributes:
        seconds: wall time: `total`, and of it `read`, `train`, `calibrate`, `measure` and `write`.
        examples_per_second: training rows by seconds of `train`.
        peak_rss_mb: the process's most memory so far, in MB of 10^6 bytes; None where the system does not say.
        tallies: what became of each file.
        notes: remarks on the data, by split.
        remarks: remarks on the training.
        held_out_rows: which rows were held out; None for too few rows to hold any out.
        held_out: the report on them: calibration fitted on other rows each time.
        test: the report on the test data, if there was any.
    """

    seconds: Mapping[str, float]
    examples_per_second: float
    peak_rss_mb: float | None
    tallies: tuple[Tally, ...] = ()
    notes: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    held_out_rows: str | None = None
    held_out: EvaluationReport | None = None
    test: EvaluationReport | None = None

    def __repr__(self) -> str:
        """How long it took and what was measured; `to_json` has all."""
        measured = {"held_out": self.held_out, "test": self.test}
        told = "".join(f", {name}={report!r}" for name, report in measured.items() if report is not None)
        return f"<TrainingRun of {self.seconds.get('total', 0.0):.1f} s{told}>"

    def to_json(self) -> dict[str, object]:
        """Plain types."""
        return {
            "seconds": dict(self.seconds),
            "examples_per_second": self.examples_per_second,
            "peak_rss_mb": self.peak_rss_mb,
            "files": [tally.to_json() for tally in self.tallies],
            "notes": {split: [note.to_json() for note in notes] for split, notes in self.notes.items()},
            "remarks": list(self.remarks),
            "held_out_rows": self.held_out_rows,
            "held_out": self.held_out.to_json() if self.held_out else None,
            "test": self.test.to_json() if self.test else None,
        }


def train(  # noqa: PLR0913  (the public door: each is one thing a user may say)
    train: Data,
    validation: Data | None = None,
    test: Data | None = None,
    *,
    base: str | None = None,
    start_from: str | Path | Model | None = None,
    rehearse: Data | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    training_steps: int | None = None,
    epochs: float | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    warmup_fraction: float | None = None,
    seq_len: int | None = None,
    seed: int = 0,
    optimise: str | Sequence[str] | None = None,
    abstain_loss: float | None = None,
    oos_label: str | None = None,
    encoder_options: Mapping[str, object] | EncoderOptions | None = None,
    targets: Sequence[Target | DeclaredTarget] | None = None,
    none_labels: Mapping[str, Sequence[str]] | None = None,
    options: ReadOptions | None = None,
    layout: Layout | None = None,
    max_bad_share: float = 0.0,
    rejects: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener = nobody,
    stop: Stop | None = None,
    restart: RestartPoints | None = None,
) -> Model:
    """Train a classifier.

    Args:
        train: labelled data: a file, several, a folder or hub dataset, or Python data (see `tamis.ml.given`). Rows of
            `Weighted` data count more or less in the loss, and where rows of it are held out in what is fitted to these
            (early stopping, calibration, thresholds); only the proportions of weights matter.
        validation: data to choose on and to calibrate with; without it rows are held out of `train`.
        test: data to report on.
        base: the base model: an id, a folder or a repository. Default: `static-en`, or that of `start_from`.
        start_from: a model to add labels, targets and rows to, which forgets nothing: `train` has the new rows. Its
            labels keep their order, new ones come behind them; a target that no row mentions stays as it was.
        rehearse: rows of the labels that `start_from` has already, all or some: the new labels get better by them.
        out: folder to write the model to; in memory only without it.
        name: the model's name (default: that of `out`, or of the training file).
        training_steps: at most so many steps of 65,536 tokens. Neither these nor epochs given: the trainer picks.
        epochs: at most so many passes over the data.
        learning_rate: relative: 1e-4 is the base model's own rate.
        weight_decay: relative to 0.1.
        warmup_fraction: share of the run in which the rate rises.
        seq_len: cut inputs to so many tokens of the base model (a text keeps its beginning, a chat its end). None: the
            static tier cuts nothing, since it has no window; an encoder reads 512 tokens, or as many as it can. A
            static model itself cuts nothing, an encoder cuts what it is asked to classify like what it learnt from.
        seed: the same data, settings, seed and thread count give the same model, byte for byte.
        optimise: what the thresholds of multi-label targets are for: "f1" (the default), "micro-f1", "macro-f1",
            "precision>=0.95", "recall>=0.9", "cost:fp=1,fn=5", "shared:f1" (one threshold for all labels), and as
            "LABEL=recall>=0.9" for one label; several in a list. What cannot be kept is among the remarks.
        abstain_loss: the share of in-scope answers that a single-label target may be silent for, so as not to answer
            what it has no label for (default 0.03); 0: it always answers.
        oos_label: what rows carry that are out of their single-label target's scope. It is none of its labels: ten such
            rows of the training data and more are learnt as "none of them", those of other data are measured.
        encoder_options: for a base model of the encoder tier; see `tamis.ml.encoder.options.EncoderOptions`.
        targets: targets that are not to be inferred, in the order that the model will have; their labels keep their
            order. Rows of the training data with other labels are bad; other targets are left out with a note.
        none_labels: by multi-label target, its labels that mean "nothing applies", like {"topics": ["other"]}; an empty
            list for none. Targets that are not named keep those with the usual names (safe, none, ok, ...).
        options: how to read files.
        layout: of the file that the rows were written anew from, which the model keeps; None: as they are read now.
        max_bad_share: share of bad rows up to which they are left out instead of refused.
        rejects: file to write bad rows to.
        overwrite: replace a model that is at `out`.
        listener: told what goes on; see `tamis.ml.progress`. What it raises ends the run.
        stop: asked a few times a second whether to end the run.
        restart: where to keep what is needed to go on after a kill: the same call with the same points continues, and
            ends with the same model, byte for byte. They are removed when the run ends well.

    Of several processes that torchrun or `accelerate launch` started the first one writes.

    Raises:
        Cancelled: `stop` said so; nothing was written.
        DataError: the data cannot be read or learnt from.
        InvalidSetting: a hyperparameter is out of range.
        UnknownBaseModel: there is no such base model here.
        OutputExists: something is at `out`.
    """
    watch = _Stopwatch()
    chosen = hyperparameters(
        training_steps=training_steps,
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        warmup_fraction=warmup_fraction,
        seq_len=seq_len,
        seed=seed,
        optimise=optimise,
        abstain_loss=abstain_loss,
        oos_label=oos_label,
        encoder=None if encoder_options is None else read_options(encoder_options),
    )
    asked = {"base": base, "targets": targets, "oos_label": oos_label, "validation": validation, "rehearse": rehearse}
    asked |= {"training_steps": training_steps, "epochs": epochs, "learning_rate": learning_rate}
    asked |= {"weight_decay": weight_decay, "warmup_fraction": warmup_fraction}
    parent = None if start_from is None else open_parent(start_from, asked)
    chosen = chosen if parent is None else parent.chosen(chosen)
    declared = None if targets is None else Declarations(targets, oos_label)
    name = _name(name, out, train)
    if out is not None:
        refuse_output(Path(out), overwrite=overwrite)
    listener(Progress("reading the data", 0.0))
    check = nothing if stop is None else StopCheck(stop)
    base_model = parent or load_base(base or DEFAULT_BASE)
    _refuse_options(chosen, base_model)
    options = options if parent is None else reading_for(options, [parent.model.manifest], ())
    given = given_splits(with_rehearsed(train, rehearse, parent), validation, test, options)
    rejects = rejects if is_first() else None
    loaded = load_splits(
        *given,
        options,
        max_bad_share=max_bad_share,
        rejects=rejects,
        declared=declared,
        oos_label=oos_label,
        known=parent.targets if parent else (),
        check=check,
    )
    listener(Progress("reading the data", 0.02, tallies=loaded.tallies, notes=loaded.notes))
    learnt = learnt_targets(loaded.train) if parent is None else ()
    loaded = replace(loaded, train=without_unlearnt(loaded.train, learnt))
    require_learnable(loaded.train) if parent is None else require_growth(loaded.train, parent)
    if none_labels is not None:
        loaded = _marked(loaded, none_labels)
    if chosen.optimise:
        chosen.purpose.of(loaded.train.targets)  # a label that is not there is told before hours of work
    watch.lap("read")
    attended = Attended(listener, check, restart or RestartPoints(None))
    before = None if parent is None else layout_of(parent.model.manifest)
    layout = layout or before or learnt_layout(loaded.tallies, options)
    model = _Run(loaded, base_model, chosen, name, attended, watch, declared, parent, learnt, layout).model()
    check()
    if out is not None and is_first():
        listener(Progress("writing the model", 0.98))
        model = _stored(model, Path(out), overwrite=overwrite)
        watch.lap("write")
    if restart is not None and model.run:
        restart.clear()
        model.run = replace(model.run, remarks=(*restart.remarks, *model.run.remarks))
    if model.run:
        model.run = replace(model.run, seconds=watch.laps(), peak_rss_mb=peak_rss_mb())
    listener(Progress("done", 1.0))
    return model


def _refuse_options(chosen: Hyperparameters, base: Base | Parent) -> None:
    if chosen.encoder is not None and base.card.tier != "encoder":
        raise InvalidSetting(
            f"Encoder options are for base models of the encoder tier, such as minilm-l6, and {base.card.id!r} is of "
            f"the tier {base.card.tier}: leave them out, or choose another base model.",
            setting="encoder_options",
        )


def _marked(loaded: Loaded, none_labels: Mapping[str, Sequence[str]]) -> Loaded:
    """The same data with other none labels."""
    targets = with_none_labels(loaded.train.targets, none_labels)
    train, validation, test = (
        None if data is None else replace(data, targets=targets)
        for data in (loaded.train, loaded.validation, loaded.test)
    )
    return replace(loaded, train=train or loaded.train, validation=validation, test=test)


class _Stopwatch:
    """Wall time by part of the run."""

    def __init__(self) -> None:
        self._parts: dict[str, float] = {}
        self._begin = self._last = perf_counter()

    def lap(self, part: str) -> float:
        """End a part and return its seconds."""
        moment = perf_counter()
        self._parts[part] = round(moment - self._last, 4)
        self._last = moment
        return self._parts[part]

    def laps(self) -> dict[str, float]:
        """All of them, and the total so far."""
        return {"total": round(perf_counter() - self._begin, 4), **self._parts}


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One run, from data that was read to a model in memory."""

    loaded: Loaded
    base: Base | Parent
    chosen: Hyperparameters
    name: str
    attended: Attended
    watch: _Stopwatch
    declared: Declarations | None = None
    parent: Parent | None = None
    learnt: tuple[str, ...] = ()  # targets that learn from rows out of their scope
    layout: Layout | None = None

    def model(self) -> Model:
        trained, seconds = self._trained()
        self._tell("calibrating", 0.94)
        with one_blas_thread():
            decisions = self._decisions(trained.held_out)
        if self.chosen.optimise:
            decisions = self._for_purpose(decisions)
            more = [remark for name, made in decisions.items() for remark in remarks_on(name, made.chosen_for)]
            trained = replace(trained, remarks=(*trained.remarks, *more))
        self.watch.lap("calibrate")
        self._tell("measuring", 0.96)
        held_out = self._report(trained.held_out, decisions)
        model = Model(trained.scorer, self._manifest(trained, decisions))
        test = model.evaluate(self.loaded.test) if self.loaded.test is not None else None
        metrics = {"held_out": figures_of(held_out), **({"test": figures_of(test)} if test else {})}
        measured: dict[str, object] = {"metrics": metrics, "golden": _golden(model)}
        manifest = model.manifest.model_copy(update={**measured, "network_alone": self._alone(trained, model)})
        self.watch.lap("measure")
        run = TrainingRun(
            seconds=self.watch.laps(),
            examples_per_second=round(len(self.loaded.train) / max(seconds, 1e-9), 1),
            peak_rss_mb=None,
            tallies=self.loaded.tallies,
            notes=self.loaded.notes,
            remarks=trained.remarks,
            held_out_rows=trained.held_out.rows if trained.held_out else None,
            held_out=held_out,
            test=test,
        )
        held = {name: each.held for name, each in decisions.items() if each.held is not None}
        return Model(trained.scorer, manifest, run=run, record=render_record(held, model.targets))

    def _trained(self) -> tuple[Trained, float]:

        def told(progress: Progress) -> None:
            self.attended.listener(replace(progress, share=0.02 + 0.92 * progress.share))

        self._begin(told)
        validation = self.loaded.validation
        wide = None if validation is None else widened(validation, self.learnt)
        task = Task(widened(self.loaded.train, self.learnt), wide, self.chosen, self._weights(), self._located())
        attended, of_tier = replace(self.attended, listener=told), tier(self.base.card.tier)
        if self.parent is None:
            return of_tier.train(self.base, task, attended), self.watch.lap("train")
        if self.parent.learns_anew(task.train):
            trained = of_tier.train(self.parent.base(), task, attended)
        else:
            trained = of_tier.grow(self.parent.start, task, attended)
        said = growth_remarks(self.parent, self.loaded.train, self.loaded.validation)
        return replace(trained, remarks=(*said, *trained.remarks)), self.watch.lap("train")

    def _located(self) -> tuple[str, ...]:
        """The targets that abstain by how familiar a text is; one that learnt rows out of scope goes by its scores."""
        if self.chosen.abstain_loss <= 0:
            return ()
        targets = self.loaded.train.targets
        return tuple(each.name for each in targets if not each.is_multi and each.name not in self.learnt)

    def _begin(self, told: Listener) -> None:
        """Look for restart points of this very run."""
        points = self.attended.points
        if points.folder is None:
            return
        points.begin(self._fingerprint())
        if points.resumed:
            points.remarks.append("An earlier attempt was interrupted: this one went on from its last restart point.")
        for remark in points.remarks:
            told(Progress("looking for restart points", 0.0, remark=remark))

    def _fingerprint(self) -> str:
        """All that decides what the training does."""
        facts = {
            "version": tamis_version(),
            "versions": installed_versions(1).model_dump(),
            "hyperparameters": self.chosen.model_dump(
                exclude={"optimise", "abstain_loss"}
            ),  # what comes after training
            "weights": self._weights(),
            "train": self.loaded.train.rows_hash(),
            "validation": None if self.loaded.validation is None else self.loaded.validation.rows_hash(),
            "base": self.base.facts(),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _weights(self) -> dict[str, float]:
        return self.declared.weights if self.declared else {}

    def _tell(self, stage: str, share: float) -> None:
        self.attended.check()
        self.attended.listener(Progress(stage, share))

    def _decisions(self, held: HeldOut | None) -> dict[str, Decisions]:
        made, data = {}, self.loaded.train
        grown = None if self.parent is None or self.parent.learns_anew(data) else self.parent
        for name, truth in data.truth.items():
            self.attended.check()
            entry = None if grown is None else grown.start.target(name)
            if entry is not None:
                made[name] = decisions_of(entry, truth, held, seed=self.chosen.seed)
            elif held is None:
                made[name] = plain_decisions(truth)
            else:
                made[name] = self._fitted(held, name)
        return made

    def _fitted(self, held: HeldOut, name: str) -> Decisions:
        abstaining = Abstaining(self.chosen.abstain_loss, held.familiar.get(name), name in self.learnt)
        return fit_decisions(
            held.truth[name],
            held.logits[name],
            seed=self.chosen.seed,
            weights=held.weights.get(name),
            abstaining=abstaining,
            shift=held.shift,
        )

    def _alone(self, trained: Trained, model: Model) -> NetworkAlone | None:
        """What the network of an ensemble is by itself, fitted and measured on the same held-out rows."""
        held = trained.held_out
        if trained.alone is None:
            return None
        decisions = {name: plain_decisions(truth) for name, truth in self.loaded.train.truth.items()}
        if held is not None and held.alone is not None:
            held = replace(held, logits=held.alone)
            decisions = self._for_purpose(self._decisions(held))
        entries = self._entries(decisions)
        alone = Model(trained.alone, model.manifest.model_copy(update={"targets": entries}))
        figures = figures_of(self._report(held, decisions))
        return NetworkAlone(targets=entries, golden=_golden(alone), metrics={"held_out": figures})

    def _for_purpose(self, decisions: dict[str, Decisions]) -> dict[str, Decisions]:
        if not self.chosen.optimise:
            return decisions
        return for_purpose(decisions, self.chosen.purpose, self.loaded.train.targets)

    def _entries(self, decisions: Mapping[str, Decisions]) -> tuple[TargetManifest, ...]:
        return tuple(
            target_entry(target, decisions[target.name], self._weights(), learnt=target.name in self.learnt)
            for target in self.loaded.train.targets
        )

    def _report(self, held: HeldOut | None, decisions: Mapping[str, Decisions]) -> EvaluationReport | None:
        """The report on held-out rows, of the targets for which there are enough."""
        begin, reports = perf_counter(), dict[str, TargetReport]()
        for target in self.loaded.train.targets:
            self.attended.check()
            made = decisions[target.name]
            if made.truth is None or made.scores is None:
                continue
            cuts = None if made.thresholds is None else np.array(made.thresholds, dtype=np.float32)
            rule, seed = made.abstained, self.chosen.seed
            report = evaluate_target(target, made.truth, made.scores, cuts, rule, evidence=made.evidence, seed=seed)
            reports[target.name] = report.model_copy(update={"ece_before": rounded(made.ece_before)})
        if held is None or not reports:
            return None
        return EvaluationReport(n=held.n, targets=reports, seconds=round(perf_counter() - begin, 3))

    def _manifest(self, trained: Trained, decisions: Mapping[str, Decisions]) -> Manifest:
        data, validation = self.loaded.train, self.loaded.validation
        files = (
            DataFile(
                name=_plain_name(tally.file),
                split=tally.split,
                rows=tally.rows,
                weight=tally.weight,
                version=version_of(Path(tally.file)),
            )
            for tally in self.loaded.tallies
        )
        return Manifest(
            tamis_version=tamis_version(),
            created=now(),
            name=self.name,
            base_model=self.base.card,
            tier=self.base.card.tier,
            architecture=plain_facts(trained.architecture),
            targets=self._entries(decisions),
            hyperparameters=plain_facts(chosen_facts(self.chosen)),
            data=DataManifest(
                sha256=data.content_hash(),
                train_rows=len(data),
                validation_rows=0 if validation is None else len(validation),
                files=tuple(files),
            ),
            parent=None if self.parent is None else parent_manifest(self.parent, data),
            training=plain_facts({**trained.facts, **self._learnt_from(), "remarks": list(trained.remarks)}),
            checkpoints=tuple(plain_facts(row) for row in trained.checkpoints),
            versions=installed_versions(threads()),
            tolerance=trained.scorer.tolerance,
        )

    def _learnt_from(self) -> dict[str, JsonValue]:
        """How the data was laid out, and whether some inputs are chats, for who has to offer a box for one."""
        chats = any(not isinstance(given, str) for given in self.loaded.train.inputs)
        return {**({"chats": True} if chats else {}), **reading_facts(self.layout)}


def _golden(model: Model) -> tuple[GoldenRow, ...]:
    """Return the golden rows of a model."""
    given = golden_inputs(model.targets)
    return tuple(golden_rows(given, model.predictor.checked_scores(given), model.targets))


def _stored(model: Model, folder: Path, *, overwrite: bool) -> Model:
    """Write the model, open it again, and make sure that it is the same."""
    stored = model.save(folder, overwrite=overwrite)
    inputs = [row.input for row in model.manifest.golden]
    mine, theirs = (each.predictor.checked_scores(inputs) for each in (model, stored))
    for name, scores in mine.items():
        off = float(np.abs(scores - theirs[name]).max(initial=0.0))
        if not off <= REOPENED_WITHIN:
            raise GoldenRowsDrift(
                f"The model in {folder} does not give the scores that it had in memory (target {name!r}, off by "
                f"{off:.2g}): the disk or the memory may be faulty. Train again, to another place.",
                target=name,
                off=off,
            )
    return stored


def _name(name: str | None, out: str | Path | None, train: Data) -> str:
    """The model's name: as given, or that of the folder, or of the training file."""
    if name is not None:
        if not name.strip() or len(name) > MAX_NAME:
            raise InvalidSetting(f"The name has {len(name)} characters: give 1 to {MAX_NAME}.", setting="name")
        return name
    place = out if out is not None else train
    guess = Path(place).name.partition(".")[0] if isinstance(place, str | Path) else ""
    return guess.removesuffix("-model")[:MAX_NAME] or "model"


def _plain_name(file: str) -> str:
    """The last part of a path; what is no path stays as it is."""
    return Path(file).name or file
