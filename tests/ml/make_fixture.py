"""Write the fixture of the current artifact format: `python tests/ml/make_fixture.py`.

Each released format keeps its folder, `fixtures/format-N`, for ever: run this again only until format N is released.
`tiny_model` may be any model that is small; whatever it gives, the tests of the artifact ask only that it opens and
that it has a target of each kind.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

from tamis.ml.artifact import write_artifact
from tamis.ml.base_models import BaseModelCard
from tamis.ml.manifest import (
    FORMAT,
    Abstain,
    Calibration,
    DataFile,
    DataManifest,
    GoldenRow,
    Manifest,
    TargetManifest,
    Versions,
)
from tamis.schema import Kind, Message

FIXTURES = Path(__file__).parent / "fixtures"
WORDS = ("[UNK]", "hello", "bye", "refund", "please", "where", "is", "my", "parcel", "user", ":")


def tiny_model() -> tuple[Manifest, dict[str, np.ndarray], bytes]:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    random = np.random.default_rng(7)
    tensors = {
        "embeddings": random.standard_normal((len(WORDS), 4)).astype(np.float16),
        "intent.weight": random.standard_normal((4, 3)).astype(np.float32),
        "topics.weight": random.standard_normal((4, 2)).astype(np.float32),
    }
    return tiny_manifest(), tensors, tokenizer.to_str().encode()


def tiny_manifest() -> Manifest:
    return Manifest(
        tamis_version="0.1.0",
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        name="support",
        base_model=BaseModelCard(
            id="tiny", title="a few words", dimensions=4, vocabulary=len(WORDS), size_mb=0.1, source="this script"
        ),
        architecture={"dimensions": 4, "seed": 7},
        targets=(
            TargetManifest(
                name="intent",
                kind=Kind.SINGLE_LABEL,
                labels=("bye", "hello", "refund"),
                calibration=Calibration(scale=(1.25,), bias=(0.0,)),
                abstain=Abstain(threshold=0.4, coverage=0.95),
            ),
            TargetManifest(
                name="topics",
                kind=Kind.MULTI_LABEL,
                labels=("delivery", "none"),
                none_labels=("none",),
                calibration=Calibration(scale=(0.8, 1.1), bias=(-0.1, 0.2)),
                thresholds=(0.35, 0.5),
            ),
        ),
        hyperparameters={"learning_rate": 1e-4, "seed": 7},
        data=DataManifest(
            sha256="5f" * 32, train_rows=40, validation_rows=8, files=(DataFile(name="a.csv", split="train", rows=48),)
        ),
        metrics={"intent": {"accuracy": 0.875, "accuracy_ci": [0.6, 1.0], "ece_before": 0.2, "ece_after": 0.1}},
        checkpoints=({"step": 1, "train_loss": 1.5}, {"step": 2, "train_loss": 0.75}),
        versions=Versions(python="3.11", numpy="2.0", scipy="1.11", tokenizers="0.20", tamis="0.1.0", threads=2),
        golden=(
            GoldenRow(input="where is my parcel", scores={"intent": (0.25, 0.25, 0.5), "topics": (0.75, 0.125)}),
            GoldenRow(
                input=(Message(role="user", content="bye"),),
                scores={"intent": (0.5, 0.25, 0.25), "topics": (0.125, 0.75)},
            ),
        ),
    )


if __name__ == "__main__":
    manifest, tensors, tokenizer_json = tiny_model()
    write_artifact(FIXTURES / f"format-{FORMAT}", manifest, tensors, tokenizer_json, overwrite=True)
