"""The scripts in examples/ run, from any folder, without a warning, and leave the models they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tamis

SCRIPTS = Path(__file__).parents[2] / "examples"
MODELS = {
    "chats.py": "chats-model",
    "scikit_learn_pipeline.py": "topics-model",
    "train_from_python.py": "support-model",
}


def test_every_script_is_known() -> None:
    assert {path.name for path in SCRIPTS.glob("*.py")} == set(MODELS)


@pytest.mark.parametrize("script", sorted(MODELS))
def test_the_script_runs_and_leaves_a_model(script: str, tmp_path: Path) -> None:
    surroundings = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # small: threads only wait
    command = [sys.executable, "-W", "error", str(SCRIPTS / script)]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert done.stdout.count("\n") >= 4
    assert tamis.load(tmp_path / MODELS[script]).targets
    assert [path.name for path in tmp_path.iterdir()] == [MODELS[script]]
