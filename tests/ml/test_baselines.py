"""What a model must beat: baselines say what they should, and choose thresholds on rows they did not learn from."""

from __future__ import annotations

import numpy as np
import pytest

from tamis.data.dataset import Dataset, build
from tamis.errors import DataError, InvalidSetting, NothingToLearn
from tamis.ml.baselines import BASELINES, Baseline, fit_baseline
from tamis.schema import Example, Message

WORDS = {"delivery": "where is my parcel", "payment": "refund the invoice now"}


def rows(count: int = 60, *, chats: bool = False) -> Dataset:
    """Two targets: `topic`, one of two (delivery twice as frequent), and `flags`, any of three; `rare` has 2 rows."""
    examples = []
    for n in range(count):
        topic = "payment" if n % 3 == 0 else "delivery"
        flags = [topic, *(["urgent"] if n % 4 == 0 else []), *(["rare"] if n in (1, 2) else [])]
        text = f"{WORDS[topic]} {'hurry up please' if n % 4 == 0 else 'thank you'} {n}"
        given = (Message("user", text),) if chats else text
        examples.append(Example(given, {"topic": (topic,), "flags": tuple(flags)}, n + 1, frozenset({"flags"})))
    return build(examples)


def said(baseline: Baseline, inputs: list) -> dict[str, list[tuple[str, ...]]]:
    given = baseline.given(inputs, baseline.scores(inputs))
    return {
        target.name: [tuple(np.array(target.labels)[row].tolist()) for row in given[target.name]]
        for target in baseline.targets
    }


def test_the_majority_is_always_the_same() -> None:
    baseline = fit_baseline("majority", rows(), rows(30))
    found = said(baseline, ["anything", "else"])
    assert found["topic"] == [("delivery",)] * 2
    assert found["flags"][0] == found["flags"][1]
    assert "delivery" in found["flags"][0]
    assert "rare" not in found["flags"][0]
    assert baseline.scores(["x"])["topic"][0] == pytest.approx([2 / 3, 1 / 3])


def test_draws_follow_the_frequencies_and_the_text() -> None:
    baseline = fit_baseline("random", rows(), seed=3)
    texts = [f"text {n}" for n in range(2000)]
    first = said(baseline, texts)
    assert np.mean([labels == ("delivery",) for labels in first["topic"]]) == pytest.approx(2 / 3, abs=0.05)
    assert np.mean(["urgent" in labels for labels in first["flags"]]) == pytest.approx(0.25, abs=0.05)
    assert said(baseline, texts[100:110])["topic"] == first["topic"][100:110]
    assert said(fit_baseline("random", rows(), seed=4), texts)["topic"] != first["topic"]
    assert baseline.thresholds == {}
    assert baseline.draws


@pytest.mark.parametrize("chats", [False, True])
def test_tfidf_learns_words(chats: bool) -> None:
    baseline = fit_baseline("tfidf", rows(chats=chats), rows(40))
    found = said(baseline, [f"{WORDS['payment']} thank you", f"{WORDS['delivery']} hurry up please"])
    assert found["topic"] == [("payment",), ("delivery",)]
    assert found["flags"][0] == ("payment",)
    assert set(found["flags"][1]) >= {"delivery", "urgent"}
    scores = baseline.scores(["", "a text of other words"])
    assert scores["topic"].sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert scores["flags"].dtype == np.float32


def test_thresholds_are_chosen_on_other_rows_than_it_learns_from(monkeypatch: pytest.MonkeyPatch) -> None:
    import tamis.ml.baselines as module

    learnt: list[list[object]] = []
    kept = module._fitted

    def watched(fit, target, data):
        learnt.append(list(data.inputs))
        return kept(fit, target, data)

    monkeypatch.setattr(module, "_fitted", watched)
    data = rows(300)
    baseline = fit_baseline("majority", data)
    first, *last = learnt
    assert len(first) == pytest.approx(270, abs=5)
    assert all(len(inputs) == 300 for inputs in last)
    assert "which the scores were not learnt from" in baseline.rows
    assert fit_baseline("majority", data, rows(40)).rows == "the 40 validation rows"


def test_too_few_rows_to_hold_some_out_is_told() -> None:
    baseline = fit_baseline("majority", rows(30))
    assert baseline.thresholds == {"flags": 0.5}
    assert "too few" in baseline.rows


def test_labels_that_all_or_no_rows_carry() -> None:
    carried = [("all", "b") if n % 2 else ("all",) for n in range(40)]
    examples = [Example(f"some words {n}", {"t": labels}, n, frozenset({"t"})) for n, labels in enumerate(carried)]
    wider = build(examples).targets[0].model_copy(update={"labels": ("all", "b", "never")})
    baseline = fit_baseline("tfidf", build(examples, [wider]), build(examples[:10], [wider]))
    scores = baseline.scores(["some words"])["t"][0]
    assert scores[0] == 1
    assert scores[2] == 0


def test_rows_that_say_nothing_of_a_target_are_not_learnt_from() -> None:
    labels = [{"t": (("a", "b")[n % 2],)} if n < 10 else {"u": (("x", "y")[n % 2],)} for n in range(20)]
    baseline = fit_baseline("majority", build([Example(f"text {n}", said, n) for n, said in enumerate(labels)]))
    assert baseline.scores(["x"])["t"][0] == pytest.approx([0.5, 0.5])


def test_what_cannot_be_learnt_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="baseline:majority"):
        fit_baseline("best", rows())
    with pytest.raises(NothingToLearn):
        fit_baseline("majority", build([Example("a", {"t": ("x",)}), Example("b", {"t": ("x",)})]))
    with pytest.raises(DataError, match="No training text"):
        fit_baseline("tfidf", build([Example(" ", {"t": ("x",)}), Example("  ", {"t": ("y",)})]))


def test_it_can_be_ended() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    for kind in BASELINES:
        with pytest.raises(KeyboardInterrupt):
            fit_baseline(kind, rows(), rows(20), check=stop)
