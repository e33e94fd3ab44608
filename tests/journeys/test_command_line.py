"""A person's whole way on the command line, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tamis.examples import example_path

TAMIS = (sys.executable, "-m", "tamis")


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAMIS_")}
    return kept | {"TAMIS_HOME": str(tmp_path / "home"), "COLUMNS": "80", "HOME": str(tmp_path)}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def tamis(here: Path, surroundings: dict[str, str], *arguments: object, **more) -> subprocess.CompletedProcess[str]:
    command = [*TAMIS, *map(str, arguments)]
    return subprocess.run(command, cwd=here, env=surroundings, capture_output=True, text=True, check=False, **more)


def test_quickstart_does_the_whole_job(here: Path, surroundings: dict[str, str]):
    done = tamis(here, surroundings, "quickstart")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = " ".join(done.stdout.split())
    for part in (
        "4 rows cannot be used",
        "support.jsonl:23 Not JSON",
        "support.jsonl:40 intent: subscription I want to cancel my monthly",
        "repeats a text of the train data",
        "learnt from 546 rows",
        "On the 123 messages of another file",
        "✓ payment_problem",
        "✓ damaged_item",
        "Done in",
        "tamis train FILE",
    ):
        assert part in told
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 80
    accuracy = re.search(r"intent accuracy ([\d.]+)%", told)
    assert accuracy
    assert float(accuracy[1]) > 65
    assert sorted(path.name for path in here.iterdir()) == ["support-model"]


def test_from_a_file_to_a_name_that_classifies(here: Path, surroundings: dict[str, str]):
    train = tamis(
        here,
        surroundings,
        "train",
        example_path("support"),
        "--epochs",
        1,
        "--max-bad-share",
        0.01,
        "--name",
        "shop",
        "--json",
    )
    assert train.returncode == 0, train.stderr
    assert json.loads(train.stdout)["name"] == "shop@1"
    evaluated = tamis(here, surroundings, "evaluate", "shop", example_path("support-test"), "--json")
    assert json.loads(evaluated.stdout)["targets"]["intent"]["accuracy"] > 0.5
    said = tamis(here, surroundings, "classify", "shop@1", "--output", "-", input="You charged me twice\nNice chair\n")
    assert [json.loads(line)["text"] for line in said.stdout.splitlines()] == ["You charged me twice", "Nice chair"]
    assert tamis(here, surroundings, "classify", "shop@2", "x").returncode == 1


def heed_interrupts() -> None:
    """What a shell starts in the background ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("when", ["reading the data", "fitting meanings"])
def test_an_interrupted_run_leaves_nothing(here: Path, surroundings: dict[str, str], when: str):
    command = [*TAMIS, "train", str(example_path("support")), "--max-bad-share", "0.01", "--out", "model"]
    running = subprocess.Popen(
        command,
        cwd=here,
        env=surroundings,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert running.stderr
    while when not in (line := running.stderr.readline()):
        assert line, "the run ended before that"
    time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    printed, complaints = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Interrupted." in complaints
    assert "Traceback" not in complaints
    assert printed == ""
    assert list(here.iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing(here: Path, surroundings: dict[str, str]):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    given = ("train", example_path("support"), "--max-bad-share", 0.01, "--epochs", 1, "--out", "model")
    done = tamis(here, surroundings, *given, preexec_fn=limit)
    assert done.returncode == 1
    assert "error model_error  The model could not be written to" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(here.iterdir()) == []


def test_an_output_that_is_full_is_told(here: Path, surroundings: dict[str, str]):
    with open("/dev/full", "w") as full:
        command = [*TAMIS, "models", "--json"]
        done = subprocess.run(
            command, cwd=here, env=surroundings, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error  No space left on device")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_reader_that_has_gone_is_no_error(here: Path, surroundings: dict[str, str]):
    command = f"{sys.executable} -m tamis --help | true"
    done = subprocess.run(
        ["bash", "-c", command], cwd=here, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
