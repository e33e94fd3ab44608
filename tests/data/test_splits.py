"""Splits cover the rows exactly, follow the content and not the order, keep label shares, and never part a text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.data.dataset import Dataset, build
from tamis.data.splits import Untestable, folds, require_shares, split_rows, untestable_labels
from tamis.errors import InvalidSetting, NoRows
from tamis.schema import Example, Message

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
THREE_WAYS = st.sampled_from(
    [
        SHARES,
        {"train": 0.9, "test": 0.1},
        {"train": 0.34, "validation": 0.33, "test": 0.33},
        {"train": 1.0, "test": 0.0},
    ]
)


@st.composite
def examples(draw) -> list[Example]:
    """Rows of a single-label and a multi-label target, either unknown now and then; texts repeat."""
    one = st.tuples(st.sampled_from("abcdefgh"))
    several = st.lists(st.sampled_from("uvwxyz"), max_size=3, unique=True).map(tuple)
    rows = draw(st.lists(st.tuples(st.integers(0, 60), st.none() | one, st.none() | several), min_size=1, max_size=80))
    made = []
    for line, (text, intent, topics) in enumerate(rows, start=1):
        labels = {name: value for name, value in (("intent", intent), ("topics", topics)) if value is not None}
        made.append(Example(f"text {text}", labels, line, frozenset({"topics"} & labels.keys())))
    return made


def single(counts: dict[str, int]) -> Dataset:
    """So many rows a label, each with a text of its own."""
    return build(Example(f"{label} {i}", {"y": (label,)}) for label, count in counts.items() for i in range(count))


def counts(data: Dataset, rows: np.ndarray, target: str = "y") -> dict[str, int]:
    found = data.truth[target].select(rows).counts().tolist()
    return dict(zip(data.target(target).labels, found, strict=True))


class TestCover:
    @settings(max_examples=40, deadline=None)
    @given(examples(), THREE_WAYS, st.integers(-5, 2**70))
    def test_every_row_once(self, rows, shares, seed):
        found = split_rows(build(rows), shares, seed)
        assert list(found) == list(shares)
        assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(len(rows)))
        assert all((np.diff(part) > 0).all() for part in found.values())
        assert all(len(found[name]) == 0 for name, share in shares.items() if not share)

    @settings(max_examples=40, deadline=None)
    @given(examples(), st.integers(2, 5), st.integers(0, 3))
    def test_every_row_in_one_fold(self, rows, k, seed):
        texts = len({row.input for row in rows})
        if texts < k:
            with pytest.raises(NoRows, match=f"{texts} different texts"):
                folds(build(rows), k, seed)
            return
        found = folds(build(rows), k, seed)
        assert found.shape == (len(rows),)
        assert found.dtype == np.int32
        assert set(found.tolist()) <= set(range(k))

    def test_one_row_goes_to_train(self):
        found = split_rows(single({"a": 1}), SHARES, 0)
        assert [len(part) for part in found.values()] == [1, 0, 0]

    def test_nothing_known_of_any_row(self):
        data = build([Example(f"text {i}", {"y": ()}, i, frozenset({"y"})) for i in range(50)])
        assert [len(part) for part in split_rows(data, SHARES, 0).values()] == [40, 5, 5]


class TestDeterminism:
    @settings(max_examples=40, deadline=None)
    @given(examples(), st.randoms(use_true_random=False), st.integers(0, 3))
    def test_order_of_rows_plays_no_part(self, rows, random, seed):
        shuffled = random.sample(rows, len(rows))
        data, other = build(rows), build(shuffled)
        for name, found in split_rows(data, SHARES, seed).items():
            again = split_rows(other, SHARES, seed)[name]
            assert sorted(data.lines[found].tolist()) == sorted(other.lines[again].tolist())

    def test_folds_follow_the_text(self):
        rows = [Example(f"text {i}", {"y": (str(i % 7),)}) for i in range(200)]
        first, second = folds(build(rows), 4, 1), folds(build(rows[::-1]), 4, 1)
        assert first.tolist() == second[::-1].tolist()

    def test_order_of_targets_plays_no_part(self):
        rows = [Example(f"text {i}", {"a": (str(i % 4),), "b": (str(i * 7 % 300 // 75),)}) for i in range(300)]
        turned = [Example(row.input, dict(reversed(row.labels.items()))) for row in rows]
        for name, found in split_rows(build(rows), SHARES, 0).items():
            assert found.tolist() == split_rows(build(turned), SHARES, 0)[name].tolist()

    def test_seeds_differ(self):
        data = single({"a": 100, "b": 100})
        found = {tuple(split_rows(data, SHARES, seed)["test"].tolist()) for seed in range(5)}
        assert len(found) == 5

    def test_stays_as_it_is_from_version_to_version(self):
        data = single({"a": 20, "b": 10})
        assert split_rows(data, SHARES, 0)["test"].tolist() == [0, 17, 20]


class TestSameText:
    @settings(max_examples=40, deadline=None)
    @given(examples(), st.integers(0, 3))
    def test_stays_together(self, rows, seed):
        data = build(rows)
        split_of = {}
        for name, part in split_rows(data, SHARES, seed).items():
            for row in part.tolist():
                assert split_of.setdefault(data.inputs[row], name) == name

    @settings(max_examples=20, deadline=None)
    @given(examples(), st.integers(0, 3))
    def test_stays_in_one_fold(self, rows, seed):
        if len({row.input for row in rows}) < 3:
            return
        fold_of = {}
        for row, fold in zip(rows, folds(build(rows), 3, seed).tolist(), strict=True):
            assert fold_of.setdefault(row.input, fold) == fold

    def test_case_and_spaces_do_not_make_another_text(self):
        rows = [
            Example(text, {"y": (str(i % 2),)})
            for i in range(100)
            for text in (f"Good morning {i}", f"good  MORNING {i} ")
        ]
        for part in split_rows(build(rows), SHARES, 0).values():
            assert sorted(part[::2] + 1) == sorted(part[1::2])

    def test_chats_too(self):
        chat = (Message("user", "hello"), Message("assistant", "Yes?"))
        rows = [Example(chat, {"y": ("a",)})] * 30 + [Example(f"t {i}", {"y": ("b",)}) for i in range(70)]
        parts = split_rows(build(rows), SHARES, 0).values()
        assert sorted(int((part < 30).sum()) for part in parts) == [0, 0, 30]

    def test_a_text_that_is_most_of_the_rows_leaves_the_rest_for_the_others(self):
        rows = [Example("again", {"y": ("a",)})] * 800 + [Example(f"t {i}", {"y": ("a",)}) for i in range(200)]
        assert [len(part) for part in split_rows(build(rows), SHARES, 0).values()] == [800, 100, 100]


class TestShares:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(1, 120), min_size=1, max_size=25), THREE_WAYS, st.integers(0, 3))
    def test_single_label_within_two_rows(self, sizes, shares, seed):
        data = single({f"l{i}": size for i, size in enumerate(sizes)})
        found = split_rows(data, shares, seed)
        brought_back = sum(size * shares["train"] < 1 for size in sizes)
        for name, share in shares.items():
            assert abs(len(found[name]) - share * len(data)) <= 3 + brought_back
            for label, count in counts(data, found[name]).items():
                assert abs(count - share * sizes[int(label[1:])]) < 2

    def test_two_targets_and_many_combinations(self):
        random = np.random.default_rng(0)
        topics = random.random((3000, 20)) < np.linspace(0.005, 0.4, 20)
        rows = [
            Example(
                f"text {i}",
                {"intent": (str(random.zipf(1.6) % 12),), "topics": tuple(f"t{t}" for t in np.flatnonzero(topics[i]))},
                i,
                frozenset({"topics"}),
            )
            for i in range(3000)
        ]
        data = build(rows)
        found = split_rows(data, SHARES, 0)
        everything = np.arange(len(data))
        for name, share in SHARES.items():
            assert abs(len(found[name]) - share * 3000) <= 3
            for target in ("intent", "topics"):
                whole = counts(data, everything, target)
                for label, count in counts(data, found[name], target).items():
                    assert abs(count - share * whole[label]) <= 4, (name, target, label)

    def test_joint_distribution_of_targets(self):
        rows = [Example(f"text {i}", {"a": (str(i % 4),), "b": (str(i // 4 % 5),)}) for i in range(1000)]
        data = build(rows)
        test = split_rows(data, SHARES, 0)["test"]
        joint = np.zeros((4, 5), dtype=int)
        np.add.at(joint, (data.truth["a"].codes[test], data.truth["b"].codes[test]), 1)
        assert joint.min() >= 4
        assert joint.max() <= 6

    def test_rows_without_a_label_and_unknown_ones_are_spread_too(self):
        labels = [("x",), (), None]
        rows = [
            Example(f"text {i}", {"y": ("a",)} | ({"t": labels[i % 3]} if labels[i % 3] is not None else {}), i, {"t"})
            for i in range(600)
        ]
        data = build(rows)
        test = split_rows(data, SHARES, 0)["test"]
        assert np.bincount(test % 3).tolist() == [20, 20, 20]

    def test_folds_are_even(self):
        data = single({"a": 53, "b": 29, "c": 5, "d": 2})
        found = folds(data, 5, 0)
        assert np.ptp(np.bincount(found, minlength=5)) <= 1
        for code, label in enumerate(data.target("y").labels):
            of_label = np.bincount(found[data.truth["y"].codes == code], minlength=5)
            assert np.ptp(of_label) <= 2 if label in "ab" else of_label.max() == 1

    def test_labels_with_ten_rows_are_in_every_tenth(self):
        data = single({f"l{i}": 10 for i in range(100)})
        found = split_rows(data, SHARES, 0)
        assert set(counts(data, found["test"]).values()) == {1}
        assert set(counts(data, found["validation"]).values()) == {1}

    def test_frequent_labels_of_another_target_do_not_crowd_them_out(self):
        random = np.random.default_rng(0)
        tags = [tuple("uvwx"[tag] for tag in np.flatnonzero(random.random(4) < 0.4)) for _ in range(1000)]
        rows = [
            Example(f"t {i}", {"rare": (str(i // 10),), "tags": tags[i]}, i, frozenset({"tags"})) for i in range(1000)
        ]
        data = build(rows)
        found = split_rows(data, SHARES, 0)
        assert min(counts(data, found["validation"], "rare").values()) == 1
        assert min(counts(data, found["test"], "rare").values()) == 1


class TestFewRows:
    def test_five_thousand_labels_of_two_rows(self):
        data = single({f"l{i}": 2 for i in range(5000)})
        found = split_rows(data, SHARES, 0)
        assert min(counts(data, found["train"]).values()) == 1
        assert [round(len(part), -2) for part in found.values()] == [8000, 1000, 1000]

    def test_a_label_with_one_row_stays_in_train(self):
        data = single({f"l{i}": 1 for i in range(40)})
        assert [len(part) for part in split_rows(data, SHARES, 0).values()] == [40, 0, 0]

    @settings(max_examples=40, deadline=None)
    @given(examples(), THREE_WAYS, st.integers(0, 3))
    def test_every_label_is_in_train(self, rows, shares, seed):
        data = build(rows)
        train = split_rows(data, shares, seed)["train"]
        for target in data.targets:
            assert (data.truth[target.name].select(train).counts() > 0).all()

    def test_two_rows_of_a_label_are_never_in_one_fold(self):
        data = single({f"l{i}": 2 for i in range(50)})
        found = folds(data, 4, 0)
        codes = data.truth["y"].codes
        assert all(len(set(found[codes == code].tolist())) == 2 for code in range(50))

    def test_labels_unseen_in_training_are_spread_as_well(self):
        declared = single({"a": 10, "b": 10}).targets
        rows = [Example(f"text {i}", {"y": ("abc"[i % 3],)}) for i in range(300)]
        data = build(rows, declared)
        found = split_rows(data, SHARES, 0)
        assert data.truth["y"].unseen == ("c",)
        assert int((data.truth["y"].select(found["test"]).codes == 2).sum()) == 10


class TestUntestable:
    def test_says_which_labels_are_missing_where(self):
        data = single({"many": 50, "few": 2, "one": 1})
        codes = data.truth["y"].codes
        names = data.target("y").labels
        rows = {
            "train": np.flatnonzero(codes >= 0)[:-3],
            "validation": np.array([np.flatnonzero(codes == names.index("few"))[0]]),
            "test": np.flatnonzero(codes == names.index("many"))[:2],
        }
        found = {entry.label: entry for entry in untestable_labels(data, rows)}
        assert found["many"] == Untestable("y", "many", 52, ("validation",))
        assert found["few"] == Untestable("y", "few", 1, ("train", "test"))
        assert found["one"] == Untestable("y", "one", 0, ("train", "validation", "test"))

    def test_nothing_to_say_of_a_good_split(self):
        data = single({"a": 50, "b": 50})
        assert untestable_labels(data, split_rows(data, SHARES, 0)) == []

    def test_empty_splits_are_left_out(self):
        data = single({"a": 3, "b": 3})
        assert untestable_labels(data, {"train": np.arange(6), "test": np.arange(0)}) == []
        assert untestable_labels(data, {}) == []

    def test_multi_label(self):
        rows = [Example(f"t {i}", {"y": ("a",) if i else ("a", "b")}, i, frozenset({"y"})) for i in range(20)]
        data = build(rows)
        found = untestable_labels(data, split_rows(data, SHARES, 0))
        assert found == [Untestable("y", "b", 1, ("validation", "test"))]


class TestRefusals:
    @pytest.mark.parametrize(
        ("shares", "said"),
        [
            ({}, "nothing"),
            ({"train": 1.2, "test": -0.2}, "between 0 and 1"),
            ({"train": float("nan"), "test": 0.1}, "between 0 and 1"),
            ({"train": float("inf")}, "between 0 and 1"),
            ({"train": 0.0, "test": 1.0}, "nothing would be left to train on"),
            ({"train": 0.5, "test": 0.4}, "add up to 1"),
        ],
    )
    def test_shares_that_cannot_be_meant(self, shares, said):
        with pytest.raises(InvalidSetting, match=said):
            require_shares(shares)
        with pytest.raises(InvalidSetting, match=said):
            split_rows(single({"a": 5}), shares, 0)

    @pytest.mark.parametrize("k", [1, 0, -3])
    def test_too_few_folds(self, k):
        with pytest.raises(InvalidSetting, match="at least 2"):
            folds(single({"a": 5}), k, 0)


def test_it_asks_whether_to_go_on(monkeypatch):
    class Enough(Exception):
        """Somebody said stop."""

    monkeypatch.setattr("tamis.data.splits.CHUNK", 4)
    data = build([Example(f"text {n}", {"t": (f"label {n % 2}",)}, n) for n in range(12)])
    asked = []
    plain = split_rows(data, {"train": 0.5, "test": 0.5}, 0)
    found = split_rows(data, {"train": 0.5, "test": 0.5}, 0, lambda: asked.append(1))
    assert len(asked) == 6
    for name, rows in plain.items():
        assert found[name].tolist() == rows.tolist()
    for at in range(1, 7):
        left = iter(range(at - 1))

        def stop(left=left):
            if next(left, None) is None:
                raise Enough

        with pytest.raises(Enough):
            split_rows(data, {"train": 0.5, "test": 0.5}, 0, stop)
