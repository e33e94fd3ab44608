"""Dataset folders and datasets of the Hugging Face hub: their splits, and the files of each.

Files are read by the same readers as any other file; no code of a dataset is run. It does not know their rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tamis.data.formats.detect import SUFFIXES
from tamis.data.formats.files import FilesSource
from tamis.data.formats.options import ReadOptions
from tamis.data.formats.split_files import (
    TEST,
    TRAIN,
    VALIDATION,
    Splits,
    chosen_config,
    data_files,
    pick,
    splits_by_config,
    splits_by_name,
    suffix_of,
)
from tamis.errors import MissingExtra, UnknownFormat, UnreadableFile, first_line
from tamis.extras import require

CONVERTED = "refs/convert/parquet"
"""Where the hub keeps a Parquet copy of datasets that are in other forms."""

_ID = re.compile(r"(hf://datasets/)?(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")


@dataclass(frozen=True, slots=True)
class _Found:
    """The splits of a place, and how to get one of its files."""

    name: str
    splits: Splits
    folder: Path | None = None
    revision: str | None = None
    classes: dict[str, tuple[str, ...]] | None = None

    def files(self, split: str) -> list[tuple[Path, str]]:
        """The files of a split, on this machine, with the names to call them by."""
        return [(self._local(path), f"{self.name}/{path}") for path in self.splits[split]]

    def _local(self, path: str) -> Path:
        if self.folder is not None:
            return self.folder / path
        hub: Any = require("huggingface_hub", "data")
        with _hub_errors(hub, self.name):
            return Path(hub.hf_hub_download(self.name, path, repo_type="dataset", revision=self.revision))


def hub_id(given: str) -> str | None:
    """Return `owner/dataset` if that is what was given, and no path to a file."""
    found = _ID.fullmatch(given)
    return found["id"] if found and (found[1] or suffix_of(given) not in SUFFIXES) else None


def open_dataset(given: str, options: ReadOptions) -> FilesSource:
    """Return one split of a folder or hub dataset.

    Raises:
        DataError: it is not there, or holds no data.
        InvalidSetting: the split or configuration is not there.
        MissingExtra: it is on the hub and huggingface_hub is not installed.
    """
    found = _find(given, options)
    split = pick(found.splits, options.split, found.name)
    return FilesSource(
        found.name,
        split,
        found.files(split),
        replace(options, class_names={**(found.classes or {}), **options.class_names}),
    )


def hub_splits(source: str | Path, options: ReadOptions | None = None) -> tuple[str, ...]:
    """Return the splits of a folder or hub dataset, of train, validation and test the first; () for a file."""
    given = str(source)
    if not Path(os.path.expanduser(given)).is_dir() and (Path(given).exists() or hub_id(given) is None):
        return ()
    splits = _find(given, options or ReadOptions()).splits
    usual = [name for name in (TRAIN, VALIDATION, TEST) if name in splits]
    return (*usual, *(name for name in splits if name not in usual))


def _find(given: str, options: ReadOptions) -> _Found:
    folder = Path(os.path.expanduser(given))
    if folder.is_dir():
        return _in_folder(folder, given.rstrip("/"), options)
    identifier = hub_id(given)
    if identifier is None:
        raise UnreadableFile(f"There is no file {given}: check the path.", file=given)
    return _on_hub(identifier, options)


def _in_folder(folder: Path, name: str, options: ReadOptions) -> _Found:
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    card = _card(folder / "README.md")
    splits = splits_by_config(card.get("configs"), paths, options.config, name) if card else None
    return _Found(
        name, splits or splits_by_name(_of_config(paths, options), name), folder, None, _classes(card, options)
    )


def _card(path: Path) -> dict[str, Any]:
    """The head of a dataset's README; {} if it says nothing of configurations or features."""
    text = path.read_text("utf-8", errors="replace")[: 2**20] if path.is_file() else ""
    if not text.startswith("---") or not re.search(r"^(configs|dataset_info):", text, re.MULTILINE):
        return {}
    hub: Any = require("huggingface_hub", "data")
    try:
        return dict(hub.DatasetCard(text).data.to_dict())
    except Exception as error:  # those of its YAML library too
        message = (
            f"{path}: its head is not a dataset card's ({first_line(error)}). Correct it, or give the files by name."
        )
        raise UnreadableFile(message, file=str(path)) from error


