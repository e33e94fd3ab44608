"""`import tamis` loads next to nothing: what is heavy waits until it is used."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "transformers",
    "sqlalchemy",
    "fastapi",
    "starlette",
    "sklearn",
    "scipy",
    "numpy",
    "pandas",
    "pyarrow",
    "datasets",
    "plotly",
    "tokenizers",
    "wordllama",
    "rich",
    "typer",
}
LAZY_IN_CLI = {"torch", "transformers", "sqlalchemy", "fastapi", "sklearn", "pandas", "pyarrow", "datasets", "plotly"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules in memory after a statement, in a process of its own."""
    code = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [("import tamis", HEAVY), ("import tamis.errors, tamis.extras", HEAVY), ("import tamis.cli", LAZY_IN_CLI)],
)
def test_importing_stays_light(statement: str, heavy: set[str]) -> None:
    loaded = loaded_by(statement)
    assert "tamis" in loaded
    assert not loaded & heavy


def test_the_check_sees_what_is_loaded() -> None:
    assert {"tamis", "numpy"} <= loaded_by("import tamis.data.truth")


def test_importing_reads_no_environment_and_opens_no_file_of_the_user() -> None:
    code = (
        "import os, sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and args[0] is not None and not str(args[0]).endswith(('.py', '.pyc', '.so')):\n"
        "        seen.append(str(args[0]))\n"
        "    if event.startswith(('socket.', 'subprocess.')):\n"
        "        seen.append(event)\n"
        "seen = []\n"
        "sys.addaudithook(hook)\n"
        "import tamis\n"
        "print([name for name in seen if '__pycache__' not in name and 'entry_points' not in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
