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
OPTIONS: dict[str, dict[str, object]] = {
    "windows": {"long_texts": "windows"},
    "alone": {"ensemble": False},
    "first": {"pooling": "first"},
}
"""Further methods: the encoder with an option."""

RATE, EPOCHS, BATCH = 5e-5, 3, 16
"""What transformers' Trainer is usually given."""

RESAMPLES = 2_000

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
    ahead: tuple[float, float, float] | None = None  # the encoder over this, with a 95 % interval; all seeds together
    counts: Any = dataclasses.field(default=None, repr=False)  # (test rows, 2) what is right, and of how much; not kept

    def plain(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "counts"}


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
                    print(json.dumps(result.plain()), flush=True)
            if measured & {(name, "encoder"), (name, "trainer")}:
                earlier_ones = (each for _, some in before for each in some)
                add_moment([*earlier_ones, *results], name, seed, train, test, chosen)
        add_differences(results, folded=bool(chosen.folds))
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
            given = answers_of(model, test)
        cut = float(model.manifest.training.get("cut_share") or 0)
        results = []
        for target, figures in found.items():
            several = not hasattr(figures, "accuracy")
            value = 100 * float(figures.micro_f1 if several else figures.accuracy)
            counts = counted([set(row[target]) for row in given], truth_of(test, target), several=several)
            if abs(value - share_of(counts)) > 0.01:
                raise RuntimeError(
                    f"{name} {target}: {value} by Tamis, {share_of(counts)} when its answers are counted"
                )
            results.append(Result(name, method, seed, target, value, *took, cut=cut, counts=counts))
        return results

    return run


def answers_of(model: Any, test: Rows) -> list[dict[str, list[str]]]:
    """The labels that a model gives each row, by target; the likeliest where it gives none though one is wanted."""
    inputs = [row["text"] if "text" in row else row["messages"] for row in test]
    single = {target.name for target in model.targets if target.kind == "single_label"}
    return [
        {
            name: [max(answer.scores, key=answer.scores.__getitem__)] if name in single else list(answer.labels)
            for name, answer in prediction.answers.items()
        }
        for prediction in model.classify(inputs)
    ]


def truth_of(rows: Rows, target: str) -> list[set[str]]:
    return [set(listed(row["labels"][target])) for row in rows]


def counted(given: list[set[str]], truth: list[set[str]], *, several: bool) -> Any:
    """(rows, 2) whose sums are those of a fraction: accuracy, or micro-F1 of several labels."""
    if several:
        return np.array([(2 * len(a & b), len(a) + len(b)) for a, b in zip(given, truth, strict=True)])
    return np.array([(a == b, 1) for a, b in zip(given, truth, strict=True)], dtype=int)


def share_of(counts: Any) -> float:
    """In percent."""
    right, of = counts.sum(axis=-2)[..., 0], counts.sum(axis=-2)[..., 1]
    return 100 * right / np.maximum(of, 1)


def add_differences(results: list[Result], *, folded: bool) -> None:
    """Note by how much the encoder is ahead of each other method on the same rows: a bootstrap of the test rows."""
    for one in results:
        if one.method == "encoder" or one.counts is None:
            continue
        theirs = [each for each in results if (each.set, each.target, each.method) == (one.set, one.target, one.method)]
        pairs = [
            (mine.counts, each.counts)
            for each in theirs
            for mine in results
            if (mine.set, mine.target, mine.seed, mine.method) == (each.set, each.target, each.seed, "encoder")
        ]
        if not pairs:
            continue
        joined = np.concatenate if folded else sum  # of a fold are other rows, of a seed the same
        mine, other = (joined([np.asarray(pair[side]) for pair in pairs]) for side in (0, 1))
        drawn = np.random.default_rng(0).integers(0, len(mine), (RESAMPLES, len(mine)))
        gaps = np.array([share_of(mine[rows]) - share_of(other[rows]) for rows in drawn])
        low, high = np.percentile(gaps, [2.5, 97.5])
        one.ahead = (float(share_of(mine) - share_of(other)), float(low), float(high))


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
    given = named(found.predictions, labels, several)
    counts = counted(given, [set(row) for row in truth[1]], several=several)
    return Result(name, "trainer", seed, target, float(share_of(counts)), *took, counts=counts)


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


def named(logits: Any, labels: list[str], several: bool) -> list[set[str]]:
    """The labels that logits give; those that the training rows lack are never given, and count as misses."""
    if several:
        return [{labels[place] for place in np.flatnonzero(row > 0)} for row in logits]
    return [{labels[best]} for best in logits.argmax(1)]


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
    plain = {"runs": [{"about": about, "results": [each.plain() for each in some]} for about, some in runs]}
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
        "encoder ahead by",
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
    "By how much the encoder is ahead: on the same rows, all seeds or folds together, with a 95 % interval (bootstrap "
    "of rows). "
    "See [README](../README.md)."
)


def line(results: list[Result], name: str, target: str, method: str) -> list[str]:
    some = [each for each in results if (each.set, each.target, each.method) == (name, target, method)]
    reached = [each.reached_cpu for each in some if each.reached_cpu is not None]
    return [
        *(name, target, method, str(max(each.rows for each in some) or ""), str(len(some))),
        f"{statistics.mean(each.accuracy for each in some):.2f}",
        f"{min(each.accuracy for each in some):.2f}",
        "{:+.2f} ({:+.1f} to {:+.1f})".format(*some[0].ahead) if some[0].ahead else "",
        f"{statistics.median(each.seconds for each in some):.1f}",
        f"{statistics.median(each.cpu for each in some):.1f}",
        f"{statistics.median(reached):.1f} CPU seconds" if reached else "",
        f"{statistics.mean(each.cut for each in some):.0%}",
    ]


if __name__ == "__main__":
    main()
