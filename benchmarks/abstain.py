"""Whether a model knows what it has no label for: `python benchmarks/abstain.py --data DATA`.

On banking77_oos: banking questions of 50 intents to learn; the test file also has questions of 27 intents that nobody
learns (near) and questions from other domains (far). Every method learns the same rows, twice: the training file alone,
and with the rows out of scope of the validation file. Cuts are fitted on the in-scope rows of the validation file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from record import preamble, surroundings, table, write
from tamis.evaluation.out_of_scope import turned_away_at

SET, TARGET, OUTSIDE = "banking77_oos", "intent", "oos"
KINDS = {"near": "id-oos", "far": "ood-oos"}
COVERAGE = 0.97
Scores = np.ndarray
Row = dict[str, Any]
Evidence = dict[str, Callable[[list[str]], Scores]]


def read(path: Path) -> list[Row]:
    """Return the rows with their one label as `label`."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [{"text": row["text"], "label": row["labels"][TARGET], "kind": row.get("kind")} for row in rows]


def inside(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["label"] != OUTSIDE]


def outside(rows: list[Row], kind: str | None = None) -> list[Row]:
    return [row for row in rows if row["label"] == OUTSIDE and kind in (None, row["kind"])]


def texts(rows: list[Row]) -> list[str]:
    return [row["text"] for row in rows]


def tfidf(train: list[Row], validation: list[Row]) -> tuple[Evidence, Callable[[list[str]], list[str]], float]:
    """TF-IDF + logistic regression: words 1-2 and characters 2-4 within words, sublinear, C = 10."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    begin = time.perf_counter()
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LogisticRegression(C=10, max_iter=1000))
    model.fit(texts(train), [row["label"] for row in train])
    seconds = time.perf_counter() - begin
    names = np.array(model.classes_)
    own = names != OUTSIDE

    def within(given: list[str]) -> Scores:
        return model.predict_proba(given)[:, own]

    found: Evidence = {"max softmax": lambda given: within(given).max(axis=1)}
    if not own.all():
        found["1 - softmax of oos"] = lambda given: within(given).sum(axis=1)
    return found, lambda given: names[own][within(given).argmax(axis=1)].tolist(), seconds


def tamis_model(train: list[Row], validation: list[Row]) -> tuple[Evidence, Callable[[list[str]], list[str]], float]:
    """`tamis.train` with its defaults; rows out of scope by `oos_label`."""
    import tamis

    def rows(given: list[Row]) -> list[Row]:
        return [{"text": row["text"], "labels": {TARGET: row["label"]}} for row in given]

    begin = time.perf_counter()
    chosen = {"oos_label": OUTSIDE} if outside(train) else {}
    model = tamis.train(rows(train), validation=rows(inside(validation)), **chosen)
    seconds = time.perf_counter() - begin
    predictor, entry = model.predictor, model.manifest.target(TARGET)
    labels = np.array(entry.labels)

    def energy(given: list[str]) -> Scores:
        logits = predictor.logits(given)[TARGET][:, : len(labels)].astype(float)
        return np.logaddexp.reduce(logits, axis=1)

    def served(given: list[str]) -> Scores:
        judged = predictor.judged(predictor.checked_scores(given))[TARGET]
        assert judged is not None
        return judged.evidence

    found: Evidence = {
        "max softmax": lambda given: model.scores(given)[TARGET].max(axis=1),
        "energy": energy,
        "its own rule": served,
    }
    return found, lambda given: labels[model.scores(given)[TARGET].argmax(axis=1)].tolist(), seconds


def auroc(ins: Scores, outs: Scores) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([1, 0], [len(ins), len(outs)]), np.concatenate([ins, outs])))


def cut_at(ins: Scores) -> float:
    """Return the highest cut that leaves the coverage."""
    return float(np.sort(ins)[int(len(ins) * (1 - COVERAGE) + 1e-9)])


def measure(name: str, evidence: Callable[[list[str]], Scores], validation: list[Row], test: list[Row]) -> Row:
    """Return the figures of one method and evidence."""
    ins, fitted = evidence(texts(inside(test))), cut_at(evidence(texts(inside(validation))))
    found: Row = {"method": name, "coverage": float((ins >= fitted).mean())}
    for kind, told in {**KINDS, "all": None}.items():
        outs = evidence(texts(outside(test, told)))
        found[kind] = {
            "auroc": auroc(ins, outs),
            "at_97": turned_away_at(ins, outs, COVERAGE),
            "served": float((outs < fitted).mean()),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument(
        "--split", choices=("test", "validation"), default="test", help="validation: nothing of the test"
    )
    given = parser.parse_args()
    folder = given.data / SET
    train, validation = read(folder / "train.jsonl"), read(folder / "validation.jsonl")
    test = read(folder / "test.jsonl") if given.split == "test" else validation
    record: Row = {"about": surroundings(), "rows": {}, "results": []}
    record["rows"] = {"train": len(train), "oos in training": len(outside(validation)), "in scope": len(inside(test))}
    record["rows"] |= {kind: len(outside(test, told)) for kind, told in KINDS.items()}
    for with_outside in (False, True):
        if with_outside and given.split != "test":
            continue
        learnt = [*train, *(outside(validation) if with_outside else [])]
        for name, method in (("TF-IDF + logistic regression", tfidf), ("Tamis", tamis_model)):
            evidence, answer, seconds = method(learnt, validation)
            said = answer(texts(inside(test)))
            right = np.mean([one == row["label"] for one, row in zip(said, inside(test), strict=True)])
            for kind, score in evidence.items():
                found = measure(f"{name}, {kind}", score, validation, test)
                record["results"].append(
                    {**found, "with_oos": with_outside, "accuracy": float(right), "train": seconds}
                )
                print(json.dumps(record["results"][-1]), file=sys.stderr)
    if given.split == "test":
        write(given.out, "abstain", page(record), record)


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def page(record: Row) -> str:
    head = ["method, evidence", "accuracy in scope", *(f"{kind}: AUROC" for kind in (*KINDS, "all"))]
    head += [f"{kind}: turned away at 97 %" for kind in (*KINDS, "all")]
    head += ["served: in scope answered", "served: near turned away", "served: far", "served: all"]
    rows = record["rows"]
    text = f"""# What a model has no label for

{preamble(record["about"])}
banking77_oos, {rows["train"]:,} training rows of 50 intents. Test: {rows["in scope"]:,} rows in scope,
{rows["near"]:,} banking questions of 27 other intents (near), {rows["far"]:,} questions from other domains (far).
*turned away at 97 %*: the share of the rows out of scope below the cut that leaves exactly 97 % of the in-scope test
rows, which compares evidence alone. *served*: the cut is fitted on in-scope validation rows, as it is in use, so the
share of test rows that it leaves is what came out. Percent.
"""
    for with_outside in (False, True):
        title = (
            f"With {rows['oos in training']:,} rows out of scope in training"
            if with_outside
            else "Learnt from rows in scope alone"
        )
        lines = []
        for found in (one for one in record["results"] if one["with_oos"] == with_outside):
            parts = [found[kind] for kind in (*KINDS, "all")]
            cells = [percent(found["accuracy"]), *(percent(part["auroc"]) for part in parts)]
            cells += [percent(part["at_97"]) for part in parts]
            lines.append(
                [found["method"], *cells, percent(found["coverage"]), *(percent(part["served"]) for part in parts)]
            )
        text += f"\n## {title}\n\n{table(head, lines)}"
    return text


if __name__ == "__main__":
    main()
