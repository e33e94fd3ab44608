"""The trackers that there are, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tamis.ml.trackers.mlflow_tracker import MlflowTracker
from tamis.ml.trackers.tracker import TrackedRun, Tracker
from tamis.ml.trackers.wandb_tracker import WandbTracker

TRACKERS: Mapping[str, Callable[[TrackedRun], Tracker]] = {"wandb": WandbTracker, "mlflow": MlflowTracker}
TITLES: Mapping[str, str] = {"wandb": "Weights & Biases", "mlflow": "MLflow"}
