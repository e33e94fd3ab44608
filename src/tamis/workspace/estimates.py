"""Before a job: which base models it may start from here, and what training on some files would take, remembered.

Files never change under their ids, so an estimate is made once for the same files, base model and hyperparameters.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from tamis.jobs.aside import Check
from tamis.jobs.validation import Measured
from tamis.ml.cards import CARDS
from tamis.ml.offered import Offered, Presence, is_installed, offered
from tamis.settings import Settings
from tamis.workspace.jobs import Jobs, NewJob

__all__ = ["Estimates", "Measured", "Offered", "Presence"]

MOST_REMEMBERED = 256


class Estimates:
    """What a person wants to know before they start. All methods may be called from any thread."""

    def __init__(self, jobs: Jobs, settings: Settings) -> None:
        """Take what makes dry runs, and the operator's choices."""
        self._jobs, self._settings = jobs, settings
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Measured] = OrderedDict()

    def bases(self) -> list[Offered]:
        """Return the base models that a job may name, the operator's default first; names of folders stay here."""
        settings = self._settings
        default = settings.default_base_model
        named = {name: settings.resolve_base(name) for name in settings.base_aliases}
        own = next((name for name, base in named.items() if base == default), default)
        return offered([(own, default), *((name, name) for name in CARDS), *sorted(named.items())])

    def known(self, new: NewJob) -> Measured | None:
        """Return an estimate that was made before.

        Raises:
            InvalidRequest: a field of the job is not what it should be.
            UnknownFile: a file is not there.
        """
        with self._lock:
            return self._known.get(self._jobs.prepare(new).fingerprint)

    def measure(self, new: NewJob, check: Check = lambda: None) -> Measured:
        """Return what a job would come to; its files are read where that is not known yet.

        Raises:
            TamisError: as `Jobs.dry_run` does.
        """
        if (known := self.known(new)) is not None:
            return known
        found = self._jobs.dry_run(new, check)
        with self._lock:
            self._known[self._jobs.prepare(new).fingerprint] = found
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return found

    def tracks(self) -> bool:
        """Return whether jobs may report to Weights & Biases: the library is here, and nobody switched it off."""
        return self._settings.wandb_mode != "disabled" and is_installed("wandb")
