"""The methods that are compared, and the child process that runs one of them on one set.

`python methods.py JOB.json` trains and predicts, and writes what it took and what it said; it computes no metric.
Importing libraries is not counted as training, reading the file is not either (for Tamis it is: it trains from a path).
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from sets import Rows, part, read_rows

HELD_OUT = 0.10


@dataclass
class Said:
    """What a method says for one target: labels a row, and for multi-label targets scores (rows, names)."""

    labels: list[list[str]]
    names: list[str]
    scores: np.ndarray | None = None


@dataclass
class Job:
    """One method on one set."""

    train: Path
    validation: Path | None
    out: Path


class Method(Protocol):
    """Imports its libraries when made; `read` is not timed, `fit` is."""

    def read(self, job: Job) -> None: ...

    def fit(self, job: Job) -> None: ...

    def predict(self, rows: Rows) -> dict[str, Said]: ...


def best_shared_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold, one for all labels, with the highest micro-F1."""
    cuts = np.unique(np.quantile(scores, np.linspace(0.2, 1, 2000)))
    order = np.sort(scores[truth])
    hits = len(order) - np.searchsorted(order, cuts)
    given = scores.size - np.searchsorted(np.sort(scores, axis=None), cuts)
    f1 = 2 * hits / np.maximum(given + truth.sum(), 1)
    return float(cuts[int(f1.argmax())])


def indicator(labels: list[list[str] | None], names: list[str]) -> np.ndarray:
    """(rows, names) bool; labels that `names` lacks are left out."""
    index = {name: column for column, name in enumerate(names)}
    dense = np.zeros((len(labels), len(names)), dtype=bool)
    for row, given in enumerate(labels):
        dense[row, [index[label] for label in given or () if label in index]] = True
    return dense


def label_names(labels: list[list[str] | None]) -> list[str]:
    return sorted({label for given in labels for label in given or ()})


def known(rows: Rows, target: str) -> Rows:
    """Return the rows that mention the target."""
    column = rows.labels[target]
    return rows.select([row for row, given in enumerate(column) if given is not None])


def held_out(rows: Rows) -> tuple[Rows, Rows]:
    """Split off a tenth of the rows by hash, to choose a threshold on."""
    where = [part("held out " + text) < HELD_OUT for text in rows.texts]
    return rows.select([i for i, out in enumerate(where) if not out]), rows.select(
        [i for i, o in enumerate(where) if o]
    )


class Peer:
    """What peers share: rows in memory, one model a target, a threshold chosen on held-out rows."""

    train: Rows
    validation: Rows | None

    def read(self, job: Job) -> None:
        self.train = read_rows(job.train)
        self.validation = read_rows(job.validation) if job.validation else None

    def choose(self, target: str, learn: Callable[[Rows], Any], score: Callable[[Any, Rows], np.ndarray]) -> Any:
        """Return (model, threshold): chosen on the validation file, else on a tenth held out, then learnt again."""
        rows = known(self.train, target)
        fit_rows, check = (rows, known(self.validation, target)) if self.validation else held_out(rows)
        model = learn(fit_rows)
        truth = indicator(check.labels[target], label_names(rows.labels[target]))
        threshold = best_shared_threshold(score(model, check), truth)
        return (model if self.validation else learn(rows)), threshold


class Majority(Peer):
    """Always the most frequent label."""

    def fit(self, job: Job) -> None:
        self.most = {
            target: Counter(label for given in column for label in given or ()).most_common(1)[0][0]
            for target, column in self.train.labels.items()
        }

    def predict(self, rows: Rows) -> dict[str, Said]:
        return {target: Said([[label]] * len(rows), [label]) for target, label in self.most.items()}


