"""Inputs as token ids, the same for training and for serving: what is cut, in windows or not, and how chats are told.

A text keeps its beginning unless it is an `Ending`, a chat its end: what was said last matters most. It knows neither
torch nor transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tamis.ml.encoder.templates import ChatTemplate
from tamis.ml.portions import portions
from tamis.ml.progress import Check, nothing
from tamis.schema import Ending, Input

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int32]
Ints = NDArray[np.int64]

AT_ONCE = 1_000
CHARACTERS_PER_TOKEN = 16
"""Of a text, so many characters a token are looked at first: hardly any has more, and a book need not be read whole."""

LONGEST = 1 << 20
"""Characters of a text that are looked at, at most, unless a longer sequence has room for more: the first, or of a chat
the last. Among so many there are more tokens than are kept, unless nearly all are spaces, or it is one endless word."""

PORTION = 1 << 21
"""Characters that are given to the tokenizer at once."""

MARGIN = 16
"""Tokens beyond those that are kept, so that where the text was broken off makes no difference to them."""

OVERLAP = 8
"""Of a window's tokens, this part is in the window before, too."""

MOST_WINDOWS = 8

_LAST_SPACE = re.compile(r"\s\S*\Z")
_FIRST_SPACE = re.compile(r"\s")


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Inputs as sequences of tokens; an input has one, or several where long texts are read in windows.

    Attributes:
        ids: (tokens,) all sequences, one after the other.
        offsets: (sequences + 1,) sequence s is `ids[offsets[s]:offsets[s + 1]]`.
        first: (inputs + 1,) the sequences of input i are `first[i]` to `first[i + 1]`.
        cut: the inputs of which something was left out.
        n_lines: chats that were written as lines because the chat template refused them.
    """

    ids: Ids
    offsets: Ints
    first: Ints
    cut: tuple[int, ...] = ()
    n_lines: int = 0

    def __len__(self) -> int:
        """Inputs."""
        return len(self.first) - 1

    @property
    def n_cut(self) -> int:
        """Inputs of which something was left out."""
        return len(self.cut)

    @property
    def lengths(self) -> Ints:
        """(sequences,) tokens of each."""
        return np.diff(self.offsets)

    @property
    def in_windows(self) -> bool:
        """Whether an input has several sequences."""
        return len(self.offsets) != len(self.first)

    @property
    def tokens_of_inputs(self) -> Ints:
        """(inputs,) tokens of each, over all its sequences."""
        return np.diff(self.offsets[self.first])

    def select(self, rows: Ints) -> Encoded:
        """The same for some inputs, in the order of `rows`."""
        sequences, of_input = _ranges(self.first[rows], np.diff(self.first)[rows])
        places, offsets = _ranges(self.offsets[sequences], self.lengths[sequences])
        return Encoded(self.ids[places], offsets, of_input)

    def padded(self, sequences: Ints, pad_id: int) -> tuple[Ints, Ints]:
        """Return ids and mask, both (sequences, longest) int64, padded on the right."""
        lengths = self.lengths[sequences]
        mask = np.arange(lengths.max(initial=1)) < lengths[:, None]
        ids = np.full(mask.shape, pad_id, dtype=np.int64)
        ids[mask] = self.ids[self.places(sequences)]
        return ids, mask.astype(np.int64)

    def places(self, sequences: Ints) -> Ints:
        """Return where the tokens of some sequences stand in `ids`, one sequence after the other."""
        return _ranges(self.offsets[sequences], self.lengths[sequences])[0]

    def sequences_of(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return the sequences of some inputs, and for each of these the place of its input in `rows`."""
        counts = np.diff(self.first)[rows]
        sequences, _ = _ranges(self.first[rows], counts)
        return sequences, np.repeat(np.arange(len(rows)), counts)


