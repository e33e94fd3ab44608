"""`tamis compare`: the table, JSON, the page, what is refused, and where keys and prices go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import example_rows, write_rows
from labelers.stub_endpoint import StubEndpoint, by_schema, fails
from tamis.cli import compare as command
from tamis.cli.console import out
from tamis.errors import InvalidSetting, UpstreamFailed
from tamis.evaluation.comparison import Comparison
from tamis.labelers.budget import Price

QUICK = ("--resamples", 100)


def test_the_table_and_the_page(run, model: Path, rows: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    result = run("compare", model, "baseline:majority", "--data", rows, "--train", rows, "--report", page, *QUICK)
    assert result.exit_code == 0
    for told in ("Target topic", "Target all", "baseline:majority", "beside", "Speed and cost", "training data too"):
        assert told in result.stdout
    assert "learning" in result.stderr
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "Report written to" in result.stdout


def test_json_is_the_record_and_nothing_else(run, model: Path, rows: Path):
    result = run("compare", model, "baseline:majority", "--data", rows, "--train", rows, "--limit", 9, "--json", *QUICK)
    made = Comparison.model_validate_json(result.stdout)
    assert made.n == 9
    assert result.stderr == ""
    assert json.loads(result.stdout)["targets"]["topic"]["contenders"].keys() == {str(model), "baseline:majority"}


def test_rows_out_of_scope_are_turned_away_or_not_and_learnt_by_nobody(run, model: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(out, "width", 200)
    poems = [{"text": f"a poem {at} on the sea", "labels": {"topic": "oos"}} for at in range(9)]
    mixed = write_rows(tmp_path / "mixed.jsonl", [*example_rows(), *poems])
    asked = ("compare", model, "baseline:majority", "--data", mixed, "--train", mixed, *QUICK)
    told = run(*asked, "--oos-label", "oos").stdout
    assert "oos turned away" in next(line for line in told.splitlines() if line.startswith("contender"))
    assert "9 rows are out of scope, and neither right nor wrong." in told
    assert "baseline:majority 0.0%" in told
    assert "lacks 1 of the labels" not in told
    assert "lacks 1 of the labels (“oos”)" in run(*asked).stdout


def test_an_llm_gets_the_key_the_meanings_and_the_examples(run, model: Path, rows: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TAMIS_LLM_API_KEY", "hush")
    (tmp_path / "meanings.json").write_text('{"topic": {"payment": "about money, MARKED"}}')
    with StubEndpoint(by_schema) as endpoint:
        monkeypatch.setenv("TAMIS_LLM_BASE_URL", f"{endpoint.url}/v1")
        asked = ["compare", model, "llm:gpt", "--data", rows, "--train", rows, "--limit", 4, "--shots", 1, *QUICK]
        asked += [
            "--descriptions",
            tmp_path / "meanings.json",
            "--price-in",
            1,
            "--price-out",
            2,
            "--concurrency",
            2,
            "--context",
            "letters to a shop",
        ]
        result = run(*asked, "--cache", tmp_path / "kept", "--json")
        assert len(endpoint.requests) == 4
        assert endpoint.most_under_way <= 2
        again = run(*asked, "--cache", tmp_path / "kept")
        assert len(endpoint.requests) == 4
    assert endpoint.headers[0]["authorization"] == "Bearer hush"
    said = json.dumps(endpoint.requests[0]["messages"])
    assert "MARKED" in said
    assert "letters to a shop" in said
    assert said.count("<input>") > 1
    contender = Comparison.model_validate_json(result.stdout).contender("llm:gpt")
    assert contender.cost.million_texts == pytest.approx(120)
    assert "hush" not in result.stdout + result.stderr + again.stdout + again.stderr
    assert "a million texts" in again.stdout


def test_one_may_be_shown_against_by_its_name_or_as_it_was_typed(run, model: Path, rows: Path):
    base = ["compare", model, "llm:gpt@http://127.0.0.1:9/v1", "--data", rows, *QUICK]
    named = {"llm:gpt": "llm:gpt@http://127.0.0.1:9/v1"}
    assert command._named("llm:gpt@http://127.0.0.1:9/v1", named) == "llm:gpt"
    assert command._named("llm:gpt", named) == "llm:gpt"
    assert command._named(None, named) is None
    with pytest.raises(InvalidSetting, match="'nobody' is none of the contenders"):
        run(*base, "--against", "nobody")


def test_answers_are_kept_in_the_home_unless_told_not_to(run, home: Path, model: Path, rows: Path):
    with StubEndpoint(by_schema) as endpoint:
        asked = ["compare", model, f"llm:gpt@{endpoint.url}", "--data", rows, "--limit", 2, *QUICK]
        run(*asked, "--no-cache")
        assert not (home / "llm-answers").exists()
        run(*asked)
        run(*asked)
        assert len(endpoint.requests) == 4
    assert len(list((home / "llm-answers").iterdir())) == 1


@pytest.mark.parametrize(
    ("contenders", "no_cache", "told"),
    [(["llm:a"], False, True), (["llm:a"], True, False), (["baseline:x"], False, False)],
)
def test_a_run_that_ends_early_is_said_to_go_on_where_answers_were_kept(contenders, no_cache, told, capsys):
    with pytest.raises(UpstreamFailed), command._kept(contenders, no_cache=no_cache):
        raise UpstreamFailed
    assert ("goes on from there" in capsys.readouterr().err) == told


def test_an_endpoint_that_answers_nothing_ends_it(run, model: Path, rows: Path):
    with StubEndpoint(lambda number, body: fails(401)) as endpoint, pytest.raises(UpstreamFailed):
        run("compare", model, f"llm:gpt@{endpoint.url}", "--data", rows, "--limit", 2, *QUICK)


def test_prices_by_llm():
    assert command._prices(["gpt=0.15,0.60", "a=b=1,2"]) == {"gpt": Price(0.15, 0.6), "a=b": Price(1, 2)}
    assert command._price(None, None) is None
    assert command._price(1.5, None) == Price(1.5, 0)
    for wrong in ("gpt", "gpt=1", "=1,2", "gpt=a,b", "gpt=-1,2", "gpt=1,2,3"):
        with pytest.raises(InvalidSetting, match="MODEL=IN,OUT"):
            command._prices([wrong])


def test_what_is_wrong_is_told(run, model: Path, rows: Path, tmp_path: Path):
    assert run("compare", model, "baseline:majority").exit_code == 2
    with pytest.raises(InvalidSetting, match="1 contender"):
        run("compare", model, "--data", rows)
    with pytest.raises(InvalidSetting, match="--train"):
        run("compare", model, "baseline:tfidf", "--data", rows)
    with pytest.raises(InvalidSetting, match="would be overwritten"):
        run("compare", model, model, "--data", rows, "--report", rows)
    with pytest.raises(InvalidSetting, match="--price"):
        run("compare", model, "llm:gpt@http://127.0.0.1:9", "--data", rows, "--budget", 1)


def test_several_files_are_one_set_of_rows(run, model: Path, rows: Path, tmp_path: Path):
    half = tmp_path / "half.jsonl"
    half.write_text("".join(rows.read_text().splitlines(keepends=True)[:10]))
    found = run("compare", model, model, "--data", rows, "--data", half, "--json", *QUICK)
    assert json.loads(found.stdout)["n"] == 70
