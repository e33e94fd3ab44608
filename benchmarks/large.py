"""Training on 100,000 to 1,000,000 short rows: seconds and peak memory, beside a linear model over hashed TF-IDF.

    python benchmarks/large.py --rows 100000 300000 1000000

The rows are made from a seed in a temporary folder: one of 20 labels, and any of 10 tags, told by some of a text's
words; every fifth text has a number that no other has. Both read the same file, learn both targets, and are measured on
10,000 further rows. Each is a process of its own: seconds and peak memory are those of the whole process, its start
included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

import record

LABELS, TAGS, TEST_ROWS = 20, 10, 10_000
WORDS, OWN_WORDS = 30_000, 150
ASTRAY = 0.15
"""Share of a label's words that are another label's."""

MEASURED = """
import json, numpy as np
def figures(test, labels, tags):
    told = [row["labels"] for row in test]
    right = np.mean([row["topic"] == label for row, label in zip(told, labels)])
    hits = sum(len(set(row["tags"]) & set(tag)) for row, tag in zip(told, tags))
    f1 = 2 * hits / max(sum(len(row["tags"]) + len(tag) for row, tag in zip(told, tags)), 1)
    return {"accuracy": float(right), "micro_f1": f1}
def read(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]
"""
PEER = (
    MEASURED
    + """
import sys
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
texts, topics, tags = [], [], []
for line in open(sys.argv[1], encoding="utf-8"):
    row = json.loads(line)
    texts.append(row["text"]), topics.append(row["labels"]["topic"]), tags.append(row["labels"]["tags"])
counting = HashingVectorizer(ngram_range=(1, 2), alternate_sign=False, norm=None, dtype=np.float32)
vectors = make_pipeline(counting, TfidfTransformer(sublinear_tf=True))
matrix = vectors.fit_transform(texts)
one = SGDClassifier(loss="hinge", alpha=1e-6, random_state=0).fit(matrix, topics)
names = MultiLabelBinarizer()
several = OneVsRestClassifier(SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0))
several.fit(matrix, names.fit_transform(tags))
test = read(sys.argv[2])
asked = vectors.transform([row["text"] for row in test])
print(json.dumps(figures(test, one.predict(asked), names.inverse_transform(several.predict(asked)))))
"""
)
TAMIS = (
    MEASURED
    + """
import sys, tamis
model = tamis.train(sys.argv[1], out=sys.argv[3])
test = read(sys.argv[2])
given = model.classify([row["text"] for row in test])
labels = [max(each["topic"].scores, key=each["topic"].scores.get) for each in given]
print(json.dumps({**figures(test, labels, [each["tags"].labels for each in given]), "parts": dict(model.run.seconds)}))
"""
)


class Made:
    """Rows made from a seed."""

    def __init__(self, seed: int) -> None:
        """Make the words, and choose those of each label and tag."""
        self.draw = draw = random.Random(seed)
        syllables = [a + b for a in "bdfgklmnprstv" for b in ("a", "e", "i", "o", "u", "an", "er", "in", "os")]
        self.words = ["".join(draw.choices(syllables, k=draw.choice((2, 2, 3)))) for _ in range(WORDS)]
        self.often = list(accumulate(1 / (rank + 10) for rank in range(WORDS)))
        self.own = [draw.sample(self.words[500:], OWN_WORDS) for _ in range(LABELS + TAGS)]
        self.label_often = list(accumulate(1 / (rank + 3) for rank in range(LABELS)))

    def row(self) -> str:
        """Return one line of JSONL."""
        draw = self.draw
        label = draw.choices(range(LABELS), cum_weights=self.label_often)[0]
        tags = [tag for tag in range(TAGS) if draw.random() < 1 / (tag + 5)]
        text = draw.choices(self.words, cum_weights=self.often, k=draw.randint(3, 12))
        for _ in range(draw.randint(1, 3)):
            text.append(draw.choice(self.own[draw.randrange(LABELS) if draw.random() < ASTRAY else label]))
        text += [draw.choice(self.own[LABELS + tag]) for tag in tags if draw.random() > ASTRAY]
        if draw.random() < 0.2:
            text.append(str(draw.randrange(10**9)))
        draw.shuffle(text)
        labels = {"topic": f"topic_{label}", "tags": [f"tag_{tag}" for tag in tags]}
        return json.dumps({"text": " ".join(text), "labels": labels})


def write_rows(train: Path, test: Path, rows: int, seed: int) -> None:
    """Write both files; memory does not grow with the rows, and the test rows are the same however many they follow."""
    made = Made(seed)
    for path, count in ((test, TEST_ROWS), (train, rows)):
        with path.open("w", encoding="utf-8") as stream:
            for _ in range(count):
                stream.write(f"{made.row()}\n")


def measure(name: str, code: str, rows: int, *arguments: str) -> dict[str, Any]:
    """Run Python code in a process of its own; return what it printed, its seconds and peak memory."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stdout:
        start = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=stdout)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{name} ended with {child.returncode}")
        stdout.seek(0)
        found = json.load(stdout)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return {
        "method": name,
        "rows": rows,
        "seconds": seconds,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * unit / 1e6,
        **found,
    }


def table(results: list[dict[str, Any]]) -> str:
    rows = [
        [
            found["method"],
            f"{found['rows']:,}",
            f"{found['seconds']:,.0f}",
            f"{found['processor_seconds']:,.0f}",
            f"{found['rows'] / found['seconds']:,.0f}",
            f"{found['peak_mb']:,.0f}",
            f"{100 * found['accuracy']:.2f}",
            f"{100 * found['micro_f1']:.2f}",
        ]
        for found in results
    ]
    head = ["", "rows", "seconds", "processor seconds", "rows a second", "peak memory, MB", "accuracy", "micro-F1"]
    return record.table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    given = parser.parse_args()
    results = []
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            train, test, model = (Path(folder, name) for name in ("train.jsonl", "test.jsonl", "model"))
            write_rows(train, test, rows, given.seed)
            results.append(measure("TF-IDF, hashed + SGD", PEER, rows, str(train), str(test)))
            results.append(measure("Tamis", TAMIS, rows, str(train), str(test), str(model)))
            results[-1]["file_mb"] = train.stat().st_size / 1e6
        print(table(results[-2:]), flush=True)
    about = record.surroundings()
    said = f"{LABELS} labels and {TAGS} tags, short texts, seed {given.seed}; measured on {TEST_ROWS:,} further rows."
    markdown = "\n".join(["# Training on very many rows\n", record.preamble(about), said + "\n", table(results)])
    record.write(given.out, "large", markdown, {**about, "runs": results})
    print(markdown)


if __name__ == "__main__":
    main()
