"""Tamis: a classifier factory. Labelled text in, a measured and calibrated classifier out.

The public names are loaded when they are first used, so that `import tamis` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tamis import errors
    from tamis.data.declared import DeclaredTarget
    from tamis.data.formats import ReadOptions
    from tamis.data.loading import Weighted
    from tamis.evaluation.comparison import Comparison
    from tamis.labelers.comparing import compare
    from tamis.labelers.entering import Llms
    from tamis.ml.estimator import TextClassifier
    from tamis.ml.model import Model, load
    from tamis.ml.training import train
    from tamis.schema import Answer, Kind, Message, Prediction, Target

_PLACES = {
    "Answer": "tamis.schema",
    "Comparison": "tamis.evaluation.comparison",
    "DeclaredTarget": "tamis.data.declared",
    "Kind": "tamis.schema",
    "Llms": "tamis.labelers.entering",
    "Message": "tamis.schema",
    "Model": "tamis.ml.model",
    "Prediction": "tamis.schema",
    "ReadOptions": "tamis.data.formats",
    "Target": "tamis.schema",
    "TextClassifier": "tamis.ml.estimator",
    "Weighted": "tamis.data.loading",
    "compare": "tamis.labelers.comparing",
    "load": "tamis.ml.model",
    "train": "tamis.ml.training",
}

__all__ = [
    "Answer",
    "Comparison",
    "DeclaredTarget",
    "Kind",
    "Llms",
    "Message",
    "Model",
    "Prediction",
    "ReadOptions",
    "Target",
    "TextClassifier",
    "Weighted",
    "__version__",
    "compare",
    "errors",
    "load",
    "train",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used."""
    if name == "errors":
        return import_module("tamis.errors")
    if name not in _PLACES:
        raise AttributeError(f"module 'tamis' has no attribute {name!r}")
    found: object = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
