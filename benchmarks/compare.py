"""Tamis beside its baselines by `tamis.compare`, on the test rows of a few sets, and what the comparison itself takes.

    python benchmarks/compare.py --data ../shared/data

Each set in a process of its own: `tamis.train` with its defaults, then `tamis.compare` of the model with all baselines.
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

import methods
import record

SETS = ("hwu64", "civil_comments_types")
BASELINES = ("baseline:majority", "baseline:random", "baseline:tfidf")
Outcome = dict[str, Any]


class Clock:
    """Seconds by what a comparison says it is doing."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._what, self._since = "reading", time.perf_counter()

    def __call__(self, what: str, done: int, rows: int) -> None:
        if what != self._what:
            self.stop()
            self._what = what

    def stop(self) -> None:
        now = time.perf_counter()
        self.seconds[self._what] = round(self.seconds.get(self._what, 0) + now - self._since, 3)
        self._since = now


def run(folder: Path, out: Path) -> None:
    """Train and compare on one set, and write what came of it."""
    import tamis

    files = {name: str(path) for name in ("train", "validation", "test") if (path := folder / f"{name}.jsonl").exists()}
    begin = time.perf_counter()
    model = tamis.train(files["train"], files.get("validation"), name="Tamis")
    trained = time.perf_counter() - begin
    clock = Clock()
    begin, computed = time.perf_counter(), time.process_time()
    compared = tamis.compare(
        [model, *BASELINES],
        files["test"],
        train=files["train"],
        validation=files.get("validation"),
        told=clock,
    )
    seconds = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - computed}
    clock.stop()
    found = seconds | {"training_seconds": trained, "by_stage": clock.seconds, "peak_mb": methods.peak_mb()}
    out.write_text(json.dumps(found | {"comparison": compared.model_dump(mode="json")}), encoding="utf-8")


def measured(folder: Path) -> Outcome:
    """The outcome of one set, from a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "out.json")
        subprocess.run([sys.executable, __file__, "--one", str(folder), "--to", str(out)], check=True)
        found: Outcome = json.loads(out.read_text(encoding="utf-8"))
    return found


def figure_rows(name: str, outcome: Outcome) -> list[list[str]]:
    """A line for each target and contender."""
    rows = []
    compared = outcome["comparison"]
    speeds = {contender["name"]: contender["speed"] for contender in compared["contenders"]}
    for target, found in compared["targets"].items():
        main = found["main_figure"]
        for contender, reached in found["contenders"].items():
            figures = reached["figures"]
            both = {"Tamis", contender}
            pairs = [p for p in found["pairs"] if {p["name"], p["other"]} == both and p["figure"] == main]
            pair = pairs[0] if pairs else None
            rows.append(
                [
                    f"{name} {target}",
                    contender,
                    f"{main} {interval(figures[main])}",
                    interval(figures["macro_f1"]),
                    percent(figures.get("ece", {}).get("value")),
                    "" if pair is None else f"{difference(pair, contender)}, p {p_of(pair['p_corrected'])}",
                    f"{1000 * speeds[contender]['p50']:.2f}",
                    f"{speeds[contender]['texts_per_second']:,.0f}",
                ]
            )
    return rows


def interval(measured: dict[str, float | None]) -> str:
    return f"{percent(measured['value'])} ({percent(measured['low'])} to {percent(measured['high'])})"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def difference(pair: dict[str, Any], contender: str) -> str:
    """How much more the contender has than Tamis, in points."""
    sign = 1 if pair["name"] == contender else -1
    low, high = sorted((sign * pair["low"], sign * pair["high"]))
    return f"{100 * sign * pair['value']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def p_of(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def stage_rows(name: str, outcome: Outcome) -> list[list[str]]:
    """What took how long."""
    stages = outcome["by_stage"]
    learning = sum(seconds for stage, seconds in stages.items() if stage.endswith(": learning"))
    answering = sum(seconds for stage, seconds in stages.items() if stage in {"Tamis", *BASELINES})
    compared = outcome["comparison"]
    labels = sum(len(target["labels"]) for target in compared["targets"].values())
    return [
        [
            name,
            f"{compared['n']:,}",
            str(labels),
            f"{outcome['training_seconds']:.1f}",
            f"{outcome['seconds']:.1f}",
            f"{outcome['cpu_seconds']:.1f}",
            f"{stages.get('reading', 0):.1f}",
            f"{learning:.1f}",
            f"{answering:.1f}",
            f"{stages.get('comparing', 0):.1f}",
            f"{outcome['peak_mb']:,.0f}",
        ]
    ]


def main() -> None:
    """Measure every set, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run(given.one, given.to)
        return
    about = record.surroundings()
    outcomes = {name: measured(given.data / name) for name in given.sets.split(",")}
    figures = [row for name, outcome in outcomes.items() for row in figure_rows(name, outcome)]
    stages = [row for name, outcome in outcomes.items() for row in stage_rows(name, outcome)]
    head = ["set, target", "contender", "figure, % (95 %)", "macro-F1, % (95 %)", "calibration error, %"]
    head += ["beside Tamis, points (95 %)", "one text, ms", "texts a second"]
    took = [
        "set",
        "test rows",
        "labels",
        "training Tamis, s",
        "comparison, s",
        "of all cores, s",
        "of it reading",
        "baselines learning",
    ]
    took += ["answering and latencies", "figures, intervals, tests", "peak MB"]
    page = "# tamis compare: Tamis beside its baselines\n\n" + record.preamble(about)
    page += "\n" + record.table(head, figures, left=2) + "\nWhat it took:\n\n" + record.table(took, stages)
    record.write(given.out, "compare", page, {"about": about, "sets": outcomes})


if __name__ == "__main__":
    main()
