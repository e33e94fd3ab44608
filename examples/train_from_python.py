"""Train on lists, look at the figures, save, load, classify. Run: python examples/train_from_python.py

The rows are those of the packaged example set, here as Python lists: two targets, one with any number of labels a row.
Your own come from wherever you have them: a file's path, a pandas DataFrame or a Hugging Face dataset does as well.
"""

import json

import tamis
from tamis.examples import example_path

texts, intents, topics = [], [], []
for line in example_path("support-test.jsonl").read_text("utf-8").splitlines():
    row = json.loads(line)
    texts.append(row["text"])
    intents.append(row["labels"].get("intent"))  # None: not known for this row
    topics.append(row["labels"].get("topics"))  # [] says that no topic applies

# Rows to learn from: a file this time. A few of them are wrong on purpose, so allow one in a hundred to be left out.
model = tamis.train(example_path("support.jsonl"), max_bad_share=0.01)
for tally in model.run.tallies:
    print(f"{tally.rows} rows read, {tally.rejected} left out: {', '.join(str(bad) for bad in tally.first)[:100]}...")

# Rows to measure with: texts and, by target, their labels.
report = model.evaluate((texts, {"intent": intents, "topics": topics}))
intent, topic = report.targets["intent"], report.targets["topics"]
print(
    f"intent: accuracy {intent.accuracy:.3f}, 95 % interval {intent.accuracy_ci[0]:.3f} to {intent.accuracy_ci[1]:.3f}"
)
print(f"topics: micro F1 {topic.micro_f1:.3f}")

model.save("support-model", overwrite=True)

# Later, elsewhere: the folder is all that is needed.
model = tamis.load("support-model")
for text in ("Where is my parcel, and who pays me back?", "The lid of the kettle has come off"):
    answers = model.classify(text)
    intent = answers["intent"]
    print(f"\n{text}\n  intent  {intent.label or 'not sure'} ({intent.confidence:.0%})")
    print(f"  topics  {', '.join(answers['topics'].labels) or 'none'}")
