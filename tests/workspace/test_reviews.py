"""Reviews: made in the background, decided on, applied to a new file that knows what it was made from."""

import json
import time
from dataclasses import replace

import pytest

from tamis.errors import (
    Conflict,
    InvalidRequest,
    LimitExceeded,
    NothingToLearn,
    UnknownDataset,
    UnknownFile,
    UnknownReview,
)
from tamis.jobs.tools import files_here
from tamis.settings import Settings
from tamis.store.records import ReviewRecord
from tamis.workspace.background import FAILED, QUEUED, RUNNING, STOPPED, SUCCESS
from tamis.workspace.datasets import SINGLE, NewDataset
from tamis.workspace.files import NewFile
from tamis.workspace.reviews import (
    Decision,
    NewReview,
    Relabelled,
    _name,
    by_hand,
    changes_of,
    counts_of,
)
from tamis.workspace.workspace import open_workspace


def rows():
    texts = {"delivery": "where is my parcel number {}", "payment": "you charged my card twice number {}"}
    made = [{"text": text.format(n), "labels": {"topic": topic}} for n in range(25) for topic, text in texts.items()]
    made += [made[0], made[1], {"text": "???", "labels": {"topic": "payment"}}]
    made += [{"text": "write to me@mail.example.org about my parcel", "labels": {"topic": "Delivery"}}]
    return made


def jsonl(made):
    return "".join(json.dumps(row) + "\n" for row in made).encode()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    home = tmp_path_factory.mktemp("reviews") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAMIS_HOME", str(home))
        with open_workspace(Settings()) as opened:
            yield opened


@pytest.fixture
def upload(workspace):
    def upload(content, name="rows.jsonl"):
        coming = workspace.files.begin(NewFile(name=name))
        coming.write(content)
        return coming.commit()

    return upload


@pytest.fixture(scope="module")
def made(workspace):
    """A finished review of a file, with a test file beside it."""
    ids = []
    for name, content in (("rows.jsonl", rows()), ("test.jsonl", rows()[4:5])):
        coming = workspace.files.begin(NewFile(name=name))
        coming.write(jsonl(content))
        ids.append(coming.commit().id)
    new = NewReview(training_file=ids[0], test_files=ids[1:], suspects=False)
    return wait(workspace, workspace.reviews.create(new).id)


@pytest.fixture
def reviewed(workspace, made):
    """The review with nothing decided yet."""
    return workspace.store.reviews.decide(made.id, lambda known: {})


def wait(workspace, review_id):
    for _ in range(600):
        record = workspace.reviews.get(review_id)
        if record.status not in (QUEUED, RUNNING):
            return record
        time.sleep(0.1)
    raise AssertionError("the review did not end")


def lines(workspace, file_id):
    return [json.loads(line) for line in b"".join(workspace.files.read(file_id)).splitlines()]


def test_findings_decisions_and_the_new_file(workspace, reviewed):
    assert reviewed.status == SUCCESS, reviewed.error
    found = {finding["id"]: finding for finding in reviewed.summary}
    assert {"duplicates", "leaks", "empty_texts", "personal_data", "same_names:topic"} <= set(found)
    assert "items" not in found["duplicates"]
    reviews = workspace.reviews
    finding, items = reviews.items(reviewed.id, "duplicates")
    assert finding.count == len(items) == 2
    assert items[0].item.rows[0].file == "rows.jsonl"
    assert items[0].decision == "open"
    decided = reviews.decide(
        reviewed.id,
        [
            Decision("duplicates", "accepted"),
            Decision("duplicates", "rejected", 1),
            Decision("personal_data", "accepted", 0),
            Decision("same_names:topic", "accepted"),
        ],
    )
    assert counts_of(decided, found["duplicates"]) == {"decision": "accepted", "items": {"rejected": 1}}
    assert [item.number for item in reviews.items(reviewed.id, "duplicates", "rejected")[1]] == [1]
    done = reviews.apply(reviewed.id)
    assert (done.rows_before, done.rows_after) == (54, 53)
    assert done.file.name == "rows.v2.jsonl"
    after = lines(workspace, done.file.id)
    assert after[-1] == {"text": "write to [email] about my parcel", "labels": {"topic": "delivery"}}
    head, *changes = lines(workspace, done.log.id)
    assert head["version"]["steps"][-1]["sha256"] == done.file.sha256
    assert {change["fix"] for change in changes} == {"duplicates", "personal_data", "same_names:topic"}
    assert reviews.get(reviewed.id).output_file == done.file.id


