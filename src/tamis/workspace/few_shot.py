"""Classification after a few examples, with no model of the user's: what examples must be, and what is remembered.

The same examples are learnt once: callers send them with every request. It does not know how learning goes.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence

from tamis.errors import InvalidRequest, UnknownBaseModel
from tamis.ml.cards import CARDS
from tamis.ml.few_shot import Embedder, FewShotModel, fit
from tamis.ml.static.base_model import StaticBase
from tamis.schema import Kind, Target
from tamis.settings import Settings
from tamis.workspace.bases import Bases
from tamis.workspace.verdicts import Verdicts, verdicts_of

MOST_EXAMPLES = 2500
LEAST_LABELS, LEAST_A_LABEL = 2, 2
MOST_REMEMBERED = 64
FALLBACK = "static-en"
HOSTED = frozenset(
    {
        *("small", "medium", "large", "multilingual-22-12"),
        *("embed-english-v2.0", "embed-english-light-v2.0", "embed-multilingual-v2.0"),
        *("embed-english-v3.0", "embed-english-light-v3.0", "embed-multilingual-v3.0", "embed-multilingual-light-v3.0"),
    }
)
"""Models of the hosted service that took examples: each stands for the base model."""

Examples = Sequence[tuple[str | None, str | None]]


class FewShot:
    """Answers after examples. All methods may be called from any thread."""

    def __init__(self, bases: Bases, settings: Settings) -> None:
        """Take where base models come from, and the operator's choice of one, and of limits."""
        self._bases, self._settings = bases, settings
        self._lock = threading.Lock()
        self._learning = threading.Lock()
        self._embedders: dict[str, Embedder] = {}
        self._known: OrderedDict[str, FewShotModel] = OrderedDict()

    def is_for(self, model: str | None) -> bool:
        """Return whether examples are learnt from under this name: none, or that of a base model."""
        settings = self._settings
        return model is None or model in HOSTED or model in CARDS or settings.resolve_base(model) != model

    def verdicts(self, examples: Examples, inputs: Sequence[str], model: str | None = None) -> Verdicts:
        """Return what is said of each input.

        Raises:
            InvalidRequest: the examples cannot be learnt from; the message names the example or the labels.
            Overloaded: the base model is still being fetched.
        """
        pairs = self._checked(examples)
        base = self._base(model)
        embed = self._embedder(base)
        learnt = self._learnt(base, pairs, embed)
        target = Target(name="label", kind=Kind.SINGLE_LABEL, labels=learnt.labels)
        return verdicts_of([target], {"label": learnt.scores(embed(inputs))}, {"label": None})

    def _checked(self, examples: Examples) -> list[tuple[str, str]]:
        if len(examples) > MOST_EXAMPLES:
            raise _invalid(f"{len(examples):,} examples, and {MOST_EXAMPLES:,} are allowed: train a model on more")
        pairs = []
        for place, (text, label) in enumerate(examples):
            for name, value in (("text", text), ("label", label)):
                if value is None or not value.strip():
                    raise _invalid(f"the example at index {place} has no {name}", place, name)
            pairs.append((str(text), str(label)))
        longest = self._settings.max_input_chars
        if (far := next((place for place, (text, _) in enumerate(pairs) if len(text) > longest), None)) is not None:
            raise _invalid(f"the example at index {far} has more than {longest:,} characters (max_input_chars)", far)
        if (size := sum(len(text) for text, _ in pairs)) > self._settings.max_request_chars:
            raise _invalid(
                f"{size:,} characters, and {self._settings.max_request_chars:,} are allowed (max_request_chars)"
            )
        counts = Counter(label for _, label in pairs)
        if len(counts) < LEAST_LABELS:
            raise _invalid(f"all have the label {pairs[0][1][:80]!r}: give examples of at least {LEAST_LABELS} labels")
        if rare := [label for label, count in counts.items() if count < LEAST_A_LABEL]:
            shown = ", ".join(repr(label[:80]) for label in rare[:10])
            raise _invalid(f"give at least {LEAST_A_LABEL} of each label; there are fewer of {shown}")
        return pairs

    def _base(self, model: str | None) -> str:
        name = self._settings.resolve_base(None if model in HOSTED else model)
        card = CARDS.get(name)
        return FALLBACK if card is not None and card.tier != "static" else name

    def _embedder(self, base: str) -> Embedder:
        with self._lock:
            found = self._embedders.get(base)
        if found is not None:
            return found
        loaded = self._bases.load(base)
        if not isinstance(loaded, StaticBase):
            loaded = self._bases.load(FALLBACK)
        if not isinstance(loaded, StaticBase):
            raise UnknownBaseModel(f"{base} is no static base model.", name=base)
        with self._lock:
            return self._embedders.setdefault(base, Embedder(loaded))

    def _learnt(self, base: str, pairs: list[tuple[str, str]], embed: Embedder) -> FewShotModel:
        key = hashlib.sha256(json.dumps([base, pairs]).encode()).hexdigest()
        with self._lock:
            if found := self._known.get(key):
                self._known.move_to_end(key)
                return found
        with self._learning:  # one at a time: who waits may find it done
            if found := self._known.get(key):
                return found
            learnt = fit(embed([text for text, _ in pairs]), [label for _, label in pairs])
            with self._lock:
                self._known[key] = learnt
                while len(self._known) > MOST_REMEMBERED:
                    self._known.popitem(last=False)
        return learnt


def _invalid(why: str, *place: str | int) -> InvalidRequest:
    where: list[str | int] = ["body", "examples", *place]
    return InvalidRequest(f"{'.'.join(map(str, where))}: {why}.", loc=where)
