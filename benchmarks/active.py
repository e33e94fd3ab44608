"""Active learning: accuracy against rows labelled, where the model chooses what is labelled next, beside random order.

    python benchmarks/active.py --data ../shared/data                       the report, on banking77's test rows
    python benchmarks/active.py --data ../shared/data --split validation    for development: test rows stay closed

Five rows a label are labelled to begin with. Then, batch by batch, a model of what is labelled so far chooses what is
labelled next (`tamis.ml.active.choose`, which the review queue uses), and a new model learns from all of it. Beside it:
rows in random order, and the rows of the smallest margin without regard to each other. Every way starts from the same
rows. Accuracy is on the measured rows, which nothing is chosen by.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import record
import sets

SETS = {"banking77": ("intent", 77, 15), "hwu64": ("intent", 64, 12), "trec": ("fine", 50, 12)}
"""By set: the target, rows of a batch, and how many batches."""

WAYS = ("random", "margin", "tamis")
FIRST = 5
Row = dict[str, Any]


def read(path: Path, target: str) -> tuple[list[str], np.ndarray]:
    """Return texts and labels of the rows that have the target."""
    rows = [json.loads(line) for line in sets.read_lines(path)]
    rows = [row for row in rows if target in row["labels"]]
    return [row["text"] for row in rows], np.array([row["labels"][target] for row in rows])


def first_rows(labels: np.ndarray, seed: int) -> list[int]:
    """Return five rows of each label, by chance, or as many as it has."""
    taken: dict[str, int] = {}
    kept = []
    for row in np.random.default_rng(seed).permutation(len(labels)).tolist():
        taken[labels[row]] = taken.get(labels[row], 0) + 1
        if taken[labels[row]] <= FIRST:
            kept.append(row)
    return kept


def chosen(way: str, model: Any, texts: list[str], count: int, random: np.random.Generator) -> np.ndarray:
    """Return which of the texts are labelled next."""
    from tamis.ml.active import choose, uncertainties

    if way == "random":
        return random.choice(len(texts), count, replace=False)
    if way == "margin":
        return np.argsort(-uncertainties(model.predictor, texts), kind="stable")[:count]
    return choose(model.predictor, texts, count).rows


def run(plan: sets.Plan, way: str, seed: int) -> Row:
    """Return what accuracy one way reaches with how many rows."""
    import tamis

    target, batch, batches = SETS[plan.name]
    texts, labels = read(plan.train, target)
    measured, truth = read(plan.measured, target)
    random = np.random.default_rng([seed, 1])
    have = first_rows(labels, seed)
    found: Row = {"set": plan.name, "way": way, "seed": seed, "rows": [], "accuracy": [], "choosing_s": []}
    for turn in range(batches + 1):
        model = tamis.train([{"text": texts[row], "labels": {target: str(labels[row])}} for row in have])
        names = np.array(model.targets[0].labels)
        given = names[model.scores(measured)[target].argmax(axis=1)]
        found["rows"].append(len(have))
        found["accuracy"].append(float((given == truth).mean()))
        if turn < batches:
            left = np.setdiff1d(np.arange(len(texts)), have)
            began = time.perf_counter()
            more = chosen(way, model, [texts[row] for row in left.tolist()], batch, random)
            found["choosing_s"].append(round(time.perf_counter() - began, 3))
            have += left[more].tolist()
    print(way, seed, [round(100 * each, 1) for each in found["accuracy"]], flush=True)
    return found


def rows_for(rows: list[int], accuracy: np.ndarray, wanted: float) -> str:
    """Return how many rows reach an accuracy, read off the straight lines between the points."""
    reached = np.flatnonzero(accuracy >= wanted)
    if not len(reached):
        return f"> {rows[-1]:,}"
    at = int(reached[0])
    if at == 0:
        return f"{rows[0]:,}"
    share = (wanted - accuracy[at - 1]) / (accuracy[at] - accuracy[at - 1])
    return f"{rows[at - 1] + share * (rows[at] - rows[at - 1]):,.0f}"


def report(found: list[Row], name: str) -> str:
    """Return the table of a set: means over the seeds, and the rows that each way needs for where random order ends."""
    mine = [each for each in found if each["set"] == name]
    rows = mine[0]["rows"]
    means = {way: np.mean([each["accuracy"] for each in mine if each["way"] == way], axis=0) for way in WAYS}
    lines = [[f"{n:,}", *(f"{100 * means[way][at]:.2f}" for way in WAYS)] for at, n in enumerate(rows)]
    goal = float(means["random"][-1])
    lines.append(["mean of all batches", *(f"{100 * means[way][1:].mean():.2f}" for way in WAYS)])
    lines.append([f"rows for {100 * goal:.1f} %", *(rows_for(rows, means[way], goal) for way in WAYS)])
    choosing = np.mean([each["choosing_s"] for each in mine if each["way"] == "tamis"])
    spread = max(np.std([each["accuracy"][-1] for each in mine if each["way"] == way]) for way in WAYS)
    return (
        f"## {name}\n\n"
        + record.table(["rows labelled", "random order", "smallest margin", "Tamis: uncertain and unlike"], lines)
        + f"\nMeans over {len({each['seed'] for each in mine})} seeds (what is labelled first; the last point varies "
        f"by up to {100 * spread:.1f} points from seed to seed). Choosing a batch takes {choosing:.1f} s.\n"
    )


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--sets", nargs="*", default=["banking77"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    asked = parser.parse_args()
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as work:
        for name in asked.sets:
            plan = sets.plan(asked.data, name, asked.split, Path(work))
            found += [run(plan, way, seed) for seed in range(asked.seeds) for way in WAYS]
    about = record.surroundings()
    said = (
        "# Active learning: which rows to label next\n\n"
        + record.preamble(about)
        + "\nAccuracy in percent on rows that nothing was chosen by, against rows labelled: five a label to begin "
        "with, then a batch at a time, by random order, by the smallest margin between the two best labels, and as the "
        "review queue chooses. The last row is how many labelled rows reach what random order ends at.\n\n"
        + "\n".join(report(found, name) for name in asked.sets)
    )
    name = "active" if asked.split == "test" else "active-validation"
    record.write(asked.out, name, said, {**about, "runs": found})


if __name__ == "__main__":
    main()
