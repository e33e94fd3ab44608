"""Write a database of the newest schema, with rows in every table, as SQL: the fixture of a released schema.

    python tests/store/dump_schema.py > tests/store/schemas/0009.sql

Run it once for each revision, with the version of Tamis that brought it, and never change what it wrote.
"""

import sqlite3
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from contract.records_made import (
    NOW,
    a_batch,
    a_dataset,
    a_file,
    a_job,
    a_key,
    a_look,
    a_model,
    a_review,
    a_share,
    an_operation,
)
from tamis.store.opening import Store, open_store
from tamis.store.records import CheckpointRecord

KEY = "a secret key for tests, not for you"


def fill(store: Store) -> None:
    """Add rows to every table."""
    store.files.add(a_file(id="file-1", name="Ünïcode.jsonl", num_lines=3, expires_at=NOW + 9))
    store.files.add(a_file(id="file-2", sha256="1" * 64, layout={"text": "Message"}))
    for number, status in enumerate(("QUEUED", "QUEUED", "VALIDATED"), start=1):
        store.jobs.add(
            a_job(
                id=f"job-{number}",
                status=status,
                phase="train",
                fingerprint=f"print-{number}",
                training_files=(("file-1", 1.5),),
                hyperparameters={"learning_rate": 1e-4},
                targets=({"name": "intent", "labels": ["b", "a"]},),
                integrations=({"type": "wandb", "project": "p"},),
            )
        )
    claimed = [store.jobs.claim("worker", NOW, 60.0) for _ in range(2)]
    assert [job.id for job in claimed if job] == ["job-1", "job-2"]
    store.jobs.add_checkpoints("job-1", 1, [CheckpointRecord("job-1", 5, NOW, {"loss": 0.25})])
    store.jobs.finish("job-1", 1, "SUCCESS", a_model(id="model-1", name="intent", ft="ft:1", job_id="job-1"))
    store.models.add(a_model(id="model-2", name="intent", context=512))
    store.aliases.move("prod", "model-1", "set", by="key-1")
    store.keys.add(a_key(id="key-1"), "hash-1")
    store.batches.add(a_batch(id="batch-1", metadata={"team": "a"}, input_files=("file-2",)))
    store.secrets.put("job-2", "wandb", "canary")
    store.reviews.add(a_review(id="review-1", decisions={"duplicates": {"": "accepted"}}))
    store.operations.add(an_operation(id="operation-1", model_id="model-1", summary={"rows": 3}))
    store.shares.add(a_share(id="share-1", model_id="model-1"))
    store.looks.add([a_look(id="look-1", answer={"intent": ["a"]}, status="answered")])
    store.datasets.add(a_dataset(id="dataset-1", parts=({"file": "file-1"},)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tamis.db"
        with open_store(f"sqlite:///{path}", f"file://{folder}/objects", KEY, clock=lambda: float(NOW)) as store:
            fill(store)
        connection = sqlite3.connect(path)
        print("\n".join(connection.iterdump()))
        connection.close()


if __name__ == "__main__":
    main()
