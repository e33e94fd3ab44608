"""The first half of a job: read its files, say what is wrong with them, and what training will take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from tamis.data.dataset import require_learnable
from tamis.data.declared import Declarations, DeclaredTarget
from tamis.data.loading import Loaded, Weighted, load_splits
from tamis.errors import LimitExceeded
from tamis.jobs.states import Move, Phase, Status, before
from tamis.jobs.tools import Choices, Tools, files_here
from tamis.ml.base_models import load_base
from tamis.ml.estimates import Estimate, estimate
from tamis.ml.progress import StopCheck
from tamis.ml.schedule import STEP_TOKENS, hyperparameters
from tamis.schema import Kind
from tamis.store.opening import Store
from tamis.store.records import ASKED, JobRecord

LOSS_OF = {Kind.SINGLE_LABEL: "single_class", Kind.MULTI_LABEL: "multi_class"}
KIND_OF = {loss: kind for kind, loss in LOSS_OF.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """What reading a job's files came to: the targets found, the figures that are shown, and how long it will train."""

    targets: tuple[dict[str, Any], ...]
    metadata: dict[str, Any]
    hyperparameters: dict[str, Any]

    @property
    def details(self) -> str:
        """The figures in a sentence."""
        seconds, tokens = self.metadata["expected_duration_seconds"], self.metadata["data_tokens"]
        names = ", ".join(str(target["name"]) for target in self.targets)
        return (
            f"{self.metadata['rows']:,} rows with {tokens:,} tokens for the target(s) {names}: at most "
            f"{self.hyperparameters['training_steps']:,} steps, in about {seconds:,} s."
        )


def validate(tools: Tools, job: JobRecord, stop: Callable[[], bool]) -> None:
    """Read the job's files and write down what was found; a job that was to start by itself is queued again.

    Raises:
        TamisError: the job cannot be trained; the message says why.
        Cancelled: `stop` said so.
    """
    measured = measure(tools.store, tools.choices, job, stop)
    done = tools.store.jobs.change(
        job.id,
        when=before(Move.FIND_GOOD),
        attempt=job.attempt,
        to=Status.VALIDATED.value,
        targets=measured.targets,
        metadata={**job.metadata, **measured.metadata, ASKED: _asked(job)},
        hyperparameters=measured.hyperparameters,
        owner=None,
        lease_until=None,
    )
    if done is not None and job.auto_start:
        tools.store.jobs.change(
            job.id, when=before(Move.START), to=Status.QUEUED.value, quiet=True, phase=Phase.TRAIN.value
        )


def measure(store: Store, choices: Choices, job: JobRecord, stop: Callable[[], bool]) -> Measured:
    """Read the job's files, and say what is in them and what training will take.

    Raises:
        TamisError: the job cannot be trained; the message says why.
        Cancelled: `stop` said so.
    """
    with files_here(store, job.file_ids, choices.work / job.id) as paths:
        loaded = load(job, paths, choices, stop)
    chosen = hyperparameters(**job.hyperparameters)
    if chosen.optimise:
        chosen.purpose.of(loaded.train.targets)  # labels that are not there are told before the training
    found = estimate(loaded.train, load_base(job.base), chosen, loaded.validation)
    _refuse_beyond_limits(loaded, found, choices)
    return Measured(
        targets=_targets(loaded, job),
        metadata=_metadata(found, loaded, choices),
        hyperparameters={
            **job.hyperparameters,
            "training_steps": found.training_steps,
            "epochs": job.hyperparameters.get("epochs") or found.epochs,  # those asked for stay as they were asked for
        },
    )


def load(job: JobRecord, paths: Mapping[str, Path], choices: Choices, stop: Callable[[], bool]) -> Loaded:
    """Read the files of a job.

    Raises:
        DataError: they cannot be read or learnt from.
        Cancelled: `stop` said so.
    """
    declared, oos_label = declarations(job), job.hyperparameters.get("oos_label")
    loaded = load_splits(
        training_data(job, paths),
        [paths[file_id] for file_id in job.validation_files] or None,
        paths.get(job.test_file or ""),
        options=choices.reading,
        max_bad_share=job.max_bad_share,
        declared=None if declared is None else Declarations(declared, oos_label),
        oos_label=oos_label,
        check=StopCheck(stop),
    )
    require_learnable(loaded.train)
    return loaded


def training_data(job: JobRecord, paths: Mapping[str, Path]) -> Any:  # noqa: ANN401  (as load_splits takes it)
    """Return the training files with their weights."""
    return [Weighted(paths[file_id], weight) for file_id, weight in job.training_files]


def declarations(job: JobRecord) -> list[DeclaredTarget] | None:
    """Return the targets that the job's maker declared."""
    return None if job.asked_targets is None else declared_targets(job.asked_targets)


def declared_targets(asked: Sequence[Mapping[str, Any]]) -> list[DeclaredTarget]:
    """Return targets of a request as declarations.

    Raises:
        InvalidSetting: one cannot be meant.
        KeyError: one has no name, or a loss function that does not exist.
    """
    return [
        DeclaredTarget(
            name=str(target["name"]),
            labels=tuple(target.get("labels") or ()),
            kind=KIND_OF[target["loss_function"]] if target.get("loss_function") else None,
            weight=float(1.0 if target.get("weight") is None else target["weight"]),
        )
        for target in asked
    ]


def _targets(loaded: Loaded, job: JobRecord) -> tuple[dict[str, Any], ...]:
    weights = {declared.name: declared.weight for declared in declarations(job) or ()}
    return tuple(
        {
            "name": target.name,
            "labels": list(target.labels),
            "weight": weights.get(target.name, 1.0),
            "loss_function": LOSS_OF[target.kind],
        }
        for target in loaded.train.targets
    )


def _asked(job: JobRecord) -> dict[str, Any]:
    """How long to train as the job's maker said it: what is shown from now on is what it comes to."""
    return {name: job.hyperparameters.get(name) for name in ("training_steps", "epochs")}


def _metadata(found: Estimate, loaded: Loaded, choices: Choices) -> dict[str, Any]:
    cost = ceil(found.train_tokens * choices.cost_per_million_tokens / 1e6 * 100) / 100
    return {
        "expected_duration_seconds": max(1, round(found.expected_duration_seconds)),
        "cost": cost,
        "cost_currency": choices.cost_currency,
        "train_tokens_per_step": STEP_TOKENS,
        "train_tokens": round(found.train_tokens),
        "data_tokens": found.data_tokens,
        "estimated_start_time": None,
        "rows": len(loaded.train),
        "validation_rows": 0 if loaded.validation is None else len(loaded.validation),
        **({} if loaded.test is None else {"test_rows": len(loaded.test)}),
        "rejected_rows": loaded.rejected,
        "expected_memory_mb": round(found.peak_memory_mb),
    }


def _refuse_beyond_limits(loaded: Loaded, found: Estimate, choices: Choices) -> None:
    n_labels = sum(len(target.labels) for target in loaded.train.targets)
    if n_labels > choices.max_labels:
        raise LimitExceeded(
            f"The training data has {n_labels:,} labels, and {choices.max_labels:,} are allowed (max_labels). Is the "
            "column of labels the right one?",
            setting="max_labels",
        )
    if found.peak_memory_mb > choices.memory_mb:
        raise LimitExceeded(
            f"Training would need about {found.peak_memory_mb:,.0f} MB of memory, and a job may use "
            f"{choices.memory_mb:,.0f} MB (job_memory_mb). Use fewer rows or labels, or a larger machine.",
            setting="job_memory_mb",
        )
