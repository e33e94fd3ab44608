"""Loads base models, whichever tier they are of: known ones by id, folders, repositories of the Hugging Face hub.

It finds the folder and tells the tier; reading is the tier's. It does not know training, nor artifacts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tamis.errors import UnknownBaseModel
from tamis.ml.cards import CARDS, Tier
from tamis.ml.hub import REPOSITORY, Place, fetched, local_place
from tamis.ml.static import base_model as static
from tamis.ml.static.base_model import StaticBase
from tamis.ml.untrusted import map_file, parse_object, refuse_links

if TYPE_CHECKING:
    from tamis.ml.encoder.base_model import EncoderBase

Base: TypeAlias = "StaticBase | EncoderBase"

CONFIGS = ("config.json", "modules.json", "README.md")
MAX_CONFIG = 1 << 20


def load_base(name: str) -> Base:
    """Load a base model.

    Args:
        name: an id in `CARDS`; a folder in the format of model2vec, of sentence-transformers' StaticEmbedding, or of
            transformers; or a repository of such files on the Hugging Face hub: `owner/name`, or
            `owner/name@revision`. What is in the local cache of the hub is taken from there.

    Raises:
        UnknownBaseModel: there is none of that name, or it is no base model.
        DamagedArtifact: its files are damaged or do not fit each other.
        UnsupportedArtifact: its tensors are of a type that numpy does not have.
        MissingExtra: it is on the hub, and huggingface_hub is not installed.
    """
    if card := CARDS.get(name):
        if card.tier == "static":
            return static.load_packaged(card)
        from tamis.ml.encoder import base_model as encoder

        return encoder.load_known(card)
    if place := local_place(name):
        return _loaded(place)
    if match := REPOSITORY.fullmatch(name):
        return _of_hub(match["id"], match["revision"])
    raise UnknownBaseModel(
        f"There is no base model {name!r}: it is not built in ({', '.join(CARDS)}), not a folder here, and not of the "
        "form owner/name of a repository on the Hugging Face hub.",
        name=name,
    )


def _of_hub(repository: str, revision: str | None) -> Base:
    """Look at the small files first: they say which weights to fetch."""
    place = fetched(repository, revision, CONFIGS, _has_config)
    if tier_of(place.folder) == "static":
        return _loaded(fetched(repository, revision, (*CONFIGS, *static.PATTERNS), static.is_whole))
    from tamis.ml.encoder import base_model as encoder

    return _loaded(fetched(repository, revision, (*CONFIGS, *encoder.PATTERNS), encoder.is_whole))


def _loaded(place: Place) -> Base:
    refuse_links(place.folder)
    if tier_of(place.folder) == "static":
        return static.load_place(place)
    from tamis.ml.encoder import base_model as encoder

    return encoder.load_place(place)


def tier_of(folder: Path) -> Tier:
    """Return which tier the base model in a folder is of: an encoder's config.json names an architecture."""
    config = folder / "config.json"
    if not config.is_file():
        return "static"
    named = parse_object(map_file(config, limit=MAX_CONFIG, follow_links=True).tobytes(), config).get("model_type")
    known = isinstance(named, str) and named != "model2vec"
    return "encoder" if known and not static.is_embedding(folder) else "static"


def _has_config(folder: Path) -> bool:
    return any((folder / name).is_file() for name in CONFIGS[:2])
