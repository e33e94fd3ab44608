"""A tokenizer as its tokens show themselves. It does not know whose it is."""

from __future__ import annotations

from pathlib import Path

from tamis.ml.tokenizer_check import MAX_TOKENIZER, refuse_hostile
from tamis.ml.untrusted import damaged, map_file


class Tokenizing:
    """Cuts texts into tokens, those that begin or end a text left out."""

    def __init__(self, tokenizer_json: bytes) -> None:
        """Read the tokenizer.

        Raises:
            ValueError: it is none, or made to take for ever.
        """
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
        refuse_hostile(self._tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @classmethod
    def of_file(cls, path: str | Path) -> Tokenizing:
        """Read the tokenizer of a file.

        Raises:
            DamagedArtifact: it is none, or made to take for ever.
        """
        place = Path(path)
        try:
            return cls(map_file(place, limit=MAX_TOKENIZER).tobytes())
        except ValueError as error:
            raise damaged(place, f"it is not a tokenizer that can be used ({error})") from error

    def __call__(self, text: str) -> list[tuple[int, str]]:
        """Return the id and the string of each token."""
        encoded = self._tokenizer.encode(text.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False)
        return list(zip(encoded.ids, encoded.tokens, strict=True))