class Tfidf(Peer):
    """Words 1-2 and characters 2-4, sublinear; LinearSVC, or one-vs-rest logistic regression for several labels."""

    def __init__(self, strength: float = 1.0) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_union
        from sklearn.svm import LinearSVC

        self.vectorizer = make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
        )
        self.svc = lambda: LinearSVC(C=strength)
        # dual: for more features than rows, as here; it gives the same weights up to 50 times sooner
        one = LogisticRegression(C=strength, solver="liblinear", dual=True, random_state=0)
        self.one_vs_rest = lambda: OneVsRestClassifier(one)

    def fit(self, job: Job) -> None:
        matrix = self.vectorizer.fit_transform(self.train.texts)
        self.models: dict[str, Any] = {}
        for target, column in self.train.labels.items():
            rows = [row for row, given in enumerate(column) if given is not None]
            if self.train.multi[target]:
                self.models[target] = self._several(target, matrix, rows)
            else:
                self.models[target] = self.svc().fit(matrix[rows], [column[row][0] for row in rows])

    def _several(self, target: str, matrix: Any, rows: list[int]) -> tuple[Any, float, list[str]]:
        names = label_names(self.train.labels[target])
        truth = indicator([self.train.labels[target][row] for row in rows], names)
        matrix = matrix[rows]
        if self.validation:
            check = known(self.validation, target)
            model = self.one_vs_rest().fit(matrix, truth)
            scores, answers = self._scores(model, check.texts), indicator(check.labels[target], names)
            return model, best_shared_threshold(scores, answers), names
        out = np.array([part("held out " + self.train.texts[row]) < HELD_OUT for row in rows])
        kept = [column for column in range(len(names)) if truth[~out][:, column].any()]
        model = self.one_vs_rest().fit(matrix[~out], truth[~out][:, kept])
        threshold = best_shared_threshold(model.predict_proba(matrix[out]), truth[out][:, kept])
        return self.one_vs_rest().fit(matrix, truth), threshold, names

    def _scores(self, model: Any, texts: list[str]) -> np.ndarray:
        return model.predict_proba(self.vectorizer.transform(texts))

    def predict(self, rows: Rows) -> dict[str, Said]:
        matrix = self.vectorizer.transform(rows.texts)
        said = {}
        for target, model in self.models.items():
            if isinstance(model, tuple):
                fitted, threshold, names = model
                said[target] = above(fitted.predict_proba(matrix), threshold, names)
            else:
                said[target] = Said([[label] for label in model.predict(matrix)], list(model.classes_))
        return said


def above(scores: np.ndarray, threshold: float, names: list[str]) -> Said:
    """Return the labels from the threshold on."""
    return Said([[names[c] for c in np.flatnonzero(row >= threshold)] for row in scores], names, scores)


class FastText(Peer):
    """fastText, supervised: words and word pairs, 100 dimensions, 25 passes, rate 0.5; independent labels by `ova`."""

    # 12 threads is the default of fastText's own program. Fewer than 10 leave most of its weights at zero (it fills a
    # tenth a thread), which costs 4 points on banking77: the Python binding's default does that on a small machine.
    SETTINGS: ClassVar = {"wordNgrams": 2, "dim": 100, "epoch": 25, "lr": 0.5, "thread": 12, "verbose": 0}

    def __init__(self) -> None:
        import fasttext

        self.library = fasttext

    @staticmethod
    def clean(text: str) -> str:
        """Lower case, punctuation apart: what fastText's own tutorial does to the text."""
        return " ".join(re.sub(r"([.!?,'/()])", r" \1 ", text.lower()).split())

    def _learn(self, target: str, names: list[str], rows: Rows) -> Any:
        codes = {name: code for code, name in enumerate(names)}
        multi = rows.multi[target]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "train.txt")
            with path.open("w", encoding="utf-8") as file:
                for text, given in zip(rows.texts, rows.labels[target], strict=True):
                    marks = [f"__label__{codes[label]}" for label in given or ()] or ["__label__none"]
                    file.write(f"{' '.join(marks)} {self.clean(text)}\n")
            return self._supervised(str(path), "ova" if multi else "softmax")

    def _supervised(self, path: str, loss: str) -> Any:
        settings = dict(self.SETTINGS)
        while True:
            try:
                return self.library.train_supervised(path, loss=loss, **settings)
            except RuntimeError:  # "Encountered NaN.": the rate is too high for this set
                settings["lr"] /= 2
                if settings["lr"] < 0.01:
                    raise
                sys.stderr.write(f"fastText met NaN; trying again with lr={settings['lr']}\n")

    def fit(self, job: Job) -> None:
        self.models: dict[str, Any] = {}
        for target, column in self.train.labels.items():
            names = label_names(column)
            if self.train.multi[target]:
                chosen = self.choose(
                    target,
                    lambda rows, t=target, n=names: self._learn(t, n, rows),
                    lambda model, rows, n=names: self._scores(model, rows, n),
                )
                self.models[target] = (*chosen, names)
            else:
                self.models[target] = (self._learn(target, names, known(self.train, target)), None, names)

    def _scores(self, model: Any, rows: Rows, names: list[str], k: int = -1) -> np.ndarray:
        marks, probabilities = model.predict([self.clean(text) for text in rows.texts], k=k)
        scores = np.zeros((len(rows), len(names)), dtype=np.float32)
        for row, (given, values) in enumerate(zip(marks, probabilities, strict=True)):
            for mark, value in zip(given, values, strict=True):
                if not mark.endswith("none"):
                    scores[row, int(mark.removeprefix("__label__"))] = value
        return scores

    def predict(self, rows: Rows) -> dict[str, Said]:
        said = {}
        for target, (model, threshold, names) in self.models.items():
            scores = self._scores(model, rows, names, k=1 if threshold is None else -1)
            if threshold is None:
                said[target] = Said([[names[code]] for code in scores.argmax(axis=1)], names)
            else:
                said[target] = above(scores, threshold, names)
        return said


