"""An encoder and a static model of the same rows, whose logits are added up: right more often than either alone.

What a network makes of a text and which words and letters the text has are different evidence. Where rows are many, and
where the network does not know the language, the second tells much. It does not know how either of them is trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tamis.errors import DamagedArtifact, UnsupportedArtifact
from tamis.ml.artifact import MANIFEST, TENSORS, TOKENIZER, Artifact
from tamis.ml.cards import BaseModelCard
from tamis.ml.encoder.placement import ENSEMBLE, STATIC_TENSORS, STATIC_TOKENIZER
from tamis.ml.omissions import Omissions
from tamis.ml.pieces import Span
from tamis.ml.scorer import Contents, Scorer
from tamis.ml.static.scorer import StaticScorer
from tamis.ml.static.stored import restore as restore_static
from tamis.ml.untrusted import damaged, misfit
from tamis.schema import Input

Floats = NDArray[np.float32]


class Partner(BaseModel):
    """The static model beside a network, as a manifest has it.

    Attributes:
        base_model: the static model's own.
        architecture: the static model's own.
        shares: by target, how much of its logits is added to the network's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    base_model: BaseModelCard
    architecture: dict[str, Any]
    shares: dict[str, Annotated[float, Field(ge=0, le=1e3)]]


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """A network's scorer and a static one: the sum of their logits, by shares of the second.

    Attributes:
        network: the encoder.
        static: the static model.
        partner: what is known of that.
    """

    network: Scorer
    static: StaticScorer
    partner: Partner

    @property
    def quick(self) -> bool:
        """No: a network takes longer than handing a text to a thread."""
        return False

    @property
    def tolerance(self) -> float:
        """How far off scores may be on another machine."""
        return max(self.network.tolerance, self.static.tolerance)

    def logits(self, inputs: Sequence[Input]) -> Mapping[str, Floats]:
        """Return (inputs, labels) for each target, before calibration."""
        return self._sums(self.network.logits(inputs), self.static.logits(inputs))

    def too_long(self, inputs: Sequence[Input]) -> list[int]:
        """Return the places of inputs of which the network reads only a part."""
        return self.network.too_long(inputs)

    def omissions(self, given: Input) -> Omissions:
        """Return what tells how the logits of one input change where words of it are left out."""
        return _Omissions(self, self.network.omissions(given), self.static.omissions(given))

    def contents(self) -> Contents:
        """Return the files of both, which lie in one folder."""
        return self.network.contents()

    def _sums(self, network: Mapping[str, Floats], static: Mapping[str, Floats]) -> dict[str, Floats]:
        shares = self.partner.shares
        return {name: added(logits, static[name], shares[name]) for name, logits in network.items()}


def added(network: Floats, static: Floats, share: float) -> Floats:
    """Return both logits, added up by a share of the second."""
    made: Floats = network + np.float32(share) * static
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Omissions:
    """One input, of which both see shorter forms."""

    ensemble: Ensemble
    network: Omissions
    static: Omissions

    @property
    def most(self) -> int:
        """How many stretches may be left out."""
        return min(self.network.most, self.static.most)

    @property
    def reads(self) -> int | None:
        """All: what the network does not read, the static model does."""
        return self.static.reads

    def logits(self, spans: Sequence[Span]) -> Mapping[str, Floats]:
        """Return (spans, labels) for each target."""
        return self.ensemble._sums(self.network.logits(spans), self.static.logits(spans))


def restored(artifact: Artifact, network: Scorer) -> Scorer:
    """Return the network's scorer, with the static model beside it that the artifact may hold.

    Raises:
        DamagedArtifact: the files of that and the manifest do not fit each other.
    """
    facts, files = artifact.manifest.architecture.get(ENSEMBLE), (STATIC_TENSORS, STATIC_TOKENIZER)
    there = [name for name in files if name in artifact.files]
    if facts is None and not there:
        return network
    place = artifact.folder / MANIFEST
    if facts is None or len(there) < len(files):
        raise damaged(place, "it does not fit the files of the static model beside the network")
    try:
        partner = Partner.model_validate_json(json.dumps(facts))
    except ValidationError as error:
        raise misfit(place, error, "architecture", ENSEMBLE) from error
    manifest = artifact.manifest
    if partner.shares.keys() != {target.name for target in manifest.targets}:
        raise damaged(place, f"architecture.{ENSEMBLE}.shares: they are not of the model's targets")
    alike = {"base_model": partner.base_model, "architecture": partner.architecture, "tier": "static"}
    named = {TENSORS: artifact.files[STATIC_TENSORS], TOKENIZER: artifact.files[STATIC_TOKENIZER]}
    try:
        model = restore_static(Artifact(artifact.folder, manifest.model_copy(update=alike), named))
    except (DamagedArtifact, UnsupportedArtifact) as error:  # which names the files of a model that is static alone
        cause = f"it, {STATIC_TOKENIZER} or {MANIFEST} is not of a static model of these labels"
        raise damaged(artifact.folder / STATIC_TENSORS, cause) from error
    return Ensemble(network, StaticScorer(model), partner)
