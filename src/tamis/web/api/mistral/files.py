"""Files: upload, list, retrieve, delete, download, signed URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from tamis.web.routing import (
    FILE_CONTENT,
    JsonRoute,
    RawRoute,
    answer,
    answer_file,
    body_docs,
    link_to_file,
    may_train,
    require_purpose,
    workspace_of,
)
from tamis.web.uploads import receive_file
from tamis.workspace.files import BATCH

if TYPE_CHECKING:
    from tamis.store.records import FileRecord

router = APIRouter(prefix="/v1/files", tags=["Files"], route_class=JsonRoute)
streams = APIRouter(prefix="/v1/files", tags=["Files"], route_class=RawRoute)
signed = APIRouter(tags=["Files"], route_class=JsonRoute)


class File(BaseModel):
    """A file; every field that the SDKs demand is there, and times and sizes are whole numbers."""

    id: str = Field(examples=["497f6eca-6276-4993-bfeb-53cbbbba6f09"])
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str = Field(examples=["train.jsonl"])
    purpose: str = Field(examples=["fine-tune"])
    sample_type: str = Field(examples=["instruct"])
    source: str = Field(examples=["upload"])
    num_lines: int | None = None
    mimetype: str | None = None
    signature: str | None = None
    expires_at: int | None = None
    visibility: str | None = None

    @classmethod
    def of(cls, record: FileRecord) -> File:
        """Return a record as the wire has it."""
        return cls(**_fields(record))


class RetrievedFile(File):
    """A file as it is retrieved alone."""

    deleted: bool = False


class FileList(BaseModel):
    """A page of files, the newest first."""

    data: list[File]
    object: Literal["list"] = "list"
    total: int | None


class DeletedFile(BaseModel):
    """What a deletion answers."""

    id: str = Field(examples=["497f6eca-6276-4993-bfeb-53cbbbba6f09"])
    object: Literal["file"] = "file"
    deleted: bool = True


class FileUrl(BaseModel):
    """Where the file can be fetched without a key, for a while."""

    url: str = Field(examples=["http://127.0.0.1:8000/signed/files/497f6eca...?expires=1893456000&signature=5f0c..."])


class UploadForm(BaseModel):
    """The parts of an upload; the file may be of any size up to the limit, and is never held in memory."""

    purpose: str = Field(default="fine-tune", examples=["fine-tune", "batch"])
    visibility: str = "workspace"
    expiry: int | None = Field(default=None, description="Hours until the file is deleted.")
    file: str = Field(json_schema_extra={"format": "binary"})


@streams.post(
    "",
    summary="Upload a file",
    response_model=File,
    openapi_extra=body_docs(UploadForm, "multipart/form-data"),
)
async def upload(request: Request) -> Response:
    """Store a file. The same name with the same content gives the file that is there already."""
    return answer(File.of(await receive_file(request)))


@router.get("", summary="List files", response_model=FileList)
def list_files(  # noqa: PLR0913  the query's parameters
    request: Request,
    page: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
    include_total: bool = True,
    sample_type: Annotated[list[str] | None, Query()] = None,
    source: Annotated[list[str] | None, Query()] = None,
    mimetypes: Annotated[list[str] | None, Query()] = None,
    search: Annotated[str | None, Query(max_length=512)] = None,
    purpose: str | None = None,
) -> Response:
    """Return a page of the files that match all filters, the newest first; without `train`, those of batches."""
    if purpose is None and not may_train(request):
        purpose = BATCH
    if purpose is not None:
        require_purpose(request, purpose)
    found, total = workspace_of(request).files.list(
        page,
        page_size,
        {
            "sample_types": sample_type,
            "sources": source,
            "mimetypes": mimetypes,
            "purpose": purpose,
            "search": search,
        },
    )
    return answer(FileList(data=[File.of(record) for record in found], total=total if include_total else None))


@router.get("/{file_id}", summary="Retrieve a file's description", response_model=RetrievedFile)
def retrieve(request: Request, file_id: str) -> Response:
    """Return what is known of a file."""
    return answer(RetrievedFile(**_fields(_file(request, file_id))))


@router.delete("/{file_id}", summary="Delete a file", response_model=DeletedFile)
def delete(request: Request, file_id: str) -> Response:
    """Delete a file that no live job needs."""
    _file(request, file_id)
    workspace_of(request).files.delete(file_id)
    return answer(DeletedFile(id=file_id))


@router.get("/{file_id}/content", summary="Download a file", response_class=Response, responses=FILE_CONTENT)
def download(request: Request, file_id: str) -> Response:
    """Return the file's bytes, as `application/octet-stream`: the SDKs take nothing else."""
    record = _file(request, file_id)
    return answer_file(request, workspace_of(request).files.read(file_id), record.name, record.bytes)


@router.get("/{file_id}/url", summary="A link that works without a key", response_model=FileUrl)
def url(request: Request, file_id: str, expiry: int = 24) -> Response:
    """Return a link to the file's content that works for `expiry` hours."""
    _file(request, file_id)
    return answer(FileUrl(url=link_to_file(request, file_id, expiry)))


@signed.get("/signed/files/{file_id}", summary="Download by a link", response_class=Response, responses=FILE_CONTENT)
def download_signed(request: Request, file_id: str, expires: str, signature: str) -> Response:
    """Return the file's bytes to whoever has the link, until it expires."""
    record, pieces = workspace_of(request).files.open_signed(file_id, expires, signature)
    return answer_file(request, pieces, record.name, record.bytes)


def _file(request: Request, file_id: str) -> FileRecord:
    """Return a file that the caller may have to do with."""
    record = workspace_of(request).files.get(file_id)
    require_purpose(request, record.purpose)
    return record


def _fields(record: FileRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "bytes": record.bytes,
        "created_at": record.created_at,
        "filename": record.name,
        "purpose": record.purpose,
        "sample_type": record.sample_type,
        "source": record.source,
        "num_lines": record.num_lines,
        "mimetype": record.mimetype,
        "signature": record.sha256[:16],
        "expires_at": record.expires_at,
        "visibility": record.visibility,
    }