class Tamis:
    """`tamis.train` with its defaults."""

    def __init__(self) -> None:
        import tamis
        from tamis.schema import as_chat

        self.train, self.as_chat = tamis.train, as_chat

    def read(self, job: Job) -> None:
        """Nothing: Tamis reads the files itself, and that is counted."""

    def fit(self, job: Job) -> None:
        self.model = self.train(job.train, validation=job.validation, out=job.out / "model")

    def predict(self, rows: Rows) -> dict[str, Said]:
        inputs = [given if isinstance(given, str) else self.as_chat(given) for given in rows.inputs]
        predictions = list(self.model.classify(inputs))
        return {target: self._said(target, predictions, rows.multi[target]) for target in predictions[0].answers}

    @staticmethod
    def _said(target: str, predictions: list[Any], multi: bool) -> Said:
        answers = [prediction[target] for prediction in predictions]
        names = list(answers[0].scores)
        if not multi:  # the most probable label, also where the model would rather abstain
            return Said([[max(answer.scores, key=answer.scores.get)] for answer in answers], names)
        scores = np.array([[answer.scores[name] for name in names] for answer in answers])
        return Said([list(answer.labels) for answer in answers], names, scores)


METHODS: dict[str, Callable[[], Method]] = {
    "majority": Majority,
    "tfidf": Tfidf,
    "tfidf-c10": lambda: Tfidf(10.0),  # regularised less: often better where an example carries several labels
    "fasttext": FastText,
    "tamis": Tamis,
}
DEFAULT = ("majority", "tfidf", "fasttext", "tamis")


def peak_mb() -> float:
    """Return the most memory this process has held, in MB (its own: what the parent held is not inherited)."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def run(method: str, job: Job, measured: Path, started: float) -> None:
    """Train, predict, and write `said.json` and `scores.npz` into the job's folder."""
    learner = METHODS[method]()
    learner.read(job)
    before = time.perf_counter()
    learner.fit(job)
    seconds = {"train": time.perf_counter() - before, "whole": time.time() - started}
    peak = peak_mb()
    rows = read_rows(measured)
    before = time.perf_counter()
    said = learner.predict(rows)
    seconds["predict"] = time.perf_counter() - before
    scores = {name: answer.scores for name, answer in said.items() if answer.scores is not None}
    np.savez(job.out / "scores.npz", **scores)
    answers = {name: {"labels": answer.labels, "names": answer.names} for name, answer in said.items()}
    record = {"seconds": seconds, "peak_mb": peak, "said": answers}
    (job.out / "said.json").write_text(json.dumps(record))


def main() -> None:
    """Run the job in the file that is named."""
    given = json.loads(Path(sys.argv[1]).read_text())
    validation = Path(given["validation"]) if given["validation"] else None
    job = Job(Path(given["train"]), validation, Path(given["out"]))
    run(given["method"], job, Path(given["measured"]), given["started"])


if __name__ == "__main__":
    main()
