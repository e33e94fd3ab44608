"""Answers with the workspace's models: names resolved, models kept loaded.

What a name stands for is remembered and looked at again when any model or alias has changed: at once where this process
changed it, else at most twice a second, so that an answer costs no SQL. Nothing here is asynchronous: callers decide
what runs where.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import orjson

from tamis.endpoints import Answering, Floats
from tamis.errors import TamisError, UnknownModel
from tamis.ml.encoder.session import use_threads
from tamis.ml.explaining import Asked
from tamis.ml.model import load
from tamis.ml.predictor import Predictor
from tamis.schema import Input
from tamis.serving.pool import Figures, Pool
from tamis.settings import Settings
from tamis.store.records import ModelRecord
from tamis.workspace.models import Models
from tamis.workspace.verdicts import Verdicts, verdicts_of

FRESH_S = 0.5
MOST_NAMES = 10_000
NOTED_S = 60.0
"""Seconds between two notes that the same model was asked."""

MOST_MOVES = 5
"""How often a name may move to another model, and the former one be deleted, while one request looks for it."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Served:
    """A loaded model, and the scores that it will be asked for next where they are known already."""

    record: ModelRecord
    predictor: Predictor
    answering: Answering
    n_labels: int
    chats: bool = False  # whether it learnt from chats
    known: Mapping[str, Floats] | None = None

    def scores(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """Return (inputs, labels) scores by target."""
        return self.predictor.checked_scores(inputs) if self.known is None else self.known

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """Return the places of inputs of which the model reads only a part."""
        return self.predictor.too_long(inputs)

    def knowing(self, scores: Mapping[str, Floats]) -> Served:
        """Return the same model with the scores that it will be asked for next."""
        return replace(self, known=scores)

    def verdicts(self, inputs: Sequence[Input]) -> Verdicts:
        """Return what the model says of each input, all targets in one list of labels."""
        thresholds = {target.name: self.predictor.thresholds(target.name) for target in self.predictor.targets}
        return verdicts_of(self.predictor.targets, self.scores(inputs), thresholds)


class Classifier:
    """Answers of a workspace's models. All methods may be called from any thread."""

    def __init__(self, models: Models, settings: Settings) -> None:
        """Take the models, and how much memory those that are loaded may take."""
        use_threads(settings.inference_threads)
        self._models = models
        self._pool: Pool[Served] = Pool(self._load, settings.model_memory_mb * 1_000_000)
        self._ids: dict[str, str] = {}
        self._generation = -1
        self._fresh_until = 0.0
        self._changes = models.changes
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._noted: dict[str, float] = {}
        models.tell_when_gone(self._pool.forget)

    def ready(self, reference: str) -> Served | None:
        """Return the model if it is loaded and its name was looked at lately: quick enough for an event loop."""
        if not self._fresh():
            return None
        model_id = self._ids.get(reference)
        return None if model_id is None else self._pool.ready(model_id)

    def served(self, reference: str) -> Served:
        """Return the model, found and loaded first if need be.

        Raises:
            UnknownModel: there is none of this name, or it is archived.
            ModelError: it cannot be loaded.
        """
        self._refresh()
        model_id = self._ids.get(reference) or self._look_up(reference)
        for _ in range(MOST_MOVES):
            try:
                found = self._pool.get(model_id)
                self.note_uses(NOTED_S)
                return found
            except UnknownModel:  # gone since its name was looked up, which may stand for another one by now
                model_id = self._look_up(reference)
        return self._pool.get(model_id)

    def labels(self, served: Served) -> int:
        """Return how many scores an input gets from a model."""
        return served.n_labels

    def slow(self, served: Served) -> Served | None:
        """Return the model if its scores take long: an encoder's do."""
        return None if served.predictor.quick else served

    def answer(self, endpoint: str, reference: str, inputs: Sequence[Input], served: Served) -> bytes:
        """Return the body of the answer, as JSON.

        Raises:
            InvalidRequest: the endpoint moderates, and the model cannot.
        """
        return orjson.dumps(served.answering.answer(endpoint, reference, served.scores(inputs)))

    def answer_explained(
        self, endpoint: str, reference: str, inputs: Sequence[Input], top: int, served: Served
    ) -> bytes:
        """Return the same with `explanations`, one an input: the `top` pieces that move each label most."""
        body = served.answering.answer(endpoint, reference, served.scores(inputs))
        found = served.predictor.explain(inputs, Asked(top=top))
        return orjson.dumps(body | {"explanations": [each.to_json() for each in found]})

    def note_uses(self, every_s: float = 0.0) -> None:
        """Note which models were asked since this was done last, each once in so many seconds.

        Requests do so that come after a while: those in between only leave their model's id.
        """
        now = monotonic()
        with self._lock:
            self._asked |= self._pool.asked()
            due = {model_id for model_id in self._asked if now - self._noted.get(model_id, -every_s) >= every_s}
            self._asked -= due
            self._noted |= dict.fromkeys(due, now)
        if due:
            self._models.note_use(due)

    def figures(self) -> Figures:
        """Return what is loaded."""
        return self._pool.figures()

    def _look_up(self, reference: str) -> str:
        seen = self._generation
        model_id = self._models.answering(reference).id
        with self._lock:
            if len(self._ids) >= MOST_NAMES:
                self._ids.clear()
            if seen == self._generation:  # else it may have moved between the look and now, and all was forgotten
                self._ids[reference] = model_id
        return model_id

    def _refresh(self) -> None:
        """Forget what names stand for, and models that are no more, if anything has changed since the last look."""
        if self._fresh():
            return
        with self._lock:
            if self._fresh():
                return
            changes = self._models.changes
            generation = self._models.generation()
            if generation != self._generation:
                self._ids.clear()
                for model_id in self._models.gone(self._pool.known()):  # another process may have seen to that
                    self._pool.forget(model_id)
                self._generation = generation
            self._changes, self._fresh_until = changes, monotonic() + FRESH_S

    def _fresh(self) -> bool:
        """Whether what names stand for need not be looked at again yet."""
        return monotonic() <= self._fresh_until and self._changes == self._models.changes

    def _load(self, model_id: str) -> tuple[Served, int]:
        record = self._models.answering(model_id)
        try:
            model = load(self._models.folder(record))
        except (TamisError, OSError):
            self._models.answering(model_id)  # it may have been deleted while it was read: that is what is to be said
            raise
        predictor, chats = model.predictor, model.manifest.training.get("chats") is True
        thresholds = {target.name: predictor.thresholds(target.name) for target in predictor.targets}
        n_labels = sum(len(target.labels) for target in predictor.targets)
        answering = Answering(predictor.targets, thresholds, predictor.judged)
        return Served(record, predictor, answering, n_labels, chats), record.bytes
