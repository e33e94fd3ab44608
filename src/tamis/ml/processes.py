"""Several processes that are one run, as torchrun and `accelerate launch` start them: which of them speaks and writes.

It does not know what they compute together.
"""

from __future__ import annotations

import os


def is_first() -> bool:
    """Whether this process is the only one, or the first of several: it alone writes files and tells how it goes."""
    return os.environ.get("RANK", "0") == "0" or os.environ.get("WORLD_SIZE", "1") == "1"
