"""Accuracy, F1, seconds and memory of Tamis beside other classifiers, on every set of a data folder, in one run.

    python benchmarks/quality.py --data ../shared/data                       the report, on the test rows
    python benchmarks/quality.py --data ../shared/data --split validation    for development: test rows stay closed

Each method runs on each set in a process of its own (methods.py); all are measured here, by scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import methods
import record
import sets

METRICS = {False: ("accuracy", "macro_f1"), True: ("micro_f1", "macro_f1")}
PEER = "tfidf"
CHATS = {"sgd_chat"}
NAMES = {
    "majority": "majority",
    "tfidf": "TF-IDF + linear",
    "tfidf-c10": "TF-IDF + linear, C=10",
    "fasttext": "fastText",
    "tamis": "Tamis",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
}
Outcome = dict[str, Any]


def measure_single(truth: list[str], said: list[list[str]]) -> dict[str, float]:
    """Accuracy and macro-F1; a label that the training rows lack is a miss."""
    from sklearn.metrics import accuracy_score, f1_score

    given = [labels[0] for labels in said]
    macro = f1_score(truth, given, average="macro", zero_division=0)
    return {"accuracy": accuracy_score(truth, given), "macro_f1": macro}


def measure_multi(truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    """Micro- and macro-F1 over all labels of training and measured rows."""
    from sklearn.metrics import f1_score

    return {f"{kind}_f1": f1_score(truth, said, average=kind, zero_division=0) for kind in ("micro", "macro")}


def generous(truth: np.ndarray, names: list[str], columns: list[str], scores: np.ndarray) -> dict[str, float]:
    """Return each F1 at the one threshold, chosen on the measured rows themselves, that is best for it: a ceiling."""
    wide = np.zeros((len(scores), len(columns)), dtype=np.float64)
    wide[:, [columns.index(name) for name in names]] = scores
    best = {"micro_f1": 0.0, "macro_f1": 0.0}
    for threshold in np.linspace(0.02, 0.98, 49):
        for metric, value in measure_multi(truth, wide >= threshold).items():
            best[metric] = max(best[metric], value)
    return best


def measure(plan: sets.Plan, out: Path) -> dict[str, Outcome]:
    """Return the metrics of what a child said, by target."""
    rows, record_ = sets.read_rows(plan.measured), json.loads((out / "said.json").read_text())
    scores = np.load(out / "scores.npz")
    measured = {}
    for target, answer in record_["said"].items():
        where = [row for row, given in enumerate(rows.labels[target]) if given is not None]
        truth, said = [rows.labels[target][row] for row in where], [answer["labels"][row] for row in where]
        if not rows.multi[target]:
            measured[target] = measure_single([labels[0] for labels in truth if labels], said)
            continue
        columns = sorted({*answer["names"], *methods.label_names(truth), *sets_labels(plan, target)})
        matrix = methods.indicator(truth, columns)
        measured[target] = measure_multi(matrix, methods.indicator(said, columns))
        if target in scores.files:
            ceiling = generous(matrix, answer["names"], columns, scores[target][where])
            measured[target]["at_best_shared_threshold_of_the_measured_rows"] = ceiling
    return measured


def sets_labels(plan: sets.Plan, target: str) -> list[str]:
    """Return the labels that the training rows have."""
    return methods.label_names(sets.read_rows(plan.train).labels[target])


def run_child(method: str, plan: sets.Plan, folder: Path) -> Outcome:
    """Train and measure one method on one set; a failure is an outcome too."""
    out = folder / plan.name / method
    out.mkdir(parents=True)
    job = {"method": method, "train": str(plan.train), "measured": str(plan.measured), "out": str(out)}
    job |= {"validation": str(plan.validation) if plan.validation else None, "started": time.time()}
    (out / "job.json").write_text(json.dumps(job))
    child = [sys.executable, str(Path(__file__).with_name("methods.py")), str(out / "job.json")]
    done = subprocess.run(child, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]}
    said = json.loads((out / "said.json").read_text())
    return {"targets": measure(plan, out), "seconds": said["seconds"], "peak_mb": said["peak_mb"]}


def run_set(plan: sets.Plan, chosen: list[str], folder: Path) -> Outcome:
    """Run every method on one set."""
    train, measured = sets.read_rows(plan.train), sets.read_rows(plan.measured)
    outcome: Outcome = {
        "train_rows": len(train),
        "measured_rows": len(measured),
        "note": plan.note,
        "targets": {name: {"multi": multi} for name, multi in train.multi.items()},
        "methods": {},
    }
    for name, column in train.labels.items():
        outcome["targets"][name]["labels"] = len(methods.label_names(column))
    for method in chosen:
        outcome["methods"][method] = result = run_child(method, plan, folder)
        brief = result.get("failed") or f"{result['seconds']['train']:.1f} s, {result['peak_mb']:.0f} MB"
        print(f"{plan.name:22} {method:10} {brief}", file=sys.stderr, flush=True)
    return outcome


def value_of(outcome: Outcome, method: str, target: str, metric: str) -> float | None:
    """Return a metric in percent, or None where the method failed."""
    found = outcome["methods"][method].get("targets", {}).get(target, {}).get(metric)
    return None if found is None else 100 * found


def best_in_bold(values: list[float | None], digits: int, *, least: bool = False) -> list[str]:
    """Return the values as text, the best in bold (ties too)."""
    present = [round(value, digits) for value in values if value is not None]
    best = (min(present) if least else max(present)) if present else None
    shown = ["failed" if value is None else f"{value:.{digits}f}" for value in values]
    bold = [value is not None and round(value, digits) == best for value in values]
    return [f"**{text}**" if mark else text for text, mark in zip(shown, bold, strict=True)]


def quality_rows(results: dict[str, Outcome], chosen: list[str]) -> list[list[str]]:
    """Return the lines of the first table."""
    lines = []
    for name, outcome in results.items():
        for target, about in outcome["targets"].items():
            for metric in METRICS[about["multi"]]:
                values = best_in_bold([value_of(outcome, method, target, metric) for method in chosen], 2)
                what = f"{target} ({about['labels']}{', multi' if about['multi'] else ''})"
                lines.append([name + ("*" if outcome["note"] else ""), what, NAMES[metric], *values])
    return lines


def cost_rows(results: dict[str, Outcome], chosen: list[str]) -> list[list[str]]:
    """Return the lines of the second table: seconds of training, and of the whole process; peak memory."""
    timed = [method for method in chosen if method != "majority"]
    lines = []
    for name, outcome in results.items():
        done = [outcome["methods"][method] for method in timed]
        train, whole = ([one.get("seconds", {}).get(what) for one in done] for what in ("train", "whole"))
        memory = best_in_bold([one.get("peak_mb") for one in done], 0, least=True)
        seconds = [best_in_bold(values, 1, least=True) for values in (train, whole)]
        lines.append([name, str(outcome["train_rows"]), *seconds[0], *seconds[1], *memory])
    return lines


def differences(results: dict[str, Outcome], method: str) -> dict[str, Any]:
    """Return by how many points `method` beats the TF-IDF peer, over every set that is not a chat."""
    points = {}
    for name, outcome in results.items():
        for target, about in outcome["targets"].items() if name not in CHATS else ():
            for metric in METRICS[about["multi"]]:
                mine, peers = (value_of(outcome, who, target, metric) for who in (method, PEER))
                if mine is not None and peers is not None:
                    points[f"{name} {target} {NAMES[metric]}"] = mine - peers
    first = [gap for what, gap in points.items() if not what.endswith("macro-F1")]
    return {
        "average_all": float(np.mean(list(points.values()))) if points else None,
        "average_first_metric": float(np.mean(first)) if first else None,
        "above": sum(gap > 0 for gap in points.values()),
        "equal": sum(gap == 0 for gap in points.values()),
        "below": {what: gap for what, gap in points.items() if gap < 0},
    }


def summary(results: dict[str, Outcome], chosen: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the sentences below the tables, and the same as data."""
    if PEER not in chosen:
        return "", {}
    gaps = {method: differences(results, method) for method in chosen if method not in (PEER, "majority")}
    lines = ["## Against TF-IDF + linear (sets that are not chats)\n"]
    for method, gap in gaps.items():
        if gap["average_all"] is None:
            continue
        below = "; ".join(f"{what} {points:+.2f}" for what, points in gap["below"].items()) or "none"
        lines.append(
            f"- {NAMES[method]}: {gap['average_first_metric']:+.2f} points of accuracy or micro-F1 on average, "
            f"{gap['average_all']:+.2f} with macro-F1; {gap['above']} numbers above, {gap['equal']} equal, "
            f"{len(gap['below'])} below ({below})."
        )
    return "\n".join(lines) + "\n", gaps


