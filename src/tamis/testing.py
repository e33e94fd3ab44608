"""Doubles for tests, those of programs that use Tamis too: small, quick, offline. Nothing in Tamis imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis.labelers.labeler import Labelled
    from tamis.schema import Input, Target

DIMENSIONS = 8

WORDS = (
    "where is my please refund the now how do i change thank you for it fine "
    "parcel package courier box delivery van card invoice bank price fee statement "
    "password email login profile username settings"
)
"""The words that the tiny base model knows, unless others are given."""


def tiny_base(folder: str | Path, words: Sequence[str] = tuple(WORDS.split()), *, dimensions: int = DIMENSIONS) -> Path:
    """Write a base model of a few words, in the format of model2vec, and return its folder: `train(..., base=str(it))`.

    It trains in milliseconds. The same words give the same bytes.

    Args:
        folder: where to; it must not exist yet.
        words: the words that it knows, lower case; it also knows full stop and question mark. Repeated ones count once.
        dimensions: of its embeddings, which are random.
    """
    import numpy as np
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace

    from tamis.ml.tensors import write_tensors

    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(["[UNK]", *words, ".", "?"]))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    place = Path(folder)
    place.mkdir(parents=True)
    tokenizer.save(str(place / "tokenizer.json"))
    matrix = np.random.default_rng(7).standard_normal((len(vocabulary), dimensions)).astype(np.float16)
    write_tensors(place / "model.safetensors", {"embeddings": matrix})
    return place


class ScriptedLabeler:
    """A labeler that says what a script says, without an LLM; it labels as `tamis.labelers.labeler.Labeler` does.

    Attributes:
        targets: what it labels.
        asked: the inputs that it was asked about, in their order.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        script: Callable[[Input], Mapping[str, Sequence[str]] | None],
        *,
        prompt_tokens: int = 100,
        completion_tokens: int = 10,
    ) -> None:
        """Take what it says: labels by target, or None for an input that it refuses.

        Args:
            targets: what is labelled.
            script: from an input to its labels by target; what is no label makes the answer invalid.
            prompt_tokens: that each question takes.
            completion_tokens: that each answer takes.
        """
        self.targets = tuple(targets)
        self.asked: list[Input] = []
        self._script, self._tokens = script, (prompt_tokens, completion_tokens)

    def label(
        self,
        inputs: Sequence[Input],
        *,
        told: Callable[[int, int], None] = lambda done, total: None,
        check: Callable[[], None] = lambda: None,
    ) -> list[Labelled]:
        """Return what the script says of each input."""
        found = []
        for done, given in enumerate(inputs, 1):
            check()
            self.asked.append(given)
            found.append(self._one(given))
            told(done, len(inputs))
        return found

    def _one(self, given: Input) -> Labelled:
        from tamis.labelers.answer_schema import choices
        from tamis.labelers.labeler import Labelled, Outcome
        from tamis.labelers.votes import vote

        said = self._script(given)
        if said is None:
            return Labelled(None, Outcome.REFUSED, "the script refuses it", 0.0, *self._tokens)
        good = {t.name: tuple(said[t.name]) for t in self.targets if set(said.get(t.name, "?")) <= set(choices(t))}
        whole = len(good) == len(self.targets)
        why = "" if whole else "the script says what is no label"
        kind = Outcome.ANSWERED if whole else Outcome.INVALID
        return Labelled(vote(self.targets, [good]), kind, why, 0.0, *self._tokens, samples=int(whole))