def test_of_a_dataset_another_one_comes(workspace):
    made = [{"text": row["text"], "label": row["labels"]["topic"]} for row in rows() if row["text"] != "???"]
    new = NewDataset(name="parcels", type=SINGLE)
    parts = {}
    for part, content in (("data", made), ("eval_data", made[:24])):
        coming = workspace.datasets.begin(new, part, f"{part}.jsonl")
        coming.write(jsonl(content))
        parts[part] = coming.commit()
    former = workspace.datasets.create(new, parts)
    reviewed = wait(workspace, workspace.reviews.create(NewReview(dataset=former.id, suspects=False)).id)
    assert (reviewed.status, reviewed.options["dataset"]) == (SUCCESS, former.id), reviewed.error
    workspace.reviews.decide(reviewed.id, [Decision("duplicates", "accepted"), Decision("personal_data", "accepted")])
    done = workspace.reviews.apply(reviewed.id)
    assert done.dataset is not None
    assert (done.dataset.status, done.dataset.name, done.dataset.type) == ("validated", "parcels", SINGLE)
    assert done.dataset.id != former.id
    data, evaluation = done.dataset.parts
    assert (data["rows"], evaluation["rows"]) == (done.rows_after, 24)
    version = workspace.store.reviews.version_of(data["rows_file"])
    assert version is not None, "models name what they learnt from"
    assert version == workspace.store.reviews.version_of(done.file.id)
    assert workspace.store.reviews.version_of(evaluation["rows_file"]) is None
    workspace.datasets.delete(former.id)  # they share no files
    texts = [row["text"] for row in lines(workspace, data["rows_file"])]
    assert "write to [email] about my parcel" in texts
    assert len(lines(workspace, evaluation["rows_file"])) == 24
    assert workspace.files.get(done.file.id)


@pytest.mark.parametrize("asked", [{}, {"training_file": "a", "dataset": "b"}])
def test_either_a_file_or_a_dataset_is_looked_at(workspace, asked):
    with pytest.raises(InvalidRequest, match="either a file or a dataset"):
        workspace.reviews.create(NewReview(**asked))


def test_a_dataset_must_be_there_and_good(workspace):
    with pytest.raises(UnknownDataset):
        workspace.reviews.create(NewReview(dataset="nothing"))
    new = NewDataset(name="few", type=SINGLE)
    coming = workspace.datasets.begin(new, "data", "data.jsonl")
    coming.write(b'{"text": "x", "label": "a"}\n')
    failed = workspace.datasets.create(new, {"data": coming.commit()})
    with pytest.raises(InvalidRequest, match="is failed, not validated"):
        workspace.reviews.create(NewReview(dataset=failed.id))


def test_its_report_counts_as_storage_and_may_be_gone(workspace, reviewed):
    size = workspace.store.objects.size(reviewed.result_key)
    assert reviewed.bytes == size > 0
    files = sum(file.bytes for file in workspace.store.files.list(page_size=None)[0])
    reviews = sum(each.bytes for each in workspace.store.reviews.list(page_size=None)[0])
    assert workspace.store.files.stored_bytes() == files + reviews
    workspace.store.reviews.change(reviewed.id, result_key=None)
    try:
        with pytest.raises(Conflict, match="deleted 90 days after"):
            workspace.reviews.report(reviewed.id)
    finally:
        workspace.store.reviews.change(reviewed.id, result_key=reviewed.result_key)


def test_one_whose_report_does_not_fit_into_the_quota_fails(workspace, upload, monkeypatch):
    file = upload(jsonl(rows()[:20]), "few.jsonl")
    monkeypatch.setattr(workspace.files.room, "most_bytes", workspace.store.files.stored_bytes() + 10)
    ended = wait(workspace, workspace.reviews.create(NewReview(training_file=file.id, suspects=False)).id)
    assert (ended.status, ended.error_code) == (FAILED, "limit_exceeded")
    assert not any(ended.id in info.key for info in workspace.store.objects.list())
    monkeypatch.setattr(workspace.files.room, "most_bytes", 1)
    with pytest.raises(LimitExceeded, match="max_storage_bytes"):
        workspace.reviews.create(NewReview(training_file=file.id, suspects=False))