def _ranges(starts: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Return `starts[i], starts[i] + 1, …` (`counts[i]` of them) for all i, and where those of each i begin."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1]), offsets


def tokens_read(max_length: int, windows: int) -> int:
    """Return how many tokens of a text windows of so many read at most: of sequences with marks, some less."""
    return max_length + (windows - 1) * _step(max_length)


def _step(room: int) -> int:
    """From the beginning of a window to that of the next."""
    return max(1, room - room // OVERLAP)


class Encoding:
    """Turns inputs into token ids, as one base model wants them."""

    def __init__(
        self,
        tokenizer_json: bytes,
        *,
        max_length: int,
        windows: int = 1,
        template: ChatTemplate | None = None,
        empty_id: int = 0,
    ) -> None:
        """Read the tokenizer.

        Args:
            tokenizer_json: as `tokenizers.Tokenizer.from_buffer` reads it; its own truncation and padding are left out.
            max_length: tokens of a sequence at most, with those that mark its beginning and end.
            windows: sequences of a text at most; 1 cuts it.
            template: for chats.
            empty_id: the token that stands for an input without any.
        """
        from tokenizers import Tokenizer

        self._tokenizer: Tokenizer = Tokenizer.from_buffer(tokenizer_json)
        self._template = template or ChatTemplate()
        self._before, self._after = marks_of(self._tokenizer)
        self._empty = np.array([empty_id], dtype=np.int32)
        room = max(1, max_length - len(self._before) - len(self._after))
        self.max_length, self.windows, self._room = max_length, windows, room

    def encode(self, inputs: Sequence[Input], check: Check = nothing) -> Encoded:
        """Return the ids of all inputs; `check` is called between portions of them."""
        sequences, counts, cut, n_lines = list[Ids](), list[int](), list[int](), 0
        for start in range(0, len(inputs), AT_ONCE):
            check()
            some = inputs[start : start + AT_ONCE]
            texts = [self._told(given) for given in some]
            for told, tokens in zip(texts, self._tokens(texts), strict=True):
                pieces, is_cut = self._pieces(told, tokens)
                if is_cut:
                    cut.append(len(counts))
                sequences += pieces
                counts.append(len(pieces))
                n_lines += told.refused
        lengths = np.array([len(ids) for ids in sequences], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        flat = np.concatenate(sequences) if sequences else np.zeros(0, dtype=np.int32)
        return Encoded(flat, offsets, first, tuple(cut), n_lines)

    def reach(self, text: str) -> int:
        """Return how many characters of a text are read, from its beginning."""
        most = tokens_read(self._room, self.windows)
        told = _Told(text).without(self._beyond)
        for some in (told.clipped(self._looked_at), told.text):
            whole = some.encode("utf-8", "replace").decode("utf-8")  # no halves of surrogate pairs
            ends = self._tokenizer.encode(whole, add_special_tokens=False).offsets
            if len(ends) > most:
                return ends[most - 1][1]
            if len(some) == len(told.text):
                break
        return len(told.text)

    def _told(self, given: Input) -> _Told:
        return self._as_told(given).without(self._beyond)

    @property
    def _looked_at(self) -> int:
        """Characters of a text that are looked at first."""
        return CHARACTERS_PER_TOKEN * self._room * self.windows + 64

    @property
    def _beyond(self) -> int:
        """Characters of a text that are looked at, at most."""
        return max(LONGEST, self._looked_at)

    def _as_told(self, given: Input) -> _Told:
        if isinstance(given, str):
            return _Told(given, ends=isinstance(given, Ending))
        text, by_template = self._template(given)
        if not by_template:
            refused = self._template.is_usable and bool(given)
            return _Told(text, ends=True, is_chat=True, refused=refused)
        bos = self._template.special.get("bos_token", "")
        opened = bool(bos) and text.startswith(bos)
        lead = self._tokenizer.token_to_id(bos) if opened else None
        return _Told(text[len(bos) :] if lead is not None else text, ends=True, is_chat=True,
                     lead=() if lead is None else (lead,), by_template=True)  # fmt: skip

    def _tokens(self, texts: Sequence[_Told]) -> list[Ids]:
        """The ids of each text without marks; of a very long one at least as many as are kept."""
        most = self._room * self.windows
        clipped = [told.clipped(self._looked_at) for told in texts]
        made = [ids for some in portions(clipped, PORTION) for ids in self._ids(some)]
        for place, (told, text) in enumerate(zip(texts, clipped, strict=True)):
            if len(text) < len(told.text) and len(made[place]) < most + MARGIN:
                made[place] = self._ids([told.text])[0]
        return made

    def _ids(self, texts: list[str]) -> list[Ids]:
        texts = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]  # no halves of surrogate pairs
        made = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(each.ids, dtype=np.int32) for each in made]

    def _pieces(self, told: _Told, tokens: Ids) -> tuple[list[Ids], bool]:
        """The sequences of a text, and whether something was left out."""
        before, after = (told.lead, ()) if told.by_template else (self._before, self._after)
        room = self.max_length - len(before) - len(after) if told.by_template else self._room
        most = max(1, room)
        step = _step(most)
        reach = tokens_read(most, 1 if told.is_chat else self.windows)
        kept = tokens[-reach:] if told.ends else tokens[:reach]
        starts = range(0, max(1, len(kept) - most + step), step)
        pieces = [self._marked(before, kept[start : start + most], after) for start in starts]
        return pieces, told.cut or len(tokens) > reach

    def _marked(self, before: Sequence[int], tokens: Ids, after: Sequence[int]) -> Ids:
        if not len(before) and not len(after):
            return tokens if len(tokens) else self._empty
        return np.concatenate([np.array(before, np.int32), tokens, np.array(after, np.int32)])


@dataclass(frozen=True, slots=True)
class _Told:
    """An input as one text: whether its end is kept, and what stands before what the chat template made."""

    text: str
    ends: bool = False
    is_chat: bool = False
    refused: bool = False
    lead: tuple[int, ...] = ()
    by_template: bool = False
    cut: bool = False

    def without(self, beyond: int) -> _Told:
        """The same without what is beyond so many characters."""
        if len(self.text) <= beyond:
            return self
        return replace(self, text=self.text[-beyond:] if self.ends else self.text[:beyond], cut=True)

    def clipped(self, most: int) -> str:
        """The beginning or the end of the text, to a space."""
        if len(self.text) <= most:
            return self.text
        if self.ends:
            end = self.text[-most:]
            space = _FIRST_SPACE.search(end)
            return end[space.start() :] if space else self.text
        begin = self.text[:most]
        space = _LAST_SPACE.search(begin)
        return begin[: space.start()] if space else self.text


def marks_of(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Let a tokenizer neither cut nor fill up, and return the ids that it puts before and after each text."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    made = tokenizer.encode("a")
    inner = [place for place, special in enumerate(made.special_tokens_mask) if not special]
    if not inner:
        return tuple(made.ids), ()
    return tuple(made.ids[: inner[0]]), tuple(made.ids[inner[-1] + 1 :])


def encoding_of(tokenizer_json: bytes, facts: Mapping[str, object], template: ChatTemplate) -> Encoding:
    """Return the encoding that a manifest describes: `max_length`, `windows` and `empty_id` of its architecture."""
    numbers = {name: value for name, value in facts.items() if name in ("max_length", "windows", "empty_id")}
    chosen = {name: int(value) for name, value in numbers.items() if isinstance(value, int)}
    return Encoding(
        tokenizer_json,
        max_length=chosen["max_length"],
        windows=chosen.get("windows", 1),
        empty_id=chosen.get("empty_id", 0),
        template=template,
    )
