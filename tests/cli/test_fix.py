import json
import shlex

import pytest
from typer.testing import CliRunner

from tamis.cli import check as check_command  # noqa: F401  registers it
from tamis.cli import fix as fix_command  # noqa: F401
from tamis.cli.app import app
from tamis.errors import InvalidSetting, OutputExists, TamisError, TooManyBadRows
from tamis.testing import tiny_base


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if isinstance(result.exception, TamisError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    texts = {"delivery": "where is my parcel number {}", "payment": "you charged my card twice number {}"}
    rows = [{"text": text.format(n), "labels": {"topic": topic}} for n in range(30) for topic, text in texts.items()]
    rows += [rows[0], {"text": "you charged my card twice number 99", "labels": {"topic": "delivery"}}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def base(tmp_path):
    return str(tiny_base(tmp_path / "base", ["where", "parcel", "charged", "card"]))


def test_a_new_file_and_a_log(file, tmp_path):
    result = run("fix", file, "--apply", "dedupe", "--output", tmp_path / "new.jsonl")
    assert "61 of 62 rows" in result.stdout
    assert "new.jsonl.changes.jsonl" in result.stdout.replace("\n", "")
    assert len((tmp_path / "new.jsonl").read_text().splitlines()) == 61


def test_json_has_counts_and_the_version(file, tmp_path):
    told = json.loads(run("fix", file, "--apply", "dedupe,labels", "--output", tmp_path / "n.jsonl", "--json").stdout)
    assert told["changes"] == {"dedupe": 1}
    assert told["version"]["number"] == 2


def test_a_dry_run_writes_nothing(file, tmp_path):
    result = run("fix", file, "--apply", "dedupe", "--output", tmp_path / "new.jsonl", "--dry-run")
    assert "Nothing was written" in result.stdout
    assert not (tmp_path / "new.jsonl").exists()


def test_suspects_are_judged_when_they_are_asked_for(file, base, tmp_path):
    run("fix", file, "--apply", "suspects", "--output", tmp_path / "new.jsonl", "--base", base)
    last = json.loads((tmp_path / "new.jsonl").read_text().splitlines()[-1])
    assert last["labels"] == {"topic": "payment"}


def test_leaks_are_found_in_the_test_data(file, tmp_path):
    test = tmp_path / "test.jsonl"
    test.write_text(file.read_text().splitlines()[5] + "\n")
    told = run("fix", file, "--apply", "leaks", "--test", test, "--output", tmp_path / "new.jsonl", "--json").stdout
    assert json.loads(told)["changes"] == {"leaks": 1}


def test_what_is_refused(file, tmp_path):
    with pytest.raises(InvalidSetting):
        run("fix", file, "--apply", "dedupe", "--output", file)
    with pytest.raises(InvalidSetting):
        run("fix", file, "--apply", "nonsense", "--output", tmp_path / "new.jsonl")
    (tmp_path / "there.jsonl").write_text("x")
    with pytest.raises(OutputExists):
        run("fix", file, "--apply", "dedupe", "--output", tmp_path / "there.jsonl")
    run("fix", file, "--apply", "dedupe", "--output", tmp_path / "there.jsonl", "--force")
    with file.open("a") as stream:
        stream.write("not json\n")
    with pytest.raises(TooManyBadRows):
        run("fix", file, "--apply", "dedupe", "--output", tmp_path / "new.jsonl")
    run("fix", file, "--apply", "dedupe", "--output", tmp_path / "new.jsonl", "--max-bad-share", "0.1")


def test_check_reviews_and_proposes_the_command(file, base):
    result = run("check", file, "--base", base, "--review")
    assert "likely to carry the wrong label" in result.stdout
    assert "delivery → payment" in result.stdout
    assert "tamis fix" in result.stdout
    assert "dedupe" in result.stdout


def test_the_proposed_command_is_whole(file, base, tmp_path):
    test = tmp_path / "test data.jsonl"
    test.write_text(file.read_text().splitlines()[5] + "\n")
    with file.open("a") as stream:
        stream.write("not json\n")
    options = ["--text-column", "text", "--no-header", "--base", base, "--test", test, "--review"]
    shown = CliRunner().invoke(app, ["check", *map(str, [file, *options])]).stdout
    line = next(line for line in shown.splitlines() if line.startswith("  tamis fix "))
    words = shlex.split(line)[1:]
    options = dict(zip(words[2:10:2], words[3:10:2], strict=True))
    assert options == {"--max-bad-share": "0.02", "--base": base, "--test": str(test), "--text-column": "text"}
    assert "--no-header" in words
    told = json.loads(run(*words, "--json").stdout)
    assert told["changes"]["leaks"] == 1


def test_check_review_as_json_and_page(file, base, tmp_path):
    page = tmp_path / "page.html"
    told = json.loads(
        run("check", file, "--base", base, "--review", "--learning-curve", "--json", "--report", page).stdout
    )
    assert told["ready"]
    assert {finding["code"] for finding in told["review"]["findings"]} >= {"suspects", "duplicates"}
    assert told["review"]["curve"]["points"]
    html = page.read_text()
    assert "Learning curve" in html
    assert "likely to carry the wrong label" in html


def test_a_model_names_the_version_that_it_was_trained_on(file, base, tmp_path):
    from tamis.cli import train as train_command  # noqa: F401

    run("fix", file, "--apply", "dedupe", "--output", tmp_path / "new.jsonl")
    run("train", tmp_path / "new.jsonl", "--base", base, "--out", tmp_path / "model", "--epochs", 2)
    entry = json.loads((tmp_path / "model" / "manifest.json").read_text())["data"]["files"][0]
    assert entry["version"]["number"] == 2
    assert entry["version"]["steps"][-1]["applied"] == ["dedupe"]
