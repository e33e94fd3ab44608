"""Explanations: does leaving out the words they name move the score, and what do they cost?

    python benchmarks/explain.py --data ../shared/data                        the report, on test rows
    python benchmarks/explain.py --data ../shared/data --split validation     for development, with more ways

For each row the label that the model gives is explained. The strongest 1, 3 and 5 pieces that speak for it are taken
out together, and the score is taken again; so are as many pieces chosen at random, those that are rarest in the
training rows, and those that a linear model of the same rows (TF-IDF words, logistic regression) holds to speak for
the label most. Leaving one piece out is what Tamis's explanations are made of, so for 1 piece they win by making; hence
two judges that they were not made with: only these pieces are kept, and another model (TF-IDF words and characters,
logistic regression) loses them.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Any

import numpy as np

import record

SETS = (("hwu64", "intent"), ("civil_comments_types", "moderation"), ("movie_reviews_long", "sentiment"))
TAKEN = (1, 3, 5)
DRAWS = 5
LEAST = 1e-6
ENCODER_TRAIN = 2_000
ENCODER, ENCODER_SET = "minilm-l6", ("banking77", "intent")

Score = Callable[[Sequence[str], str], np.ndarray]
"""Texts and a label to (texts,) scores."""


@dataclass
class Case:
    """One row: the text, the label that is explained, and its pieces as (start, end), with the weight of each."""

    text: str
    label: str
    spans: list[tuple[int, int]]
    weights: list[float]
    seconds: float
    worked: float


@dataclass
class Tally:
    """What taking pieces out did, by how many were taken."""

    drops: dict[int, list[float]] = field(default_factory=lambda: {k: [] for k in TAKEN})
    odds: dict[int, list[float]] = field(default_factory=lambda: {k: [] for k in TAKEN})
    kept: dict[int, list[float]] = field(default_factory=lambda: {k: [] for k in TAKEN})
    others: dict[int, list[float]] = field(default_factory=lambda: {k: [] for k in TAKEN})


class Linear:
    """TF-IDF and logistic regression, one label against the rest; of the labels that are asked for."""

    def __init__(self, rows: list[dict[str, Any]], target: str, **how: Any) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.labels = [_listed(row["labels"][target]) for row in rows]
        self.vectors = TfidfVectorizer(sublinear_tf=True, **how)
        self.known = self.vectors.fit_transform([row["text"] for row in rows])
        self.models: dict[str, Any] = {}

    def model(self, label: str) -> Any:
        from sklearn.linear_model import LogisticRegression

        if label not in self.models:
            carried = [label in labels for labels in self.labels]
            self.models[label] = LogisticRegression(C=10, solver="liblinear").fit(self.known, carried)
        return self.models[label]

    def odds(self, texts: Sequence[str], label: str) -> np.ndarray:
        """(texts,) log-odds."""
        return self.model(label).decision_function(self.vectors.transform(texts))

    def pieces(self, case: Case) -> list[float]:
        """What each piece adds to the log-odds, by the coefficients of its words in the whole text."""
        words, values = self.vectors.vocabulary_, self.vectors.transform([case.text])
        coefficients, analyse = self.model(case.label).coef_[0], self.vectors.build_analyzer()
        return [
            sum(coefficients[words[w]] * values[0, words[w]] for w in set(analyse(case.text[a:b])) if w in words)
            for a, b in case.spans
        ]


def _listed(labels: Any) -> list[str]:
    return labels if isinstance(labels, list) else [labels]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def shuffled(args: argparse.Namespace, name: str, part: str) -> list[dict[str, Any]]:
    """Rows of a part of a set; where that has no validation file, training rows that encoders do not learn from."""
    path = args.data / name / f"{part}.jsonl"
    held_out = not path.exists()
    rows = rows_of(args.data / name / "train.jsonl" if held_out else path)
    random.Random(0).shuffle(rows)
    return rows[ENCODER_TRAIN:] if held_out else rows


def score_of(model: Any, target: str) -> Score:
    """How a Tamis model scores texts for a label."""
    labels = next(each.labels for each in model.targets if each.name == target)
    return lambda texts, label: model.scores(list(texts))[target][:, labels.index(label)].astype(float)


def cases_of(model: Any, target: str, rows: list[dict[str, Any]], count: int) -> list[Case]:
    """Explain the label that is given first in some rows that have one and are of more than five words."""
    found: list[Case] = []
    for row in rows:
        answer = model.classify(row["text"])[target]
        said = [label for label in answer.labels if label not in ("safe", "none")]
        if not said or len(row["text"].split()) <= max(TAKEN):
            continue
        label = max(said, key=lambda name: answer.scores[name])
        begin, worked = time.perf_counter(), time.process_time()
        pieces = model.explain(row["text"], target=target, label=label).labels[0].pieces
        took = time.perf_counter() - begin, time.process_time() - worked
        spans = [(piece.start, piece.end) for piece in pieces]
        found.append(Case(row["text"], label, spans, [piece.weight for piece in pieces], *took))
        if len(found) == count:
            break
    return found


def without(case: Case, taken: Sequence[int]) -> str:
    from tamis.ml.pieces import Span, leave_out

    return str(leave_out(case.text, [Span(*case.spans[at]) for at in taken]))


def kept_alone(case: Case, taken: Sequence[int]) -> str:
    return " ".join(case.text[a:b] for a, b in sorted(case.spans[at] for at in taken))


def odds(score: float) -> float:
    clipped = min(max(score, LEAST), 1 - LEAST)
    return log(clipped / (1 - clipped))


def strongest(values: Sequence[float]) -> list[int]:
    return np.argsort(-np.array(values), kind="stable").tolist()


def judge(cases: list[Case], orders: dict[str, list[list[list[int]]]], score: Score, other: Linear) -> dict[str, Tally]:
    """Take out the first pieces of each order; an order is a list of draws, whose mean counts."""
    tallies = {name: Tally() for name in orders}
    for at, case in enumerate(cases):
        jobs = [(name, taken, draw[:taken]) for name, draws in orders.items() for taken in TAKEN for draw in draws[at]]
        texts = [case.text, *(without(case, taken) for _, _, taken in jobs), *(kept_alone(case, t) for _, _, t in jobs)]
        scores = score(texts, case.label)
        elsewhere = other.odds(texts[: 1 + len(jobs)], case.label)
        per: dict[tuple[str, int], list[tuple[float, ...]]] = {}
        for number, (name, taken, _) in enumerate(jobs, start=1):
            lost = float(elsewhere[0] - elsewhere[number])
            per.setdefault((name, taken), []).append(
                (scores[0] - scores[number], odds(scores[0]) - odds(scores[number]), scores[len(jobs) + number], lost)
            )
        for (name, taken), found in per.items():
            means = np.mean(found, axis=0)
            tally = tallies[name]
            for where, value in zip((tally.drops, tally.odds, tally.kept, tally.others), means, strict=True):
                where[taken].append(float(value))
    return tallies


def ways(cases: list[Case], rows: list[dict[str, Any]], linear: Linear) -> dict[str, list[list[list[int]]]]:
    """The order in which each way takes out the pieces of each case."""
    chosen = random.Random(1)
    often = Counter(word for row in rows for word in set(row["text"].lower().split()))
    rarest = [[-min(often[word] for word in case.text[a:b].lower().split()) for a, b in case.spans] for case in cases]
    return {
        "Tamis: explain": [[strongest(case.weights)] for case in cases],
        "a linear model's coefficients": [[strongest(linear.pieces(case))] for case in cases],
        "rarest words": [[strongest(values)] for values in rarest],
        "random": [[chosen.sample(range(len(case.spans)), len(case.spans)) for _ in range(DRAWS)] for case in cases],
    }


def shapley(model: Any, target: str, cases: list[Case], rounds: int = 20) -> list[list[list[int]]]:
    """Sampled Shapley values of the log-odds (Štrumbelj and Kononenko 2010): many times the cost."""
    score, chosen, found = score_of(model, target), random.Random(2), []
    for case in cases:
        values = np.zeros(len(case.spans))
        for _ in range(rounds):
            order = chosen.sample(range(len(values)), len(values))
            scores = score([without(case, order[:count]) for count in range(len(order) + 1)], case.label)
            made = [odds(each) for each in scores]
            for at, piece in enumerate(order):
                values[piece] += made[at] - made[at + 1]
        found.append([strongest(values)])
    return found


def masked(model: Any, target: str, cases: list[Case], filler: str) -> list[list[list[int]]]:
    """Each piece replaced by another word instead of left out."""
    score, found = score_of(model, target), []
    for case in cases:
        texts = [case.text[:a] + filler + case.text[b:] for a, b in case.spans]
        found.append([strongest([-odds(each) for each in score(texts, case.label)])])
    return found


def measure(model: Any, name: str, target: str, args: argparse.Namespace, count: int) -> dict[str, Any]:
    """All numbers of one model on one set."""
    train, rows = rows_of(args.data / name / "train.jsonl"), shuffled(args, name, args.split)
    cases = cases_of(model, target, rows, count)
    words = Linear(train, target, token_pattern=r"(?u)\S+")
    other = Linear(train, target, analyzer="char_wb", ngram_range=(2, 4), max_features=200_000)
    orders = ways(cases, train, words)
    if args.split == "validation":
        orders["each piece replaced by […]"] = masked(model, target, cases, "[MASK]")
        if np.mean([len(case.spans) for case in cases]) < 80 and model.predictor.quick:
            orders["sampled Shapley values"] = shapley(model, target, cases)
    tallies = judge(cases, orders, score_of(model, target), other)
    chance = tallies["random"]
    return {
        "set": name,
        "target": target,
        "base": model.manifest.base_model.id,
        "rows": len(cases),
        "characters": round(float(np.mean([len(case.text) for case in cases]))),
        "pieces": round(float(np.mean([len(case.spans) for case in cases])), 1),
        "ms": milliseconds([case.seconds for case in cases]),
        "processor_ms": milliseconds([case.worked for case in cases]),
        "ways": {
            way: {
                str(k): {
                    "score_drop": float(np.mean(tally.drops[k])),
                    "log_odds_drop": float(np.mean(tally.odds[k])),
                    "more_than_random": float(np.mean(np.array(tally.odds[k]) > np.array(chance.odds[k]))),
                    "kept_alone": float(np.mean(tally.kept[k])),
                    "other_model": float(np.mean(tally.others[k])),
                }
                for k in TAKEN
            }
            for way, tally in tallies.items()
        },
    }


def milliseconds(seconds: list[float]) -> dict[str, float]:
    return {"p50": 1e3 * float(np.quantile(seconds, 0.5)), "p99": 1e3 * float(np.quantile(seconds, 0.99))}


def trained(args: argparse.Namespace, name: str, target: str, base: str) -> Any:
    """A model of one target of the set."""
    import tamis

    out = Path(args.models) / f"{name}-{base}"
    if out.exists():
        return tamis.load(out)
    rows = shuffled(args, name, "train")[: None if base == "static-en" else ENCODER_TRAIN]
    train = [{"text": row["text"], "labels": {target: row["labels"][target]}} for row in rows]
    return tamis.train(train, base=base, out=out, **({} if base == "static-en" else {"epochs": 1}))


def page(about: dict[str, Any], results: list[dict[str, Any]]) -> str:
    """The report."""
    parts = ["# Explanations\n", record.preamble(about)]
    parts.append(
        f"\nOn {about['split']} rows of more than five words, for the label that the model gives. *Drop*: of its "
        "score, and of its log-odds, when so many pieces are taken out together. *More than random*: rows in which the "
        "log-odds lose more than by as many random pieces. *Kept alone*: the score where only these pieces are left. "
        "*Another model*: what TF-IDF of characters with logistic regression loses in log-odds without the same "
        "pieces.\n"
    )
    for result in results:
        parts.append(
            f"\n## {result['set']}, {result['target']}: {result['base']}\n\n{result['rows']} rows, "
            f"{result['characters']} characters and {result['pieces']} pieces on average. One explanation: "
            f"{result['ms']['p50']:.2f} ms (p50), {result['ms']['p99']:.2f} ms (p99) of the clock, "
            f"{result['processor_ms']['p50']:.2f} and {result['processor_ms']['p99']:.2f} ms of all cores.\n\n"
        )
        head = ["pieces by", "taken", "score drop", "log-odds drop", "more than random", "kept alone", "another model"]
        table = [
            [
                way if k == "1" else "",
                k,
                f"{found['score_drop']:.3f}",
                f"{found['log_odds_drop']:.2f}",
                "" if way == "random" else f"{100 * found['more_than_random']:.0f} %",
                f"{found['kept_alone']:.3f}",
                f"{found['other_model']:.2f}",
            ]
            for way, by_count in result["ways"].items()
            for k, found in by_count.items()
        ]
        parts.append(record.table(head, table))
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--sets", default=",".join(name for name, _ in SETS))
    parser.add_argument("--tiers", default="static,encoder")
    parser.add_argument("--models", type=Path, help="keep the models here, and use those that are there")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        args.models = args.models or Path(folder)
        results = []
        for name, target in [each for each in SETS if each[0] in args.sets.split(",") and "static" in args.tiers]:
            results.append(measure(trained(args, name, target, "static-en"), name, target, args, args.rows))
            print(json.dumps(results[-1]["ms"]), name)
        if "encoder" in args.tiers:
            model = trained(args, *ENCODER_SET, ENCODER)
            results.append(measure(model, *ENCODER_SET, args, args.rows // 2))
            print(json.dumps(results[-1]["ms"]), ENCODER)
    about = record.surroundings() | {"split": args.split}
    record.write(args.out, "explain", page(about, results), about | {"results": results})


if __name__ == "__main__":
    main()
