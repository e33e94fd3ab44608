"""Which files of a folder or hub dataset belong to which split, told by their names.

Works on relative paths alone; it opens nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from tamis.data.formats.detect import SUFFIXES
from tamis.errors import InvalidSetting, UnknownFormat

TRAIN, VALIDATION, TEST = "train", "validation", "test"

_WORDS = {
    "train": TRAIN, "training": TRAIN,
    "validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION, "dev": VALIDATION,
    "test": TEST, "testing": TEST, "eval": TEST, "evaluation": TEST,
}  # fmt: skip
_NOT_DATA = re.compile(r"(^|/)(\.|_|cache-|tmp)|(^|/)(dataset_infos?|dataset_dict|state|config)\.json$")

Splits = dict[str, list[str]]


def split_name(given: str) -> str:
    """Return the usual name of a split: "dev" and "val" are "validation"."""
    return _WORDS.get(given.lower(), given)


def suffix_of(path: str) -> str:
    """Return what a file's name ends with, compression aside."""
    return PurePosixPath(path.lower().removesuffix(".gz")).suffix


def data_files(paths: Iterable[str]) -> list[str]:
    """Return the files that hold rows, of the one format that most of them have."""
    files = sorted(path for path in paths if suffix_of(path) in SUFFIXES and not _NOT_DATA.search(path))
    counts = Counter(suffix_of(path) for path in files)
    usual = max(counts, key=lambda suffix: (counts[suffix], suffix == ".parquet"), default="")
    return [path for path in files if suffix_of(path) == usual]


def splits_by_name(paths: Sequence[str], place: str) -> Splits:
    """Return the files of each split; where no name says a split, all are training data.

    Raises:
        UnknownFormat: there are no data files.
    """
    files = data_files(paths)
    if not files:
        endings = ", ".join(sorted(SUFFIXES))
        raise UnknownFormat(f"{place} holds no data files: give files ending in {endings} (or these with .gz).")
    splits: Splits = {}
    for path in files:
        split = _split_in(path)
        if split:
            splits.setdefault(split, []).append(path)
    return {name: splits[name] for name in (TRAIN, VALIDATION, TEST) if name in splits} or {TRAIN: files}


def splits_by_config(configs: object, paths: Sequence[str], wanted: str | None, place: str) -> Splits | None:
    """Return the files of each split as a dataset card's `configs` list them; None if the card has none.

    Raises:
        InvalidSetting: there are several configurations and none, or an unknown one, was chosen.
    """
    if not isinstance(configs, list):
        return None
    by_name = {str(config.get("config_name")): config for config in configs if isinstance(config, Mapping)}
    with_files = {name: config for name, config in by_name.items() if config.get("data_files")}
    if not with_files:
        return None
    return _listed(with_files[chosen_config(with_files, wanted, place)]["data_files"], paths) or None


def chosen_config(configs: Mapping[str, Mapping[str, object]], wanted: str | None, place: str) -> str:
    """Return the name of the configuration to read.

    Raises:
        InvalidSetting: which one cannot be told.
    """
    if wanted is None:
        marked = [name for name, config in configs.items() if config.get("default") or len(configs) == 1]
        wanted = marked[0] if marked else "default"
    if wanted not in configs:
        raise InvalidSetting(
            f"{place} has the configurations {', '.join(configs)}: name one of them (config).", setting="config"
        )
    return wanted


def pick(splits: Mapping[str, object], wanted: str | None, place: str) -> str:
    """Return the split to read: the one asked for, else the training data, else the only one.

    Raises:
        InvalidSetting: there is none such.
    """
    if wanted is None and (TRAIN in splits or len(splits) == 1):
        return TRAIN if TRAIN in splits else next(iter(splits))
    for name in (wanted, split_name(wanted or "")):
        if name in splits:
            return str(name)
    asked = f"no split {wanted!r}" if wanted else "no training split"
    raise InvalidSetting(f"{place} has {asked}; it has {', '.join(splits)}. Name one of them (split).", setting="split")


def _split_in(path: str) -> str | None:
    """The split that the name of a file, or else of its nearest folder, says."""
    for part in reversed(PurePosixPath(path.lower()).parts):
        for word in re.split(r"[^a-z]+", part):
            if word in _WORDS:
                return _WORDS[word]
    return None


def _listed(given: object, paths: Sequence[str]) -> Splits:
    """The files that a card's `data_files` name: a pattern, a list of patterns, or splits with their patterns."""
    entries = given if isinstance(given, list) else [given]
    splits: Splits = {}
    for entry in entries:
        split, patterns = (entry.get("split"), entry.get("path")) if isinstance(entry, Mapping) else (TRAIN, entry)
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            matching = sorted(path for path in paths if fnmatchcase(path, str(pattern)))
            splits.setdefault(split_name(str(split)), []).extend(matching)
    return {split: files for split, files in splits.items() if files}
