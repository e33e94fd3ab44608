"""The environments themselves: made once, whole or not at all."""

from __future__ import annotations

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wire import sdk_environments
from wire.sdk_environments import MISTRAL, EnvironmentNotBuilt, Sdk, interpreter, locked, python_of

BROKEN = Sdk("mistralai", "0.0.0.dev999", "import mistralai")


def test_an_environment_that_is_there_is_used(tmp_path: Path) -> None:
    python = python_of(tmp_path / "venvs" / str(MISTRAL[0]))
    python.parent.mkdir(parents=True)
    python.touch()
    assert interpreter(MISTRAL[0], tmp_path) == python


def test_a_release_that_cannot_be_installed_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_environments, "make_environment", lambda home: None)
    monkeypatch.setattr(sdk_environments, "install", refuse)
    with pytest.raises(EnvironmentNotBuilt, match=r"mistralai 0\.0\.0\.dev999.*no index"):
        interpreter(BROKEN, tmp_path)
    assert [path.name for path in (tmp_path / "venvs").iterdir()] == [f"{BROKEN}.lock"]  # nothing half made is left


def refuse(*_: object) -> None:
    raise EnvironmentNotBuilt("no index")


def test_two_who_want_the_same_one_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def slowly(sdk: Sdk, home: Path) -> None:
        made.append(home)
        time.sleep(0.2)
        python_of(home).parent.mkdir(parents=True)
        python_of(home).touch()

    monkeypatch.setattr(sdk_environments, "build", slowly)
    with ThreadPoolExecutor(3) as threads:  # each opens the lock's file itself, as processes do
        found = list(threads.map(lambda _: interpreter(BROKEN, tmp_path), range(3)))
    assert len(made) == 1
    assert len(set(found)) == 1


def test_an_interpreter_that_is_gone_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "venvs" / "mistralai-0.0.0.dev999"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").symlink_to(tmp_path / "python-that-was-upgraded-away")
    made = []

    def make(place: Path) -> None:
        made.append(place)
        python_of(place).parent.mkdir(parents=True)
        python_of(place).symlink_to("/bin/true")

    monkeypatch.setattr(sdk_environments, "make_environment", make)
    monkeypatch.setattr(sdk_environments, "install", lambda *_: None)
    monkeypatch.setattr(sdk_environments, "place_stand_ins", lambda *_: None)
    assert interpreter(BROKEN, tmp_path).resolve().exists()
    assert len(made) == 1
    assert not made[0].exists()  # renamed


def test_the_lock_is_held(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), (tmp_path / "lock").open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_pins_are_exact() -> None:
    assert [sdk.version for sdk in MISTRAL] == ["1.7.0", "1.12.4", "2.5.1", "3.7.0"]
