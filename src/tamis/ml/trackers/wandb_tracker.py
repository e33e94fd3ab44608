"""Weights & Biases, through its library. Where no server answers, the run is kept in a folder to be sent later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tamis.errors import ServiceFailed, as_clause
from tamis.extras import require
from tamis.ml.trackers.probing import Unanswered, ask, basic
from tamis.ml.trackers.tracker import Outcome, Results, Started, Table, TrackedRun

INIT_WITHIN_S = 6.0
CHART_LABELS = 60
"""A confusion matrix of more labels is a table only: nobody can read the chart."""

CHART = "wandb/confusion_matrix/v1"
EXIT_CODES = {Outcome.FINISHED: 0, Outcome.FAILED: 1, Outcome.KILLED: 255, Outcome.HANDED_BACK: 1}
"""The service shows 255, the code of an interrupted program, as killed."""

QUIET = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "symlink": False,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "x_internal_check_process": 0.0,
    "x_transaction_log_flush_interval": 1.0,
}
"""Nothing of this machine is sent: no host name, packages, system figures, program or its output."""


class WandbTracker:
    """A run at Weights & Biases."""

    def __init__(self, run: TrackedRun) -> None:
        """Take the run; nothing is imported or sent yet."""
        self._tracked = run
        self._wandb: Any = None
        self._run: Any = None

    def start(self) -> Started:
        """Begin the run, or go on with it. Where the server does not answer, it is kept here.

        Raises:
            MissingExtra: the library is not installed.
            ServiceFailed: the key is refused, or the library fails even without a server.
        """
        folder = Path(self._tracked.folder)
        folder.mkdir(parents=True, exist_ok=True)
        _keep_its_files_in(folder)
        self._wandb = require("wandb", "wandb")
        chosen = self._wandb.setup(settings=self._settings("")).settings
        mode = self._tracked.mode or str(chosen.mode)
        if mode == "disabled":
            return Started(note="Nothing is reported to Weights & Biases: its mode is `disabled` (wandb_mode).")
        if mode in ("offline", "dryrun"):
            return self._offline("its mode is `offline` (wandb_mode)")
        why = self._obstacle(str(chosen.base_url).rstrip("/"), str(chosen.app_url).rstrip("/"))
        if why:
            return self._offline(why)
        try:
            self._run = self._begin("online")
        except Exception as error:  # noqa: BLE001  (of a library that was let loose on a network)
            self._wandb.teardown()
            return self._offline(f"{chosen.base_url} failed: {as_clause(error)}")
        return Started(url=self._run.url)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Report the figures of a step; the service leaves out steps that it has already."""
        if self._run is not None:
            self._run.log(dict(figures), step=step)

    def report(self, results: Results) -> None:
        """Report figures as the run's summary, facts as its config, and confusion matrices as charts and tables."""
        if self._run is None:
            return
        self._run.config.update(dict(results.facts), allow_val_change=True)
        self._run.summary.update(dict(results.figures))
        for table in results.tables:
            self._run.log({f"confusion/{table.target}": self._chart(table)})

    def end(self, outcome: Outcome) -> str:
        """End the run: sent to its last figure when this returns."""
        if self._run is None:
            return ""
        if outcome is Outcome.HANDED_BACK:
            self._run.mark_preempting()
        else:
            self._run.summary["outcome"] = outcome.value
        self._run.finish(exit_code=EXIT_CODES[outcome])
        return ""

    def _obstacle(self, address: str, pages: str) -> str:
        """Ask the server who has the key, as the library does at a login; return why it cannot be used, if so.

        Raises:
            ServiceFailed: it knows nobody with this key.
        """
        try:
            question = {"query": "query Viewer { viewer { id } }"}
            status, answer = ask(f"{address}/graphql", basic("api", self._tracked.key), question)
        except (Unanswered, UnicodeError) as error:
            return f"{address} cannot be reached ({error})"
        data = answer.get("data") if isinstance(answer, dict) else None
        if status in (401, 403) or (isinstance(data, dict) and "viewer" in data and not data["viewer"]):
            raise ServiceFailed(
                f"Weights & Biases at {address} does not know the key: nothing is reported. Make a job with a valid "
                f"key: {pages}/authorize shows it."
            )
        if status != 200 or not isinstance(data, dict):
            return f"{address} does not answer as Weights & Biases does (status {status})"
        return ""

    def _offline(self, why: str) -> Started:
        """Keep the run here, and say how to send it later."""
        try:
            self._run = self._begin("offline")
        except Exception as error:
            raise ServiceFailed(
                f"Nothing is reported to Weights & Biases: {why}, and its library cannot keep the run here either "
                f"({as_clause(error)})."
            ) from error
        kept = Path(self._run.dir).parent
        return Started(note=f"The run is kept on the server's machine: {why}. To send it later: wandb sync {kept}")

    def _begin(self, mode: str) -> Any:  # noqa: ANN401  (the library's)
        return self._wandb.init(settings=self._settings(mode), config=dict(self._tracked.config))

    def _settings(self, mode: str) -> Any:  # noqa: ANN401  (the library's)
        run = self._tracked
        wanted = {
            **QUIET,
            "api_key": run.key,
            "base_url": run.address,
            "mode": mode,
            "root_dir": run.folder,
            "project": run.project,
            "run_id": run.id,
            "run_name": run.title,
            "run_tags": (run.id,),
            "resume": "" if mode == "offline" else "allow",
            "init_timeout": INIT_WITHIN_S,
        }
        kind = self._wandb.Settings
        known = {name: value for name, value in wanted.items() if value != "" and name in kind.model_fields}
        return kind(**known)

    def _chart(self, table: Table) -> Any:  # noqa: ANN401  (the library's)
        if not table.square or len(table.labels) > CHART_LABELS:
            return self._wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])
        columns = ["Actual", "Predicted", "nPredictions"]
        counts = {(actual, given): rows for actual, given, rows in table.rows}
        cells = [[actual, given, counts.get((actual, given), 0)] for actual in table.labels for given in table.labels]
        data = self._wandb.Table(columns=columns, data=cells)
        title = {"title": f"{table.target}: held-out rows"}
        return self._wandb.plot_table(CHART, data, {column: column for column in columns}, title)


def _keep_its_files_in(folder: Path) -> None:
    """The library's own files belong into the run's folder, and its reports on itself are not sent.

    This is a process of its own: its environment is nobody else's.
    """
    for name in ("CONFIG_DIR", "CACHE_DIR", "DATA_DIR", "ARTIFACT_DIR"):
        os.environ[f"WANDB_{name}"] = str(folder / "library")
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ["NETRC"] = str(folder / "no-netrc")
