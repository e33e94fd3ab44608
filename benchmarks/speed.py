"""Load time, latency, throughput and training speed of Tamis beside fastText and TF-IDF + LinearSVC, in one run.

    python benchmarks/speed.py --data ../shared/data

Every method runs in a process of its own, one after the other; loading is timed in fresh processes. Medians over the
repeats. Texts are prepared for fastText (lower case, punctuation apart) before its clock starts.
"""

from __future__ import annotations

import argparse
import itertools
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
RATES = ("training_examples_per_second", "texts_per_second", "texts_per_second_by_1000")
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


def strange(texts: list[str]) -> list[str]:
    """Return the texts with every word changed into one that no text has: nothing can be remembered of it."""
    count = itertools.count()
    return [" ".join(f"{word}{next(count):x}" for word in text.split()) for text in texts]


def latency(make: Callable[[], Call], texts: list[str]) -> dict[str, float]:
    """Return medians and 99th percentiles of one text a call, in milliseconds.

    Thrice: texts as they come to a model that was just loaded (`first`), the same texts again (`again`), and texts of
    which no word was ever seen (`strange`). The first 100 calls of each are not counted.
    """
    call, found = make(), {}
    for name, given in (("first", texts), ("again", texts), ("strange", strange(texts))):
        taken = [seconds(lambda text=text: call([text])) * 1e3 for text in given][100:]
        found |= {f"{name}_p{share}_ms": float(np.percentile(taken, share)) for share in (50, 99)}
    return found


def in_calls(call: Call, texts: list[str], size: int) -> float:
    """Return texts a second, `size` a call."""
    return len(texts) / seconds(lambda: [call(texts[start : start + size]) for start in range(0, len(texts), size)])


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

    def fresh() -> Call:
        """Return the call of a model that has seen nothing yet, where that makes a difference."""
        if method != "tamis":
            return call
        import tamis

        return tamis.load(saved).classify

    return {
        "training_examples_per_second": [len(train) / taken for taken in fits],
        "texts_per_second": [len(many) / seconds(lambda: call(many)) for _ in range(given.repeats)],
        "texts_per_second_by_1000": [in_calls(call, many, 1000) for _ in range(given.repeats)],
        "one_text": [latency(fresh, ready[:2000]) for _ in range(given.repeats)],
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
    middle = {key: statistics.median(raw[key]) for key in RATES}
    middle |= {key: statistics.median(one[key] for one in raw["one_text"]) for key in raw["one_text"][0]}
    middle |= {key: statistics.median(one[key] for one in loads) for key in (loads[0] if loads else ())}
    return {"median": middle, "disk_mb": raw["disk_mb"], "repeats": {**raw, "loads": loads}}


LINES = (
    ("load, with a first answer (s)", "load_s", "{:.3f}"),
    ("import (s)", "import_s", "{:.3f}"),
    ("one text as texts come, p50 (ms)", "first_p50_ms", "{:.3f}"),
    ("one text as texts come, p99 (ms)", "first_p99_ms", "{:.3f}"),
    ("one text again, p50 (ms)", "again_p50_ms", "{:.3f}"),
    ("one text again, p99 (ms)", "again_p99_ms", "{:.3f}"),
    ("one text of words never seen, p50 (ms)", "strange_p50_ms", "{:.3f}"),
    ("one text of words never seen, p99 (ms)", "strange_p99_ms", "{:.3f}"),
    ("texts a second, 1,000 a call", "texts_per_second_by_1000", "{:,.0f}"),
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
