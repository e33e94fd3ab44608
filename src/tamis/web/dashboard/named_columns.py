"""The fold of forms with a file, in which people say which of its columns is what, where that is not found out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

COLUMNS = ("text_column", "label_columns", "label_separator")
"""The fields of the fold."""


def named_columns(said: Callable[[str], str]) -> dict[str, Any]:
    """Return what the fold of a form says, by its fields; `said` gives what stands in one."""
    labels = [each.strip() for each in said("label_columns").split(",")]
    return {
        "text_column": said("text_column").strip() or None,
        "label_columns": tuple(filter(None, labels)),
        "label_separator": said("label_separator").strip() or None,
    }
