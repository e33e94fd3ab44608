"""Records to try the store with."""

from typing import Any
from uuid import uuid4

from tamis.store.records import (
    BatchRecord,
    DatasetRecord,
    FileRecord,
    JobRecord,
    KeyRecord,
    LookRecord,
    ModelRecord,
    OperationRecord,
    ReviewRecord,
    ShareRecord,
)

NOW = 1_800_000_000


def new_id() -> str:
    return str(uuid4())


def a_file(**given: Any) -> FileRecord:
    id = given.pop("id", None) or new_id()
    made = {
        "name": "train.jsonl",
        "purpose": "fine-tune",
        "source": "upload",
        "sample_type": "instruct",
        "bytes": 12,
        "sha256": "0" * 64,
        "key": f"files/{id}",
        "created_at": NOW,
    }
    return FileRecord(id=id, **{**made, **given})


def a_job(**given: Any) -> JobRecord:
    id = given.pop("id", None) or new_id()
    made = {
        "status": "QUEUED",
        "model": "ministral-3b-latest",
        "base": "static-en",
        "name": "mine",
        "fingerprint": f"fingerprint of {id}",
        "created_at": NOW,
        "modified_at": NOW,
    }
    return JobRecord(id=id, **{**made, **given})


def a_model(**given: Any) -> ModelRecord:
    id = given.pop("id", None) or new_id()
    made = {
        "name": "mine",
        "root": "ministral-3b-latest",
        "base": "static-en",
        "place": f"objects:models/{id}",
        "created_at": NOW,
    }
    return ModelRecord(id=id, **{**made, **given})


def a_batch(**given: Any) -> BatchRecord:
    made = {
        "id": new_id(),
        "endpoint": "/v1/classifications",
        "status": "QUEUED",
        "created_at": NOW,
        "modified_at": NOW,
    }
    return BatchRecord(**{**made, **given})


def a_key(**given: Any) -> KeyRecord:
    made = {"id": new_id(), "name": "laptop", "scopes": ("infer", "train"), "prefix": "tamis-ab", "created_at": NOW}
    return KeyRecord(**{**made, **given})


def a_dataset(**given: Any) -> DatasetRecord:
    made = {
        "id": new_id(),
        "name": "rows",
        "type": "single-label-classification-finetune-input",
        "status": "validated",
        "created_at": NOW,
        "modified_at": NOW,
    }
    return DatasetRecord(**{**made, **given})


def a_review(**given: Any) -> ReviewRecord:
    made = {
        "id": new_id(),
        "status": "SUCCESS",
        "training_file": "file-1",
        "created_at": NOW,
        "modified_at": NOW,
    }
    return ReviewRecord(**{**made, **given})


def an_operation(**given: Any) -> OperationRecord:
    made = {
        "id": new_id(),
        "kind": "evaluate",
        "status": "SUCCESS",
        "title": "shop on test.jsonl",
        "created_at": NOW,
        "modified_at": NOW,
    }
    return OperationRecord(**{**made, **given})


def a_share(**given: Any) -> ShareRecord:
    made = {
        "id": new_id(),
        "model_id": "model-1",
        "token_hash": new_id(),
        "title": "for the team",
        "per_minute": 60,
        "created_at": NOW,
    }
    return ShareRecord(**{**made, **given})


def a_look(**given: Any) -> LookRecord:
    made = {
        "id": new_id(),
        "name": "shop",
        "input_hash": new_id(),
        "input": "where is it",
        "reason": "uncertain",
        "created_at": NOW,
    }
    return LookRecord(**{**made, **given})
