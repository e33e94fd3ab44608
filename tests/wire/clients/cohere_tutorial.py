"""The published ATIS tutorial, but that the dashboard's clicks are the API's calls: rows in, model id out, classify.

    python cohere_tutorial.py URL TRAIN TEST BASE FOLDER

TRAIN and TEST are JSON lines of {"text", "label"}; BASE may be empty. Prints a JSON object of what the steps gave.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import cohere
from cohere.finetuning import BaseModel, FinetunedModel, Settings
from connect_cohere import connect

BATCH_SIZE = 90  # The API accepts a maximum of 96 inputs

url, train, test, base, folder = sys.argv[1:]
answers, sys.stdout = sys.stdout, sys.stderr  # `wait` prints
co = connect(url)

# Upload, and wait until the rows have been looked at.
dataset = co.wait(
    co.datasets.create(
        name="atis", data=("train.jsonl", Path(train).read_bytes()), type="single-label-classification-finetune-input"
    )
).dataset

# Download it again, in the format that the service keeps it in.
co.utils.save_dataset(dataset, f"{folder}/again.jsonl")
again = [json.loads(line) for line in Path(folder, "again.jsonl").read_text(encoding="utf-8").splitlines()]

# Make the model, and wait until it is ready.
begun = time.time()
made = co.finetuning.create_finetuned_model(
    request=FinetunedModel(
        name="atis-classify-ft",
        settings=Settings(
            base_model=BaseModel(base_type="BASE_TYPE_CLASSIFICATION", **({"name": base} if base else {})),
            dataset_id=dataset.id,
        ),
    )
).finetuned_model
seen = [made.status]
while seen[-1] not in ("STATUS_READY", "STATUS_FAILED"):
    time.sleep(0.3)
    seen.append(co.finetuning.get_finetuned_model(made.id).finetuned_model.status)
seconds = time.time() - begun


def classify_text_finetune(texts):
    classifications = co.classify(model=made.id + "-ft", inputs=texts, examples=None).classifications
    return [c.predictions[0] for c in classifications]


# Create batches of texts and classify them.
rows = [json.loads(line) for line in Path(test).read_text(encoding="utf-8").splitlines()]
y_pred = []
for i in range(0, len(rows), BATCH_SIZE):
    y_pred.extend(classify_text_finetune([row["text"] for row in rows[i : i + BATCH_SIZE]]))

# Compute metrics on the test dataset.
y_true = [row["label"] for row in rows]
accuracy = sum(p == t for p, t in zip(y_pred, y_true, strict=True)) / len(rows)


def f1_of(label):
    hits = sum(p == t == label for p, t in zip(y_pred, y_true, strict=True))
    return 2 * hits / (y_pred.count(label) + y_true.count(label))


f1 = sum(count * f1_of(label) for label, count in Counter(y_true).items()) / len(rows)
print(f"Accuracy: {100 * accuracy:.2f}\nF1-score: {100 * f1:.2f}", file=answers)

events = co.finetuning.list_events(made.id).events
steps = co.finetuning.list_training_step_metrics(made.id).step_metrics
print(
    json.dumps(
        {
            "version": cohere.__version__ if hasattr(cohere, "__version__") else "",
            "again": again,
            "statuses": list(dict.fromkeys(seen)),
            "events": [event.status for event in events],
            "steps": [[step.step_number, step.metrics] for step in steps],
            "id": made.id,
            "accuracy": accuracy,
            "f1": f1,
            "seconds": seconds,
        }
    ),
    file=answers,
)
