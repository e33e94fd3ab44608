"""Load time, latency, throughput and training speed of Tamis beside fastText and TF-IDF + LinearSVC, in one run.

    python benchmarks/speed.py --data ../shared/data

Every method runs in a process of its own, one after the other; loading is timed in fresh processes. Medians over the
repeats. Texts are prepared for fastText (lower case, punctuation apart) before its clock starts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import methods
import record
import sets

TIMED = ("tfidf", "fasttext", "tamis")
NAMES = {"tfidf": "TF-IDF + LinearSVC", "fasttext": "fastText", "tamis": "Tamis"}
Call = Callable[[list[str]], Any]


def natural_call(method: str, learner: Any, target: str) -> Call:
    """Return what a user of the library would call on a list of texts."""
    if method == "tamis":
        return learner.model.classify
    if method == "fasttext":
        model = learner.models[target][0]
        return lambda texts: model.predict(texts, k=1)
    model = learner.models[target]
    return lambda texts: model.predict(learner.vectorizer.transform(texts))


def seconds(call: Callable[[], Any]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def latency(call: Call, texts: list[str]) -> dict[str, float]:
    """Return the median and the 99th percentile of one text a call, in milliseconds."""
    for text in texts[:100]:
        call([text])
    taken = [seconds(lambda text=text: call([text])) * 1e3 for text in texts]
    return {"p50_ms": float(np.percentile(taken, 50)), "p99_ms": float(np.percentile(taken, 99))}


def save(method: str, learner: Any, target: str, out: Path) -> Path | None:
    """Store the model as its library does; None for scikit-learn, which has only pickles."""
    if method == "fasttext":
        learner.models[target][0].save_model(str(out / "model.bin"))
        return out / "model.bin"
    return out / "model" if method == "tamis" else None


def disk_mb(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def time_method(method: str, given: argparse.Namespace) -> dict[str, Any]:
    """Train and predict in this process; return every repeat."""
    folder = given.data / given.set
    learner, train = methods.METHODS[method](), sets.read_rows(folder / "train.jsonl")
    target = next(iter(train.labels))
    texts = sets.read_rows(folder / "test.jsonl").texts
    fits = []
    for repeat in reversed(range(given.repeats)):  # the last one leaves its model where it is looked for
        out = given.work / (str(repeat) if repeat else "")
        out.mkdir(exist_ok=True)
        job = methods.Job(folder / "train.jsonl", None, out)
        learner.read(job)
        fits.append(seconds(lambda job=job: learner.fit(job)))
    call = natural_call(method, learner, target)
    ready = [learner.clean(text) for text in texts] if method == "fasttext" else texts
    many = (ready * (1 + given.texts // len(ready)))[: given.texts]
    call(many)
    saved = save(method, learner, target, given.work)
    return {
        "training_examples_per_second": [len(train) / taken for taken in fits],
        "texts_per_second": [len(many) / seconds(lambda: call(many)) for _ in range(given.repeats)],
        "one_text": [latency(call, ready[:2000]) for _ in range(given.repeats)],
        "disk_mb": disk_mb(saved) if saved else None,
        "saved": str(saved) if saved else None,
    }


def time_load(method: str, saved: str) -> dict[str, float]:
    """Return, for this fresh process, seconds of import and of loading with a first answer, and memory."""
    if method == "fasttext":
        imported = seconds(lambda: import_module("fasttext"))
        import fasttext

        loaded = seconds(lambda: fasttext.load_model(saved).predict("where is my card", k=1))
    else:
        imported = seconds(lambda: import_module("tamis").load)
        import tamis

        loaded = seconds(lambda: tamis.load(saved).classify(["where is my card"]))
    return {"import_s": imported, "load_s": loaded, "peak_mb": methods.peak_mb()}


def child(given: argparse.Namespace, *more: str) -> dict[str, Any]:
    """Run this script on one method in a process of its own."""
    command = [sys.executable, __file__, "--data", str(given.data), "--set", given.set, "--texts", str(given.texts)]
    done = subprocess.run(
        [*command, "--repeats", str(given.repeats), *more], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(method: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return the medians of one method, and each repeat."""
    with tempfile.TemporaryDirectory() as work:
        raw = child(given, "--child", method, "--work", work)
        saved = raw.pop("saved")
        loads = [child(given, "--child", method, "--load", saved) for _ in range(given.repeats)] if saved else []
    middle = {key: statistics.median(raw[key]) for key in ("training_examples_per_second", "texts_per_second")}
    middle |= {key: statistics.median(one[key] for one in raw["one_text"]) for key in ("p50_ms", "p99_ms")}
    middle |= {key: statistics.median(one[key] for one in loads) for key in (loads[0] if loads else ())}
    return {"median": middle, "disk_mb": raw["disk_mb"], "repeats": {**raw, "loads": loads}}


LINES = (
    ("load, with a first answer (s)", "load_s", "{:.3f}"),
    ("import (s)", "import_s", "{:.3f}"),
    ("one text, p50 (ms)", "p50_ms", "{:.3f}"),
    ("one text, p99 (ms)", "p99_ms", "{:.3f}"),
    ("texts a second, in one call", "texts_per_second", "{:,.0f}"),
    ("training examples a second", "training_examples_per_second", "{:,.0f}"),
    ("memory to load and answer (MB)", "peak_mb", "{:,.0f}"),
)


def markdown(results: dict[str, Any], given: argparse.Namespace, about: dict[str, Any]) -> str:
    """Return the page."""
    rows = []
    for what, key, form in LINES:
        values = [results[method]["median"].get(key) for method in results]
        rows.append([what, *("-" if value is None else form.format(value) for value in values)])
    sizes = [results[method]["disk_mb"] for method in results]
    rows.append(["size on disk (MB)", *("-" if size is None else f"{size:,.1f}" for size in sizes)])
    return "\n".join(
        [
            f"# Speed, on {given.set}\n",
            record.preamble(about),
            f"Medians over {given.repeats} repeats; {given.texts:,} texts a call in batches. scikit-learn keeps models "
            "as pickles, which this project does not touch: its load time is left out.\n",
            record.table(["", *(NAMES[method] for method in results)], rows),
        ]
    )


def options() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a set")
    parser.add_argument("--set", default="banking77", help="a set with one single-label target (default: %(default)s)")
    parser.add_argument("--methods", default=",".join(TIMED), help="comma-separated (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--texts", type=int, default=20_000, help="texts in one batch call (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Time each method and write the report."""
    given = options()
    if given.child:
        timed = time_load(given.child, given.load) if given.load else time_method(given.child, given)
        print(json.dumps(timed))
        return
    results = {}
    for method in given.methods.split(","):
        results[method] = measure(method, given)
        print(f"{method}: {results[method]['median']}", file=sys.stderr, flush=True)
    about = record.surroundings()
    record.write(given.out, "speed", markdown(results, given, about), {**about, "set": given.set, "methods": results})


if __name__ == "__main__":
    main()
