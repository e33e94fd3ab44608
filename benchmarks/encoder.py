"""Accuracy and time of a fine-tuned encoder, beside the static tier and transformers' Trainer with the same model.

    python benchmarks/encoder.py --data DATA                      # atis_subset, five seeds
    python benchmarks/encoder.py --data DATA --folds 5            # cross-validation of all its rows
    python benchmarks/encoder.py --data DATA --sets hwu64,banking77 --seeds 1 --methods encoder,alone,static,trainer
    python benchmarks/encoder.py --data DATA --quick              # one seed, 200 rows to learn from
    python benchmarks/encoder.py --data DATA --sets movie_reviews_long --methods static,encoder,windows --seeds 1 \
        --split validation --watch 200 --seq-len 128 --title encoder_windows  # long texts: an hour of a core

All methods run one after the other in one process, after libraries are loaded. Seconds are those of training: for Tamis
all that `tamis.train` does (folds, calibration, export, golden rows), for Trainer `trainer.train()` alone. Results of
other sets and methods that are written already are kept. Test rows are read to report; in one further run Tamis sees
them, of which only the moment counts when it was as good as Trainer.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from record import preamble, surroundings, table

BASE = "minilm-l6"
METHODS = ("encoder", "static", "trainer")
OPTIONS: dict[str, dict[str, object]] = {"windows": {"long_texts": "windows"}, "alone": {"ensemble": False}}
"""Further methods: the encoder with an option."""

RATE, EPOCHS, BATCH = 5e-5, 3, 16
"""What transformers' Trainer is usually given."""

Rows = list[dict[str, Any]]
Run = tuple[dict[str, Any], list["Result"]]
"""What a run was made with, and its results."""


@dataclass
class Result:
    """One training: percent of test rows that are right, seconds of the clock, seconds of all cores."""

    cut: float = dataclasses.field(default=0.0, kw_only=True)  # share of the training rows of which a part was not read
    rows: int = dataclasses.field(default=0, kw_only=True)  # to learn from; 0: not noted by earlier runs

    set: str
    method: str
    seed: int
    target: str
    accuracy: float
    seconds: float
    cpu: float
    reached_seconds: float | None = None
    reached_cpu: float | None = None


def main() -> None:
    chosen = arguments()
    for library in ("torch", "transformers", "accelerate", "peft", "onnxscript"):  # loading them is nobody's training
        import_module(library)

    path = Path(chosen.out) / f"{chosen.title}.json"
    for name in chosen.sets.split(","):
        results: list[Result] = []
        measured = {(name, method) for method in chosen.methods.split(",")}
        before = earlier(path, measured)
        for seed, train, test in parts(Path(chosen.data) / name, chosen):
            for method in chosen.methods.split(","):
                for result in method_of(method, chosen)(name, seed, train, test):
                    result.rows = len(train) - (0 if method == "trainer" else chosen.watch)
                    results.append(result)
                    print(json.dumps(asdict(result)), flush=True)
            if measured & {(name, "encoder"), (name, "trainer")}:
                earlier_ones = (each for _, some in before for each in some)
                add_moment([*earlier_ones, *results], name, seed, train, test, chosen)
        report([*before, (surroundings(), results)], Path(chosen.out), chosen.title)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder with a folder for each set")
    parser.add_argument("--sets", default="atis_subset", help="names, with commas")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=0, help="cross-validate all rows in so many parts")
    parser.add_argument("--rows", type=int, default=0, help="learn from so many rows at most, drawn by chance")
    parser.add_argument(
        "--split", choices=("test", "validation"), default="test", help="measure on it; to choose: validation"
    )
    parser.add_argument("--measured", type=int, default=0, help="measure on so many of its rows at most")
    parser.add_argument(
        "--watch", type=int, default=0, help="give so many of the rows to learn from as validation data"
    )
    parser.add_argument("--epochs", type=float, help="passes over the rows at most")
    parser.add_argument("--seq-len", type=int, help="tokens of a text that Tamis reads, or of a window")
    parser.add_argument("--title", default="encoder", help="of the files of results")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", default=str(Path(__file__).parent / "results"))
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.rows = 1, 200
    return given


def parts(folder: Path, chosen: argparse.Namespace) -> Iterator[tuple[int, Rows, Rows]]:
    """Seeds, each with the rows to learn from and those to measure on."""
    train = some_of(rows_in(folder / "train.jsonl"), chosen.rows)
    held = next(
        folder / f"{name}.jsonl" for name in (chosen.split, "validation") if (folder / f"{name}.jsonl").is_file()
    )
    test = some_of(rows_in(held), chosen.measured)
    if not chosen.folds:
        for seed in range(chosen.seeds):
            yield seed, train, test
        return
    every = train + test
    part = np.random.default_rng(0).permutation(len(every)) % chosen.folds
    for number in range(chosen.folds):
        inside = [row for row, place in zip(every, part, strict=True) if place != number]
        yield number, inside, [row for row, at in zip(every, part, strict=True) if at == number]


