"""`tamis distil`: from texts and an LLM to a model, with a report on both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labelers.stub_endpoint import StubEndpoint, by_schema
from tamis.errors import InvalidSetting, OutputExists
from tamis.testing import tiny_base

WORDS = ("parcel", "invoice", "card", "box")


@pytest.fixture
def files(here: Path) -> list[object]:
    """Texts, a test file, a base model, as options."""
    texts = [
        f"{topic} of my {word} {number}" for topic in ("delivery", "billing") for word in WORDS for number in range(4)
    ]
    (here / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    rows = [{"text": f"the {word} {topic}", "label": topic} for topic in ("delivery", "billing") for word in WORDS]
    (here / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = tiny_base(here / "base", [*WORDS, "delivery", "billing", "of", "my", "the"])
    return ["texts.txt", "--test", "test.jsonl", "--base", base]


def test_a_model_is_trained_and_both_are_told(run, here: Path, files: list[object]) -> None:
    price = ("--price-in", "1", "--price-out", "10")
    more = ("--report", "page.html", "--output", "rows.jsonl")
    with StubEndpoint(by_schema) as endpoint:
        result = run("distil", *files, "--llm", endpoint.llm, *price, *more)
        assert len(endpoint.requests) == 40
    assert result.exit_code == 0, result.output
    for part in (
        "teacher",
        "student",
        "Agreement",
        "learnt from 32 of these rows",
        "200.00",
        "s of this machine",
    ):
        assert part in result.stdout, part
    assert (here / "texts-model" / "manifest.json").exists()
    assert "<html" in (here / "page.html").read_text()
    assert len((here / "rows.jsonl").read_text().splitlines()) == 32


def test_json_has_everything(run, here: Path, files: list[object]) -> None:
    with StubEndpoint(by_schema) as endpoint:
        found = json.loads(run("distil", *files, "--llm", endpoint.llm, "--json", "--limit", "20").stdout)
    assert found["model"].endswith("texts-model")
    assert found["agreement"]["label"]["n"] == 8
    assert found["labelled"]["outcomes"]["answered"] == 20
    assert found["comparison"]["targets"]["label"]["contenders"]["teacher"]["figures"]["accuracy"]["value"] == 1.0
    assert found["million_texts"]["teacher"]["cost"] is None
    assert found["million_texts"]["student"]["seconds"] > 0


def test_rows_that_are_measured_on_are_never_shown(run, files: list[object]) -> None:
    with pytest.raises(InvalidSetting, match="no row of it may be shown"):
        run("distil", *files, "--llm", "m@http://127.0.0.1:9", "--shots", "1")
    with pytest.raises(InvalidSetting, match="no row of it may be shown"):
        run("distil", *files, "--llm", "m@http://127.0.0.1:9", "--shots", "1", "--examples", "./test.jsonl")


def test_a_model_that_is_there_is_not_replaced(run, here: Path, files: list[object]) -> None:
    (here / "texts-model").mkdir()
    (here / "texts-model" / "manifest.json").touch()
    with pytest.raises(OutputExists):
        run("distil", *files, "--llm", "m@http://127.0.0.1:9")