def markdown(results: dict[str, Outcome], chosen: list[str], split: str, about: dict[str, Any], end: str) -> str:
    """Return the page."""
    timed = [NAMES[method] for method in chosen if method != "majority"]
    columns = [f"{what} {name}" for what in ("train s", "whole s", "MB") for name in timed]
    notes = [f"\\* {name}: {outcome['note']}.  " for name, outcome in results.items() if outcome["note"]]
    rows = "test rows" if split == "test" else "validation rows (for development, not for reporting)"
    return "\n".join(
        [
            f"# Quality, measured on {rows}\n",
            record.preamble(about),
            "Percent; the best of each line in bold. One run each, default settings, see [README](../README.md).\n",
            record.table(
                ["set", "target (labels)", "metric", *map(NAMES.get, chosen)], quality_rows(results, chosen), 3
            ),
            *notes,
            f"\n{end}" if end else "",
            "## Seconds and memory\n",
            "*train*: reading, imports and start-up not counted (Tamis reads its files itself: counted). "
            "*whole*: from the start of the process until the model is there. *MB*: the most memory held until then.\n",
            record.table(["set", "rows", *columns], cost_rows(results, chosen)),
        ]
    )


def options() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a set")
    parser.add_argument("--sets", nargs="+", help="these sets only")
    parser.add_argument(
        "--methods", default=",".join(methods.DEFAULT), help=f"of {', '.join(methods.METHODS)} (default: %(default)s)"
    )
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--splits-out", type=Path, help="keep the rows of --split validation here")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--name", default=None, help="name of the result files (default: quality)")
    return parser.parse_args()


def main() -> None:
    """Run every method on every set and write the report."""
    given = options()
    chosen, results = given.methods.split(","), {}
    unknown = [*(set(chosen) - set(methods.METHODS)), *(set(given.sets or ()) - set(sets.names(given.data)))]
    if unknown:
        raise SystemExit(f"not known here: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as temporary:
        work = given.splits_out or Path(temporary, "splits")
        for name in given.sets or sets.names(given.data):
            results[name] = run_set(sets.plan(given.data, name, given.split, work), chosen, Path(temporary))
    about = record.surroundings()
    end, gaps = summary(results, chosen)
    name = given.name or ("quality" if given.split == "test" else "quality-validation")
    page = markdown(results, chosen, given.split, about, end)
    record.write(given.out, name, page, {**about, "split": given.split, "sets": results, "against_tfidf": gaps})


if __name__ == "__main__":
    main()