def test_a_decision_on_all_takes_back_what_was_said_of_items(workspace, reviewed):
    workspace.reviews.decide(reviewed.id, [Decision("duplicates", "rejected", 0), Decision("duplicates", "accepted")])
    assert [item.decision for item in workspace.reviews.items(reviewed.id, "duplicates")[1]] == ["accepted"] * 2


def test_further_fixes_and_a_name(workspace, reviewed):
    done = workspace.reviews.apply(reviewed.id, "dedupe,leaks,cap-label=10,empty,labels", "even")
    assert done.file.name == "even.jsonl"
    assert done.rows_after == 20
    with pytest.raises(NothingToLearn):
        workspace.reviews.apply(reviewed.id, "drop-rare=27")


def test_versions_go_on_and_a_job_sees_them_beside_its_file(workspace, reviewed, tmp_path):
    first = workspace.reviews.apply(reviewed.id, "dedupe")
    again = wait(workspace, workspace.reviews.create(NewReview(training_file=first.file.id, suspects=False)).id)
    second = workspace.reviews.apply(again.id, "empty")
    assert second.file.name == "rows.v3.jsonl"
    assert [step["applied"] for step in second.version["steps"]] == [[], ["dedupe"], ["empty"]]
    from tamis.data.review.versions import version_of

    with files_here(workspace.store, [second.file.id], tmp_path / "work") as paths:
        version = version_of(paths[second.file.id])
    assert version is not None
    assert version.number == 3


def test_what_cannot_be_decided_or_applied(workspace, reviewed):
    reviews = workspace.reviews
    for decision in (
        Decision("nothing", "accepted"),
        Decision("duplicates", "perhaps"),
        Decision("duplicates", "accepted", 99),
        Decision("few_rows:topic", "accepted"),
    ):
        with pytest.raises(InvalidRequest):
            reviews.decide(reviewed.id, [decision])
    with pytest.raises(InvalidRequest):
        reviews.items(reviewed.id, "nothing")
    with pytest.raises(InvalidRequest):
        reviews.apply(reviewed.id, "foo")
    with pytest.raises(InvalidRequest):
        reviews.apply(reviewed.id, "suspects")
    with pytest.raises(Conflict):
        reviews.apply(reviewed.id)


def test_files_and_reviews_that_are_not_there(workspace):
    with pytest.raises(UnknownFile):
        workspace.reviews.create(NewReview(training_file="gone"))
    with pytest.raises(UnknownReview):
        workspace.reviews.get("gone")
    with pytest.raises(UnknownReview):
        workspace.reviews.delete("gone")


def test_files_of_any_name_that_are_deleted_meanwhile(workspace, upload):
    """Whoever asks to apply a review of a file that is gone takes nobody's place."""
    source = upload(jsonl([*rows(), *rows()]), "\u6f22" * 240 + ".jsonl")
    reviewed = wait(workspace, workspace.reviews.create(NewReview(training_file=source.id, suspects=False)).id)
    assert reviewed.status == SUCCESS, reviewed.error
    done = workspace.reviews.apply(reviewed.id, "dedupe")
    assert done.file.name.endswith(".v2.jsonl")
    workspace.files.delete(source.id)
    for _ in range(workspace.settings.max_dry_runs + 1):
        with pytest.raises(UnknownFile):
            workspace.reviews.apply(reviewed.id, "dedupe")


def test_a_file_that_cannot_be_read_fails_with_the_reason(workspace, upload):
    record = wait(workspace, workspace.reviews.create(NewReview(training_file=upload(b"\x00\x01\x02" * 9).id)).id)
    assert record.status == FAILED
    assert record.error
    assert str(workspace.settings.home) not in record.error
    with pytest.raises(Conflict):
        workspace.reviews.items(record.id, "duplicates")


def test_a_review_whose_process_is_gone_has_failed(workspace, reviewed):
    dead = replace(reviewed, id="dead", status=RUNNING, owner=f"{reviewed.owner.partition('/')[0]}/999999/1.00")
    workspace.store.reviews.add(dead)
    record = workspace.reviews.get("dead")
    assert (record.status, record.error_code) == (FAILED, "interrupted")


def test_one_at_work_when_the_server_stops_has_failed(tmp_path, monkeypatch):
    def slow(kind, told, home, bounds, check):
        while True:
            check()
            time.sleep(0.01)

    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tamis.workspace.reviews.run_aside", slow)
    with open_workspace(Settings()) as workspace:
        coming = workspace.files.begin(NewFile(name="rows.jsonl"))
        coming.write(b"x")
        record = workspace.reviews.create(NewReview(training_file=coming.commit().id))
        while workspace.reviews.get(record.id).status != RUNNING:
            time.sleep(0.01)
    with open_workspace(Settings()) as again:
        ended = again.reviews.get(record.id)
    assert (ended.status, ended.error_code, ended.error) == (FAILED, *STOPPED)


