"""Write the fixture of the current artifact format: `python tests/ml/make_fixture.py`.

Each released format keeps its folder, `fixtures/format-N`, for ever: run this again only until format N is released.
The rows are also what the tests of this folder train on.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tamis.ml.manifest import FORMAT
from tamis.ml.training import train
from tamis.testing import tiny_base

FIXTURES = Path(__file__).parent / "fixtures"
SUBJECTS = {
    "delivery": ["parcel", "package", "courier", "box", "delivery", "van"],
    "billing": ["card", "invoice", "bank", "price", "fee", "statement"],
    "account": ["password", "email", "login", "profile", "username", "settings"],
}
ASKS = {
    "where": "where is my {} please",
    "refund": "please refund the {} now",
    "change": "how do i change my {}",
    "thanks": "thank you for the {} it is fine",
}


def tiny_rows() -> list[dict]:
    """Return rows of one single-label and one multi-label target; every fourth leaves one of them out."""
    rows = []
    for number, (intent, form) in enumerate(ask for ask in ASKS.items() for _ in range(18)):
        topic = list(SUBJECTS)[number % 3]
        words = [SUBJECTS[topic][number % 6]]
        topics = [topic] if intent != "thanks" else ["none"]
        if number % 5 == 0:
            other = list(SUBJECTS)[(number + 1) % 3]
            words, topics = [*words, "and", SUBJECTS[other][number % 4]], sorted({*topics, other} - {"none"})
        labels = {"intent": intent, "topics": topics}
        if number % 4 == 3:
            del labels["topics" if number % 8 == 3 else "intent"]
        rows.append({"text": form.format(" ".join(words)), "labels": labels})
    return rows


def make(folder: Path) -> None:
    """Train a tiny model and write it there."""
    with TemporaryDirectory() as work:
        data = Path(work, "rows.jsonl")
        data.write_text("".join(json.dumps(row) + "\n" for row in tiny_rows()), encoding="utf-8")
        train(data, base=str(tiny_base(Path(work, "tiny"))), out=folder, name="support", overwrite=True)


if __name__ == "__main__":
    make(FIXTURES / f"format-{FORMAT}")
