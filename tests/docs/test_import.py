"""`import tamis` loads next to nothing: what is heavy waits until it is used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tamis
from tamis.testing import tiny_base

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
    "gradio",
    "tokenizers",
    "wordllama",
    "rich",
    "typer",
}
NEVER_AT_WORK = {
    "torch",
    "transformers",
    "sqlalchemy",
    "fastapi",
    "starlette",
    "sklearn",
    "pandas",
    "plotly",
    "gradio",
    "wordllama",
}
"""What neither training nor loading nor classifying needs: each takes longer to import than the work itself."""

LAZY_IN_CLI = {
    "torch",
    "transformers",
    "sqlalchemy",
    "fastapi",
    "sklearn",
    "pandas",
    "pyarrow",
    "datasets",
    "plotly",
    "gradio",
}


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A base model, rows, and a model of them."""
    place = tmp_path_factory.mktemp("trained")
    base, rows = tiny_base(place / "base"), place / "rows.jsonl"
    texts = {"delivery": "where is my parcel", "billing": "refund the fee"}
    lines = [{"text": text, "label": label} for label, text in texts.items()] * 20
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tamis.train(rows, base=str(base), epochs=1, out=place / "model")
    return base, rows, place / "model"


def test_training_loads_nothing_that_it_does_not_need(trained: tuple[Path, Path, Path], tmp_path: Path) -> None:
    base, rows, _ = map(str, trained)
    out = str(tmp_path / "model")
    loaded = loaded_by(f"import tamis\ntamis.train({rows!r}, base={base!r}, epochs=1, out={out!r})")
    assert "tokenizers" in loaded, "the run was one"
    assert not loaded & NEVER_AT_WORK


def test_classifying_loads_nothing_that_it_does_not_need(trained: tuple[Path, Path, Path]) -> None:
    code = f"import tamis\nassert tamis.load({str(trained[2])!r}).classify('where is it')['label'].scores"
    loaded = loaded_by(code)
    assert "tokenizers" in loaded
    assert not loaded & NEVER_AT_WORK


def test_the_commands_train_and_classify_load_nothing_that_they_do_not_need(
    trained: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    base, rows, model = map(str, trained)
    for arguments in (
        ["train", rows, "--base", base, "--epochs", "1", "--out", str(tmp_path / "model")],
        ["classify", model, "where is it"],
    ):
        code = f"from tamis.cli import main\nimport sys\nsys.argv = ['tamis', *{arguments!r}]\n" + (
            "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code"
        )
        loaded = loaded_by(code)
        assert "rich" in loaded
        assert not loaded & NEVER_AT_WORK


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
