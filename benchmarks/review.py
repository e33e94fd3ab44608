"""Wrong labels found: how well Tamis ranks the rows of a set whose errors are known, beside cleanlab, in one run.

    python benchmarks/review.py --data ../shared/data                 the report, on banking77_noisy
    python benchmarks/review.py --data ../shared/data --synthetic     for development: errors put into other sets
    python benchmarks/review.py --data ../shared/data --rows 1000000  time and memory of a whole review too

cleanlab ranks by the same out-of-fold scores (those of the first round, and the final ones), and by those of TF-IDF
with logistic regression; of its three rankings all are shown. What is compared is the order of all rows: average
precision, and the share of true errors among as many rows as there are errors.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import check as check_benchmark
import record

SYNTHETIC = (("hwu64", "intent"), ("trec", "fine"), ("banking77", "intent"))
NOISES = ("even", "shifted")
RATE = 0.04
CLEANLAB = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
WHOLE = """
import json, re, sys, time
begin = time.perf_counter()
from tamis.data.loading import load_splits
from tamis.ml.review import review
def peak():  # of this program alone: what the one that started it had is in ru_maxrss
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1e3
loaded = load_splits(sys.argv[1], max_bad_share=1.0)
read, held, worked = time.perf_counter(), peak(), time.process_time()
found = review(loaded)
print(json.dumps({"rows": len(loaded.train), "read": read - begin, "review": time.perf_counter() - read,
    "processor": time.process_time() - worked, "findings": len(found.findings), "data_mb": held, "peak_mb": peak()}))
