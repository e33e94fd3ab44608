"""MLflow, through the client of its library."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from time import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tamis.errors import MissingExtra, ServiceFailed, as_clause
from tamis.extras import require
from tamis.ml.trackers.probing import Unanswered, ask, basic
from tamis.ml.trackers.tracker import Outcome, Results, Started, TrackedRun

STATUSES = {
    Outcome.FINISHED: "FINISHED",
    Outcome.FAILED: "FAILED",
    Outcome.KILLED: "KILLED",
    Outcome.HANDED_BACK: "SCHEDULED",
}
RUN_TAG = "tamis.job"
LONGEST_PARAMETER = 500
LONGEST_NAME = 250
MOST_FIGURES = 900
MOST_PARAMETERS = 90
IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

_NOT_IN_NAMES = re.compile(r"[^\w\-. /]")


class MlflowTracker:
    """A run in MLflow."""

    def __init__(self, run: TrackedRun) -> None:
        """Take the run; nothing is imported or sent yet."""
        self._tracked = run
        self._client: Any = None
        self._entities: Any = None
        self._run_id = ""

    def start(self) -> Started:
        """Begin the run, or go on with the one that has its id as a tag.

        Raises:
            MissingExtra: the library is not installed.
            ServiceFailed: the server cannot be used.
        """
        self._refuse_silent_server()
        os.environ.update({**IMPATIENT, **os.environ, **SILENT})  # this is a process of its own
        self._open()
        try:
            experiment = self._experiment()
            self._run_id = self._earlier(experiment) or self._new(experiment)
            self._parameters(self._tracked.config)
        except Exception as error:
            raise ServiceFailed(
                f"Nothing is reported to MLflow at {self._shown}: {as_clause(error)}. Look at the server, and at "
                "mlflow_tracking_uri."
            ) from error
        return Started(url=self._url(experiment))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Report the figures of a step."""
        now = int(time() * 1000)
        kind = self._entities.Metric
        metrics = [kind(_name(name), float(value), now, step) for name, value in figures.items()]
        for first in range(0, len(metrics), MOST_FIGURES):
            self._client.log_batch(self._run_id, metrics=metrics[first : first + MOST_FIGURES])

    def report(self, results: Results) -> None:
        """Report figures as metrics, facts as parameters, and confusion matrices as files."""
        self.log(0, results.figures)
        self._parameters(results.facts)
        for table in results.tables:
            content = {
                "target": table.target,
                "columns": list(table.columns),
                "rows": [list(row) for row in table.rows],
            }
            self._client.log_dict(self._run_id, content, f"confusion/{_name(table.target).replace('/', '_')}.json")

    def end(self, outcome: Outcome) -> str:
        """Give the run its last state."""
        if outcome is Outcome.HANDED_BACK:
            self._client.update_run(self._run_id, status=STATUSES[outcome])
        else:
            self._client.set_terminated(self._run_id, STATUSES[outcome])
        return ""

    def _open(self) -> None:
        try:
            require("mlflow", "mlflow")
            tracking = require("mlflow.tracking", "mlflow")
            self._entities = require("mlflow.entities", "mlflow")
            self._client = tracking.MlflowClient(tracking_uri=self._tracked.address)
        except MissingExtra:
            raise
        except Exception as error:
            raise ServiceFailed(
                f"Nothing is reported to MLflow: its library does not take {self._shown} as mlflow_tracking_uri "
                f"({as_clause(error)})."
            ) from error

    def _refuse_silent_server(self) -> None:
        """Ask a server whether it is there: the library itself would try for minutes."""
        parts = urlsplit(self._tracked.address)
        if parts.scheme not in ("http", "https"):
            return
        headers = basic(parts.username or "", parts.password or "") if parts.username else {}
        try:
            status, _ = ask(f"{self._shown.rstrip('/')}/health", headers)
        except Unanswered as error:
            raise ServiceFailed(
                f"Nothing is reported to MLflow: {self._shown} cannot be reached ({error}). Look at the server, and at "
                "mlflow_tracking_uri."
            ) from None
        if status >= 500:
            raise ServiceFailed(
                f"Nothing is reported to MLflow: {self._shown} answers with status {status}. Look at the server."
            )

    def _experiment(self) -> str:
        name = self._tracked.project
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found is not None else self._client.create_experiment(name))

    def _earlier(self, experiment: str) -> str:
        """The run of an earlier attempt, open again."""
        runs = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{self._tracked.id}'", max_results=1)
        if not runs:
            return ""
        run_id = str(runs[0].info.run_id)
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def _new(self, experiment: str) -> str:
        tags = {RUN_TAG: self._tracked.id, "mlflow.source.name": "tamis", "mlflow.source.type": "JOB"}
        return str(self._client.create_run(experiment, run_name=self._tracked.title, tags=tags).info.run_id)

    def _parameters(self, facts: Mapping[str, Any]) -> None:
        """Parameters are texts, and never change: one that an earlier attempt set is left as it is."""
        there = self._client.get_run(self._run_id).data.params
        flat = {name: value for name, value in _flat("", facts) if name not in there}
        parameters = [self._entities.Param(name, value) for name, value in flat.items()]
        for first in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=parameters[first : first + MOST_PARAMETERS])

    @property
    def _shown(self) -> str:
        """The address without a password."""
        parts = urlsplit(self._tracked.address)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def _url(self, experiment: str) -> str | None:
        if urlsplit(self._shown).scheme not in ("http", "https"):
            return None
        return f"{self._shown.rstrip('/')}/#/experiments/{experiment}/runs/{self._run_id}"


def _flat(prefix: str, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested facts as names with dots, and texts."""
    found = []
    for name, value in facts.items():
        place = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found += _flat(f"{place}.", value)
        elif value is not None:
            found.append((_name(place), str(value)[:LONGEST_PARAMETER]))
    return found


def _name(name: str) -> str:
    """A name of the characters that MLflow takes."""
    plain = _NOT_IN_NAMES.sub("_", name)[:LONGEST_NAME].strip("/")
    return "/".join(part if part.strip(".") else "_" for part in plain.split("/"))
