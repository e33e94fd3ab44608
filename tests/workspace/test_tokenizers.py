"""Tokenizers: loaded once, and while one is loaded the others go on."""

import threading
from typing import Any

import pytest

from tamis.errors import UnknownBaseModel
from tamis.workspace import bases
from tamis.workspace.workspace import Workspace


def test_while_one_is_fetched_others_answer(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, told = threading.Event(), threading.Event(), list[str]()
    assert workspace.tokenizers.tokens("static-en", "a parcel")

    def fetch(name: str) -> Any:
        begun.set()
        go_on.wait(60)
        raise UnknownBaseModel(f"{name} cannot be fetched.")

    def ask() -> None:
        with pytest.raises(UnknownBaseModel) as refused:
            workspace.tokenizers.tokens("minilm-l6", "a parcel")
        told.append(refused.value.message)

    monkeypatch.setattr(bases, "load_base", fetch)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert begun.wait(60)
        assert workspace.tokenizers.tokens("static-en", "a parcel")
    finally:
        go_on.set()
        asking.join()
    assert told == ["minilm-l6 cannot be fetched."]
