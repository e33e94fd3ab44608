"""Datasets and fine-tuned models beyond the tutorial, through each release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wire.client_process import CallFailed, Client, Json
from wire.training_rows import topics, write_rows

SINGLE = "single-label-classification-finetune-input"
MULTI = "multi-label-classification-finetune-input"


def rows(several: bool = False) -> list[Json]:
    """Return rows of the service's form."""
    said = [(row["text"], row["labels"]["topic"]) for row in topics(6)]
    return [
        {"text": text, "label": [topic] * (n % 3 > 0) if several else topic} for n, (text, topic) in enumerate(said)
    ]


def created(cohere: Client, path: Path, **options: Any) -> Json:
    """Create a dataset of a file and return it."""
    dataset_id = cohere.call("datasets.create", data={"$open": str(path)}, **options)["id"]
    return cohere.call("datasets.get", id=dataset_id)["dataset"]


def test_a_life(cohere: Client, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows()))
    held = write_rows(tmp_path / "held.jsonl", rows()[:30])
    name = str(cohere.sdk)
    made = created(cohere, path, name=name, type=SINGLE, eval_data={"$open": str(held)}, keep_original_file=True)
    assert (made["name"], made["validation_status"], made["dataset_type"]) == (name, "validated", SINGLE)
    assert [part["num_rows"] for part in made["dataset_parts"]] == [len(rows()), 30]
    assert json.loads(made["schema_"])["fields"][0]["name"] == "text"
    assert cohere.call("wait_for", dataset_id=made["id"])["dataset"]["id"] == made["id"]
    listed = cohere.call("datasets.list", dataset_type=SINGLE, limit=100, validation_status="validated")["datasets"]
    assert made["id"] in [one["id"] for one in listed]
    assert cohere.call("datasets.get_usage")["organization_usage"] > 0
    cohere.call("datasets.delete", id=made["id"])
    with pytest.raises(CallFailed) as caught:
        cohere.call("datasets.get", id=made["id"])
    assert (caught.value.type, caught.value.status) == ("NotFoundError", 404)


def test_malformed_rows_fail_it_or_are_skipped(cohere: Client, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "train.jsonl", [*rows(several=True), {"text": "x", "label": "not a list"}])
    failed = created(cohere, path, name="failed", type=MULTI)
    assert failed["validation_status"] == "failed"
    assert f"train.jsonl:{len(rows()) + 1}: The label is a string" in failed["validation_error"]
    with pytest.raises(CallFailed, match=r"status failed and error .*train\.jsonl"):
        cohere.call("wait_for", dataset_id=failed["id"])
    good = created(cohere, path, name="good", type=MULTI, skip_malformed_input=True)
    assert good["validation_status"] == "validated"
    assert "1 malformed row of" in good["validation_warnings"][0]


def test_what_cannot_be_is_a_bad_request(cohere: Client, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "train.jsonl", rows())
    table = tmp_path / "train.csv"
    table.write_text("text,label\n")
    for options, says in (
        ({"data": path, "name": "x" * 60, "type": SINGLE}, "query.name"),
        ({"data": path, "name": "mine", "type": "embed-input"}, "query.type"),
        ({"data": path, "name": "mine", "type": SINGLE, "csv_delimiter": "ab"}, "query.csv_delimiter"),
        ({"data": table, "name": "mine", "type": MULTI}, "body.data"),
    ):
        with pytest.raises(CallFailed) as caught:
            cohere.call("datasets.create", **options | {"data": {"$open": str(options["data"])}})
        assert caught.value.type == "BadRequestError"
        assert caught.value.body["message"].startswith(says)  # type: ignore[index]


def model_of(dataset_id: str, name: str, **base: str) -> Json:
    """Return what asks for a model."""
    base_model = {"base_type": "BASE_TYPE_CLASSIFICATION", **base}
    return {"name": name, "settings": {"base_model": base_model, "dataset_id": dataset_id}}


def test_models_are_listed_renamed_and_deleted(cohere: Client, tmp_path: Path, topic_model: str) -> None:
    path = write_rows(tmp_path / "train.jsonl", rows(several=True))
    dataset_id = created(cohere, path, name="mine", type=MULTI)["id"]
    asked = model_of(dataset_id, f"mine {cohere.sdk}")
    made = cohere.call("finetuning.create_finetuned_model", request=asked)["finetuned_model"]
    assert (made["name"], made["settings"]["dataset_id"]) == (f"mine {cohere.sdk}", dataset_id)
    assert made["settings"]["multi_label"] is True
    page = cohere.call("finetuning.list_finetuned_models", page_size=1)
    assert page["finetuned_models"][0]["id"] == made["id"]
    assert page["total_size"] >= 2
    rest = cohere.call("finetuning.list_finetuned_models", page_token=page["next_page_token"])["finetuned_models"]
    assert made["id"] not in [one["id"] for one in rest]
    settings = asked["settings"]
    renamed = cohere.call("finetuning.update_finetuned_model", id=made["id"], name="better", settings=settings)
    assert renamed["finetuned_model"]["name"] == "better"
    cohere.call("finetuning.delete_finetuned_model", id=made["id"])
    with pytest.raises(CallFailed) as caught:
        cohere.call("finetuning.get_finetuned_model", id=made["id"])
    assert caught.value.type == "NotFoundError"


def test_models_that_cannot_be(cohere: Client) -> None:
    for asked, kind, says in (
        (model_of("gone", "mine"), "NotFoundError", "gone"),
        (model_of("gone", "mine", base_type="BASE_TYPE_CHAT"), "BadRequestError", "BASE_TYPE_CLASSIFICATION"),
        (model_of("gone", ""), "BadRequestError", "body.name"),
    ):
        with pytest.raises(CallFailed) as caught:
            cohere.call("finetuning.create_finetuned_model", request=asked)
        assert caught.value.type == kind
        assert says in caught.value.body["message"]  # type: ignore[index]
