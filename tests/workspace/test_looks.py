"""The review queue: what may be answered, what comes first, what is taken back; how answers become a better model."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tamis.errors import Conflict, InvalidRequest, InvalidSetting, NotFound, Overloaded, UndeclaredLabel, UnknownModel
from tamis.jobs import operating
from tamis.jobs.aside import understood
from tamis.jobs.choosing import choices_of
from tamis.jobs.looks import ANSWERED, CORRECTION, OPEN, SUSPECT, UNLABELLED, Sight, look_at
from tamis.jobs.tools import Tools
from tamis.jobs.validation import validate
from tamis.jobs.worker import owner_name
from tamis.ml.registry import register
from tamis.ml.training import train
from tamis.settings import Settings
from tamis.store.records import FileRecord, ModelRecord, OperationRecord
from tamis.testing import tiny_base
from tamis.workspace import operations as module
from tamis.workspace.background import LIVE
from tamis.workspace.looks import DIFFERENCES, SUSPECTS, UNSURE, Fill
from tamis.workspace.retraining import DONE, FAILED, MEASURING, TRAINING, WRITING, Round, name_of_version
from tamis.workspace.workspace import Workspace, open_workspace

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card"}


def rows(n: int) -> bytes:
    made = [
        {"text": f"{text} {k}", "labels": {"topic": topic, "flags": ["rude"] if k % 2 else []}}
        for k in range(n)
        for topic, text in TEXTS.items()
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in made)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    (place / "rows.jsonl").write_bytes(rows(15))
    train(place / "rows.jsonl", base=str(tiny_base(place / "base")), out=place / "shop", epochs=4)
    return place / "shop"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    return Settings(max_live_jobs=5)


@pytest.fixture
def workspace(settings: Settings, artifact: Path, monkeypatch: pytest.MonkeyPatch):
    """shop@1 and shop@2, and operations that are done in this process."""
    register(settings.home, "shop", artifact)
    register(settings.home, "shop", artifact)

    def aside(kind: str, told: dict[str, str], home: Path, bounds: object, check: Callable[[], None]) -> object:
        return understood(operating.answer(Tools(opened.store, choices_of(settings)), told), 0, kind)

    monkeypatch.setattr(module, "run_aside", aside)
    with open_workspace(settings) as opened:
        opened.models.list()
        yield opened


def put(workspace: Workspace, *texts: str, reason: str = UNLABELLED, urgency: float = 0.5) -> list[str]:
    looks = [look_at(Sight(given=text, reason=reason, urgency=urgency), "shop", None) for text in texts]
    workspace.store.looks.add(looks)
    return [look.id for look in looks]


def under_way(kind: str, name: str, created_at: int) -> OperationRecord:
    """Work of a queue that this process is at."""
    usual = {"status": "RUNNING", "title": name, "modified_at": created_at, "owner": owner_name()}
    return OperationRecord(id=f"{kind}-{created_at}", kind=kind, told={"name": name}, created_at=created_at, **usual)


def ended(workspace: Workspace, id: str) -> str:
    for _ in range(1000):
        if (record := workspace.operations.get(id)).status not in LIVE:
            return record.error or record.status
        time.sleep(0.01)
    raise AssertionError("it never ended")


class TestAnswering:
    def test_the_most_urgent_comes_first_reason_by_reason(self, workspace: Workspace):
        put(workspace, "c", urgency=0.9)
        put(workspace, "b", reason=SUSPECT, urgency=0.1)
        put(workspace, "a", reason=SUSPECT, urgency=0.8)
        first = workspace.looks.list("shop", 0, 9)[0]
        assert [look.input for look in first] == ["a", "b", "c"]
        assert workspace.looks.next("shop").input == "a"
        assert workspace.looks.next("shop", UNLABELLED).input == "c"

    def test_an_answer_is_kept_and_its_row_is_gone(self, workspace: Workspace):
        (row,) = put(workspace, "a text")
        workspace.looks.answer("shop", row, {"topic": ["delivery"], "flags": []}, by="me")
        look = workspace.looks.get("shop", row)
        assert (look.status, look.answer, look.answered_by) == (ANSWERED, {"topic": ["delivery"], "flags": []}, "me")
        assert workspace.looks.next("shop") is None
        assert (workspace.looks.line("shop").answered, workspace.looks.line("shop").open) == (1, 0)

    @pytest.mark.parametrize(
        ("labels", "error", "message"),
        [
            ({}, InvalidRequest, "Choose a label"),
            ({"topic": ["delivery", "payment"]}, InvalidRequest, "one label at most"),
            ({"topic": ["nonsense"]}, UndeclaredLabel, "no label"),
            ({"colour": ["red"]}, UndeclaredLabel, "no target"),
            ({"flags": ["rude"] * 5000 + [str(n) for n in range(5000)]}, InvalidRequest, "at most"),
        ],
    )
    def test_what_is_no_answer(self, workspace: Workspace, labels, error, message):
        (row,) = put(workspace, "a text")
        with pytest.raises(error, match=message):
            workspace.looks.answer("shop", row, labels)
        assert workspace.looks.get("shop", row).status == OPEN

    def test_new_labels_are_taken_where_that_is_said(self, workspace: Workspace):
        (row,) = put(workspace, "a text")
        workspace.looks.answer("shop", row, {"topic": ["returns"]}, new=True)
        assert workspace.looks.get("shop", row).answer == {"topic": ["returns"]}
        for bad in (" ", "a\nb", " padded", "x" * 300, "\x00"):
            with pytest.raises(InvalidRequest):
                workspace.looks.answer("shop", row, {"topic": [bad]}, new=True)

    def test_of_one_label_none_may_fit(self, workspace: Workspace):
        (row,) = put(workspace, "a text")
        assert workspace.looks.answer("shop", row, {"topic": []}).answer == {"topic": []}

    def test_what_was_done_last_is_taken_back_first(self, workspace: Workspace):
        first, second, third = put(workspace, "a", urgency=0.9), put(workspace, "b", urgency=0.8), put(workspace, "c")
        workspace.looks.answer("shop", first[0], {"topic": ["delivery"]}, by="me")
        workspace.looks.skip("shop", second[0], "me")
        workspace.looks.answer("shop", third[0], {"topic": ["delivery"]}, by="another")
        assert [workspace.looks.undo("shop", "me").input for _ in range(2)] == ["b", "a"]
        assert workspace.looks.undo("shop", "me") is None
        assert workspace.looks.line("shop").answered == 1

    def test_rows_of_another_queue_are_not_there(self, workspace: Workspace):
        workspace.store.looks.add([look_at(Sight(given="x", reason=SUSPECT, urgency=1), "bank", None)])
        other = workspace.store.looks.list(name="bank")[0][0].id
        for act in (workspace.looks.get, workspace.looks.skip, workspace.looks.reopen):
            with pytest.raises(NotFound):
                act("shop", other)
        with pytest.raises(NotFound):
            workspace.looks.answer("shop", other, {"topic": ["delivery"]})

    def test_skipped_rows_come_back_and_a_queue_can_be_emptied(self, workspace: Workspace):
        for row in put(workspace, "a", "b", "c")[:2]:
            workspace.looks.skip("shop", row)
        assert workspace.looks.line("shop").skipped == 2
        assert workspace.looks.reopen_skipped("shop") == 2
        workspace.looks.answer("shop", workspace.looks.next("shop").id, {"topic": ["payment"]})
        assert workspace.looks.clear("shop") == 2
        assert workspace.looks.line("shop").answered == 1
        assert [line.name for line in workspace.looks.lines()] == ["shop"]
        assert workspace.looks.clear("shop", answered=True) == 1
        assert workspace.looks.lines() == []


class TestCorrections:
    def test_what_people_call_wrong_waits_for_a_look(self, workspace: Workspace):
        look = workspace.looks.add_correction("shop@1", "where is it", {"topic": ["delivery"]}, "me")
        assert (look.reason, look.proposed, look.status) == (CORRECTION, {"topic": ["delivery"]}, OPEN)
        chat = workspace.looks.add_correction(
            workspace.models.find("shop"), [{"role": "user", "content": "x"}], {"flags": []}, shared=True
        )
        assert chat.input == [{"role": "user", "content": "x"}]
        assert [each.id for each in workspace.looks.list("shop", 0, 9)[0]] == [look.id, chat.id]

    def test_the_same_text_again_is_one_row_with_what_was_said_last(self, workspace: Workspace):
        first = workspace.looks.add_correction("shop", "where is it", {"topic": ["payment"], "flags": ["rude"]})
        workspace.looks.answer("shop", first.id, {"topic": ["payment"]})
        again = workspace.looks.add_correction("shop", "where is it", {"topic": ["delivery"]})
        assert (again.id, again.status, again.answer) == (first.id, OPEN, None)
        assert again.proposed == {"topic": ["delivery"], "flags": ["rude"]}

    def test_whoever_has_a_link_undoes_nothing(self, workspace: Workspace):
        correct = workspace.looks.add_correction
        open_ = correct("shop", "what is it", {"topic": ["payment"]}, "me")
        assert correct("shop", "what is it", {"topic": ["delivery"]}, shared=True, reopens=False) == open_
        answered = workspace.looks.answer("shop", open_.id, {"topic": ["payment"]})
        assert correct("shop", "what is it", {"topic": ["delivery"]}, "caller", reopens=False) == answered
        skipped = workspace.looks.skip("shop", open_.id)
        assert correct("shop", "what is it", {"topic": ["delivery"]}, shared=True, reopens=False) == skipped
        own = correct("shop", "another", {"topic": ["payment"]}, shared=True, reopens=False)
        again = correct("shop", "another", {"topic": ["delivery"]}, shared=True, reopens=False)
        assert (again.id, again.proposed) == (own.id, {"topic": ["delivery"]})

    def test_links_fill_a_part_of_the_queue(self, workspace: Workspace, monkeypatch):
        monkeypatch.setattr("tamis.workspace.looks.MOST_BY_LINK", 1)
        workspace.looks.add_correction("shop", "x", {"topic": ["delivery"]}, shared=True)
        with pytest.raises(Overloaded):
            workspace.looks.add_correction("shop", "y", {"topic": ["delivery"]}, shared=True)
        assert workspace.looks.add_correction("shop", "y", {"topic": ["delivery"]}, "me").status == OPEN

    def test_what_is_refused(self, workspace: Workspace, monkeypatch):
        with pytest.raises(UnknownModel):
            workspace.looks.add_correction("nothing", "x", {"topic": ["delivery"]})
        for text in ("", "x" * 100_001):
            with pytest.raises(InvalidRequest, match="empty, or longer"):
                workspace.looks.add_correction("shop", text, {"topic": ["delivery"]})
        with pytest.raises(InvalidSetting):
            workspace.looks.add_correction("shop", [{"role": "user"}], {"topic": ["delivery"]})
        with pytest.raises(UndeclaredLabel):
            workspace.looks.add_correction("shop", "x", {"topic": ["new"]})
        monkeypatch.setattr("tamis.workspace.looks.MOST_OPEN", 0)
        with pytest.raises(Overloaded):
            workspace.looks.add_correction("shop", "x", {"topic": ["delivery"]})


class TestFilling:
    def test_rows_of_a_file_come_in_the_background(self, workspace: Workspace, upload):
        file = upload(b"where is my parcel\nparcel card\nmy card\n", "texts.txt")
        record = workspace.looks.fill(Fill(name="shop", way=UNSURE, file=file.id, most=2, by="me"))
        assert ended(workspace, record.id) == "SUCCESS"
        assert workspace.looks.line("shop").waiting == {UNLABELLED: 2}
        assert [each.id for each in workspace.looks.fillings("shop")] == [record.id]
        assert workspace.looks.fillings("bank") == []
        assert not workspace.looks.is_filling("shop")

    def test_it_is_found_among_many_of_others(self, workspace: Workspace):
        for kind in ("queue", "relabel"):
            workspace.store.operations.add(under_way(kind, "shop", created_at=1))
            for n in range(60):
                workspace.store.operations.add(under_way(kind, "bank", created_at=2 + n))
        assert workspace.looks.is_filling("shop")
        assert [each.told["name"] for each in workspace.looks.fillings("shop")] == ["shop"]
        assert [each.record.told["name"] for each in workspace.retraining.rounds("shop")] == ["shop"]
        assert len(workspace.looks.fillings("bank", 3)) == len(workspace.retraining.rounds("bank", 3)) == 3

    def test_two_versions_are_asked(self, workspace: Workspace, upload):
        file = upload(rows(3))
        record = workspace.looks.fill(Fill(name="shop", way=DIFFERENCES, file=file.id, other="shop@1"))
        assert ended(workspace, record.id) == "SUCCESS"
        assert workspace.operations.get(record.id).summary["added"] == 0  # they are the same

    def test_what_is_missing_is_said_at_once(self, workspace: Workspace, upload):
        file = upload(rows(3)).id
        for asked, message in (
            (Fill(name="shop", way=UNSURE), "Choose a file"),
            (Fill(name="shop", way=UNSURE, file=file, most=0), "1 to 1,000"),
            (Fill(name="shop", way=UNSURE, file=file, most=9999), "1 to 1,000"),
            (Fill(name="shop", way=DIFFERENCES, file=file), "Choose the version"),
            (Fill(name="shop", way=DIFFERENCES, file=file, other="shop@2"), "the same"),
            (Fill(name="shop", way=SUSPECTS), "data check"),
            (Fill(name="shop", way="magic"), "no way"),
        ):
            with pytest.raises(InvalidRequest, match=message):
                workspace.looks.fill(asked)
        for asked in (Fill(name="shop", way=UNSURE, file="gone"), Fill(name="shop", way=SUSPECTS, review="gone")):
            with pytest.raises(NotFound):
                workspace.looks.fill(asked)
        with pytest.raises(UnknownModel):
            workspace.looks.fill(Fill(name="shop@1", way=UNSURE, file=file))


class TestRetraining:
    @pytest.fixture
    def learnt(self, workspace: Workspace, upload, artifact: Path) -> tuple[FileRecord, FileRecord]:
        """shop@3 came of a job: the files that it learnt from, and that it was tested on."""
        training, test = upload(rows(15), "rows.jsonl"), upload(rows(4), "test.jsonl")
        self.finished(workspace, artifact, training.id, test.id)
        return training, test

    def finished(self, workspace: Workspace, artifact: Path, training: str, test: str | None) -> ModelRecord:
        from tamis.workspace.jobs import NewJob

        new = NewJob(model="static-en", training_files=[(training, 1.0)], title="shop", test_file=test)
        return self.finish(workspace, artifact, workspace.jobs.create(new).id)

    def finish(self, workspace: Workspace, artifact: Path, job: str) -> ModelRecord:
        """Do what a worker does: look at the data, which measures how long to train; and store the model at the end."""
        claimed = workspace.store.jobs.claim("me", time.time(), 60)
        assert claimed.id == job
        validate(Tools(workspace.store, choices_of(workspace.settings)), claimed, lambda: False)
        model = ModelRecord(
            id=f"model-{job}",
            name="shop",
            root="static-en",
            base="static-en",
            place=f"folder:{artifact}",
            created_at=int(time.time()) + 100,
            targets=workspace.models.find("shop").targets,
            job_id=job,
        )
        added = workspace.store.models.add(model)
        workspace.store.jobs.change(job, when=("QUEUED", "VALIDATED"), to="SUCCESS", model_id=added.id)
        return added

    def answer(self, workspace: Workspace, text: str, **labels: list[str]) -> None:
        (row,) = put(workspace, text)
        workspace.looks.answer("shop", row, labels, new=True)

    def stood(self, workspace: Workspace, *states: str) -> Round:
        for _ in range(1000):
            found = workspace.retraining.rounds("shop")[0]
            if found.state in states:
                return found
            time.sleep(0.01)
        raise AssertionError(found)

    def test_answers_become_a_file_a_job_a_model_and_a_difference(self, workspace: Workspace, artifact: Path, learnt):
        _, test = learnt
        self.answer(workspace, "where is my parcel 0", topic=["returns"])
        self.answer(workspace, "something new", topic=["payment"], flags=["rude"])
        workspace.retraining.begin("shop", by="me")
        before = workspace.models.find("shop")
        found = self.stood(workspace, TRAINING)
        made = [json.loads(line) for line in b"".join(workspace.files.read(found.file.id)).splitlines()]
        assert (made[0]["labels"]["topic"], made[-1]["text"], len(made)) == ("returns", "something new", 31)
        assert (found.file.name, found.file.created_by) == ("rows.v2.jsonl", "me")
        assert (found.job.name, found.job.auto_start, found.job.test_file) == ("shop", True, test.id)
        assert found.job.training_files == ((found.file.id, 1.0),)
        former = workspace.jobs.record(before.job_id)
        assert (former.hyperparameters["epochs"], former.hyperparameters["training_steps"]) != (None, None)
        assert found.job.hyperparameters == former.asked, "for as long as was said, not as it came to"
        with pytest.raises(Conflict, match="being made already"):
            workspace.retraining.begin("shop")
        after = self.finish(workspace, artifact, found.job.id)
        done = self.stood(workspace, DONE)
        assert done.model.id == after.id
        assert done.gain.told["before"] == before.id
        assert done.gain.summary["targets"]["topic"]["difference"] == 0.0
        assert len(workspace.operations.list(0, 9, {"kind": "gain"})[0]) == 1
        assert workspace.retraining.rounds("shop")[0].gain.id == done.gain.id, "it is measured once"

    def test_nobody_waits_while_the_rows_of_a_round_are_copied(self, workspace: Workspace, learnt, monkeypatch):
        """Whoever looks meanwhile sees that they are being written, and other models' rounds go on."""
        self.answer(workspace, "something new", topic=["payment"])
        workspace.retraining.begin("shop")
        read, seen = workspace.operations.read, []

        def slow(operation_id: str) -> object:
            seen.append(workspace.retraining.rounds("shop")[0].state)
            assert not workspace.retraining._lock.locked()
            return read(operation_id)

        monkeypatch.setattr(workspace.operations, "read", slow)
        assert self.stood(workspace, TRAINING).job
        assert seen == [WRITING]

    def test_a_model_of_no_known_file_asks_for_one(self, workspace: Workspace, upload):
        self.answer(workspace, "something new", topic=["payment"])
        with pytest.raises(InvalidRequest, match="choose one"):
            workspace.retraining.begin("shop")
        test = upload(rows(2), "test.jsonl").id
        workspace.retraining.begin("shop", upload(rows(5)).id, test)
        job = self.stood(workspace, TRAINING).job
        assert (job.name, job.test_file) == ("shop", test), "the next round is measured on it too"

    def test_what_is_refused(self, workspace: Workspace, learnt):
        with pytest.raises(Conflict, match="Nothing was answered"):
            workspace.retraining.begin("shop")
        self.answer(workspace, "something new", topic=["payment"])
        with pytest.raises(InvalidRequest, match="measured on the rows it learns from"):
            workspace.retraining.begin("shop", measured=learnt[0].id)
        with pytest.raises(NotFound):
            workspace.retraining.begin("shop", "gone")
        with pytest.raises(NotFound):
            workspace.retraining.begin("shop", measured="gone")
        with pytest.raises(UnknownModel):
            workspace.retraining.begin("bank")

    def test_answers_that_change_nothing_end_the_round_with_a_sentence(self, workspace: Workspace, learnt):
        self.answer(workspace, "where is my parcel 0", topic=["delivery"])
        workspace.retraining.begin("shop")
        assert "Nothing was answered" in self.stood(workspace, FAILED).problem

    def test_a_job_that_fails_is_told(self, workspace: Workspace, learnt):
        self.answer(workspace, "something new", topic=["payment"])
        workspace.retraining.begin("shop")
        job = self.stood(workspace, TRAINING).job
        workspace.store.jobs.change(job.id, when=("QUEUED",), to="FAILED", error="There was no memory left.")
        assert self.stood(workspace, FAILED).problem == "There was no memory left."

    def test_a_job_that_cannot_be_made_is_told_once(self, workspace: Workspace, learnt, monkeypatch):
        self.answer(workspace, "something new", topic=["payment"])

        def refuse(new: object) -> None:
            raise Overloaded("Too many jobs.")

        monkeypatch.setattr(workspace.jobs, "create", refuse)
        workspace.retraining.begin("shop")
        assert self.stood(workspace, FAILED).problem == "Too many jobs."
        monkeypatch.undo()
        assert workspace.retraining.rounds("shop")[0].state == FAILED

    def test_without_rows_to_measure_on_nothing_is_measured(self, workspace: Workspace, artifact: Path, upload):
        self.finished(workspace, artifact, upload(rows(15)).id, None)
        self.answer(workspace, "something new", topic=["payment"])
        workspace.retraining.begin("shop")
        self.finish(workspace, artifact, self.stood(workspace, TRAINING).job.id)
        assert self.stood(workspace, DONE, MEASURING).gain is None


def test_versions_of_files_have_numbers():
    told = {"rows.jsonl": "rows.v2.jsonl", "rows.v2.jsonl": "rows.v3.jsonl", "my.rows.csv.gz": "my.rows.v2.jsonl"}
    assert {name: name_of_version(name) for name in told} == told
    assert name_of_version("rows") == "rows.v2.jsonl"
    assert name_of_version(".gz") == "rows.v2.jsonl"
