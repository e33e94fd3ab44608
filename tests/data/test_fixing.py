import json

from tamis.data.fixing import Places, apply_fixes
from tamis.data.formats import ReadOptions
from tamis.data.loading import load_splits
from tamis.data.review.fixes import fixed, parse
from tamis.data.review.versions import file_hash, version_of


def run(source, fixes, output, *, write=True):
    loaded = load_splits(str(source))
    chosen = parse(fixes)
    return apply_fixes(
        fixed(loaded.train, chosen), chosen, Places(source, output), ReadOptions(), loaded.tallies, write=write
    )


def rows(path, texts):
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts))
    return path


def test_the_log_begins_with_the_version_and_has_a_line_a_change(tmp_path):
    source = rows(tmp_path / "a.jsonl", [("one", "x"), ("one", "x"), ("two", "y")])
    outcome = run(source, "dedupe", tmp_path / "b.jsonl")
    head, *changes = map(json.loads, (tmp_path / "b.jsonl.changes.jsonl").read_text().splitlines())
    assert head["rows_before"], head["rows_after"] == (3, 2)
    assert head["version"]["steps"][0]["sha256"] == file_hash(source)
    assert head["version"]["steps"][1]["sha256"] == file_hash(tmp_path / "b.jsonl")
    assert [(change["fix"], change["line"]) for change in changes] == [("dedupe", 2)]
    assert outcome.to_json()["changes"] == {"dedupe": 1}


def test_versions_follow_each_other(tmp_path):
    source = rows(tmp_path / "a.jsonl", [("one", "x"), ("one", "x"), ("two", "Y"), ("three", "y"), ("four", "y")])
    run(source, "dedupe", tmp_path / "b.jsonl")
    run(tmp_path / "b.jsonl", "labels", tmp_path / "c.jsonl")
    version = version_of(tmp_path / "c.jsonl")
    assert version is not None
    assert [step.applied for step in version.steps] == [(), ("dedupe",), ("labels",)]


def test_a_dry_run_writes_nothing(tmp_path):
    source = rows(tmp_path / "a.jsonl", [("one", "x"), ("one", "x"), ("two", "y")])
    outcome = run(source, "dedupe", tmp_path / "b.jsonl", write=False)
    assert outcome.rows_after == 2
    assert outcome.output is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
