"""Rows of JSON to files, pipes and stdout."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tamis.cli.rows_out import STDOUT, Row, prediction_keys, write_rows
from tamis.errors import InvalidSetting
from tamis.schema import Answer, Kind, Prediction, Target

ROWS: list[Row] = [{"text": "é"}, {"text": "\ud800"}]


def read(text: str) -> list[Row]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path):
    def failing() -> Iterator[Row]:
        yield from ROWS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path / "out", failing())
    assert list(tmp_path.iterdir()) == []
    write_rows(tmp_path / "out", ROWS)
    assert read((tmp_path / "out").read_text(encoding="utf-8")) == ROWS


def test_stdout(capsys: pytest.CaptureFixture[str]):
    write_rows(STDOUT, ROWS)
    assert read(capsys.readouterr().out) == ROWS


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text(encoding="utf-8")))
    reader.start()
    write_rows(tmp_path / "pipe", ROWS)
    reader.join()
    assert read(found[0]) == ROWS
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_device_is_told():
    with pytest.raises(InvalidSetting, match="/dev/full cannot be written: No space"):
        write_rows(Path("/dev/full"), ROWS * 10_000)


def test_a_prediction_has_the_form_of_labels_in_data():
    targets = [
        Target(name="one", kind=Kind.SINGLE_LABEL, labels=("a", "b")),
        Target(name="any", kind=Kind.MULTI_LABEL, labels=("x", "y", "z")),
    ]
    sure = Prediction(
        {"one": Answer(("b",), {"a": 0.25, "b": 0.75}), "any": Answer((), {"x": 0.1, "y": 0.3, "z": 0.2})}
    )
    said = prediction_keys(sure, targets, top=2)
    assert said["predicted"] == {"one": "b", "any": []}
    assert said["scores"] == {"one": {"b": 0.75, "a": 0.25}, "any": {"y": 0.3, "z": 0.2}}
    unsure = Prediction({"one": Answer((), {"a": 0.5, "b": 0.5}, abstained=True), "any": sure["any"]})
    said = prediction_keys(unsure, targets)
    assert said["predicted"] == {"one": None, "any": []}
    assert said["abstained"] == {"one": True, "any": False}