def test_deleting_one_at_work_ends_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    with open_workspace(Settings()) as workspace:
        coming = workspace.files.begin(NewFile(name="rows.jsonl"))
        coming.write(jsonl(rows()))
        record = workspace.reviews.create(NewReview(training_file=coming.commit().id))
        workspace.reviews.delete(record.id)
    with open_workspace(Settings()) as again:
        assert again.reviews.list(0, 10, {})[1] == 0
        assert not [info.key for info in again.store.objects.list() if info.key.startswith("reviews/")]


@pytest.mark.parametrize(
    ("name", "like", "version", "called"),
    [
        ("rows.jsonl", "rows.jsonl", 2, "rows.v2.jsonl"),
        ("rows.v2.jsonl", "rows.v2.jsonl", 3, "rows.v3.jsonl"),
        ("rows.jsonl.gz", "rows.jsonl.gz", 2, "rows.v2.jsonl.gz"),
        ("clean", "rows.csv", None, "clean.csv"),
        ("clean.csv", "rows.csv", None, "clean.csv"),
        ("rows", "rows", 2, "rows.v2"),
    ],
)
def test_names(name, like, version, called):
    assert _name(name, like, version) == called


def test_labels_given_by_hand_are_applied(workspace, reviewed):
    review, reviews = reviewed, workspace.reviews
    row = reviews.items(review.id, "duplicates")[1][0].item.rows[-1]
    assert changes_of(reviews.relabel(review.id, Relabelled(row.row, "topic", ("refund",)))) == 1
    assert by_hand(reviews.get(review.id)) == {(row.row, "topic"): ("refund",)}
    assert not changes_of(reviews.relabel(review.id, Relabelled(row.row, "topic", None)))
    reviews.relabel(review.id, Relabelled(row.row, "topic", ("refund",)))
    applied = reviews.apply(review.id)
    assert applied.changes == {"by hand": 1}
    assert lines(workspace, applied.file.id)[row.row]["labels"] == {"topic": "refund"}
    assert "by hand" in b"".join(workspace.files.read(applied.log.id)).decode()


@pytest.mark.parametrize(
    "given",
    [
        Relabelled(10_000, "topic", ("payment",)),
        Relabelled(-1, "topic", ("payment",)),
        Relabelled(0, "nothing", ("payment",)),
        Relabelled(0, "topic", ("",)),
        Relabelled(0, "topic", (" payment",)),
        Relabelled(0, "topic", ("x" * 257,)),
        Relabelled(0, "topic", ("pay\nment",)),
        Relabelled(0, "topic", tuple(map(str, range(1_001)))),
    ],
)
def test_what_is_no_row_or_no_label_is_refused(workspace, reviewed, given):
    named = workspace.reviews.items(reviewed.id, "duplicates")[1][0].item.rows[0].row
    with pytest.raises(InvalidRequest):
        workspace.reviews.relabel(reviewed.id, replace(given, row=given.row or named))
    assert not changes_of(workspace.reviews.get(reviewed.id))


def test_accepted_changes_are_counted():
    card = {"id": "x", "count": 5}
    record = ReviewRecord(id="r", status="SUCCESS", training_file="f", created_at=0, modified_at=0, summary=(card,))
    assert changes_of(record) == 0
    assert changes_of(replace(record, decisions={"x": {"0": "accepted", "1": "rejected"}})) == 1
    assert changes_of(replace(record, decisions={"x": {"": "accepted", "1": "rejected", "2": "open"}})) == 3
    assert changes_of(replace(record, decisions={"x": {"": "rejected", "1": "accepted"}})) == 1


def test_an_error_that_nobody_expected_is_an_end_as_well(workspace, upload, monkeypatch):
    def broken(*arguments):
        raise KeyError("a defect of ours")

    monkeypatch.setattr("tamis.workspace.reviews.run_aside", broken)
    failed = wait(workspace, workspace.reviews.create(NewReview(training_file=upload(b"x").id)).id)
    assert failed.status == FAILED
    assert "a defect in Tamis (KeyError)" in failed.error
