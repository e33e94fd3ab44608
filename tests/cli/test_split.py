"""`tamis split`: the files, what is said of them, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tamis.cli import split as split_command  # noqa: F401  registers it
from tamis.cli.app import app
from tamis.errors import InvalidSetting, NothingToLearn, OutputExists, TamisError, TooManyBadRows
from tamis.examples import example_path


def run(*arguments: str | Path) -> Result:
    """Run the command; what Tamis raises on purpose is raised here too."""
    result = CliRunner().invoke(app, ["split", *map(str, arguments)])
    if isinstance(result.exception, TamisError):
        raise result.exception
    return result


def rows_in(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [{"text": f"text {i}", "labels": {"y": "abc"[i % 3], "more": ["u"] if i % 2 else []}} for i in range(300)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_writes_three_files_and_loses_no_row(file: Path, tmp_path: Path):
    result = run(file, "--out", tmp_path / "parts")
    assert result.exit_code == 0, result.output
    parts = [rows_in(tmp_path / "parts", name) for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [240, 30, 30]
    texts = Counter(row["text"] for part in parts for row in part)
    assert texts == Counter(f"text {i}" for i in range(300))
    assert Counter(row["labels"]["y"] for row in parts[2]) == {"a": 10, "b": 10, "c": 10}
    assert "240 rows   80.0%" in result.stdout


def test_rows_keep_their_order_and_labels(file: Path, tmp_path: Path):
    run(file, "--out", tmp_path / "parts", "--validation", 0.3, "--test", 0)
    source = {row["text"]: row for row in rows_in(tmp_path, "rows")}
    for name in ("train", "validation"):
        written = rows_in(tmp_path / "parts", name)
        numbers = [int(row["text"].split()[1]) for row in written]
        assert numbers == sorted(numbers)
        assert all(row == source[row["text"]] for row in written)
    assert not (tmp_path / "parts" / "test.jsonl").exists()


def test_the_example_set(tmp_path: Path):
    result = run(
        example_path("support"), "--out", tmp_path, "--max-bad-share", 0.01, "--rejects", tmp_path / "bad.jsonl"
    )
    assert result.exit_code == 0, result.output
    assert sum(len(rows_in(tmp_path, name)) for name in ("train", "validation", "test")) == 546
    assert [row["line"] for row in rows_in(tmp_path, "bad")] == [23, 117, 251, 396]
    assert result.stderr.count("left out") == 4
    assert "intent: 1 label has no row in the test data" in result.stdout
    assert "Cancel_order (1)" in result.stdout


def test_json(file: Path, tmp_path: Path):
    with file.open("a") as stream:
        stream.write('{"text": "once", "labels": {"y": "rare"}}\nnot json\n')
    result = run(file, "--out", tmp_path / "parts", "--json", "--seed", 5, "--max-bad-share", 0.5)
    found = json.loads(result.stdout)
    assert found["rows"] == {"train": 241, "validation": 30, "test": 30}
    assert found["files"]["test"] == str(tmp_path / "parts" / "test.jsonl")
    assert found["untestable"] == [
        {"target": "y", "label": "rare", "rows": 1, "missing": ["validation", "test"]},
    ]
    assert (found["seed"], found["rejected"], found["read"][0]["codes"]) == (5, 1, {"not_json": 1})


def test_csv_with_named_columns(tmp_path: Path):
    rows = "".join(f'"hello, {i}";x{i % 2}\n' for i in range(40))
    (tmp_path / "rows.csv").write_text("body;kind\n" + rows)
    run(tmp_path / "rows.csv", "--out", tmp_path, "--text-column", "body", "--label-column", "kind")
    assert len(rows_in(tmp_path, "test")) == 4
    assert set(rows_in(tmp_path, "test")[0]) == {"text", "labels"}
    assert rows_in(tmp_path, "test")[0]["labels"]["kind"] in {"x0", "x1"}


def test_many_untestable_labels_are_summed_up(tmp_path: Path):
    lines = [{"text": f"text {i}", "labels": {"y": f"[l]{i // 2}"}} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = run(tmp_path / "rows.jsonl", "--out", tmp_path)
    assert "[l]0 (2)" in result.stdout
    assert "more (--json names them all)" in result.stdout


def test_too_few_rows_for_a_share_are_told(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    result = run(tmp_path / "rows.jsonl", "--out", tmp_path)
    assert result.exit_code == 0
    assert result.stdout.count("no row") == 2
    assert [path.name for path in tmp_path.glob("t*.jsonl")] == ["train.jsonl"]


def test_bad_rows_are_refused_unless_allowed(file: Path, tmp_path: Path):
    with file.open("a") as stream:
        stream.write("not json\n")
    with pytest.raises(TooManyBadRows, match=r"rows\.jsonl:301"):
        run(file, "--out", tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


class TestForce:
    def test_existing_files_are_refused(self, file: Path, tmp_path: Path):
        (tmp_path / "validation.jsonl").write_text("mine")
        with pytest.raises(OutputExists, match="--force"):
            run(file, "--out", tmp_path)
        assert (tmp_path / "validation.jsonl").read_text() == "mine"
        assert not (tmp_path / "train.jsonl").exists()

    def test_replaces_them(self, file: Path, tmp_path: Path):
        (tmp_path / "validation.jsonl").write_text("old")
        assert run(file, "--out", tmp_path, "--force").exit_code == 0
        assert len(rows_in(tmp_path, "validation")) == 30

    def test_a_file_of_an_earlier_split_does_not_stay_to_leak(self, file: Path, tmp_path: Path):
        run(file, "--out", tmp_path / "parts")
        run(file, "--out", tmp_path / "parts", "--validation", 0, "--force")
        assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["test.jsonl", "train.jsonl"]

    def test_the_source_is_never_overwritten(self, file: Path, tmp_path: Path):
        source = file.rename(tmp_path / "train.jsonl")
        before = source.read_bytes()
        with pytest.raises(InvalidSetting, match="its own part"):
            run(source, "--out", tmp_path, "--force")
        assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--validation", 0.6, "--test", 0.5), "between 0 and 1"),
        (("--validation", 0.5, "--test", 0.5), "nothing would"),
    ],
)
def test_shares_that_leave_nothing_to_train_on(file: Path, tmp_path: Path, arguments, said: str):
    with pytest.raises(InvalidSetting, match=said):
        run(file, "--out", tmp_path / "parts", *arguments)


@pytest.mark.parametrize("share", ["-0.1", "1.1", "nan", "much"])
def test_no_share_at_all_is_wrong_usage(file: Path, tmp_path: Path, share: str):
    assert run(file, "--out", tmp_path / "parts", f"--validation={share}").exit_code == 2


def test_no_labels_at_all(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "labels": {"y": null}}\n')
    with pytest.raises(NothingToLearn, match="No row of"):
        run(tmp_path / "rows.jsonl", "--out", tmp_path)


def test_a_folder_with_splits_of_its_own(tmp_path: Path):
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": f"{name} {i}", "label": "ab"[i % 2]}) + "\n" for i in range(20))
        )
    with pytest.raises(InvalidSetting, match="splits of its own: train, test"):
        run(folder, "--out", tmp_path)
    assert run(folder, "--out", tmp_path, "--split", "train").exit_code == 0
    assert len(rows_in(tmp_path, "train")) == 16
