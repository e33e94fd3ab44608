from tamis.data.review.versions import MOST_STEPS, Version, file_hash, log_of, version_of, write_log

A, B, C = "a" * 64, "b" * 64, "c" * 64


def test_a_chain_of_versions():
    third = Version.first(A, 10).after(B, ["dedupe"], 9).after(C, ["labels"], 9)
    assert third.number == 3
    assert third.sha256 == C
    assert [step.parent for step in third.steps] == [None, A, B]


def test_the_same_file_is_the_same_version():
    first = Version.first(A, 10)
    assert first.after(A, ["dedupe"], 10) is first


def test_a_long_history_keeps_the_latest_steps():
    version = Version.first(A, 1)
    for number in range(MOST_STEPS + 5):
        version = version.after(f"{number:064x}", ["x"], 1)
    assert version.number == MOST_STEPS + 6
    assert len(version.steps) == MOST_STEPS


def test_a_file_is_the_version_that_its_log_says_until_it_is_edited(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("one\n")
    version = Version.first(A, 2).after(file_hash(path), ["dedupe"], 1)
    write_log(log_of(path), {"version": version.model_dump(mode="json")}, [{"fix": "dedupe"}])
    assert version_of(path) == version
    path.write_text("two\n")
    assert version_of(path) is None


def test_no_log_and_a_broken_log_are_no_version(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("one\n")
    assert version_of(path) is None
    for broken in ("", "{", "[]", '{"version": 3}', '{"version": {"steps": []}}', "[" * 100_000):
        log_of(path).write_text(broken)
        assert version_of(path) is None
