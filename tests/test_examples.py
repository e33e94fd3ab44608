"""The packaged example set: its counts, its variety, and the errors planted in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tamis.errors import InvalidSetting
from tamis.examples import EXAMPLES, example_path

INTENTS = {
    "account_access",
    "cancel_order",
    "complaint",
    "payment_problem",
    "praise",
    "product_question",
    "return_or_refund",
    "subscription",
    "where_is_my_order",
}
TOPICS = {"app_or_website", "billing", "damaged_item", "delivery", "discount", "packaging", "staff", "urgent"}
PLANTED = {23, 41, 88, 117, 163, 204, 251, 302, 347, 396, 442, 489}


def _lines(name: str) -> dict[int, str]:
    return dict(enumerate(example_path(name).read_text(encoding="utf-8").splitlines(), start=1))


def _rows(name: str, leave_out: frozenset[int] | set[int] = frozenset()) -> dict[int, dict]:
    return {number: json.loads(line) for number, line in _lines(name).items() if number not in leave_out}


@pytest.fixture(scope="module")
def train() -> dict[int, dict]:
    return _rows("support", PLANTED)


@pytest.fixture(scope="module")
def test() -> dict[int, dict]:
    return _rows("support-test")


@pytest.fixture(scope="module")
def texts(train, test) -> list[str]:
    return [row["text"] for row in (*train.values(), *test.values())]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def test_names_every_file_of_the_folder():
    assert {path.name for path in example_path("support").parent.glob("*.jsonl")} == set(EXAMPLES)


@pytest.mark.parametrize("name", ["", "orders", "../dataset.py", "/etc/passwd", "support.csv"])
def test_refuses_other_names(name: str):
    with pytest.raises(InvalidSetting, match=r"support\.jsonl"):
        example_path(name)


def test_sizes(train, test):
    assert (len(train), len(test)) == (538, 123)


@pytest.mark.parametrize(("split", "least", "most"), [("train", 45, 75), ("test", 10, 20)])
def test_intents_are_balanced_but_not_equal(split: str, least: int, most: int, request):
    counts = Counter(row["labels"]["intent"] for row in request.getfixturevalue(split).values())
    assert set(counts) == INTENTS
    assert least <= min(counts.values()) < max(counts.values()) <= most


@pytest.mark.parametrize(("split", "least"), [("train", 25), ("test", 5)])
def test_every_topic_has_rows_and_none_has_most(split: str, least: int, request):
    rows = request.getfixturevalue(split).values()
    counts = Counter(topic for row in rows for topic in row["labels"].get("topics", []))
    assert set(counts) == TOPICS
    assert least <= min(counts.values())
    assert max(counts.values()) < len(rows) / 2


def test_topics_are_lists_of_up_to_three(train, test):
    lengths = Counter()
    for row in (*train.values(), *test.values()):
        assert set(row) == {"text", "labels"}
        topics = row["labels"].get("topics")
        assert topics is None or (isinstance(topics, list) and len(set(topics)) == len(topics) <= 3)
        lengths[None if topics is None else len(topics)] += 1
    assert set(lengths) == {None, 0, 1, 2, 3}
    assert lengths[None] == 6


def test_no_text_stands_twice_but_where_planted(texts):
    assert Counter(text.casefold() for text in texts).most_common(1)[0][1] == 1


def test_not_from_templates(texts):
    grams, openings = Counter(), Counter()
    for text in texts:
        words = _words(text)
        grams.update({tuple(words[i : i + 5]) for i in range(len(words) - 4)})
        openings[tuple(words[:3])] += 1
    assert max(grams.values()) <= 3
    assert sum(count > 1 for count in grams.values()) <= 10
    assert len(openings) / len(texts) > 0.95


def test_lengths_vary(texts):
    lengths = sorted(len(_words(text)) for text in texts)
    assert lengths[0] <= 7
    assert 12 <= lengths[len(lengths) // 2] <= 25
    assert lengths[-1] >= 60


@pytest.mark.parametrize("intent", sorted(INTENTS))
def test_no_word_gives_an_intent_away(train, intent: str):
    of_intent = [set(_words(row["text"])) for row in train.values() if row["labels"]["intent"] == intent]
    others = [set(_words(row["text"])) for row in train.values() if row["labels"]["intent"] != intent]
    inside, outside = (Counter(word for words in rows for word in words) for rows in (of_intent, others))
    only_here = {word: count for word, count in inside.items() if not outside[word]}
    assert max(only_here.values()) < len(of_intent) / 4


class TestPlanted:
    """What is deliberately wrong is where the README says."""

    def test_four_bad_lines(self):
        lines = _lines("support")
        with pytest.raises(json.JSONDecodeError):
            json.loads(lines[23])
        assert json.loads(lines[117])["text"] == ""
        assert set(json.loads(lines[251])) == {"text"}
        assert isinstance(json.loads(lines[396])["text"], int)

    def test_exact_duplicate(self):
        lines = _lines("support")
        assert lines[41] == lines[422]

    @pytest.mark.parametrize(("line", "like"), [(163, 412), (489, 305)])
    def test_case_variants(self, line: int, like: int):
        first, second = (json.loads(_lines("support")[number]) for number in (line, like))
        assert first["text"] != second["text"]
        assert first["text"].casefold() == second["text"].casefold()
        assert first["labels"] == second["labels"]

    @pytest.mark.parametrize(("line", "like"), [(88, 40), (442, 61)])
    def test_conflicts(self, line: int, like: int):
        first, second = (json.loads(_lines("support")[number]) for number in (line, like))
        assert first["text"] == second["text"]
        assert first["labels"]["intent"] != second["labels"]["intent"]

    def test_near_duplicate(self):
        first, second = (json.loads(_lines("support")[number]) for number in (347, 63))
        pairs = list(zip(_words(first["text"]), _words(second["text"]), strict=True))
        assert sum(a != b for a, b in pairs) == 2

    def test_misspelt_label(self):
        rows = _rows("support", {23})
        odd = [number for number, row in rows.items() if row.get("labels", {}).get("intent", "praise") not in INTENTS]
        assert odd == [204]

    def test_leak_into_the_test_file(self):
        assert json.loads(_lines("support")[302])["text"] == json.loads(_lines("support-test")[67])["text"]

    def test_readme_tells_of_every_line(self):
        readme = Path(example_path("support")).with_name("README.md").read_text(encoding="utf-8")
        assert {int(number) for number in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)} == PLANTED
        unknown = {number for number, row in _rows("support", PLANTED).items() if "topics" not in row["labels"]}
        said = re.search(r"unknown for them\):\s+([\d, and]+)", readme)
        assert said is not None
        assert {int(number) for number in re.findall(r"\d+", said[1])} == unknown
