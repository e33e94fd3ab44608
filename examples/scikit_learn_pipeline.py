"""TextClassifier in scikit-learn: a pipeline, cross-validation, several labels a row.

Run: python examples/scikit_learn_pipeline.py
"""

import json

import numpy as np
from sklearn.metrics import classification_report
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer

import tamis
from tamis.examples import example_path


def read(name: str) -> tuple[list[str], list[str], list[list[str]]]:
    """Texts, intents and topics of a packaged file. Some of its rows are wrong on purpose: they are passed over."""
    texts, intents, topics = [], [], []
    for line in example_path(name).read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
            found = row["text"], row["labels"]["intent"].lower(), row["labels"]["topics"]
        except (ValueError, KeyError):
            continue
        if isinstance(found[0], str) and found[0].strip():
            for column, value in zip((texts, intents, topics), found, strict=True):
                column.append(value)
    return texts, intents, topics


def lower(texts: list[str]) -> list[str]:
    """Stand in for whatever you do to texts first."""
    return [text.lower() for text in texts]


texts, intents, topics = read("support.jsonl")
test_texts, test_intents, test_topics = read("support-test.jsonl")

# One label a row.
classifier = make_pipeline(FunctionTransformer(lower), tamis.TextClassifier(seed=1))
scores = cross_val_score(classifier, texts, intents, cv=2)
print(f"intent: accuracy {scores.mean():.2f} +- {scores.std():.2f} in 2-fold cross-validation")
classifier.fit(texts, intents)
print(f"intent: accuracy {classifier.score(test_texts, test_intents):.2f} on the test rows")
for row in classifier.predict_proba(["Order 4711 has not arrived", "I forgot my password"]):
    best = np.argsort(-row)[:2]
    print("  ", ", ".join(f"{classifier.classes_[place]} {row[place]:.2f}" for place in best))

# Any number of labels a row: as lists, or as a 0/1 table with a column a label. Answers come as the labels came.
several = tamis.TextClassifier().fit(texts, topics)
print(several.predict(["The parcel came late and the mug in it is broken"]))
table = MultiLabelBinarizer(classes=several.classes_)
truth, found = table.fit_transform(test_topics), table.transform(several.predict(test_texts))
print(classification_report(truth, found, target_names=table.classes_, zero_division=0))

# What was trained is a model like any other: `tamis evaluate topics-model FILE`, `tamis classify topics-model TEXT`.
several.save("topics-model", overwrite=True)