def some_of(rows: Rows, most: int) -> Rows:
    """Rows by chance, since files are often ordered; all of them in their order where there are no more."""
    if not most or len(rows) <= most:
        return rows
    return [rows[place] for place in np.random.default_rng(0).permutation(len(rows))[:most]]


def rows_in(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def by_tamis(method: str, chosen: argparse.Namespace) -> Callable[[str, int, Rows, Rows], list[Result]]:
    def run(name: str, seed: int, train: Rows, test: Rows) -> list[Result]:
        import tamis

        how: dict[str, Any] = {"encoder_options": OPTIONS[method]} if method in OPTIONS else {}
        learnt, watched = (train[chosen.watch :], train[: chosen.watch]) if chosen.watch else (train, None)
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = perf_counter(), process_time()
            base, place = "static-en" if method == "static" else BASE, Path(folder, "model")
            model = tamis.train(learnt, watched, base=base, out=place, seed=seed, **settings(chosen), **how)
            took = perf_counter() - wall, process_time() - cpu
            found = model.evaluate(test).targets
        cut = float(model.manifest.training.get("cut_share") or 0)
        measures = {
            target: 100 * float(figures.accuracy if hasattr(figures, "accuracy") else figures.micro_f1)
            for target, figures in found.items()
        }
        return [Result(name, method, seed, target, value, *took, cut=cut) for target, value in measures.items()]

    return run


def settings(chosen: argparse.Namespace) -> dict[str, Any]:
    """What Tamis is told of the training itself."""
    return {"epochs": chosen.epochs, "seq_len": chosen.seq_len}


def by_trainer(name: str, seed: int, train: Rows, test: Rows) -> list[Result]:
    """Fine-tune one model a target, as the tutorials do."""
    targets = train[0]["labels"]
    kinds = {target: any(isinstance(row["labels"][target], list) for row in train) for target in targets}
    return [fine_tuned(name, seed, train, test, target, several=kinds[target]) for target in targets]


def fine_tuned(name: str, seed: int, train: Rows, test: Rows, target: str, *, several: bool) -> Result:
    """One model for a target: softmax, or, for several labels, a sigmoid a label and 0.5 as threshold."""
    import transformers

    from tamis.ml.base_models import load_base

    truth = [listed(row["labels"][target]) for row in train], [listed(row["labels"][target]) for row in test]
    labels = sorted({label for row in truth[0] for label in row})
    base: Any = load_base(BASE)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.folder)
    transformers.set_seed(seed)
    kind = "multi_label_classification" if several else "single_label_classification"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        base.folder, num_labels=len(labels), problem_type=kind
    )

    def made(rows: Rows, truth: list[list[str]]) -> list[dict[str, Any]]:
        ids = tokenizer([text_of(row) for row in rows], truncation=True)["input_ids"]
        codes = [coded(given, labels, several) for given in truth]
        return [{"input_ids": each, "label": code} for each, code in zip(ids, codes, strict=True)]

    with tempfile.TemporaryDirectory() as folder:
        settings = trainer_settings(folder, seed)
        trainer = transformers.Trainer(model, settings, train_dataset=made(train, truth[0]), processing_class=tokenizer)
        wall, cpu = perf_counter(), process_time()
        trainer.train()
        took = perf_counter() - wall, process_time() - cpu
        found = trainer.predict(made(test, truth[1]))
    return Result(name, "trainer", seed, target, 100 * figure(found.predictions, truth[1], labels, several), *took)


def trainer_settings(folder: str, seed: int) -> Any:
    import torch
    import transformers

    return transformers.TrainingArguments(
        folder,
        learning_rate=RATE,
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=64,
        save_strategy="no",
        report_to=[],
        seed=seed,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )


def listed(label: str | list[str]) -> list[str]:
    return label if isinstance(label, list) else [label]


def text_of(row: dict[str, Any]) -> str:
    """A chat as its turns in lines."""
    if "text" in row:
        return str(row["text"])
    return "\n".join(f"{each['role']}: {each['content']}" for each in row["messages"])


def coded(given: list[str], labels: list[str], several: bool) -> int | list[float]:
    """What Trainer learns from; a label that the training rows lack is nothing that it could learn."""
    if several:
        return [float(label in given) for label in labels]
    return labels.index(given[0]) if given[0] in labels else -100


