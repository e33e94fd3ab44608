"""`tamis quickstart`: where the model goes; the journey through it is in tests/journeys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tamis.cli.quickstart import _free_folder
from tamis.errors import OutputExists


def test_a_folder_that_is_taken_gets_a_number(here: Path):
    assert _free_folder(Path("support-model")) == Path("support-model")
    Path("support-model").mkdir()
    Path("support-model-2").write_text("a file")
    assert _free_folder(Path("support-model")) == Path("support-model-3")


def test_a_folder_that_is_asked_for_is_not_replaced(run, here: Path):
    Path("mine").mkdir()
    Path("mine", "thesis.txt").write_text("x")
    with pytest.raises(OutputExists, match="mine"):
        run("quickstart", "--out", "mine")
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.txt"]