"""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def known_errors(data: Path) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    """Return texts, given and true codes and label names of banking77_noisy."""
    rows = rows_of(data / "banking77_noisy" / "train.jsonl")
    return _coded(
        [row["text"] for row in rows],
        [row["labels"]["intent"] for row in rows],
        [row["clean_labels"]["intent"] for row in rows],
    )


def synthetic(data: Path, name: str, target: str, noise: str) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    """Return the same of a set into which errors were put: any label instead, or for some labels always the next."""
    rows = rows_of(data / name / "train.jsonl")
    labels = [row["labels"][target] for row in rows]
    texts, true, _, names = _coded([row["text"] for row in rows], labels, labels)
    random, given = np.random.default_rng(7), true.copy()
    if noise == "even":
        wrong = random.choice(len(true), int(RATE * len(true)), replace=False)
        given[wrong] = (true[wrong] + random.integers(1, len(names), len(wrong))) % len(names)
        return texts, given, true, names
    for code in random.permutation(len(names)):
        if (given != true).sum() >= RATE * len(true):
            break
        own = np.flatnonzero(true == code)
        given[own[-max(1, int(len(own) * random.uniform(0.05, 0.2))) :]] = (code + 1) % len(names)
    return texts, given, true, names


def _coded(texts: list[str], given: list[str], true: list[str]) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    names = sorted({*given, *true})
    index = {name: code for code, name in enumerate(names)}
    return texts, np.array([index[name] for name in given]), np.array([index[name] for name in true]), names


def measured(score: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Return how well a score (higher: more doubtful) ranks the wrong rows."""
    hits = wrong[np.argsort(-score, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return {
        "average_precision": float(precision[hits].mean()),
        "precision_at_errors": float(hits[: int(wrong.sum())].mean()),
    }


def tamis_scores(texts: list[str], given: np.ndarray, names: list[str], rounds: int) -> tuple[Any, np.ndarray, float]:
    """Return the kept out-of-fold scores, the same as a dense table, and the seconds they took."""
    from tamis.data.dataset import build
    from tamis.ml.base_models import load_base
    from tamis.ml.out_of_fold import out_of_fold
    from tamis.schema import Example

    examples = (Example(text, {"intent": (names[code],)}) for text, code in zip(texts, given, strict=True))
    data = build(examples)
    place = np.array([names.index(label) for label in data.targets[0].labels])
    begin = time.perf_counter()
    scores = out_of_fold(data, load_base("static-en"), rounds=rounds).scores["intent"]
    seconds = time.perf_counter() - begin
    kept = scores.probabilities.astype(np.float64)
    dense = np.tile((1 - kept.sum(axis=1, keepdims=True)).clip(0) / len(names), (1, len(names)))
    np.put_along_axis(dense, place[scores.labels], kept, axis=1)
    return scores, dense / dense.sum(axis=1, keepdims=True), seconds


def tfidf_scores(texts: list[str], given: np.ndarray, n_labels: int) -> np.ndarray:
    """Return 5-fold scores of the usual pipeline."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=300)
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = np.full((len(texts), n_labels), 1e-9)
    scores[:, np.unique(given)] = cross_val_predict(model, texts, given, cv=folds, method="predict_proba")
    return scores / scores.sum(axis=1, keepdims=True)


def compared(texts: list[str], given: np.ndarray, true: np.ndarray, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the figures of each ranking."""
    import cleanlab.rank

    from tamis.data.review.suspects import find_suspects

    wrong = given != true
    _, first, _ = tamis_scores(texts, given, names, 1)
    scores, final, seconds = tamis_scores(texts, given, names, 2)
    suspects = find_suspects(scores)
    yield {
        "ranking": "Tamis",
        "scores": "Tamis, final",
        "seconds": round(seconds, 1),
        **measured(suspects.score, wrong),
    }
    peers = {"Tamis, first round": first, "Tamis, final": final, "TF-IDF": tfidf_scores(texts, given, len(names))}
    for source, table in peers.items():
        for method in CLEANLAB:
            quality = cleanlab.rank.get_label_quality_scores(given, table, method=method)
            yield {"ranking": f"cleanlab, {method}", "scores": source, **measured(-quality, wrong)}


def whole(path: Path) -> dict[str, Any]:
    """Review a file in a process of its own."""
    done = subprocess.run([sys.executable, "-c", WHOLE, str(path)], capture_output=True, text=True, check=True)
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"file": path.parent.name if path.name == "train.jsonl" else "generated", **outcome}


def page(about: dict[str, Any], sets: dict[str, Any], wholes: list[dict[str, Any]]) -> str:
    """Return the results as a page."""
    load = f"Other work was on the machine too: its load was {about['load']:.1f}. Processor seconds are the review's.\n"
    parts = ["# Wrong labels found\n", record.preamble(about), *([load] if about["load"] > 1.5 else [])]
    for name, outcome in sets.items():
        parts.append(f"## {name}: {outcome['wrong']} of {outcome['rows']:,} labels are wrong\n")
        head = ["ranking", "out-of-fold scores", "average precision", "precision at the number of errors"]
        rows = [
            [each["ranking"], each["scores"], f"{each['average_precision']:.3f}", f"{each['precision_at_errors']:.3f}"]
            for each in outcome["rankings"]
        ]
        parts.append(record.table(head, rows, left=2))
    if wholes:
        parts.append("## A whole review: texts, labels, out-of-fold scores, neighbours\n")
        head = ["file", "rows", "reading s", "review s", "processor s", "memory with the data MB", "peak MB"]
        rows = [
            [
                each["file"],
                f"{each['rows']:,}",
                *(f"{each[key]:,.1f}" for key in ("read", "review", "processor", "data_mb", "peak_mb")),
            ]
            for each in wholes
        ]
        parts.append(record.table(head, rows))
    return "\n".join(parts)


def main() -> None:
    """Run what is asked for and write the results."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--synthetic", action="store_true", help="errors put into other sets; writes nothing")
    options.add_argument("--rows", type=int, default=0, help="review a generated file of so many rows too")
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = options.parse_args()
    about = record.surroundings()
    about["load"] = os.getloadavg()[1]
    about["versions"]["cleanlab"] = record.version("cleanlab")
    if given.synthetic:
        named = {
            f"{name}, {noise}": synthetic(given.data, name, target, noise)
            for name, target in SYNTHETIC
            for noise in NOISES
        }
    else:
        named = {"banking77_noisy": known_errors(given.data)}
    sets = {
        name: {"rows": len(case[0]), "wrong": int((case[1] != case[2]).sum()), "rankings": list(compared(*case))}
        for name, case in named.items()
    }
    wholes = [] if given.synthetic else [whole(given.data / "banking77" / "train.jsonl")]
    if given.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.jsonl"
            check_benchmark.write_rows(path, given.rows, seed=0)
            wholes.append(whole(path))
    print(page(about, sets, wholes))
    if not given.synthetic:
        record.write(given.out, "review", page(about, sets, wholes), {"about": about, "sets": sets, "whole": wholes})


if __name__ == "__main__":
    main()
