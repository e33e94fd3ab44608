"""The one way to open labelled data: a file, a folder or the name of a dataset on the hub."""

from __future__ import annotations

import os
from pathlib import Path

from tamis.data.formats.files import open_file
from tamis.data.formats.hub import hub_id, open_dataset
from tamis.data.formats.options import ReadOptions, Source


def open_source(source: str | Path, options: ReadOptions | None = None) -> Source:
    """Return the source of rows at a place; what it is has been found out, no row has been read yet.

    Args:
        source: path of a JSONL, JSON, CSV (and the like), Parquet or Arrow file, plain or gzip; of a dataset folder;
            or `owner/dataset` of the hub, where there is no such path.
        options: how to read it; by default everything is detected.

    Raises:
        DataError: it cannot be read, is in no known format, is empty, or has no column of texts or labels.
        InvalidSetting: an option that does not fit it.
        MissingExtra: it needs a library that is not installed.
    """
    options = options or ReadOptions()
    given = str(source)
    path = Path(os.path.expanduser(given))  # where there is no such user, the path as it is
    if path.is_dir() or (not path.exists() and hub_id(given)):
        return open_dataset(given, options)
    return open_file(path, given, options)
