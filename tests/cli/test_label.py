"""`tamis label`: labels of an LLM in the form of training rows; none lost, and nothing paid for twice."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelers.stub_endpoint import Act, Json, StubEndpoint, by_schema, fails, says, text_of
from tamis.cli.app import app
from tamis.errors import (
    InvalidSetting,
    NoRows,
    OutputExists,
    TooManyBadRows,
    UnreadableFile,
    UpstreamFailed,
)
from tamis.testing import tiny_base

TEXTS = ["a refund please", "where is my delivery", "the delivery was damaged"]
KEY = "sk-very-secret"


@pytest.fixture
def texts(here: Path) -> Path:
    path = here / "texts.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_base(
        tmp_path / "tiny", ["a", "refund", "please", "where", "is", "my", "delivery", "the", "was", "damaged", "number"]
    )


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMIS_LLM_API_KEY", KEY)


def rows_of(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_texts_become_rows_to_train_on(run, here: Path, texts: Path) -> None:
    with StubEndpoint(by_schema) as endpoint:
        result = run("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery", "--target", "intent")
        assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"
    assert result.exit_code == 0, result.output
    rows = rows_of(here / "texts-labelled.jsonl")
    assert [row["text"] for row in rows] == TEXTS
    assert [row["labels"] for row in rows] == [{"intent": "refund"}, {"intent": "delivery"}, {"intent": "delivery"}]
    assert rows[0]["confidence"] == {"intent": 1.0}
    assert rows[0]["outcome"] == "answered"
    assert "3 of 3 rows labelled" in result.stdout
    assert "tamis check texts-labelled.jsonl --review" in result.stdout
    assert KEY not in result.output


def test_what_was_written_can_be_checked_and_trained_on(run, here: Path, texts: Path, tiny: Path) -> None:
    texts.write_text("".join(f"{text} number {number}\n" for number in range(20) for text in TEXTS))
    for name in ("rows.jsonl", "rows.csv"):
        with StubEndpoint(by_schema) as endpoint:
            run("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery", "--output", name)
        how = ("--text-column", "text", "--label-column", "label") if name.endswith(".csv") else ()
        checked = run("check", name, "--review", "--base", tiny, *how)
        assert checked.exit_code == 0, checked.output
        assert "labels judged by" in checked.stdout
        result = run("train", name, "--base", tiny, "--out", f"{name}-model", *how)
        assert result.exit_code == 0, result.output
        assert "one of 2" in result.stdout


def test_a_second_run_pays_nothing(run, here: Path, texts: Path) -> None:
    with StubEndpoint(by_schema) as endpoint:
        command = ("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery", "--json")
        price = ("--price-in", "10", "--price-out", "100")
        first = json.loads(run(*command, *price).stdout)
        second = json.loads(run(*command, *price, "--force").stdout)
        assert len(endpoint.requests) == 3
    assert first["cost"] == second["cost"] == pytest.approx(3 * 0.002)
    assert (first["this_run"]["cost"], second["this_run"]["cost"]) == (pytest.approx(0.006), 0.0)
    assert (first["cached"], second["cached"]) == (0, 3)
    assert second["labels"] == {"label": {"delivery": 2, "refund": 1}}
    assert second["outcomes"]["answered"] == 3


def test_without_a_cache_it_is_asked_again(run, home: Path, texts: Path) -> None:
    with StubEndpoint(by_schema) as endpoint:
        for _ in range(2):
            run("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery", "--no-cache", "--force")
        assert len(endpoint.requests) == 6
    assert not list(home.glob("llm-answers/*"))


class TestRowsWithoutLabels:
    @staticmethod
    def script(number: int, body: Json) -> Act:
        if "refund" in text_of(body):
            return says(None, refusal="I'd rather not.")
        return says("hm") if "damaged" in text_of(body) else by_schema(number, body)

    def test_they_are_marked(self, run, here: Path, texts: Path) -> None:
        with StubEndpoint(self.script) as endpoint:
            result = run("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery")
        assert result.exit_code == 0
        rows = rows_of(here / "texts-labelled.jsonl")
        assert [row["outcome"] for row in rows] == ["refused", "answered", "invalid"]
        assert rows[0]["labels"] == {"label": None}
        assert "rather not" in rows[0]["why"]
        assert "1 refused by the LLM" in result.stdout

    def test_or_stand_in_a_file_of_their_own(self, run, here: Path, texts: Path) -> None:
        with StubEndpoint(self.script) as endpoint:
            run("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery", "--rejects", "bad.jsonl")
        assert [row["text"] for row in rows_of(here / "texts-labelled.jsonl")] == [TEXTS[1]]
        bad = rows_of(here / "bad.jsonl")
        assert [(row["line"], row["code"], row["raw"]) for row in bad] == [
            (1, "llm_refused", TEXTS[0]),
            (3, "llm_invalid", TEXTS[2]),
        ]
        assert "rather not" in bad[0]["cause"]
        assert bad[0]["cure"]

    def test_rows_that_are_left_to_be_asked_about_are_exit_1(self, run, here: Path, texts: Path) -> None:
        budget = ("--price-in", "1", "--budget", "0.0000001")
        with StubEndpoint(by_schema) as endpoint:
            result = run("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery", *budget)
            assert not endpoint.requests
        assert result.exit_code == 1
        assert "3 not asked: the budget would have been exceeded" in result.stdout
        assert [row["outcome"] for row in rows_of(here / "texts-labelled.jsonl")] == ["over_budget"] * 3

    def test_unreadable_rows_are_refused_unless_allowed(self, run, here: Path) -> None:
        path = here / "rows.jsonl"
        path.write_text('{"text": "a refund"}\n{"text": ""}\n')
        with StubEndpoint(by_schema) as endpoint:
            command = ("label", path, "--llm", endpoint.llm, "--labels", "refund,delivery")
            with pytest.raises(TooManyBadRows):
                run(*command)
            assert not endpoint.requests
            result = run(*command, "--max-bad-share", "0.5", "--json")
        assert json.loads(result.stdout)["unreadable"] == 1


class TestTargets:
    def test_of_a_file_with_what_labels_mean(self, run, here: Path, texts: Path) -> None:
        declared = {
            "intent": {"labels": {"refund": "wants money", "delivery": ""}},
            "tags": {"labels": ["damaged"], "kind": "multi_label"},
        }
        (here / "targets.json").write_text(json.dumps(declared))
        with StubEndpoint(by_schema) as endpoint:
            run("label", texts, "--llm", endpoint.llm, "--targets", "targets.json", "--context", "Post to a shop")
            system = endpoint.requests[0]["messages"][0]["content"]
        assert '- "refund": wants money' in system
        assert "Post to a shop" in system
        assert rows_of(here / "texts-labelled.jsonl")[2]["labels"] == {"intent": "delivery", "tags": ["damaged"]}

    def test_of_labelled_rows_with_examples_of_them(self, run, here: Path, texts: Path, rows: Path) -> None:
        with StubEndpoint(by_schema) as endpoint:
            result = run("label", texts, "--llm", endpoint.llm, "--like", rows, "--shots", "1")
            assert len(endpoint.requests[0]["messages"]) > 3
        assert result.exit_code == 0, result.output
        assert set(rows_of(here / "texts-labelled.jsonl")[0]["labels"]) == {"topic", "all"}

    def test_of_a_model(self, run, here: Path, texts: Path, model: Path) -> None:
        with StubEndpoint(by_schema) as endpoint:
            run("label", texts, "--llm", endpoint.llm, "--like", model)
        assert rows_of(here / "texts-labelled.jsonl")[1]["labels"]["topic"] == "delivery"

    def test_exactly_one_way_to_say_them(self, run, texts: Path, rows: Path) -> None:
        for more in ((), ("--labels", "a,b", "--like", rows)):
            assert run("label", texts, "--llm", "m@http://127.0.0.1:9", *more).exit_code == 2

    def test_examples_need_a_number(self, run, texts: Path, rows: Path) -> None:
        assert run("label", texts, "--llm", "m@http://127.0.0.1:9", "--like", rows, "--nearest").exit_code == 2
        with pytest.raises(InvalidSetting, match="--examples"):
            run("label", texts, "--llm", "m@http://127.0.0.1:9", "--labels", "a,b", "--shots", "2")

    def test_the_nearest_rows_can_be_shown(self, run, here: Path, texts: Path, rows: Path) -> None:
        with StubEndpoint(by_schema) as endpoint:
            run(
                "label",
                texts,
                "--llm",
                endpoint.llm,
                "--like",
                rows,
                "--shots",
                "2",
                "--nearest",
                "--limit",
                "1",
            )
            assert len(endpoint.requests[0]["messages"]) == 6
        assert len(rows_of(here / "texts-labelled.jsonl")) == 1


class TestOutput:
    def test_a_table_has_a_column_a_target(self, run, here: Path, texts: Path) -> None:
        with StubEndpoint(by_schema) as endpoint:
            run(
                "label",
                texts,
                "--llm",
                endpoint.llm,
                "--labels",
                "damaged,late",
                "--several",
                "--output",
                "o.csv",
            )
        with (here / "o.csv").open(newline="") as file:
            table = list(csv.DictReader(file))
        assert [row["label"] for row in table] == ["[]", "[]", '["damaged"]']
        assert table[2]["label.confidence"] == "1.0"
        assert not list(here.glob(".o.csv*"))

    def test_a_chat_fits_no_table(self, run, here: Path) -> None:
        path = here / "chats.jsonl"
        path.write_text(json.dumps({"messages": [{"role": "user", "content": "a refund"}]}) + "\n")
        with StubEndpoint(by_schema) as endpoint:
            command = ("label", path, "--llm", endpoint.llm, "--labels", "refund,late")
            with pytest.raises(InvalidSetting, match="chat"):
                run(*command, "--output", "o.csv")
            assert run(*command, "--output", "o.jsonl").exit_code == 0
        assert rows_of(here / "o.jsonl")[0]["messages"][0]["content"] == "a refund"
        assert not (here / "o.csv").exists()

    def test_stdout_gets_the_rows_alone(self, run, texts: Path) -> None:
        with StubEndpoint(by_schema) as endpoint:
            result = run("label", texts, "--llm", endpoint.llm, "--labels", "refund,delivery", "--output", "-")
        assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == TEXTS

    def test_nothing_is_overwritten(self, run, here: Path, texts: Path) -> None:
        command = ("label", texts, "--llm", "m@http://127.0.0.1:9", "--labels", "a,b")
        (here / "texts-labelled.jsonl").touch()
        with pytest.raises(OutputExists, match="--force"):
            run(*command)
        with pytest.raises(InvalidSetting, match="overwritten"):
            run(*command, "--output", texts, "--force")


class TestTrouble:
    def test_an_endpoint_that_ends_the_run_says_how_to_go_on(self, texts: Path) -> None:
        def dies(number: int, body: Json) -> Act:
            return fails(401, f"wrong key {KEY}") if number else by_schema(number, body)

        with StubEndpoint(dies) as endpoint:
            command = ["label", str(texts), "--llm", endpoint.llm, "--labels", "refund,delivery", "--concurrency", "1"]
            result = CliRunner().invoke(app, command)
        assert isinstance(result.exception, UpstreamFailed)
        assert KEY not in str(result.exception)
        assert "the same command goes on from there" in result.stderr

    def test_no_url_is_told(self, run, texts: Path) -> None:
        with pytest.raises(InvalidSetting, match="TAMIS_LLM_BASE_URL"):
            run("label", texts, "--llm", "m", "--labels", "a,b")

    def test_the_url_can_be_a_setting(self, run, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with StubEndpoint(by_schema) as endpoint:
            monkeypatch.setenv("TAMIS_LLM_BASE_URL", f"{endpoint.url}/v1")
            assert run("label", texts, "--llm", "m", "--labels", "refund,delivery").exit_code == 0

    def test_files_that_are_not_there(self, run, here: Path, texts: Path) -> None:
        with pytest.raises(UnreadableFile):
            run("label", here / "nothing.txt", "--llm", "m@http://127.0.0.1:9", "--labels", "a,b")
        with pytest.raises(UnreadableFile):
            run("label", texts, "--llm", "m@http://127.0.0.1:9", "--targets", here / "nothing.json")
        (here / "empty.txt").touch()
        with pytest.raises(NoRows):
            run("label", here / "empty.txt", "--llm", "m@http://127.0.0.1:9", "--labels", "a,b")
