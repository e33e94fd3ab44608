"""The artifact: a model as a folder that anyone can read, written whole or not at all, refused where it is not right.

`manifest.json`, `model.safetensors`, `tokenizer.json`, what else the tier needs, and `README.md`; see
docs/reference/artifact.md. It does not know how a model computes: golden rows are the predictor's to check.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from tamis.errors import DamagedArtifact, ModelError, OutputExists, UnknownModel, UnsupportedArtifact
from tamis.ml.folder_swap import sync, written_beside
from tamis.ml.manifest import FORMAT, UPGRADES, FileEntry, Manifest, upgrade
from tamis.ml.model_card import model_card
from tamis.ml.scorer import Contents
from tamis.ml.tensors import parse_tensors, write_tensors
from tamis.ml.tiers import TIERS
from tamis.ml.untrusted import Bytes, damaged, map_file, parse_object, render_json

MANIFEST = "manifest.json"
CARD = "README.md"
TENSORS = "model.safetensors"
TOKENIZER = "tokenizer.json"

MAX_MANIFEST = 64 << 20
MAX_TOKENIZER = 128 << 20

_SEAL = '  "manifest_sha256": "'


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A model's folder, checked and open.

    `files` are the read-only memory maps of all files but the manifest and the card, by name; `tokenizer_json` is empty
    for a model without a tokenizer.
    """

    folder: Path
    manifest: Manifest
    files: Mapping[str, Bytes]

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Read-only views of the memory map.

        Raises:
            DamagedArtifact: the file is not what it says.
            UnsupportedArtifact: it has tensors of a type that numpy does not have.
        """
        return parse_tensors(self.files[TENSORS], self.folder / TENSORS)

    @property
    def tokenizer_json(self) -> bytes:
        """The tokenizer's file."""
        return self.files[TOKENIZER].tobytes() if TOKENIZER in self.files else b""


def write_artifact(
    folder: Path,
    manifest: Manifest,
    contents: Contents,
    *,
    overwrite: bool = False,
) -> Manifest:
    """Write a model's folder, whole or not at all, and return its manifest with the files in it.

    It is written beside `folder`, flushed to disk, and then takes its place: a crash leaves the old state.

    Args:
        folder: where to; the folders above it are made.
        manifest: all but `files`, which is filled in here.
        contents: the other files.
        overwrite: replace an artifact that is there.

    Raises:
        OutputExists: something is there that is not an artifact, or `overwrite` is not given.
        ModelError: the disk is full, or the place may not be written.
    """
    folder = Path(folder).resolve()
    refuse_output(folder, overwrite=overwrite)
    try:
        with written_beside(folder) as partial:
            _write_contents(partial, contents)
            files = {path.name: _entry(path) for path in sorted(partial.iterdir())}
            manifest = manifest.model_copy(update={"files": files})
            (partial / MANIFEST).write_bytes(_sealed(manifest))
            (partial / CARD).write_text(model_card(manifest), encoding="utf-8", newline="\n")
            sync(partial)
    except OSError as error:
        raise ModelError(
            f"The model could not be written to {folder}: {error.strerror or error}. "
            "Make room, or choose another place; what was there before is unchanged.",
            folder=str(folder),
        ) from error
    return manifest


def _write_contents(folder: Path, contents: Contents) -> None:
    for name, content in contents.files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            shutil.copyfile(content, folder / name)
    if contents.tokenizer_json is not None:
        (folder / TOKENIZER).write_bytes(contents.tokenizer_json)
    if TENSORS not in contents.files:  # a tier may have them in a file already
        write_tensors(folder / TENSORS, contents.tensors)


