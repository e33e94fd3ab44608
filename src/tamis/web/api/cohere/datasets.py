"""Datasets: create, list, get, usage, delete; downloads are Avro files behind links that need no key."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from tamis.errors import UnknownFile
from tamis.web.api.cohere.wire import Deleted, iso
from tamis.web.routing import (
    PlainRoute,
    PlainUploadRoute,
    answer,
    answer_json,
    body_docs,
    caller_of,
    link_to_file,
    seconds_of,
    workspace_of,
)
from tamis.web.uploads import Form, boundary_of, receive_files
from tamis.workspace.datasets import PARTS, SINGLE, NewDataset

if TYPE_CHECKING:
    from tamis.store.records import DatasetRecord

router = APIRouter(prefix="/v1/datasets", tags=["Cohere"], route_class=PlainRoute)
uploads = APIRouter(prefix="/v1/datasets", tags=["Cohere"], route_class=PlainUploadRoute)

LINK_HOURS = 24


class DatasetForm(BaseModel):
    """The files of a dataset."""

    data: str = Field(
        json_schema_extra={"format": "binary"},
        description="JSON lines or CSV with `text` and `label`",
        examples=['{"text": "where is my parcel", "label": "delivery"}\n'],
    )
    eval_data: str | None = Field(default=None, json_schema_extra={"format": "binary"})


class DatasetPart(BaseModel):
    """One file of a dataset, as Avro."""

    id: str
    name: str
    url: str | None = Field(description="null where somebody deleted the file by itself")
    index: int
    size_bytes: int
    num_rows: int
    samples: list[str]
    original_url: str | None


class LabelMetric(BaseModel):
    """How often a label occurs."""

    label: str
    total_examples: int
    samples: list[str]


class LabelMetrics(BaseModel):
    """All labels of the training rows, the most frequent first."""

    label_metrics: list[LabelMetric]


class FinetuneMetrics(BaseModel):
    """Counts; tokens are counted when a model is made."""

    trainable_token_count: int | None = None
    total_examples: int
    train_examples: int
    train_size_bytes: int
    eval_examples: int
    eval_size_bytes: int
    classify_data_metrics: LabelMetrics


class DatasetMetrics(BaseModel):
    """What was counted."""

    finetune_dataset_metrics: FinetuneMetrics


class Dataset(BaseModel):
    """A dataset: `validated`, or `failed` with the reason in `validation_error`."""

    id: str = Field(examples=["intents-5f1c2a9b7e"])
    name: str
    created_at: str
    updated_at: str
    dataset_type: str = Field(examples=[SINGLE])
    validation_status: str = Field(examples=["validated"])
    validation_error: str | None
    schema_: str | None = Field(serialization_alias="schema")
    required_fields: list[str] = ["text", "label"]
    preserve_fields: list[str] = []
    dataset_parts: list[DatasetPart]
    validation_warnings: list[str]
    metrics: DatasetMetrics | None

    @classmethod
    def of(cls, request: Request, record: DatasetRecord) -> Dataset:
        """Return a record as the wire has it."""
        return cls(
            id=record.id,
            name=record.name,
            created_at=iso(record.created_at),
            updated_at=iso(record.modified_at),
            dataset_type=record.type,
            validation_status=record.status,
            validation_error=record.error,
            schema_=workspace_of(request).datasets.schema(record) if record.parts else None,
            dataset_parts=[_part(request, record, index) for index in range(len(record.parts))],
            validation_warnings=list(record.warnings),
            metrics=_metrics(record.metrics) if record.metrics else None,
        )


class CreatedDataset(BaseModel):
    """What a creation answers."""

    id: str = Field(examples=["intents-5f1c2a9b7e"])


class OneDataset(BaseModel):
    """A dataset by itself."""

    dataset: Dataset


class DatasetList(BaseModel):
    """Datasets, the newest first."""

    datasets: list[Dataset]


class Usage(BaseModel):
    """What all datasets take."""

    organization_usage: int = Field(examples=[1_048_576])


@uploads.post(
    "",
    summary="Create a dataset",
    response_model=CreatedDataset,
    openapi_extra=body_docs(DatasetForm, "multipart/form-data"),
)
async def create(  # noqa: PLR0913  the query's parameters
    request: Request,
    name: str,
    type: str,
    keep_original_file: bool = False,
    skip_malformed_input: bool = False,
    keep_fields: Annotated[list[str] | None, Query()] = None,
    optional_fields: Annotated[list[str] | None, Query()] = None,
    text_separator: str | None = None,
    csv_delimiter: str | None = None,
) -> Response:
    """Store labelled rows and look at each; malformed ones fail the dataset unless they are to be skipped."""
    new = NewDataset(
        name=name,
        type=type,
        keep_original=keep_original_file,
        skip_malformed=skip_malformed_input,
        keep_fields=[*(keep_fields or ()), *(optional_fields or ())],
        csv_delimiter=csv_delimiter,
        created_by=caller_of(request),
    )
    datasets = workspace_of(request).datasets
    datasets.check(new)
    form = Form(boundary_of(request.headers.get("content-type", "")), PARTS)
    parts = await receive_files(request, form, lambda part, filename: datasets.begin(new, part, filename))
    record = await anyio.to_thread.run_sync(datasets.create, new, parts)
    return answer(CreatedDataset(id=record.id))


@router.get("", summary="List datasets", response_model=DatasetList)
def list_datasets(  # noqa: PLR0913  the query's parameters
    request: Request,
    dataset_type: Annotated[str | None, Query(alias="datasetType")] = None,
    before: datetime | None = None,
    after: datetime | None = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    validation_status: Annotated[str | None, Query(alias="validationStatus")] = None,
) -> Response:
    """Return the datasets that match all filters, the newest first."""
    found = workspace_of(request).datasets.list(
        offset,
        limit or 100,
        {
            "type": dataset_type,
            "status": validation_status,
            "before": seconds_of(before),
            "after": seconds_of(after),
        },
    )
    return _answer(DatasetList(datasets=[Dataset.of(request, record) for record in found]))


@router.get("/usage", summary="What datasets take", response_model=Usage)
def usage(request: Request) -> Response:
    """Return the bytes of all datasets."""
    return answer(Usage(organization_usage=workspace_of(request).datasets.bytes()))


@router.get("/{dataset_id}", summary="Get a dataset", response_model=OneDataset)
def get(request: Request, dataset_id: str) -> Response:
    """Return a dataset with links to its rows, which work for a day without a key."""
    return _answer(OneDataset(dataset=Dataset.of(request, workspace_of(request).datasets.get(dataset_id))))


@router.delete("/{dataset_id}", summary="Delete a dataset", response_model=Deleted)
def delete(request: Request, dataset_id: str) -> Response:
    """Delete a dataset that no live job needs; models that were trained on it stay."""
    workspace_of(request).datasets.delete(dataset_id)
    return answer(Deleted())


def _answer(content: BaseModel) -> Response:
    """Return a wire model as the answer, its fields by the names that they have on the wire."""
    return answer_json(content.model_dump(by_alias=True))


def _part(request: Request, record: DatasetRecord, index: int) -> DatasetPart:
    part = record.parts[index]
    return DatasetPart(
        id=f"{record.id}-{index}",
        name=part["file"],
        url=_link(request, part["avro_file"]),
        index=index,
        size_bytes=part["avro_bytes"],
        num_rows=part["rows"],
        samples=part["samples"],
        original_url=_link(request, part["original"]),
    )


def _link(request: Request, file_id: str | None) -> str | None:
    with suppress(UnknownFile):
        return link_to_file(request, file_id, LINK_HOURS) if file_id else None
    return None


def _metrics(found: dict[str, Any]) -> DatasetMetrics:
    counts = {name: value for name, value in found.items() if name != "labels"}
    labels = LabelMetrics(label_metrics=[LabelMetric(**label) for label in found["labels"]])
    return DatasetMetrics(finetune_dataset_metrics=FinetuneMetrics(**counts, classify_data_metrics=labels))
