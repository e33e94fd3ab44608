"""Thresholds that promise a precision or a recall: is the promise kept on other rows?

    python benchmarks/promises.py --data ../shared/data                        the report, on test rows
    python benchmarks/promises.py --data ../shared/data --split validation     test files are not opened

A model is trained with `tamis.train` and its defaults, on all training rows of a set, or on a few; rows that it holds
out itself are what thresholds are chosen by (`model.with_thresholds`, as `tamis thresholds` does). Every label that is
called kept is then looked at on rows that nobody chose anything by. Beside it what anybody would do first: the lowest
threshold (for recall the highest) at which the held-out rows show the floor.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

import record

SETS = (("civil_comments_types", "moderation"), ("netflix_titles", "genres"), ("off_products", "food"))
SETS += (("nlupp", "intents"),)
GOALS = [(goal, floor) for goal in ("precision", "recall") for floor in (0.8, 0.9, 0.95)]
FEW = 1_000
LEAST = 20
"""Measured rows that are given a label (for recall: carry it) before its share is looked at alone."""

KEPT, OBSERVED = "Tamis", "as observed"
Row = dict[str, Any]


def read(path: Path, target: str) -> list[Row]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    kept = [row for row in rows if row["labels"].get(target) is not None]
    return [{"text": row["text"], "labels": {target: row["labels"][target]}} for row in kept]


def measured_file(folder: Path, split: str) -> Path:
    test = folder / "test.jsonl"
    return test if split == "test" and test.exists() else folder / "validation.jsonl"


def observed(counts: Any, goal: str, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the threshold of each label at which the counted rows show the floor, and whether there is one."""
    from tamis.evaluation.thresholds import FINE

    curves = counts.curves()
    if goal == "precision":
        good = (curves.hits >= floor * np.maximum(curves.given, 1)) & (curves.given > 0)
        return FINE[good.argmax(axis=1)], good.any(axis=1)
    good = curves.hits >= floor * curves.actual[:, None]
    return FINE[good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)], good.any(axis=1)


def looked_at(goal: str, floor: float, promised: np.ndarray, given: np.ndarray, carried: np.ndarray) -> Row:
    """Return what became of the promised labels on (n, n_labels) measured rows."""
    hits = (given & carried).sum(axis=0)
    of = given.sum(axis=0) if goal == "precision" else carried.sum(axis=0)
    alone = promised & (of >= LEAST)
    shares = hits[alone] / of[alone]
    return {
        "promised": int(promised.sum()),
        "looked_at": int(alone.sum()),
        "held": int((shares >= floor).sum()),
        "short": float(np.maximum(floor - shares, 0).sum()),
        "hits": int(hits[promised].sum()),
        "of": int(of[promised].sum()),
    }


def measure(name: str, target: str, rows: list[Row], measured: list[Row], seed: int) -> list[Row]:
    import tamis

    model = tamis.train(rows, seed=seed)
    labels = next(each for each in model.targets if each.name == target).labels
    counts = model.threshold_evidence().counts[target]
    scores = model.scores([row["text"] for row in measured])[target]
    carried = np.array([[label in row["labels"][target] for label in labels] for row in measured])
    known = counts.fit.curves().actual > 0
    found = []
    for goal, floor in GOALS:
        made = model.with_thresholds(f"{goal}>={floor}").manifest.target(target)
        kept = np.array([label not in made.chosen_for.not_kept for label in labels]) & known
        first, there = observed(counts.measured, goal, floor)
        for rule, cuts, promised in (
            (KEPT, np.array(made.thresholds), kept),
            (OBSERVED, first, there & known),
        ):
            said = looked_at(goal, floor, promised, scores >= cuts.astype(np.float32), carried)
            where = {"set": name, "rows": len(rows), "held_out": counts.rows, "seed": seed, "labels": int(known.sum())}
            found.append({**where, "goal": goal, "floor": floor, "rule": rule, "measured": len(measured), **said})
    return found


def shares(found: list[Row]) -> list[str]:
    """Return promised, held, short and together, as percentages, of some results."""
    total = {key: sum(each[key] for each in found) for key in ("labels", "promised", "looked_at", "held", "short")}
    hits, of = sum(each["hits"] for each in found), sum(each["of"] for each in found)
    alone = total["looked_at"]
    return [
        f"{100 * total['promised'] / max(total['labels'], 1):.0f}",
        f"{100 * total['held'] / alone:.0f}" if alone else "",
        f"{100 * total['short'] / alone:.1f}" if alone else "",
        f"{100 * hits / of:.1f}" if of else "",
    ]


def page(made: Row) -> str:
    text = f"""# Are promises of thresholds kept on other rows?

{record.preamble(made["about"])}
`tamis.train` on all training rows of {len(SETS)} multi-label sets, and on {FEW:,} of them ({made["seeds"]} draws);
thresholds by the rows that training held out, for a floor of precision or recall of every label; measured on rows that
nothing was learnt from, fitted to or chosen by. *promised*: labels of which the floor is called kept, of those that the
held-out rows carry. *held*: of these, as far as {LEAST} measured rows are given the label (for recall: carry it), those
whose share is the floor or more. A label whose true share is just at the floor is above it half of the time. *short*:
points that the share lacks to the floor, on average over the same labels. *together*: the share over all rows of the
promised labels. Percent.
*{OBSERVED}*: the first threshold at which the held-out rows themselves show the floor.
"""
    figures = ("promised", "held", "short", "together")
    head = ["floor", *(f"{rule}: {what}" for rule in (KEPT, OBSERVED) for what in figures)]
    for few in (False, True):
        own = [each for each in made["results"] if each["few"] is few]
        held = sorted({each["held_out"] for each in own})
        rows = f"{FEW:,} training rows" if few else "All training rows"
        text += f"\n## {rows}: {held[0]:,} to {held[-1]:,} held out\n\n"
        text += record.table(head, [_line(own, goal, floor) for goal, floor in GOALS])
        text += "\n" + record.table(
            ["precision 0.9, by set", *head[1:]],
            [[name, *_cells([each for each in own if each["set"] == name], "precision", 0.9)] for name, _ in SETS],
        )
    return text


def _line(found: list[Row], goal: str, floor: float) -> list[str]:
    return [f"{goal} {floor}", *_cells(found, goal, floor)]


def _cells(found: list[Row], goal: str, floor: float) -> list[str]:
    same = [each for each in found if (each["goal"], each["floor"]) == (goal, floor)]
    return [cell for rule in (KEPT, OBSERVED) for cell in shares([each for each in same if each["rule"] == rule])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--seeds", type=int, default=3, help="draws of few rows")
    given = parser.parse_args()
    made: Row = {"about": record.surroundings(), "seeds": given.seeds, "results": []}
    for name, target in SETS:
        folder = given.data / name
        train, measured = read(folder / "train.jsonl", target), read(measured_file(folder, given.split), target)
        draws = [(False, 0, train)]
        draws += [(True, seed, random.Random(seed).sample(train, FEW)) for seed in range(given.seeds)]
        for few, seed, rows in draws:
            found = measure(name, target, rows, measured, seed)
            made["results"] += [{**each, "few": few} for each in found]
            print(name, len(rows), seed, shares([each for each in found if each["rule"] == KEPT]), file=sys.stderr)
    if given.split == "test":
        record.write(given.out, "promises", page(made), made)
    else:
        print(page(made))


if __name__ == "__main__":
    main()
