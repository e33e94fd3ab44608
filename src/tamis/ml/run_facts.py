"""What a manifest keeps of a training: its targets, figures, facts as JSON has them, and how the machine was used."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

from pydantic import JsonValue

from tamis.ml.decisions import Decisions
from tamis.ml.manifest import TargetManifest
from tamis.schema import Target

if TYPE_CHECKING:
    from tamis.evaluation.report import EvaluationReport

FIGURES = (
    *("n", "accuracy", "accuracy_ci", "subset_accuracy", "subset_accuracy_ci", "micro_f1", "micro_f1_ci"),
    *("macro_f1", "macro_f1_ci", "weighted_f1", "weighted_f1_ci", "samples_jaccard", "mean_average_precision"),
    *("log_loss", "brier", "ece_before", "ece", "coverage", "selective_accuracy"),
    *("oos_rows", "oos_recall", "oos_recall_ci", "oos_auroc", "oos_auroc_ci"),
)
"""What a manifest keeps of a report."""


def target_entry(target: Target, made: Decisions, weights: Mapping[str, float], *, learnt: bool) -> TargetManifest:
    """Return what a manifest says of a target; `learnt`: whether it learnt from rows out of its scope."""
    return TargetManifest(
        name=target.name,
        kind=target.kind,
        labels=target.labels,
        none_labels=target.none_labels,
        calibration=made.calibration,
        thresholds=made.thresholds,
        chosen_for=made.chosen_for,
        abstain=made.abstain,
        weight=weights.get(target.name, 1.0),
        oos_label=target.oos_label,
        oos_learnt=learnt,
    )


def figures_of(report: EvaluationReport | None) -> dict[str, JsonValue]:
    """Return what a manifest keeps of a report."""
    kept: dict[str, JsonValue] = {}
    for name, target in (report.targets if report else {}).items():
        plain = target.model_dump(mode="json", include=set(FIGURES))
        kept[name] = {figure: plain[figure] for figure in FIGURES if plain.get(figure) is not None}
    return kept


def plain_facts(facts: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return facts as JSON has them; numbers that are not finite become null."""

    def plain(value: object) -> JsonValue:
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, float):
            return float(value) if isfinite(value) else None
        if value is None or isinstance(value, str | int):
            return value
        raise TypeError(f"{type(value).__name__} is no fact for a manifest")

    return {name: plain(value) for name, value in facts.items()}


def threads() -> int:
    """Return the threads that matrix products use: they are part of what makes a run repeatable."""
    from threadpoolctl import threadpool_info

    pools = [int(pool["num_threads"]) for pool in threadpool_info() if pool.get("user_api") == "blas"]
    return max(pools, default=os.cpu_count() or 1)


def peak_rss_mb() -> float | None:
    """Return the most memory that this process has held so far, in MB."""
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(getrusage(RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