def refuse_output(folder: Path, *, overwrite: bool = False) -> None:
    """Do nothing where `write_artifact` may write: call it before hours of work.

    Raises:
        OutputExists: something is there that is not an artifact, or `overwrite` is not given; or it is within a model.
    """
    refuse_inside(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputExists(f"{folder} is a file: choose another place for the model's folder.", folder=str(folder))
    found = {path.name for path in folder.iterdir()}
    if not found:
        return
    own = names_in(folder)
    if not own:
        raise OutputExists(
            f"{folder} is not empty and holds no model: choose another place, so that nothing of yours is lost.",
            folder=str(folder),
        )
    if not overwrite:
        raise OutputExists(
            f"{folder} holds a model already: choose another place, or overwrite it.", folder=str(folder)
        )
    if foreign := found - own:
        raise OutputExists(
            f"{folder} holds a model, but also what is not of the model ({', '.join(sorted(foreign)[:3])}): "
            "move that away, or choose another place.",
            folder=str(folder),
        )


def open_artifact(folder: Path, *, check_hashes: bool = True, of_hub: bool = False) -> Artifact:
    """Open a model's folder and refuse it unless everything in it is as its manifest says.

    Args:
        folder: a folder that `write_artifact` wrote.
        check_hashes: False for a folder that another process of the same program has just checked; names, sizes and
            the structure of the files are always looked at.
        of_hub: the folder is one of the hub's cache: its files are links, made here, and what else the repository
            holds is none of the model's.

    Raises:
        UnknownModel: there is no such folder, or no manifest in it.
        UnsupportedArtifact: it was written by a newer Tamis.
        DamagedArtifact: a file is missing, additional, damaged or unlike the manifest.
    """
    folder = Path(folder)
    manifest = read_manifest(folder, of_hub=of_hub)
    _check_names(folder, manifest, of_hub)
    raw = {name: _mapped(folder / name, entry, of_hub) for name, entry in manifest.files.items()}
    if check_hashes:
        _check_hashes(folder, manifest, raw)
    artifact = Artifact(folder=folder, manifest=manifest, files=raw)
    if manifest.tier == "static":  # an encoder's may be of types that numpy does not have: others read them
        _ = artifact.tensors
    return artifact


def _entry(path: Path) -> FileEntry:
    raw = map_file(path)
    return FileEntry(sha256=hashlib.sha256(raw.data).hexdigest(), bytes=len(raw))


def manifest_hash(manifest: Manifest, folder: Path | None = None) -> str:
    """Return the SHA-256 of a model's `manifest.json`: of the file in its folder, or as this version would write it."""
    return hashlib.sha256(_sealed(manifest) if folder is None else (folder / MANIFEST).read_bytes()).hexdigest()


def _sealed(manifest: Manifest) -> bytes:
    body = render_json(manifest.model_dump(mode="json")).removesuffix("\n}").encode("utf-8") + b",\n"
    return body + _seal(body)


def refuse_inside(folder: Path) -> None:
    """Do nothing where no folder above holds a model: with a file that is not its own, that one could not be opened.

    Raises:
        OutputExists: one does.
    """
    for above in folder.expanduser().resolve().parents:
        if (above / MANIFEST).is_file() and names_in(above):
            raise OutputExists(
                f"{folder} is within the folder of a model, {above}, which holds nothing else: choose another place.",
                folder=str(folder),
            )


def _seal(body: bytes) -> bytes:
    """The last two lines, with the hash of all lines before: `head -n -2 manifest.json | sha256sum`."""
    return f'{_SEAL}{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


def names_in(folder: Path, *, of_hub: bool = False) -> set[str]:
    """Return the names of the files that the artifact in a folder owns; none where there is no artifact."""
    try:
        raw = map_file(folder / MANIFEST, limit=MAX_MANIFEST, follow_links=of_hub)
        document = parse_object(raw.tobytes(), folder / MANIFEST)
    except DamagedArtifact:
        return set()
    files = document.get("files")
    if not {"format", "tamis_version"} <= document.keys() or not isinstance(files, dict):
        return set()
    return {MANIFEST, CARD, ".DS_Store", *files}


def read_manifest(folder: Path, *, of_hub: bool = False) -> Manifest:
    """Return the manifest of a model's folder, whatever else is there.

    Raises:
        UnknownModel: there is no such folder, or no manifest in it.
        UnsupportedArtifact: it was written by a newer Tamis.
        DamagedArtifact: it is not what it should be.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        missing = f"the folder has no {MANIFEST}" if os.path.isdir(folder) else "there is no such folder"
        raise UnknownModel(
            f"There is no model at {folder}: {missing}. Give the folder that `tamis train` wrote.", folder=str(folder)
        )
    raw = map_file(path, limit=MAX_MANIFEST, follow_links=of_hub).tobytes()
    document = parse_object(raw, path)
    _check_supported(document, path)
    body, mark, _ = raw.rpartition(_SEAL.encode())
    if not mark or body + _seal(body) != raw:
        raise damaged(path, "its content does not match the hash at its end")
    document.pop("manifest_sha256", None)
    try:
        return Manifest.model_validate_json(json.dumps(upgrade(document)), strict=True)
    except ValidationError as error:
        raise damaged(path, _first_problem(error)) from error


def _check_supported(document: dict[str, JsonValue], path: Path) -> None:
    number, tier = document.get("format"), document.get("tier")
    if not isinstance(number, int) or isinstance(number, bool):
        raise damaged(path, "it has no format number")
    if (number != FORMAT and number not in UPGRADES) or (isinstance(tier, str) and tier not in TIERS):
        writer = str(document.get("tamis_version"))[:40]
        raise UnsupportedArtifact(
            f"{path} is of format {number} and tier {tier}, written by Tamis {writer}. "
            f"This version reads formats up to {FORMAT} and the tiers {', '.join(TIERS)}: "
            "run `pip install --upgrade tamis`.",
            path=str(path),
            format=number,
        )


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _check_names(folder: Path, manifest: Manifest, of_hub: bool) -> None:
    listed = set(manifest.files)
    if TENSORS not in listed or listed & {MANIFEST, CARD}:
        raise damaged(folder / MANIFEST, f"its list of files is not one of a model ({', '.join(sorted(listed))})")
    found = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    if missing := listed - found:
        raise damaged(folder / min(missing), "it is missing")
    if (additional := found - listed - {MANIFEST, CARD}) and not of_hub:
        raise damaged(folder / min(additional), f"{MANIFEST} does not list it; it may be from another model")


def _mapped(path: Path, entry: FileEntry, follow_links: bool) -> Bytes:
    raw = map_file(path, limit=MAX_TOKENIZER if path.name.endswith(TOKENIZER) else None, follow_links=follow_links)
    if len(raw) != entry.bytes:
        raise damaged(path, f"it has {len(raw):,} bytes, and {MANIFEST} says {entry.bytes:,}")
    return raw


def _check_hashes(folder: Path, manifest: Manifest, files: Mapping[str, Bytes]) -> None:
    for name, raw in files.items():
        if hashlib.sha256(raw.data).hexdigest() != manifest.files[name].sha256:
            raise damaged(folder / name, f"its content does not match the hash in {MANIFEST}")
