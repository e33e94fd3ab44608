"""Which base models can be trained from on this machine, and what the others lack: looked up, never loaded or fetched.

It knows the cards, the libraries of each tier and the places where weights lie. Whether a model that is fetched first
can be fetched is not known before that is tried.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from tamis.data.languages import NAMES
from tamis.errors import TamisError
from tamis.ml.base_models import CONFIGS, tier_of
from tamis.ml.cards import CARDS, SPEEDS, BaseModelCard, Speed
from tamis.ml.hub import REPOSITORY, local_place


class Presence(StrEnum):
    """Whether a base model is on this machine."""

    HERE = "here"  # a run can begin at once
    FETCHED = "fetched"  # it is downloaded when a run first needs it
    LACKING = "lacking"  # a library, or its files, must be installed first


@dataclass(frozen=True, slots=True)
class Offered:
    """A base model as people choose one.

    Attributes:
        name: what a job calls it.
        base: the base model that the name stands for.
        tier: "static" or "encoder"; empty where that is known only once it is fetched.
        presence: whether it is here.
        cure: what to do where it is lacking.
        card: what is known of it, for those that are built in.
    """

    name: str
    base: str
    tier: str
    presence: Presence
    cure: str = ""
    card: BaseModelCard | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """English names of the languages that it was made for; none where that is not known."""
        return tuple(NAMES.get(code, code) for code in (self.card.languages if self.card else ()))

    @property
    def speed(self) -> Speed | None:
        """How fast models of it answer; None where nobody measured it."""
        return SPEEDS.get(self.card.id) if self.card else None


def offered(names: Iterable[tuple[str, str]]) -> list[Offered]:
    """Return base models by the names that jobs use; of several names for one base model, the first.

    Args:
        names: a name, and the base model that it stands for.
    """
    found: dict[str, Offered] = {}
    for name, base in names:
        if base not in found:
            found[base] = _looked_up(name, base)
    return list(found.values())


def _looked_up(name: str, base: str) -> Offered:
    card = CARDS.get(base)
    if card is not None:
        tier, here = str(card.tier), _PLACES[card.tier](card)
        where = Presence.HERE if here else Presence.FETCHED if tier == "encoder" else Presence.LACKING
        cure = "" if where is not Presence.LACKING else "pip install wordllama"
    elif place := local_place(base):
        tier, where, cure = str(tier_of(place.folder)), Presence.HERE, ""
    elif found := REPOSITORY.fullmatch(base):
        folder = _in_cache(found["id"], found["revision"])
        tier = str(tier_of(folder)) if folder else ""
        where, cure = (Presence.HERE if folder and _is_whole(folder) else Presence.FETCHED), ""
    else:
        return Offered(name, base, "", Presence.LACKING, "the operator names a folder or repository that is there")
    if missing := _missing_library(tier, where):
        where, cure = Presence.LACKING, f"pip install 'tamis[{missing}]'"
    return Offered(name, base, tier, where, cure, card)


def _missing_library(tier: str, where: Presence) -> str:
    """Return the extra that brings what is not installed, if anything is."""
    if tier == "encoder":
        from tamis.ml.encoder.tier import LIBRARIES

        if not all(map(is_installed, LIBRARIES)):
            return "encoder"
    return "hub" if where is Presence.FETCHED and not is_installed("huggingface_hub") else ""


def is_installed(library: str) -> bool:
    """Return whether a library can be imported; it is not."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def _static_is_here(card: BaseModelCard) -> bool:
    return is_installed("wordllama")


def _encoder_is_here(card: BaseModelCard) -> bool:
    from tamis.ml.encoder.base_model import MINILM_MODULE, MINILM_REPOSITORY

    if is_installed(MINILM_MODULE):
        return True
    folder = _in_cache(MINILM_REPOSITORY, None)
    return folder is not None and _is_whole(folder)


_PLACES: dict[str, Callable[[BaseModelCard], bool]] = {"static": _static_is_here, "encoder": _encoder_is_here}


def _in_cache(repository: str, revision: str | None) -> Path | None:
    """Return the folder of a repository in the local cache of the Hugging Face hub, whatever of it is there."""
    if not is_installed("huggingface_hub"):
        return None
    from huggingface_hub import try_to_load_from_cache

    for name in CONFIGS:
        try:
            found = try_to_load_from_cache(repository, name, revision=revision)
        except (ValueError, OSError):  # what it calls no name of a repository
            return None
        if isinstance(found, str | os.PathLike):
            return Path(found).parent
    return None


def _is_whole(folder: Path) -> bool:
    from tamis.ml.encoder.base_model import is_whole
    from tamis.ml.static import base_model as static

    try:
        return static.is_whole(folder) if tier_of(folder) == "static" else is_whole(folder)
    except TamisError:  # its configuration cannot be read: the run says why
        return False
