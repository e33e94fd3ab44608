"""How an encoder's export reads inputs, beside how the model does: the same tokens, or no export.

It does not know what is computed from the tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tamis.errors import GoldenRowsDrift
from tamis.ml.artifact import Artifact
from tamis.ml.decisions import calibrated
from tamis.ml.encoder.base_model import EncoderBase
from tamis.ml.encoder.inputs import Encoded, encoding_of
from tamis.ml.manifest import Calibration, TargetManifest
from tamis.ml.scorer import Floats
from tamis.schema import Input

Ints = NDArray[np.int64]


def files_of(artifact: Artifact) -> EncoderBase:
    """Return the model's folder as one of transformers: tokenizer, its configuration, chat template."""
    return EncoderBase(artifact.manifest.base_model, artifact.folder)


def encode(artifact: Artifact, inputs: Sequence[Input], *, windows: bool = True) -> Encoded:
    """Return the tokens of inputs, as the model reads them; without `windows` long texts are cut."""
    facts, files = {**artifact.manifest.architecture, **({} if windows else {"windows": 1})}, files_of(artifact)
    return encoding_of(files.tokenizer_json, facts, files.template).encode(inputs)


def number(artifact: Artifact, name: str) -> int:
    """Return a whole number of the manifest's architecture."""
    value = artifact.manifest.architecture.get(name, 0)
    return value if isinstance(value, int) else 0


def check_tokens(artifact: Artifact, tokens_of: Callable[[str], Sequence[int]], inputs: Sequence[Input]) -> None:
    """Do nothing where what goes along reads texts as the model does.

    Raises:
        GoldenRowsDrift: it does not.
    """
    texts = [given for given in inputs if isinstance(given, str) and given]
    encoded = encode(artifact, texts, windows=False)
    for place, text in enumerate(texts):
        wanted = encoded.ids[encoded.offsets[place] : encoded.offsets[place + 1]].tolist()
        found = list(tokens_of(text))
        if found != wanted:
            raise GoldenRowsDrift(
                f"The export would read texts otherwise than the model {artifact.manifest.name!r}: {text[:40]!r} is "
                f"{len(found)} tokens instead of {len(wanted)}, or others. Nothing was written.",
                row=place,
            )


def mean_logits(artifact: Artifact, inputs: Sequence[Input], run: Callable[[Ints, Ints], Floats]) -> Floats:
    """Return (inputs, labels) calibrated logits: of an input in several windows the mean.

    Args:
        artifact: the model.
        inputs: what to score.
        run: what the export computes of (1, tokens) ids and mask.
    """
    encoded, pad_id = encode(artifact, inputs), number(artifact, "pad_id")
    rows = []
    for place in range(len(encoded)):
        sequences = np.arange(encoded.first[place], encoded.first[place + 1])
        said = [run(*encoded.padded(sequences[at : at + 1], pad_id))[0] for at in range(len(sequences))]
        rows.append(np.mean(said, axis=0))
    return np.array(rows, dtype=np.float32)


def scores_of(target: TargetManifest, logits: Floats) -> Floats:
    """Return the scores that calibrated logits come to, of the labels alone."""
    return calibrated(target.kind, Calibration(), logits)[:, : len(target.labels)]
