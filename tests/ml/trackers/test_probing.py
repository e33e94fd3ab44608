"""A server is asked once, with little patience, and the key goes nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ml.trackers.wandb_stub import WandbStub
from tamis.ml.trackers import probing
from tamis.ml.trackers.probing import Unanswered, ask, basic

QUESTION = {"query": "query Viewer { viewer { id } }"}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(probing, "PATIENCE_S", 0.3)
    with WandbStub() as found:
        yield found


@pytest.mark.parametrize(
    ("manner", "status"), [("well", 200), ("unauthorized", 401), ("errors", 500), ("redirects", 302), ("garbage", 200)]
)
def test_the_status_is_told_and_redirects_are_not_followed(stub: WandbStub, manner: str, status: int):
    stub.manner = manner  # type: ignore[assignment]
    found, answer = ask(f"{stub.url}/graphql", basic("api", "key"), QUESTION)
    assert found == status
    assert (answer is not None) == (manner == "well")
    assert [authorization for _, authorization, _ in stub.requests] == ["Basic YXBpOmtleQ=="]


def test_silence_is_told_in_words(stub: WandbStub):
    stub.manner = "hangs"
    with pytest.raises(Unanswered, match=r"no answer within 0\.3 s"):
        ask(f"{stub.url}/graphql", {}, QUESTION)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense", "http://", "ftp://127.0.0.1:9/x", "http://[::1"])
def test_an_address_that_cannot_be_asked_is_told_in_words(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(Unanswered, match=r"."):
        ask(address, {})
