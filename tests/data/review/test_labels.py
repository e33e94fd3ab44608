import numpy as np

from tamis.data.dataset import build
from tamis.data.review.corpus import Corpus
from tamis.data.review.edits import RenameLabel, SetLabels
from tamis.data.review.labels import label_findings
from tamis.data.review.scores import gatherer
from tamis.schema import Example


def single(counts):
    texts = [(f"{label} {number}", label) for label, count in counts.items() for number in range(count)]
    return Corpus({"train": build(Example(text, {"t": (label,)}, line) for line, (text, label) in enumerate(texts, 1))})


def multi(rows):
    listed = frozenset({"t"})
    return Corpus(
        {
            "train": build(
                Example(f"row {n}", {} if row is None else {"t": row}, n, listed) for n, row in enumerate(rows)
            )
        }
    )


def findings(given, scores=None):
    return {finding.code: finding for finding in label_findings(given, scores or {})}


def test_names_that_are_the_same_become_the_one_with_more_rows():
    found = findings(single({"Refund": 12, "refunds": 15, "other": 20}))["same_names"]
    assert found.items[0].edits == (RenameLabel(target="t", label="Refund", into="refunds"),)
    assert found.fix == "labels"


def test_a_rare_name_that_is_nearly_a_frequent_one_may_be_a_slip():
    found = findings(single({"refund_request": 40, "refund_requst": 2, "other": 20}))
    assert found["misspelt_names"].items[0].proposed == ("refund_request",)
    assert "misspelt_names" not in findings(single({"refund_request": 40, "refund_requst": 30}))


def test_labels_with_few_rows():
    found = findings(single({"a": 30, "b": 9, "c": 1}))["few_rows"]
    assert found.count == 2
    assert found.fix == "drop-rare=10"


def test_one_label_far_above_the_others():
    found = findings(single({"a": 500, "b": 12, "c": 11, "d": 10}))["uneven"]
    assert found.count == 1


def test_labels_that_are_taken_for_each_other():
    given = single({"a": 20, "b": 20, "c": 20})
    truth = given.train.truth["t"]
    scores = gatherer(truth)
    probabilities = np.eye(3, dtype=np.float32)[truth.codes] * 0.8 + 0.05
    probabilities[:12] = [0.1, 0.8, 0.1]  # a taken for b
    scores.add(np.arange(60), probabilities)
    found = findings(given, {"t": scores.finish()})["hard_to_tell"]
    assert found.count == 1
    assert "'a' and 'b': 12 rows" in found.items[0].told


def test_none_beside_others_loses_the_none():
    found = findings(multi([("none", "a"), ("a",), ("none",), ("b",)]))["beside_none"]
    assert found.items[0].edits == (SetLabels(row=0, target="t", labels=("a",)),)


def test_labels_that_never_stand_alone():
    found = findings(multi([("a", "b")] * 10 + [("a",)] * 10))["never_alone"]
    assert "'b' (10 rows): always with 'a'" in found.items[0].told


def test_two_ways_to_say_none():
    found = findings(multi([(), ("none",), ("a",), None]))["unknown_or_none"]
    assert found.count == 3
    assert found.fix is None


def test_one_label_and_no_label_are_no_trouble():
    assert set(findings(single({"only": 20}))) == set()
    assert set(findings(multi([None, None]))) == set()
