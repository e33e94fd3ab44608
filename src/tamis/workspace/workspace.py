"""The workspace itself: one store with everything that is done with it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Self

from tamis.errors import InvalidSetting, StorageFailed
from tamis.jobs.states import LIVE, Status
from tamis.serving.batching import Answerer
from tamis.settings import Settings
from tamis.store.opening import Store, open_store
from tamis.workspace.aliases import Aliases
from tamis.workspace.bases import Bases
from tamis.workspace.batches import Batches
from tamis.workspace.classifying import Classifier
from tamis.workspace.comparisons import Comparisons
from tamis.workspace.datasets import Datasets
from tamis.workspace.estimates import Estimates
from tamis.workspace.evaluations import Evaluations
from tamis.workspace.exports import Exports
from tamis.workspace.few_shot import FewShot
from tamis.workspace.files import Files
from tamis.workspace.jobs import Jobs
from tamis.workspace.keys import Keys
from tamis.workspace.looks import Looks
from tamis.workspace.manifests import Manifests
from tamis.workspace.models import Models
from tamis.workspace.operations import Operations
from tamis.workspace.promotions import Promotions
from tamis.workspace.retraining import Retraining
from tamis.workspace.reviews import Reviews
from tamis.workspace.room import Room
from tamis.workspace.sessions import Sessions
from tamis.workspace.shares import Shares
from tamis.workspace.thresholds import Thresholds
from tamis.workspace.tokenizers import Tokenizers
from tamis.workspace.tuning import Tuning


class Workspace:
    """Files, jobs, models, batch jobs and keys over one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Take the store and the operator's choices."""
        self.store, self.settings = store, settings
        self.files = Files(store, settings.max_upload_bytes, Room(store, settings))
        self.jobs = Jobs(store, self.files, settings)
        self.estimates = Estimates(self.jobs, settings)
        self.models = Models(store, settings)
        self.aliases = Aliases(store, self.models)
        self.batches = Batches(store, self.files, self.models, settings)
        self.keys = Keys(store)
        self.sessions = Sessions(store, self.keys)
        self.datasets = Datasets(store, self.files, settings)
        self.reviews = Reviews(store, self.files, self.datasets, settings)
        self.operations = Operations(store, self.files.room, settings)
        self.models.tell_when_gone(self.operations.forget_model)
        self.comparisons = Comparisons(self.models, self.files, self.operations, settings)
        self.evaluations = Evaluations(self.operations, self.models, self.files)
        self.exports = Exports(self.operations, self.models)
        self.manifests = Manifests(self.models)
        self.looks = Looks(store, self.models, self.files, self.reviews, self.operations)
        self.retraining = Retraining(self.looks, self.jobs, store, settings)
        self.promotions = Promotions(self.aliases, self.models, self.files, self.operations, settings)
        self.thresholds = Thresholds(self.models, self.files.room)
        self.shares = Shares(store, self.models, self.keys)
        self.tuning = Tuning(store, self.jobs, self.models, self.datasets)
        self.classifier = Classifier(self.models, settings)
        self.answerer = Answerer(self.classifier)
        bases = Bases(settings.request_timeout_s)
        self.few_shot = FewShot(bases, settings)
        self.tokenizers = Tokenizers(self.models, bases, settings)

    def missing(self) -> dict[str, str]:
        """Return what keeps the server from serving, by name: nothing where it is ready.

        Raises:
            StorageFailed: the database cannot be used.
        """
        missing = {}
        self.store.jobs.live()
        try:
            self.store.objects.exists("files/is-it-there")
        except StorageFailed as error:
            missing["storage"] = error.message
        return missing

    def queue_lengths(self) -> dict[str, int]:
        """Return how many jobs and batch jobs there are in each state that is not final.

        Raises:
            StorageFailed: the database cannot be used.
        """
        counts = Counter(self.store.jobs.counts()) + Counter(self.store.batches.counts())
        return {status.value: counts.get(status.value, 0) for status in Status if status in LIVE}

    def close(self) -> None:
        """End what is at work for this process alone, and let go of the store."""
        self.reviews.close()
        self.operations.close()
        with suppress(StorageFailed):  # the database may be gone by now
            self.classifier.note_uses()
        self.store.close()

    def __enter__(self) -> Self:
        """The workspace."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()


def open_workspace(settings: Settings) -> Workspace:
    """Open the home's workspace; the home is made where it is missing.

    Raises:
        StorageFailed: the database or the storage cannot be used.
        InvalidSetting: the home cannot be made.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(f"The home {settings.home} cannot be made: {error.strerror}. Set TAMIS_HOME.") from error
    return Workspace(open_store(settings.database, settings.storage, settings.secret), settings)
