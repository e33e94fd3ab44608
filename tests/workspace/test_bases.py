"""Base models for requests: loaded once however many ask, and waited for no longer than a request may take."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tamis.errors import Overloaded, UnknownBaseModel
from tamis.workspace import bases
from tamis.workspace.bases import Bases


def test_one_that_takes_long_is_fetched_while_others_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    go, loads = threading.Event(), list[str]()

    def load(name: str) -> Any:
        loads.append(name)
        go.wait(30)
        return "here"

    monkeypatch.setattr(bases, "load_base", load)
    here = Bases(0.01)
    for _ in range(2):
        with pytest.raises(Overloaded, match="far is still being fetched") as refused:
            here.load("far")
    assert refused.value.context["retry_after"] == bases.RETRY_S
    go.set()
    here._longest_s = 30
    assert here.load("far") == "here"
    assert loads == ["far"]


@pytest.mark.parametrize("error", [UnknownBaseModel("there is none"), TimeoutError("the disk")])
def test_what_loading_comes_to_is_told_and_not_remembered(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(name: str) -> Any:
        raise error

    monkeypatch.setattr(bases, "load_base", fail)
    here = Bases(30)
    with pytest.raises(type(error), match=str(error)):
        here.load("far")
    monkeypatch.setattr(bases, "load_base", lambda name: "here")
    assert here.load("far") == "here"
