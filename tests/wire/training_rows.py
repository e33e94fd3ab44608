"""Rows to train on: slices of real sets where the checkout has them beside it, made-up ones of the same form otherwise.

Real sets lie in `../shared/data`, or where TAMIS_TEST_DATA says. Nothing here is read from a test split.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
SETS = Path(os.environ.get("TAMIS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
FIRST_WORDS = [
    *("please", "kindly", "now", "today", "quickly", "again", "maybe", "just", "really", "still"),
    *("also", "then", "here", "there", "once"),
]


@dataclass(frozen=True, slots=True)
class Rows:
    """Three sets of rows of one task."""

    train: list[Row]
    validation: list[Row]
    test: list[Row]

    def labels(self, target: str) -> set[str]:
        """Return a target's labels in the training rows."""
        return {label for row in self.train for label in as_list(row["labels"][target])}

    def shuffled(self, seed: str) -> Rows:
        """Return the training rows in another order, so that the file is another file."""
        mixed = list(self.train)
        random.Random(seed).shuffle(mixed)
        held = list(self.validation)
        random.Random(seed).shuffle(held)
        return Rows(mixed, held, self.test)

    def write(self, folder: Path) -> dict[str, str]:
        """Write train.jsonl, validation.jsonl and test.jsonl and return their paths by these names."""
        return {name: str(write_rows(folder / f"{name}.jsonl", getattr(self, name))) for name in self.__slots__}


def as_list(labels: str | list[str]) -> list[str]:
    """Return one label or several as a list."""
    return [labels] if isinstance(labels, str) else labels


def write_rows(path: Path, rows: list[Row]) -> Path:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def intents() -> Rows:
    """Return the intent notebook's task: one label of twelve."""
    rows = real("hwu64") or made({"intent": [f"intent_{n}" for n in range(12)]})
    common = [name for name, _ in Counter(row["labels"]["intent"] for row in rows[0]).most_common(12)]
    return sliced(rows, lambda row: row["labels"]["intent"] in common, lambda row: {"intent": row["labels"]["intent"]})


def moderation() -> Rows:
    """Return the moderation notebook's task: any of several labels, or "safe", as its converter has it."""
    rows = real("civil_comments_types") or made(
        {"moderation": ["toxicity", "insult", "obscene", "threat"]}, several=True
    )
    return sliced(rows, lambda row: True, lambda row: {"moderation": row["labels"]["moderation"] or ["safe"]})


def products() -> Rows:
    """Return the product notebook's task: several categories and one country."""
    countries = ["italy", "united-states", "france", "spain"]
    categories = ["snacks", "dairies", "beverages", "plant-based-foods"]
    rows = real("off_products") or made({"food": categories, "country_label": countries}, several=True)
    return sliced(rows, lambda row: row["labels"]["country_label"] in countries, lambda row: row["labels"])


def real(name: str) -> tuple[list[Row], list[Row]] | None:
    """Return a set's training and validation rows, or None where the sets are not on this machine."""
    folder = SETS / name
    if not folder.is_dir():
        return None
    return read_rows(folder / "train.jsonl"), read_rows(folder / "validation.jsonl")


def read_rows(path: Path) -> list[Row]:
    """Read one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sliced(rows: tuple[list[Row], list[Row]], keep: Any, labels: Any, sizes: tuple[int, int] = (500, 80)) -> Rows:
    """Return 500 rows to train on, 80 to validate with and 40 to try, each in the notebook's form."""
    train, held = ([{"text": row["text"], "labels": labels(row)} for row in part if keep(row)] for part in rows)
    random.Random(7).shuffle(train)
    random.Random(7).shuffle(held)
    most, fewer = sizes
    return Rows(train[:most], held[:fewer], held[fewer : fewer + 40])


def made(targets: dict[str, list[str]], several: bool = False) -> tuple[list[Row], list[Row]]:
    """Return made-up rows in which a label's own word says it; the first target may have several labels."""
    chosen = random.Random(3)

    def row() -> Row:
        labels: Row = {name: chosen.choice(known) for name, known in targets.items()}
        if several:
            first = next(iter(targets))
            labels[first] = chosen.sample(targets[first], chosen.randint(0, 2))
        words = [word for value in labels.values() for word in as_list(value)] + chosen.sample(FIRST_WORDS, 4)
        chosen.shuffle(words)
        return {"text": " ".join(words), "labels": labels}

    return [row() for _ in range(700)], [row() for _ in range(160)]