def _on_hub(identifier: str, options: ReadOptions) -> _Found:
    hub = _hub(identifier)
    with _hub_errors(hub, identifier):
        info = hub.HfApi().dataset_info(identifier)
        card = info.card_data.to_dict() if info.card_data else {}
        paths = [sibling.rfilename for sibling in info.siblings or ()]
        if not data_files(paths):
            info = hub.HfApi().dataset_info(identifier, revision=CONVERTED)
            return _Found(identifier, _converted(info, options, identifier), None, info.sha, _classes(card, options))
    splits = splits_by_config(card.get("configs"), paths, options.config, identifier)
    splits = splits or splits_by_name(_of_config(paths, options), identifier)
    return _Found(identifier, splits, None, info.sha, _classes(card, options))


def _hub(identifier: str) -> Any:  # noqa: ANN401  a third party's module
    try:
        return require("huggingface_hub", "data")
    except MissingExtra as error:
        message = (
            f"There is no file or folder {identifier}. To read it as a dataset of the hub: pip install 'tamis[data]'"
        )
        raise MissingExtra(message, module="huggingface_hub", extra="data") from error


def _converted(info: Any, options: ReadOptions, identifier: str) -> Splits:  # noqa: ANN401
    """The splits of the hub's own Parquet copy: `config/split/0000.parquet`."""
    paths = [sibling.rfilename for sibling in info.siblings or () if sibling.rfilename.count("/") == 2]
    configs: dict[str, Any] = {path.split("/")[0]: {} for path in paths}
    if not configs:
        raise UnknownFormat(f"{identifier} holds no files that Tamis reads: export it as Parquet, CSV or JSONL.")
    config = chosen_config(configs, options.config, identifier)
    return splits_by_name([path for path in paths if path.startswith(f"{config}/")], identifier)


def _of_config(paths: Sequence[str], options: ReadOptions) -> list[str]:
    """The files in the folder that the configuration names, if there is one."""
    inside = [path for path in paths if options.config and f"/{path}".find(f"/{options.config}/") >= 0]
    return inside or list(paths)


def _classes(card: dict[str, Any], options: ReadOptions) -> dict[str, tuple[str, ...]]:
    """Names of class numbers as a dataset card lists its features."""
    infos = card.get("dataset_info") or []
    infos = infos if isinstance(infos, list) else [infos]
    chosen = [info for info in infos if len(infos) == 1 or info.get("config_name") == (options.config or "default")]
    features = [feature for info in chosen for feature in info.get("features") or []]
    named = {str(feature.get("name")): _names(feature) for feature in features if isinstance(feature, dict)}
    return {name: names for name, names in named.items() if names}


def _names(feature: dict[str, Any]) -> tuple[str, ...]:
    """The names in a card's `{"dtype": {"class_label": {"names": {"0": "a", ...}}}}`, also of a list of such."""
    kind = feature.get("dtype") or feature.get("sequence") or feature.get("list")
    names = kind.get("class_label", {}).get("names") if isinstance(kind, dict) else None
    if isinstance(names, dict):
        return tuple(str(names[key]) for key in sorted(names, key=int))
    return tuple(map(str, names)) if isinstance(names, list) else ()


@contextmanager
def _hub_errors(hub: Any, identifier: str) -> Iterator[None]:  # noqa: ANN401
    """Turn what goes wrong on the way to the hub into an error that says what to do."""
    try:
        yield
    except hub.errors.GatedRepoError as error:
        message = (
            f"The hub dataset {identifier} asks for permission: accept its terms there, then log in (hf auth login)."
        )
        raise UnreadableFile(message) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError) as error:
        raise UnreadableFile(
            f"{identifier} is neither a file here nor a dataset with readable files on the hub: check the name."
        ) from error
    except (*hub.errors.HfHubHTTPError.__bases__, OSError, ValueError) as error:  # those of its HTTP library too
        raise UnreadableFile(
            f"{identifier} is no file here, and the hub cannot be asked for it ({first_line(error)}). Check the path "
            "or the network."
        ) from error
