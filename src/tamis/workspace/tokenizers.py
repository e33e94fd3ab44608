"""Texts as the tokens of a model's base: for callers who count them. It does not know how tokens are used."""

from __future__ import annotations

import threading
from collections import OrderedDict

from tamis.ml.cards import CARDS
from tamis.ml.tokenizing import Tokenizing
from tamis.settings import Settings
from tamis.workspace.bases import Bases
from tamis.workspace.models import Models

MOST_KEPT = 8
TOKENIZER = "tokenizer.json"


class Tokenizers:
    """Tokenizers of base models and of tuned ones. All methods may be called from any thread."""

    def __init__(self, models: Models, bases: Bases, settings: Settings) -> None:
        """Take the models, where base models come from, and what names of these stand for."""
        self._models, self._bases, self._settings = models, bases, settings
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Tokenizing] = OrderedDict()

    def tokens(self, model: str, text: str) -> list[tuple[int, str]]:
        """Return the tokens of a text: the id of each, and its string.

        Raises:
            UnknownModel: there is no model or base model of this name.
            Overloaded: the base model is still being fetched.
        """
        base = self._settings.resolve_base(model)
        if base != model or base in CARDS or base == self._settings.default_base_model:
            return self._tokenizing(f"base {base}", base)(text)
        record = self._models.find(model)
        return self._tokenizing(f"model {record.id}", str(self._models.folder(record) / TOKENIZER))(text)

    def _tokenizing(self, key: str, place: str) -> Tokenizing:
        if found := self._there(key):
            return found
        is_base = key.startswith("base ")
        made = Tokenizing(self._bases.load(place).tokenizer_json) if is_base else Tokenizing.of_file(place)
        with self._lock:
            self._kept[key] = made
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return made

    def _there(self, key: str) -> Tokenizing | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found
