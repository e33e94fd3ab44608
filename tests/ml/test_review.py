import json

import pytest

from tamis.data.loading import load_splits
from tamis.ml.base_models import load_base
from tamis.ml.neighbours import Neighbours
from tamis.ml.review import NOTHING_SCORED, ReviewOptions, doubtful_labels, review
from tamis.testing import tiny_base

WORDS = ["where", "is", "my", "parcel", "you", "charged", "card", "twice", "number"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(tiny_base(tmp_path_factory.mktemp("base") / "base", WORDS))


def write(path, rows):
    path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows))
    return str(path)


def support(n=25):
    texts = {"delivery": "where is my parcel number {}", "payment": "you charged my card twice number {}"}
    return [(text.format(number), {"topic": topic}) for number in range(n) for topic, text in texts.items()]


def test_a_wrong_label_comes_with_the_right_one_and_with_rows_that_speak_for_it(tmp_path, base):
    rows = support()
    rows[6] = (rows[6][0], {"topic": "payment"})
    found = review(load_splits(write(tmp_path / "a.jsonl", rows)), ReviewOptions(base))
    item = found.finding("suspects:topic").items[0]
    assert item.rows[0].line == 7
    assert item.proposed == ("delivery",)
    assert item.score > 0.5
    assert len(item.rows) > 1
    assert all(place.labels["topic"] == ("delivery",) for place in item.rows[1:])
    assert found.scored.agreement["topic"] > 0.9


def test_rows_of_several_files_are_named_by_their_file(tmp_path, base):
    first, second = (
        write(tmp_path / "a.jsonl", support()),
        write(tmp_path / "b.jsonl", [*support()[:3], ("new one", {"topic": "payment"})]),
    )
    found = review(load_splits([first, second]), ReviewOptions(base, suspects=False))
    places = found.finding("duplicates").items[0].rows
    assert [(place.file, place.line) for place in places] == [(second, 1), (first, 1)]
    assert found.scored is None


def test_the_test_data_is_looked_at_too(tmp_path, base):
    train, test = write(tmp_path / "a.jsonl", support()), write(tmp_path / "t.jsonl", support()[:2])
    found = review(load_splits(train, None, test), ReviewOptions(base, suspects=False))
    assert found.finding("leaks").count == 2
    assert found.rows == {"train": 50, "test": 2}


@pytest.mark.parametrize(
    "rows",
    [
        [("one", {"t": "a"})],
        [("one", {"t": "a"}), ("two", {"t": "b"})],
        [("same", {"t": "a"})] * 30,
        [(f"row {n}", {"t": "only"}) for n in range(30)],
        [(f"row {n}", {"t": f"label {n}"}) for n in range(30)],
        [(f"row {n}", {"t": None, "u": "ab"[n % 2]}) for n in range(30)],
        [("é" * 5_000 + str(n), {"t": "ab"[n % 2]}) for n in range(12)],
    ],
    ids=["one row", "two rows", "all the same", "one label", "a label a row", "unknown target", "long unicode"],
)
def test_odd_data_is_reviewed_too(tmp_path, base, rows):
    found = review(load_splits(write(tmp_path / "a.jsonl", rows)), ReviewOptions(base))
    assert found.rows["train"] == len(rows)
    assert json.loads(found.model_dump_json())["findings"] is not None


def test_too_little_to_judge_is_said(tmp_path, base):
    found = review(
        load_splits(write(tmp_path / "a.jsonl", [("one", {"t": "a"}), ("two", {"t": "b"})])), ReviewOptions(base)
    )
    assert NOTHING_SCORED in found.remarks


def test_two_rows_a_label_are_judged(tmp_path, base):
    rows = [(f"{label} {n} parcel", {"t": label}) for label in ("where", "card", "money") for n in range(2)]
    assert review(load_splits(write(tmp_path / "a.jsonl", rows)), ReviewOptions(base)).scored is not None


def test_chats_and_multi_label_targets(tmp_path, base):
    path = tmp_path / "a.jsonl"
    rows = [
        {
            "messages": [{"role": "user", "content": f"{'where is my parcel' if n % 2 else 'card charged twice'} {n}"}],
            "labels": {"tags": (["delivery"] if n % 2 else ["payment"]) if n != 7 else []},
        }
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    item = review(load_splits(str(path)), ReviewOptions(base)).finding("suspects:tags").items[0]
    assert item.rows[0].line == 8
    assert item.proposed == ("delivery",)


def test_proposals_for_the_fix(tmp_path, base):
    rows = support()
    rows[6] = (rows[6][0], {"topic": "payment"})
    proposals = doubtful_labels(load_splits(write(tmp_path / "a.jsonl", rows)).train, base)["topic"]
    assert proposals[0].row == 6
    assert proposals[0].labels == ("delivery",)


def test_neighbours_carry_the_labels_and_are_not_the_row_itself(tmp_path, base):
    data = load_splits(write(tmp_path / "a.jsonl", support())).train
    import numpy as np

    near = Neighbours(data, load_base(base)).supporting("topic")(np.array([0, 1]), [("delivery",), ("nobody",)])
    assert 0 not in near[0]
    assert all(data.labels_of("topic", row) == ("delivery",) for row in near[0])
    assert near[1] == []
