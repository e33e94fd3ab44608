"""A published notebook of the hosted classifier factory, cell by cell, with a plain client.

    python notebook.py URL OPTIONS.json

OPTIONS: `train`, `validation`, `test` (JSONL files), `steps`, `rate`, `project` (a tracker's, or null) and `key`
(the tracker's, 40 characters). One JSON object is printed: what every cell had in its variables.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from connect import Mistral, connect

Answers = dict[str, Any]


def upload(client: Mistral, path: str) -> Any:
    """Cell: upload the training data, the validation data."""
    with Path(path).open("rb") as handle:
        return client.files.upload(file={"file_name": Path(path).name, "content": handle})


def create(client: Mistral, options: Answers, training: Any, validation: Any) -> Any:
    """Cell: create a fine-tuning job."""
    tracker = [{"project": options["project"], "api_key": options["key"]}] if options["project"] else None
    return client.fine_tuning.jobs.create(
        model="ministral-3b-latest",
        job_type="classifier",
        training_files=[{"file_id": training.id, "weight": 1}],
        validation_files=[validation.id],
        hyperparameters={"training_steps": options["steps"], "learning_rate": options["rate"]},
        auto_start=False,
        **({"integrations": tracker} if tracker else {}),
    )


def wait_until_validated(client: Mistral, job_id: str, seen: list[str]) -> Any:
    """Cell: `while retrieved_job.status not in ["VALIDATED"]`, printing the job each time."""
    job = client.fine_tuning.jobs.get(job_id=job_id)
    seen.append(job.status)
    deadline = time.monotonic() + 60  # the notebook would go on for ever
    while job.status not in ["VALIDATED"] and time.monotonic() < deadline:
        job = client.fine_tuning.jobs.get(job_id=job_id)
        json.dumps(job.model_dump(), indent=4)
        seen.append(job.status)
        time.sleep(0.05)
    return job


def wait_until_done(client: Mistral, job: Any, seen: list[str]) -> tuple[Any, Answers]:
    """Cell: the loss plot, filled while the job is QUEUED or RUNNING."""
    curve: Answers = {"train": {}, "valid": {}, "growing": []}
    while job.status in ["QUEUED", "RUNNING"]:
        job = client.fine_tuning.jobs.get(job_id=job.id)
        seen.append(job.status)
        if job.status == "QUEUED":
            time.sleep(0.05)
            continue
        for checkpoint in job.checkpoints[::-1]:
            step, metrics = checkpoint.step_number, checkpoint.metrics
            curve["train"].setdefault(step, metrics.train_loss)
            if metrics.valid_loss != 0:
                curve["valid"].setdefault(step, metrics.valid_loss)
        curve["growing"].append(len(job.checkpoints))
        time.sleep(0.05)
    return job, curve


def read_rows(path: str) -> list[Answers]:
    """Cell: load the test samples."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Run the notebook."""
    url, options = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    client = connect(url)
    training, validation = upload(client, options["train"]), upload(client, options["validation"])
    created = create(client, options, training, validation)
    seen: list[str] = [created.status]
    validated = wait_until_validated(client, created.id, seen)
    started = client.fine_tuning.jobs.start(job_id=created.id)
    after_start = client.fine_tuning.jobs.get(job_id=created.id)
    seen.append(after_start.status)
    finished, curve = wait_until_done(client, after_start, seen)
    test = read_rows(options["test"])
    first = client.classifiers.classify(model=finished.fine_tuned_model, inputs=[test[0]["text"]])
    singly = [
        client.classifiers.classify(model=finished.fine_tuned_model, inputs=[row["text"]]).results[0] for row in test
    ]
    together = client.classifiers.classify(model=finished.fine_tuned_model, inputs=[row["text"] for row in test])
    printed = {"training": training, "validation": validation, "created": created, "validated": validated}
    printed |= {"started": started, "after_start": after_start, "finished": finished, "first": first}
    scores = [{target: dict(result[target].scores) for target in result} for result in singly]
    report = {name: value.model_dump() for name, value in printed.items()}
    report |= {"seen": seen, "curve": curve, "scores": scores, "together": together.model_dump()["results"]}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