# Small tasks whose answers are known, for everything that is not a notebook.

TOPICS = {
    "delivery": ["where is my parcel", "the box never came", "my delivery is late", "track the shipment"],
    "payment": ["you charged my card twice", "the invoice is wrong", "I want my money back", "the refund is missing"],
    "account": ["I cannot log in", "my password does not work", "delete my account", "change my email address"],
}
ABUSE = {
    "insult": ["you are an idiot", "what a stupid moron you are", "shut up you clown"],
    "threat": ["I will find you and hurt you", "watch your back or I beat you", "you will pay with blood"],
    "safe": ["have a lovely day", "the garden looks nice", "thanks for the good meal"],
}
ADVERTS = {
    "spam": ["buy cheap pills now", "win a free prize click here", "limited offer cheap loans"],
    "none": ["see you at the meeting", "the report is attached", "lunch at noon"],
}


def topics(copies: int = 12, seed: str = "topics") -> list[Row]:
    """Return rows of one single-label target, `topic`."""
    rows = [
        {"text": f"{text} {word}", "labels": {"topic": topic}}
        for word in FIRST_WORDS[:copies]
        for topic, said in TOPICS.items()
        for text in said
    ]
    random.Random(seed).shuffle(rows)
    return rows


def two_moderations(copies: int = 14) -> list[Row]:
    """Return rows of two multi-label targets with none labels: `abuse` (safe) and `adverts` (none)."""
    rows = [
        {"text": f"{word} {one}. {two}", "labels": {"abuse": [abuse], "adverts": [advert]}}
        for word in FIRST_WORDS[:copies]
        for abuse, ones in ABUSE.items()
        for advert, twos in ADVERTS.items()
        for one, two in zip(ones, twos, strict=True)
    ]
    random.Random("moderations").shuffle(rows)
    return rows


def one_moderation(copies: int = 14) -> list[Row]:
    """Return rows of one multi-label target, `moderation`, as the notebook has it: unsafe labels, or "safe"."""
    rows = [
        {"text": f"{word} {text}", "labels": {"moderation": [label]}}
        for word in FIRST_WORDS[:copies]
        for label, said in ABUSE.items()
        for text in said
    ]
    both = [
        {"text": f"{word} {one}, {two}", "labels": {"moderation": ["insult", "threat"]}}
        for word in FIRST_WORDS[:copies]
        for one, two in zip(ABUSE["insult"], ABUSE["threat"], strict=True)
    ]
    rows += both
    random.Random("moderation").shuffle(rows)
    return rows


def who_asked(copies: int = 15) -> list[Row]:
    """Return chats in which only the role of the one who speaks of money says the label `wants`."""
    said = ["a refund of the money", "the money back", "a refund for the broken cup", "my money, a refund"]
    other = ["hello there", "one moment", "good morning", "I am here"]
    rows = []
    for word in FIRST_WORDS[:copies]:
        for money, greeting in zip(said, other, strict=True):
            for role, label in (("user", "customer"), ("assistant", "agent")):
                partner = "assistant" if role == "user" else "user"
                turns = [{"role": partner, "content": greeting}, {"role": role, "content": f"{word} {money}"}]
                rows.append({"messages": turns, "labels": {"who": label}})
    random.Random("chats").shuffle(rows)
    return rows


def long_work(rows: int = 24_000, labels: int = 60) -> list[Row]:
    """Return so many long rows with noise in their labels that a job is under way for a while."""
    chosen = random.Random(11)
    words = [f"word{n}" for n in range(5000)]
    return [
        {
            "text": " ".join(chosen.choices(words, k=60)),
            "labels": {"noise": f"label {chosen.randrange(labels)}", "more": chosen.sample(["a", "b", "c", "d"], 2)},
        }
        for _ in range(rows)
    ]
