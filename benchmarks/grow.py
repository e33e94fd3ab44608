"""Adding labels to a model: what becomes of the old labels, and how good the new ones are.

    python benchmarks/grow.py --data ../shared/data                       the report, on the test rows
    python benchmarks/grow.py --data ../shared/data --split validation    for development: test rows stay closed

A set's labels are divided by chance, three times: a model learns the old ones, and then grows by the rows of the new
ones, beside no old row or some of each label or all. The figures are accuracies on rows of old labels, of new labels,
and of all, beside a model that was trained on all rows at once.
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

SETS = {"banking77": ("intent", 60), "hwu64": ("intent", 50)}
SEEDS = (0, 1, 2)
REHEARSED = (0, 5, 20, None)
Row = dict[str, Any]


def read(path: Path, target: str) -> list[Row]:
    """Return the rows that have a label of the target, with that alone."""
    rows = [json.loads(line) for line in sets.read_lines(path)]
    return [{"text": row["text"], "labels": {target: row["labels"][target]}} for row in rows if target in row["labels"]]


def some_of_each(rows: list[Row], target: str, count: int | None, seed: int) -> list[Row]:
    """Return so many rows of each label, by chance; all for None."""
    if count is None:
        return rows
    taken: dict[str, int] = {}
    kept = []
    for place in np.random.default_rng(seed).permutation(len(rows)).tolist():
        label = rows[place]["labels"][target]
        taken[label] = taken.get(label, 0) + 1
        if taken[label] <= count:
            kept.append(rows[place])
    return kept


def measured(model: Any, rows: list[Row], target: str, old: set[str]) -> dict[str, float]:
    """Return the accuracy on rows of old labels, of new ones, and of all: the label with the highest score."""
    labels = np.array(model.targets[0].labels)
    given = labels[model.scores([row["text"] for row in rows])[target].argmax(axis=1)]
    truth = np.array([row["labels"][target] for row in rows])
    right, is_old = given == truth, np.isin(truth, sorted(old))
    return {"old": float(right[is_old].mean()), "new": float(right[~is_old].mean()), "all": float(right.mean())}


def run(plan: sets.Plan, target: str, n_old: int, seed: int, folder: Path) -> list[Row]:
    """Return a row of figures for each way, for one division of the labels."""
    import tamis

    train, test = read(plan.train, target), read(plan.measured, target)
    labels = sorted({row["labels"][target] for row in train})
    old = {labels[i] for i in np.random.default_rng(seed).permutation(len(labels))[:n_old].tolist()}
    of_old = [row for row in train if row["labels"][target] in old]
    of_new = [row for row in train if row["labels"][target] not in old]
    found = []

    def tried(way: str, name: str, **asked: Any) -> Any:
        began = time.perf_counter()
        model = tamis.train(out=folder / f"{name}-{seed}", **asked)
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in model.folder.iterdir()) / 1e6
        figures = measured(model, test, target, old)
        found.append({"set": plan.name, "seed": seed, "way": way, **figures, "seconds": seconds, "mb": size})
        print(found[-1], flush=True)
        return model

    parent = tried("before", "parent", train=of_old)
    tried("anew, all rows", "scratch", train=train)
    for count in REHEARSED:
        said = {0: "grown, no old row", None: "grown, all old rows"}.get(count, f"grown, {count} old rows a label")
        rehearse = some_of_each(of_old, target, count, seed) or None
        tried(said, f"grown-{count}", train=of_new, start_from=parent, rehearse=rehearse)
    return found


def report(rows: list[Row]) -> str:
    """Return the table: means over the divisions, and how far each is from training anew."""
    lines = []
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        anew = {row["seed"]: row for row in mine if row["way"].startswith("anew")}
        for way in dict.fromkeys(row["way"] for row in mine):
            some = [row for row in mine if row["way"] == way]
            cells = [name, way]
            for figure in ("old", "new", "all"):
                mean = 100 * np.mean([row[figure] for row in some])
                off = [100 * (row[figure] - anew[row["seed"]][figure]) for row in some]
                plain = way in ("before", "anew, all rows")
                cells.append(f"{mean:.1f}" if plain else f"{mean:.1f} ({', '.join(f'{each:+.1f}' for each in off)})")
            cells += [f"{np.mean([row['seconds'] for row in some]):.1f}", f"{np.mean([row['mb'] for row in some]):.1f}"]
            lines.append(cells)
    head = ["set", "model", "old labels", "new labels", "all rows", "seconds", "MB"]
    return record.table(head, lines, left=2)


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    asked = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as work:
        for name in asked.sets:
            target, n_old = SETS[name]
            plan = sets.plan(asked.data, name, asked.split, Path(work))
            for seed in SEEDS:
                rows += run(plan, target, n_old, seed, Path(work, name))
    about = record.surroundings()
    said = (
        "# Adding labels to a model\n\n"
        + record.preamble(about)
        + "\nAccuracy in percent on rows of old labels, of new labels, and of all; in brackets how far each of three "
        "divisions of the labels is from a model trained on all rows at once. Wall seconds, whole runs, means.\n\n"
        + report(rows)
    )
    record.write(asked.out, "grow" if asked.split == "test" else "grow-validation", said, {**about, "rows": rows})


if __name__ == "__main__":
    main()
