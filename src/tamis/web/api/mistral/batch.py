"""Batch jobs: many requests from a file, or from the request itself, answered in the background."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import StreamingResponse

from tamis.errors import InvalidRequest
from tamis.settings import MOST_INLINE
from tamis.web.routing import (
    JSON,
    JsonRoute,
    answer,
    caller_of,
    may_train,
    require_purpose,
    seconds_of,
    workspace_of,
)
from tamis.workspace.batches import MOST_PAIRS, NewBatch

if TYPE_CHECKING:
    from tamis.store.records import BatchRecord

router = APIRouter(prefix="/v1/batch/jobs", tags=["Batch"], route_class=JsonRoute)

_KNOWN_QUERY = frozenset(
    {"page", "page_size", "model", "agent_id", "created_after", "created_by_me", "status", "order_by", "metadata"}
)
_EXAMPLE: JsonValue = {
    "endpoint": "/v1/classifications",
    "model": "ft:classifier:ministral-3b-latest:8e27a1b3:20250416:db22a1b3",
    "requests": [{"custom_id": "0", "body": {"input": "Where is my parcel?"}}],
}


MOST_FILES = 10_000


class BatchRequest(BaseModel):
    """One request of a batch."""

    custom_id: str | None = None
    body: dict[str, Any]


class BatchIn(BaseModel):
    """What a new batch job is made of: files, or requests."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    endpoint: str = Field(
        description="/v1/classifications, /v1/chat/classifications, /v1/moderations or /v1/chat/moderations"
    )
    input_files: list[str] | None = Field(
        default=None, max_length=MOST_FILES, description="ids of JSONL files, a request a line"
    )
    requests: list[BatchRequest] | None = Field(default=None, max_length=MOST_INLINE, fail_fast=True)
    model: str | None = None
    agent_id: str | None = Field(default=None, description="not possible here")
    metadata: dict[str, str] | None = Field(default=None, max_length=MOST_PAIRS)
    timeout_hours: int = Field(default=24, description="1 to 168")


class BatchError(BaseModel):
    """What went wrong, and how often."""

    message: str
    count: int = 1


class Batch(BaseModel):
    """A batch job; every field that the SDKs demand is there."""

    id: str
    object: Literal["batch"] = "batch"
    input_files: list[str]
    endpoint: str
    model: str | None
    agent_id: str | None = None
    metadata: dict[str, str] | None
    status: str = Field(examples=["RUNNING"])
    errors: list[BatchError]
    output_file: str | None
    error_file: str | None
    outputs: list[dict[str, Any]] | None = None
    created_at: int
    started_at: int | None
    completed_at: int | None
    total_requests: int
    completed_requests: int
    succeeded_requests: int
    failed_requests: int

    @classmethod
    def of(cls, record: BatchRecord) -> Batch:
        """Return a record as the wire has it."""
        return cls(
            id=record.id,
            input_files=list(record.input_files),
            endpoint=record.endpoint,
            model=record.model or "",
            metadata=dict(record.metadata) or None,
            status=record.status,
            errors=[BatchError(message=str(error["message"]), count=error.get("count", 1)) for error in record.errors],
            output_file=record.output_file,
            error_file=record.error_file,
            created_at=record.created_at,
            started_at=record.started_at,
            completed_at=record.completed_at,
            total_requests=record.total,
            completed_requests=record.completed,
            succeeded_requests=record.succeeded,
            failed_requests=record.failed,
        )


class BatchList(BaseModel):
    """A page of batch jobs."""

    data: list[Batch]
    object: Literal["list"] = "list"
    total: int


class DeletedBatch(BaseModel):
    """What a deletion answers."""

    id: str = Field(examples=["5f0b7a5e-3c1d-4b0e-9a57-2d8f6c1e4b90"])
    object: Literal["batch"] = "batch"
    deleted: bool = True


@router.post("", summary="Create a batch job", response_model=Batch)
def create(request: Request, batch_in: BatchIn) -> Response:
    """Queue many requests of one endpoint and one model."""
    if batch_in.agent_id is not None:
        raise InvalidRequest("body.agent_id: there are no agents here: name a model.", loc=["body", "agent_id"])
    for file_id in () if may_train(request) else batch_in.input_files or ():
        require_purpose(request, workspace_of(request).files.get(file_id).purpose)
    requests = None if batch_in.requests is None else [one.model_dump() for one in batch_in.requests]
    new = NewBatch(
        endpoint=batch_in.endpoint,
        model=batch_in.model,
        input_files=batch_in.input_files or (),
        requests=requests,
        metadata=batch_in.metadata or {},
        timeout_hours=batch_in.timeout_hours,
        created_by=caller_of(request),
    )
    return answer(Batch.of(workspace_of(request).batches.create(new)))


@router.get("", summary="List batch jobs", response_model=BatchList)
def list_batches(  # noqa: PLR0913  the query's parameters
    request: Request,
    page: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
    model: str | None = None,
    agent_id: str | None = None,
    created_after: datetime | None = None,
    created_by_me: bool = False,
    status: Annotated[list[str] | None, Query()] = None,
    order_by: Literal["created", "-created"] = "-created",
) -> Response:
    """Return a page of the batch jobs that match all filters; unknown parts of the query are filters of metadata."""
    if agent_id is not None:
        return answer(BatchList(data=[], total=0))  # there are no agents
    found, total = workspace_of(request).batches.list(
        page,
        page_size,
        {
            "model": model,
            "created_after": seconds_of(created_after),
            "created_by": caller_of(request) if created_by_me else None,
            "status": status,
            "metadata": {key: value for key, value in request.query_params.items() if key not in _KNOWN_QUERY} or None,
            "oldest_first": order_by == "created",
        },
    )
    return answer(BatchList(data=[Batch.of(batch) for batch in found], total=total))


@router.get("/{batch_id}", summary="Get a batch job", response_model=Batch)
def get(request: Request, batch_id: str, inline: bool = False) -> Response:
    """Return a batch job; `inline` adds its results, once it has ended."""
    batches = workspace_of(request).batches
    batch = batches.get(batch_id)
    if not (inline and batch.completed_at):
        return answer(Batch.of(batch))
    return StreamingResponse(_with_outputs(Batch.of(batch), batches.outputs(batch)), media_type=JSON)


@router.post("/{batch_id}/cancel", summary="Cancel a batch job", response_model=Batch)
def cancel(request: Request, batch_id: str) -> Response:
    """Cancel a batch job that has not ended; it leaves no results."""
    return answer(Batch.of(workspace_of(request).batches.cancel(batch_id)))


@router.delete("/{batch_id}", summary="Delete a batch job", response_model=DeletedBatch)
def delete(request: Request, batch_id: str) -> Response:
    """Delete a batch job that has ended."""
    workspace_of(request).batches.delete(batch_id)
    return answer(DeletedBatch(id=batch_id))


def _with_outputs(batch: Batch, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a batch job as JSON with its results, which come as lines in pieces: all at once may not fit in memory."""
    yield batch.model_dump_json(exclude={"outputs"}).removesuffix("}").encode() + b',"outputs":['
    ended = False
    for piece in filter(None, lines):
        yield b"," * ended + piece.removesuffix(b"\n").replace(b"\n", b",")
        ended = piece.endswith(b"\n")
    yield b"]}"