def figure(logits: Any, truth: list[list[str]], labels: list[str], several: bool) -> float:
    """Accuracy, or micro-F1 of several labels; labels that the training rows lack count as misses."""
    if not several:
        right = [labels[best] == given[0] for best, given in zip(logits.argmax(1), truth, strict=True)]
        return float(np.mean(right))
    named = [{labels[place] for place in np.flatnonzero(row > 0)} for row in logits]
    hits = sum(len(some & set(given)) for some, given in zip(named, truth, strict=True))
    return 2 * hits / max(1, sum(map(len, named)) + sum(map(len, truth)))


def method_of(method: str, chosen: argparse.Namespace) -> Callable[[str, int, Rows, Rows], list[Result]]:
    """Return what trains and measures."""
    return by_trainer if method == "trainer" else by_tamis(method, chosen)


def add_moment(
    results: list[Result], name: str, seed: int, train: Rows, test: Rows, chosen: argparse.Namespace
) -> None:
    """Note when a run of Tamis first is as good on the test rows as Trainer was at its end: all before counts."""
    import tamis

    some = [each for each in results if (each.set, each.seed) == (name, seed)]
    mine = {each.target: each for each in some if each.method == "encoder"}
    goals = {each.target: each for each in some if each.method == "trainer" and each.target in mine}
    if not goals:
        return
    wall, cpu = perf_counter(), process_time()

    class Reached(Exception):
        pass

    def told(progress: Any) -> None:
        for target in [target for target, goal in goals.items() if 100 * shown(progress, target) >= goal.accuracy]:
            each, goal = mine[target], goals.pop(target)
            each.reached_seconds, each.reached_cpu = perf_counter() - wall, process_time() - cpu
            print(f"{target}: as good as Trainer after {each.reached_seconds:.1f} s ({goal.seconds:.1f} s)", flush=True)
        if not goals:
            raise Reached

    with contextlib.suppress(Reached):
        tamis.train(train, test, base=BASE, seed=seed, listener=told, **settings(chosen))


def shown(progress: Any, target: str) -> float:
    """A checkpoint's accuracy, or micro-F1 of several labels."""
    figures = (progress.checkpoint.get(f"{target}.{name}") for name in ("accuracy", "micro_f1"))
    return next((value for value in figures if value is not None), 0.0)


def report(runs: list[Run], folder: Path, title: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plain = {"runs": [{"about": about, "results": [asdict(each) for each in some]} for about, some in runs]}
    (folder / f"{title}.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    results = [each for _, some in runs for each in some]
    head = [
        "set",
        "target",
        "method",
        "rows to learn from",
        "runs",
        "accuracy",
        "lowest",
        "seconds",
        "CPU seconds",
        "as good as Trainer after",
        "of these rows, cut",
    ]
    sets = list(dict.fromkeys(each.set for each in results))
    keys = dict.fromkeys((each.set, each.target, each.method) for each in results)
    lines = [line(results, *key) for key in sorted(keys, key=lambda key: sets.index(key[0]))]
    made = "\n".join(f"{names(some)}: {preamble(about)}" for about, some in runs)
    page = f"# A fine-tuned encoder ({BASE})\n\n{made}\n{NOTE}\n\n{table(head, lines)}\n"
    (folder / f"{title}.md").write_text(page, encoding="utf-8")
    print(page)


def names(results: list[Result]) -> str:
    methods: dict[str, dict[str, None]] = {}
    for each in results:
        methods.setdefault(each.set, {})[each.method] = None
    return "; ".join(f"{name} by {', '.join(of)}" for name, of in methods.items())


def earlier(path: Path, measured: set[tuple[str, str]]) -> list[Run]:
    """The runs that are written there, without the results of some sets and methods."""
    if not path.is_file():
        return []
    written = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for run in written.get("runs", [written]):
        results = [Result(**each) for each in run["results"] if (each["set"], each["method"]) not in measured]
        found += [(run["about"], results)] if results else []
    return found


NOTE = (
    "Percent of test rows that are right (micro-F1 for several labels), means over seeds or folds; medians of seconds. "
    "See [README](../README.md)."
)


def line(results: list[Result], name: str, target: str, method: str) -> list[str]:
    some = [each for each in results if (each.set, each.target, each.method) == (name, target, method)]
    reached = [each.reached_cpu for each in some if each.reached_cpu is not None]
    return [
        *(name, target, method, str(max(each.rows for each in some) or ""), str(len(some))),
        f"{statistics.mean(each.accuracy for each in some):.2f}",
        f"{min(each.accuracy for each in some):.2f}",
        f"{statistics.median(each.seconds for each in some):.1f}",
        f"{statistics.median(each.cpu for each in some):.1f}",
        f"{statistics.median(reached):.1f} CPU seconds" if reached else "",
        f"{statistics.mean(each.cut for each in some):.0%}",
    ]


if __name__ == "__main__":
    main()
