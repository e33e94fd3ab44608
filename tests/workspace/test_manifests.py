"""What is shown of a training's settings."""

from pathlib import Path

from tamis.ml.artifact import read_manifest
from tamis.ml.manifest import FORMAT
from tamis.workspace.manifests import settings_of

MODEL = Path(__file__).parents[1] / "ml" / "fixtures" / f"format-{FORMAT}"


def test_of_an_encoders_options_those_are_shown_that_were_chosen():
    options = {"freeze_layers": None, "int8": False, "long_texts": "windows", "lora": None, "ensemble": True}
    given = {"epochs": 2.0, "seq_len": None, "learning_rate": 1e-4, "encoder": options}
    manifest = read_manifest(MODEL).model_copy(update={"hyperparameters": given})
    assert settings_of(manifest) == {
        "epochs": 2.0,
        "learning_rate": 1e-4,
        "int8": False,
        "long_texts": "windows",
        "ensemble": True,
    }
