"""Whether an error is that of a full disk, whoever raised it: the system, a database, a library in words of its own."""

from __future__ import annotations

import errno

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
_WORDS = ("No space left on device", "database or disk is full")
_POSTGRES = "53100"


def is_full(error: BaseException | None) -> bool:
    """Return whether there was no room on the disk, or in somebody's quota of it."""
    if error is None:
        return False
    known = getattr(error, "errno", None) in _NUMBERS or getattr(error, "sqlstate", None) == _POSTGRES
    return known or any(words in str(error) for words in _WORDS) or is_full(error.__cause__)
