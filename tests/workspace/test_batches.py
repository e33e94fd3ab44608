"""Batch jobs as they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tamis.errors import (
    IllegalTransition,
    InUse,
    InvalidRequest,
    LimitExceeded,
    UnknownBatch,
    UnknownFile,
    UnknownModel,
)
from tamis.store.records import ModelRecord
from tamis.workspace.batches import NewBatch
from tamis.workspace.workspace import Workspace

REQUEST = {"custom_id": "1", "body": {"input": "hi"}}


@pytest.fixture(autouse=True)
def model(workspace: Workspace) -> ModelRecord:
    return workspace.store.models.add(
        ModelRecord(id="m", name="shop", root="english", base="static-en", place="objects:models/m", created_at=0)
    )


def ask(**said: Any) -> NewBatch:
    return NewBatch(**{"endpoint": "/v1/classifications", "model": "shop", "requests": [REQUEST], **said})


def test_inline_requests_are_kept_until_the_batch_is_deleted(workspace: Workspace):
    batch = workspace.batches.create(ask(metadata={"team": "desk"}))
    assert b"".join(workspace.store.objects.read(batch.inline_key)).startswith(b'{"custom_id": "1"')
    assert workspace.batches.get(batch.id).metadata == {"team": "desk"}
    assert workspace.batches.list(0, 10, {"metadata": {"team": "desk"}})[1] == 1
    assert workspace.batches.list(0, 10, {"metadata": {"team": "else"}})[1] == 0
    with pytest.raises(InUse):
        workspace.batches.delete(batch.id)
    assert workspace.batches.cancel(batch.id).status == "CANCELLED"
    with pytest.raises(IllegalTransition):
        workspace.batches.cancel(batch.id)
    workspace.batches.delete(batch.id)
    with pytest.raises(UnknownBatch):
        workspace.batches.get(batch.id)
    assert list(workspace.store.objects.list("batches")) == []


@pytest.mark.parametrize(
    ("said", "error", "place"),
    [
        ({"endpoint": "/v1/embeddings"}, InvalidRequest, "endpoint"),
        ({"requests": None}, InvalidRequest, "input_files"),
        ({"input_files": ["x"]}, InvalidRequest, "input_files"),
        ({"requests": []}, InvalidRequest, "requests"),
        ({"requests": [REQUEST] * 3}, LimitExceeded, "requests"),
        ({"timeout_hours": 0}, InvalidRequest, "timeout_hours"),
        ({"metadata": {"": "x"}}, InvalidRequest, "metadata"),
        ({"metadata": {"k": "x" * 513}}, InvalidRequest, "metadata"),
        ({"metadata": {f"k{n}": "x" for n in range(17)}}, InvalidRequest, "metadata"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(workspace: Workspace, said: dict, error: type, place: str):
    with pytest.raises(error) as refused:
        workspace.batches.create(ask(**said))
    assert refused.value.context["loc"] == ["body", place]
    assert workspace.batches.list(0, 10, {}) == ([], 0)


def test_what_is_not_there_is_named(workspace: Workspace):
    with pytest.raises(UnknownModel, match="nothing"):
        workspace.batches.create(ask(model="nothing"))
    with pytest.raises(UnknownFile, match="nowhere"):
        workspace.batches.create(ask(requests=None, input_files=["nowhere"]))
