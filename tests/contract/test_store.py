"""One suite for both databases: what the repositories of the store promise."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from contract.conftest import Clock
from contract.records_made import (
    NOW,
    a_batch,
    a_dataset,
    a_file,
    a_job,
    a_key,
    a_look,
    a_model,
    a_review,
    a_share,
    an_operation,
    new_id,
)
from tamis.errors import AliasMoved, InUse, SimilarJob, UnknownFile, UnknownModel
from tamis.store.opening import Store
from tamis.store.records import AliasMove, CheckpointRecord, EventRecord

LEASE = 30.0


def statuses(store: Store, id: str) -> list[str]:
    return [event.data["status"] for event in store.jobs.events(id) if event.name == "status-updated"]


def running(store: Store, owner: str = "worker", **given: object) -> str:
    """Add a job and claim it."""
    job = a_job(phase="train", **given)
    store.jobs.add(job)
    claimed = store.jobs.claim(owner, NOW, LEASE)
    assert claimed is not None
    assert claimed.id == job.id
    return job.id


class TestFiles:
    def test_what_is_added_is_found_as_it_was(self, store: Store) -> None:
        file = a_file(num_lines=3, mimetype="application/jsonl", expires_at=NOW + 9, created_by="key", bytes=2**40)
        store.files.add(file)
        assert store.files.find(file.id) == file
        assert store.files.find(new_id()) is None

    def test_the_same_name_and_content_is_the_same_file(self, store: Store) -> None:
        first = a_file(sha256="1" * 64)
        assert store.files.add(first, once=True) == first
        assert store.files.add(a_file(sha256="1" * 64), once=True) == first
        again = a_file(sha256="1" * 64)
        assert store.files.add(again) == again  # where it is not to be the same
        for other in ({"name": "other.jsonl"}, {"sha256": "2" * 64}, {"purpose": "batch"}):
            added = a_file(**{"sha256": "1" * 64, **other})
            assert store.files.add(added, once=True) == added
        assert store.files.list()[1] == 5

    def test_a_file_that_has_expired_is_not_the_same(self, store: Store) -> None:
        store.files.add(a_file(sha256="1" * 64, expires_at=NOW + 10))
        later = a_file(sha256="1" * 64, created_at=NOW + 10)
        assert store.files.add(later, once=True) == later

    def test_all_files_together_have_so_many_bytes(self, store: Store) -> None:
        assert store.files.stored_bytes() == 0
        first = a_file(bytes=60, sha256="1" * 64)
        assert store.files.add(first, 100) == first
        assert store.files.add(a_file(bytes=41), 100) is None
        assert store.files.add(a_file(bytes=60, sha256="1" * 64), 100, once=True) == first
        assert store.files.add(a_file(bytes=40), 100) is not None
        assert store.files.stored_bytes() == 100

    def test_pages_are_newest_first_and_whole(self, store: Store) -> None:
        files = [a_file(name=f"{number}", created_at=NOW + number // 2) for number in range(7)]
        for file in files:
            store.files.add(file)
        pages = [store.files.list(page, 3) for page in range(4)]
        assert [file.name for found, _ in pages for file in found] == list("6543210")
        assert [len(found) for found, _ in pages] == [3, 3, 1, 0]
        assert {total for _, total in pages} == {7}
        assert len(store.files.list(0, None)[0]) == 7

    def test_pages_beyond_all_numbers_are_empty(self, store: Store) -> None:
        store.files.add(a_file())
        assert store.files.list(2**63, 2**40) == ([], 1)
        assert store.files.list(-1, -1) == ([], 1)

    def test_filters_narrow(self, store: Store) -> None:
        one = a_file(sample_type="instruct", source="upload", mimetype="application/jsonl", purpose="fine-tune")
        two = a_file(sample_type="batch_result", source="mistral", mimetype=None, purpose="batch", created_by="k")
        for file in (one, two):
            store.files.add(file)

        def found(**filters: object) -> list[str]:
            return [file.id for file in store.files.list(**filters)[0]]  # type: ignore[arg-type]

        assert found(sample_types=["instruct", "pretrain"]) == [one.id]
        assert found(sources=("mistral",)) == [two.id]
        assert found(mimetypes={"application/jsonl"}) == [one.id]
        assert found(purpose="batch") == [two.id]
        assert found(created_by="k") == [two.id]
        assert found(sample_types=[]) == []
        assert found(sample_types=None, purpose=None, search="") == [two.id, one.id]

    @pytest.mark.parametrize(
        ("search", "name"),
        [
            ("TRAIN", "my train.jsonl"),
            ("straße", "STRASSE.csv"),
            ("100%", "100% sure"),
            ("a_b", "xa_by"),
            ("ÉT", "été"),
        ],
    )
    def test_a_search_is_for_part_of_the_name_whatever_its_case(self, store: Store, search: str, name: str) -> None:
        store.files.add(a_file(name=name))
        store.files.add(a_file(name="100x axb"))
        found, total = store.files.list(search=search)
        assert [file.name for file in found] == [name]
        assert total == 1

    def test_a_search_for_what_no_name_can_be_finds_nothing(self, store: Store) -> None:
        store.files.add(a_file(name="a"))
        assert store.files.list(search="a" * 100_000) == ([], 0)

    def test_names_that_databases_refuse_are_kept_as_near_as_can_be(self, store: Store) -> None:
        file = a_file(name="a\0b\ud800c", mimetype="x\0")
        store.files.add(file)
        assert store.files.find(file.id) == replace(file, name="a\ufffdb\ufffdc", mimetype="x\ufffd")
        assert store.files.list(search="a\0b")[1] == 1
        assert store.files.list(purpose="\ud800\0")[1] == 0

    def test_expired_files_and_all_keys(self, store: Store) -> None:
        old, young, kept = a_file(expires_at=NOW), a_file(expires_at=NOW + 1), a_file()
        for file in (old, young, kept):
            store.files.add(file)
        assert store.files.expired(NOW) == [old]
        assert set(store.files.keys()) == {old.key, young.key, kept.key}

    def test_a_delete_says_whether_there_was_one(self, store: Store) -> None:
        file = a_file()
        store.files.add(file)
        assert store.files.delete(file.id)
        assert not store.files.delete(file.id)
        assert store.files.find(file.id) is None

    def test_what_a_live_job_needs_stays(self, store: Store) -> None:
        train, check, batched = a_file(), a_file(), a_file()
        for file in (train, check, batched):
            store.files.add(file)
        job = a_job(training_files=((train.id, 2.0),), validation_files=(check.id,))
        batch = a_batch(input_files=(batched.id,))
        store.jobs.add(job)
        store.batches.add(batch)
        for file, user in ((train, job.id), (check, job.id), (batched, batch.id)):
            with pytest.raises(InUse, match=user):
                store.files.delete(file.id)
            assert store.files.uses(file.id) == (user,)
        assert store.jobs.change(job.id, when={"QUEUED"}, to="CANCELLED")
        assert store.batches.change(batch.id, when={"QUEUED"}, to="CANCELLED")
        assert all(store.files.delete(file.id) for file in (train, check, batched))


class TestJobs:
    def test_what_is_added_is_found_as_it_was(self, store: Store) -> None:
        files = [a_file(), a_file()]
        for file in files:
            store.files.add(file)
        job = a_job(
            suffix="s",
            auto_start=True,
            hyperparameters={"learning_rate": 1e-4, "training_steps": None},
            training_files=((files[0].id, 1.0), (files[1].id, 0.5)),
            validation_files=(files[1].id,),
            integrations=({"type": "wandb", "project": "p"},),
            asked_targets=({"name": "t", "labels": ["b", "a"]},),
            targets=({"name": "é", "labels": ["z", "a"], "weight": 1.0},),
            max_bad_share=0.1,
            metadata={"z": 1, "a": {"b": [1, 2.5, None, True, "x"]}},
            created_by="key",
            deaths=1,
        )
        store.jobs.add(job)
        assert store.jobs.find(job.id) == job
        assert store.jobs.find(new_id()) is None
        assert list(store.jobs.find(job.id).metadata) == ["z", "a"]  # type: ignore[union-attr]

    def test_the_first_event_is_the_status_unless_given(self, store: Store) -> None:
        one, two = a_job(), a_job()
        store.jobs.add(one)
        store.jobs.add(two, [EventRecord(two.id, "hello", NOW + 5, {"a": 1})])
        assert store.jobs.events(one.id) == [EventRecord(one.id, "status-updated", NOW, {"status": "QUEUED"})]
        assert store.jobs.events(two.id) == [EventRecord(two.id, "hello", NOW + 5, {"a": 1})]

    def test_a_file_that_is_not_there_is_named(self, store: Store) -> None:
        gone = new_id()
        job = a_job(training_files=((gone, 1.0),))
        with pytest.raises(UnknownFile, match=gone) as refused:
            store.jobs.add(job)
        assert refused.value.context["file_id"] == gone
        assert store.jobs.find(job.id) is None

    def test_a_similar_job_is_refused_until_the_first_is_finished(self, store: Store) -> None:
        first, second = a_job(fingerprint="same"), a_job(fingerprint="same")
        store.jobs.add(first)
        with pytest.raises(SimilarJob) as refused:
            store.jobs.add(second)
        assert refused.value.context["job_id"] == first.id
        assert store.jobs.find(second.id) is None
        assert store.jobs.change(first.id, when={"QUEUED"}, to="CANCELLED")
        store.jobs.add(second)
        assert store.jobs.find(second.id) == second

    def test_an_id_is_given_once(self, store: Store) -> None:
        job = a_job()
        store.jobs.add(job)
        with pytest.raises(Exception, match=r"(?i)unique"):
            store.jobs.add(replace(job, fingerprint="another"))

    def test_a_change_happens_only_from_the_states_named(self, store: Store, clock: Clock) -> None:
        job = a_job()
        store.jobs.add(job)
        clock.now += 60
        assert store.jobs.change(job.id, when={"RUNNING"}, to="SUCCESS") is None
        assert store.jobs.find(job.id) == job
        changed = store.jobs.change(job.id, when={"QUEUED", "RUNNING"}, to="VALIDATED", targets=({"name": "t"},))
        assert changed == replace(job, status="VALIDATED", targets=({"name": "t"},), modified_at=NOW + 60)
        assert changed == store.jobs.find(job.id)
        assert statuses(store, job.id) == ["QUEUED", "VALIDATED"]
        assert store.jobs.events(job.id)[-1].created_at == NOW + 60
        assert store.jobs.change(new_id(), when={"QUEUED"}, to="VALIDATED") is None

    def test_events_of_changes(self, store: Store) -> None:
        job = a_job()
        store.jobs.add(job)
        store.jobs.change(job.id, when={"QUEUED"}, to="VALIDATED", event={"why": "w"})
        store.jobs.change(job.id, when={"VALIDATED"}, to="QUEUED", quiet=True)
        store.jobs.change(job.id, when={"QUEUED"}, event={"message": "m"})
        store.jobs.change(job.id, when={"QUEUED"}, trained_tokens=5)
        assert [(event.name, event.data) for event in store.jobs.events(job.id)] == [
            ("status-updated", {"status": "QUEUED"}),
            ("status-updated", {"status": "VALIDATED", "why": "w"}),
            ("note", {"message": "m"}),
        ]

    def test_a_change_of_an_earlier_attempt_does_nothing(self, store: Store) -> None:
        id = running(store)
        assert store.jobs.change(id, when={"RUNNING"}, attempt=0, to="FAILED") is None
        assert store.jobs.change(id, when={"RUNNING"}, attempt=2, to="FAILED") is None
        assert store.jobs.change(id, when={"RUNNING"}, attempt=1, to="FAILED", error="why") is not None

    def test_the_end_frees_the_lease_and_dates_itself(self, store: Store, clock: Clock) -> None:
        id = running(store)
        clock.now += 10
        done = store.jobs.change(id, when={"RUNNING"}, to="FAILED", error_code="x", error="why")
        assert done is not None
        assert (done.finished_at, done.owner, done.lease_until) == (NOW + 10, None, None)
        assert (done.error_code, done.error) == ("x", "why")
        assert store.jobs.claim("other", NOW + 1e6, LEASE) is None

    def test_a_job_handed_back_can_be_claimed_at_once(self, store: Store) -> None:
        id = running(store)
        assert store.jobs.change(id, when={"RUNNING"}, attempt=1, to="QUEUED") is not None
        again = store.jobs.claim("other", NOW, LEASE)
        assert again is not None
        assert (again.id, again.attempt, again.deaths, again.owner) == (id, 2, 0, "other")

    def test_filters_narrow(self, store: Store) -> None:
        one = a_job(
            model="m", suffix="s", created_by="k", integrations=({"type": "wandb", "project": "p", "name": "n"},)
        )
        two = a_job(created_at=NOW + 10, status="VALIDATED", integrations=({"type": "wandb", "project": "q"},))
        for job in (one, two):
            store.jobs.add(job)

        def found(**filters: object) -> list[str]:
            jobs, total = store.jobs.list(**filters)  # type: ignore[arg-type]
            assert total == len(jobs)
            return [job.id for job in jobs]

        assert found() == [two.id, one.id]
        assert found(model="m") == found(suffix="s") == found(created_by="k") == [one.id]
        assert found(wandb_project="p") == found(wandb_name="n") == [one.id]
        assert found(status="VALIDATED") == found(status=["VALIDATED", "RUNNING"]) == [two.id]
        assert found(created_after=NOW + 10) == [two.id]
        assert found(created_before=NOW + 9) == [one.id]
        assert found(created_after=2**70) == found(created_before=-(2**70)) == []
        assert found(created_after=NOW, created_before=NOW + 10, model=None) == [two.id, one.id]

    def test_what_is_live_and_in_which_state(self, store: Store) -> None:
        for status in ("QUEUED", "QUEUED", "VALIDATED"):
            store.jobs.add(a_job(status=status))
        store.jobs.change(store.jobs.list(status="VALIDATED")[0][0].id, when={"VALIDATED"}, to="CANCELLED")
        assert store.jobs.live() == 2
        assert store.jobs.counts() == {"QUEUED": 2, "CANCELLED": 1}

    def test_columns_that_are_not_finite_or_not_text_never_fail(self, store: Store) -> None:
        job = a_job(metadata={"a\0": "\ud800", "n": float("nan"), "i": [float("inf")], 1: 2})
        store.jobs.add(job)
        found = store.jobs.find(job.id)
        assert found is not None
        assert found.metadata == {"a\ufffd": "\ufffd", "n": None, "i": [None], "1": 2}


class TestClaims:
    def test_a_claim_starts_the_phase(self, store: Store) -> None:
        store.jobs.add(a_job(phase="validate"))
        store.jobs.add(a_job(phase="train", created_at=NOW + 1))
        first, second = store.jobs.claim("a", NOW, LEASE), store.jobs.claim("b", NOW, LEASE)
        assert first is not None
        assert second is not None
        assert (first.status, first.owner, first.lease_until, first.attempt) == ("VALIDATING", "a", NOW + LEASE, 1)
        assert second.status == "RUNNING"
        assert statuses(store, second.id) == ["QUEUED", "RUNNING"]
        assert store.jobs.claim("c", NOW, LEASE) is None

    def test_a_claim_can_be_for_one_phase(self, store: Store) -> None:
        store.jobs.add(a_job(phase="train"))
        assert store.jobs.claim("a", NOW, LEASE, phases=("validate",)) is None
        assert store.jobs.claim("a", NOW, LEASE, phases=("train",)) is not None

    def test_the_oldest_of_who_has_least_comes_first(self, store: Store) -> None:
        by = {}
        for number, creator in enumerate(["ann", "ann", "ann", "bob", None, "bob"]):
            job = a_job(created_by=creator, created_at=NOW + number)
            by[job.id] = creator
            store.jobs.add(job)
        claimed = [store.jobs.claim("w", NOW, LEASE) for _ in range(6)]
        assert [by[job.id] for job in claimed if job] == ["ann", "bob", None, "ann", "bob", "ann"]
        assert [job.created_at - NOW for job in claimed if job] == [0, 3, 4, 1, 5, 2]

    def test_a_lease_that_ran_out_is_taken_over(self, store: Store) -> None:
        id = running(store, "first")
        assert store.jobs.claim("second", NOW + LEASE, LEASE) is None
        taken = store.jobs.claim("second", NOW + LEASE + 1, LEASE)
        assert taken is not None
        assert (taken.id, taken.owner, taken.status, taken.attempt, taken.deaths) == (id, "second", "RUNNING", 2, 1)
        assert [event.name for event in store.jobs.events(id)] == ["status-updated"] * 2 + ["taken-over"]
        assert store.jobs.beat(id, "first", 1, NOW + LEASE + 2, LEASE) == "lost"
        assert not store.jobs.finish(id, 1, "SUCCESS", a_model())
        assert store.models.list() == ([], 0)
        assert store.jobs.finish(id, 2, "SUCCESS", a_model())

    def test_who_has_it_at_work_does_not_take_it_over(self, store: Store) -> None:
        job, batch = a_job(), a_batch()
        store.jobs.add(job)
        store.batches.add(batch)
        for repository, mine in ((store.jobs, job), (store.batches, batch)):
            assert repository.claim("w", NOW, LEASE, mine=()).id == mine.id
            assert repository.claim("w", NOW + LEASE + 1, LEASE, mine=(mine.id,)) is None
            assert repository.claim("x", NOW + LEASE + 1, LEASE, mine=("other",)).attempt == 2

    def test_beats_keep_the_lease_and_the_highest_memory(self, store: Store) -> None:
        id = running(store)
        assert store.jobs.beat(id, "worker", 1, NOW + 20, LEASE, 10.5) == "ok"
        assert store.jobs.beat(id, "worker", 1, NOW + 20, LEASE, 5.0) == "ok"
        assert store.jobs.beat(id, "worker", 1, NOW + 21, LEASE) == "ok"
        job = store.jobs.find(id)
        assert job is not None
        assert (job.lease_until, job.peak_mb) == (NOW + 21 + LEASE, 10.5)
        assert store.jobs.claim("other", NOW + LEASE + 5, LEASE) is None
        assert store.jobs.beat(id, "other", 1, NOW, LEASE) == "lost"

    def test_a_beat_hears_of_the_cancel_and_of_the_end(self, store: Store) -> None:
        id = running(store)
        store.jobs.change(id, when={"RUNNING"}, to="CANCELLATION_REQUESTED", cancel_requested=True)
        assert store.jobs.beat(id, "worker", 1, NOW, LEASE) == "cancel"
        assert store.jobs.finish(id, 1, "CANCELLED")
        assert store.jobs.beat(id, "worker", 1, NOW, LEASE) == "lost"
        assert statuses(store, id) == ["QUEUED", "RUNNING", "CANCELLATION_REQUESTED", "CANCELLED"]

    def test_who_was_to_cancel_and_died_needs_no_other(self, store: Store) -> None:
        id = running(store)
        store.jobs.change(id, when={"RUNNING"}, to="CANCELLATION_REQUESTED", cancel_requested=True)
        assert store.jobs.claim("other", NOW + 1, LEASE) is None
        assert store.jobs.find(id).status == "CANCELLATION_REQUESTED"  # type: ignore[union-attr]
        assert store.jobs.claim("other", NOW + LEASE + 1, LEASE) is None
        assert store.jobs.find(id).status == "CANCELLED"  # type: ignore[union-attr]
        assert statuses(store, id)[-1] == "CANCELLED"


class TestEnds:
    def test_job_event_and_model_come_together(self, store: Store) -> None:
        id = running(store)
        model = a_model(name="intent", job_id=id, ft="ft:x")
        assert store.jobs.finish(id, 1, "SUCCESS", model, fine_tuned_model="ft:x", trained_tokens=7)
        job = store.jobs.find(id)
        assert job is not None
        assert (job.status, job.model_id, job.fine_tuned_model, job.trained_tokens) == ("SUCCESS", model.id, "ft:x", 7)
        assert store.models.find(model.id) == replace(model, version=1)
        assert statuses(store, id)[-1] == "SUCCESS"

    def test_where_the_model_is_refused_nothing_happened(self, store: Store) -> None:
        store.models.add(a_model(ft="ft:taken"))
        id = running(store)
        generation = store.models.generation()
        with pytest.raises(Exception, match=r"(?i)unique"):
            store.jobs.finish(id, 1, "SUCCESS", a_model(ft="ft:taken"))
        assert store.jobs.find(id).status == "RUNNING"  # type: ignore[union-attr]
        assert statuses(store, id)[-1] == "RUNNING"
        assert store.models.list()[1] == 1
        assert store.models.generation() == generation
        assert store.models.add(a_model()).version == 2  # the number was not used up

    def test_what_is_finished_stays_so(self, store: Store) -> None:
        id = running(store)
        assert store.jobs.finish(id, 1, "FAILED", error="first")
        assert not store.jobs.finish(id, 1, "SUCCESS", a_model())
        assert store.jobs.find(id).error == "first"  # type: ignore[union-attr]

    def test_the_states_to_end_from_can_be_named(self, store: Store) -> None:
        id = running(store)
        store.jobs.change(id, when={"RUNNING"}, to="CANCELLATION_REQUESTED", cancel_requested=True)
        assert not store.jobs.finish(id, 1, "SUCCESS", a_model(), when={"RUNNING"})
        assert store.models.list()[1] == 0
        assert store.jobs.finish(id, 1, "CANCELLED", when={"CANCELLATION_REQUESTED"})

    def test_secrets_go_with_the_job(self, store: Store) -> None:
        id = running(store)
        store.secrets.put(id, "wandb", "k" * 40)
        store.secrets.put("another", "wandb", "x")
        store.jobs.change(id, when={"RUNNING"}, to="QUEUED")
        assert store.secrets.get(id, "wandb") == "k" * 40
        store.jobs.change(id, when={"QUEUED"}, to="CANCELLED")
        assert store.secrets.get(id, "wandb") is None
        assert store.secrets.get("another", "wandb") == "x"


class TestCheckpointsAndEvents:
    def test_the_last_step_comes_first_and_a_step_comes_once(self, store: Store) -> None:
        id = running(store)
        rows = [CheckpointRecord(id, step, NOW + step, {"loss": 1 / step}) for step in (1, 3, 2)]
        assert store.jobs.add_checkpoints(id, 1, rows)
        assert store.jobs.add_checkpoints(id, 1, [CheckpointRecord(id, 3, NOW, {"loss": 9.0})])
        assert [(row.step, row.metrics["loss"]) for row in store.jobs.checkpoints(id)] == [(3, 9.0), (2, 0.5), (1, 1.0)]
        store.jobs.forget_checkpoints_after(id, 1)
        assert store.jobs.checkpoints(id) == [rows[0]]

    def test_earlier_attempts_write_nothing(self, store: Store) -> None:
        id = running(store)
        assert not store.jobs.add_checkpoints(id, 0, [CheckpointRecord(id, 1, NOW, {})])
        assert not store.jobs.add_checkpoints(new_id(), 1, [CheckpointRecord(id, 1, NOW, {})])
        assert not store.jobs.add_event(id, "tracker", {}, attempt=2)
        assert store.jobs.add_event(id, "tracker", {"message": "down"}, attempt=1)
        assert store.jobs.add_event(id, "tracker", {"message": "up"})
        assert store.jobs.checkpoints(id) == []
        assert [event.data for event in store.jobs.events(id)[-2:]] == [{"message": "down"}, {"message": "up"}]

    def test_a_loss_that_is_no_number_is_kept_as_none(self, store: Store) -> None:
        id = running(store)
        assert store.jobs.add_checkpoints(id, 1, [CheckpointRecord(id, 1, NOW, {"loss": float("nan")})])
        assert store.jobs.checkpoints(id)[0].metrics == {"loss": None}


class TestModels:
    def test_a_model_that_has_its_number_keeps_it_unless_it_was_given(self, store: Store) -> None:
        assert store.models.last_version("a") == 0
        assert store.models.add(a_model(name="a", version=3)).version == 3
        assert store.models.add(a_model(name="a")).version == 4
        assert [store.models.add(a_model(name="a", version=version)).version for version in (2, 4, 9)] == [5, 6, 9]
        assert store.models.last_version("a") == 9

    def test_of_models_in_one_place_there_is_one(self, store: Store) -> None:
        first = a_model(name="a", place="folder:/there/a/1", version=1)
        assert store.models.add_once(first)
        assert not store.models.add_once(a_model(name="a", place="folder:/there/a/1", version=1))
        assert [model.id for model in store.models.list()[0]] == [first.id]
        assert store.models.last_version("a") == 1

    def test_places_are_those_that_begin_as_asked(self, store: Store) -> None:
        mine = store.models.add(a_model(place="folder:/Home_1/models/a/1"))
        for other in ("folder:/home_1/models/a/1", "folder:/HomeX1/models/a/1", "objects:/Home_1/"):
            store.models.add(a_model(place=other))
        assert store.models.places("folder:/Home_1/") == {mine.place: mine.id}
        assert store.models.places("folder:/Home_2/") == {}

    def test_versions_count_by_name_and_no_number_comes_twice(self, store: Store) -> None:
        models = [store.models.add(a_model(name=name)) for name in ("a", "a", "b", "a")]
        assert [model.version for model in models] == [1, 2, 1, 3]
        assert store.models.delete(models[3].id)
        assert store.models.by_name("a") == models[1]
        assert store.models.by_name("a", 1) == models[0]
        assert store.models.by_name("a", 3) is None
        assert store.models.by_name("c") is None
        assert store.models.add(a_model(name="a")).version == 4

    def test_what_is_added_is_found_as_it_was(self, store: Store) -> None:
        given = a_model(
            ft="ft:c", title="T", description="D", bytes=5, targets=({"name": "t"},), metrics={"t": {"f1": 0.5}}
        )
        added = store.models.add(given)
        assert added == replace(given, version=1)
        assert store.models.find(given.id) == store.models.by_ft("ft:c") == added
        assert store.models.find(new_id()) is None

    def test_a_model_answers_to_its_jobs_id_too(self, store: Store) -> None:
        job, model = a_job(status="RUNNING"), a_model()
        store.jobs.add(job)
        assert store.jobs.finish(job.id, 0, "SUCCESS", replace(model, job_id=job.id))
        for name in (job.id, f"{job.id}-ft", model.id, f"{model.id}-ft"):
            found = store.models.look_up(name)
            assert found is not None
            assert found.id == model.id

    def test_lists(self, store: Store) -> None:
        first = store.models.add(a_model(name="a", created_at=NOW))
        second = store.models.add(a_model(name="b", created_at=NOW + 1, archived=True, created_by="k"))
        assert store.models.list() == ([second, first], 2)
        assert store.models.list(1, 1) == ([first], 2)
        assert store.models.list(archived=False) == ([first], 1)
        assert store.models.list(name="b", created_by="k") == ([second], 1)

    def test_changes(self, store: Store) -> None:
        model = store.models.add(a_model())
        assert store.models.change(model.id, title="T", archived=True) == replace(model, title="T", archived=True)
        assert store.models.change(new_id(), title="T") is None

    def test_aliases_point_and_move(self, store: Store) -> None:
        one, two = store.models.add(a_model()), store.models.add(a_model())
        assert store.aliases.find("prod") is None
        store.aliases.move("prod", one.id, "set")
        store.aliases.move("best", one.id, "set")
        store.aliases.move("prod", two.id, "set")
        assert store.aliases.find("prod") == two.id
        assert store.aliases.list() == {"best": one.id, "prod": two.id}
        assert store.aliases.list(one.id) == {"best": one.id}
        assert store.aliases.drop("best")
        assert not store.aliases.drop("best")
        with pytest.raises(UnknownModel):
            store.aliases.move("prod", new_id(), "set")
        assert store.aliases.find("prod") == two.id

    def test_moves_of_aliases_are_kept(self, store: Store, clock: Clock) -> None:
        one, two = (store.models.add(a_model(name="mine")) for _ in range(2))
        first = store.aliases.move("prod", one.id, "set", by="key-1")
        assert first == AliasMove(
            alias="prod", number=1, why="set", moved_at=NOW, to_id=one.id, to_name="mine@1", moved_by="key-1"
        )
        assert store.aliases.move("prod", one.id, "set") is None
        clock.now += 5
        second = store.aliases.move("prod", two.id, "promote", figures={"rows": 3, "p": float("nan")}, after=1)
        assert second is not None
        assert (second.number, second.from_name, second.to_name, second.moved_at) == (2, "mine@1", "mine@2", NOW + 5)
        with pytest.raises(AliasMoved):
            store.aliases.move("prod", one.id, "promote", after=1)
        store.aliases.move("prod", one.id, "roll back", after=2)
        store.aliases.drop("prod", by="key-2")
        store.aliases.move("other", two.id, "set", after=0)
        moves, total = store.aliases.history("prod")
        assert total == 4
        assert [(move.number, move.why) for move in moves] == [
            (4, "drop"),
            (3, "roll back"),
            (2, "promote"),
            (1, "set"),
        ]
        assert moves[0].to_id is None
        assert moves[2].figures == {"rows": 3, "p": None}
        assert store.aliases.history("prod", 1, 3) == ([first], 4)
        assert {name: move.number for name, move in store.aliases.last_moves().items()} == {"prod": 4, "other": 1}
        assert store.models.delete(one.id)
        assert store.aliases.history("prod")[0] == moves
        assert store.aliases.still_there([one.id, two.id, new_id()]) == {two.id}

    def test_a_model_behind_an_alias_stays(self, store: Store) -> None:
        model = store.models.add(a_model())
        store.aliases.move("prod", model.id, "set")
        with pytest.raises(InUse, match="prod"):
            store.models.delete(model.id)
        store.aliases.drop("prod")
        assert store.models.delete(model.id)
        assert not store.models.delete(model.id)

    def test_every_change_makes_a_generation(self, store: Store) -> None:
        seen = [store.models.generation()]

        def grew() -> bool:
            seen.append(store.models.generation())
            return seen[-1] > seen[-2]

        model = store.models.add(a_model())
        assert grew()
        store.models.change(model.id, title="x")
        assert grew()
        store.aliases.move("a", model.id, "set")
        assert grew()
        store.aliases.drop("a")
        assert grew()
        store.models.delete(model.id)
        assert grew()
        id = running(store)
        assert not grew()
        store.jobs.finish(id, 1, "SUCCESS", a_model())
        assert grew()


class TestKeys:
    def test_keys_come_and_go(self, store: Store) -> None:
        assert not store.keys.any()
        key = a_key(expires_at=NOW + 5)
        store.keys.add(key, "hash")
        assert store.keys.any()
        assert store.keys.find_by_hash("hash") == store.keys.find(key.id) == key
        assert store.keys.find_by_hash("Hash") is None
        store.keys.touch(key.id, NOW + 3)
        store.keys.touch(key.id, NOW + 1)
        assert store.keys.list() == [replace(key, last_used_at=NOW + 3)]
        assert store.keys.revoke(key.id, NOW + 4)
        assert not store.keys.revoke(key.id, NOW + 9)
        assert store.keys.find_by_hash("hash") == replace(key, last_used_at=NOW + 3, revoked_at=NOW + 4)
        assert store.keys.any()  # who revokes the last key does not open the door

    def test_no_hash_is_there_twice(self, store: Store) -> None:
        store.keys.add(a_key(), "hash")
        with pytest.raises(Exception, match=r"(?i)unique"):
            store.keys.add(a_key(), "hash")


class TestBatches:
    def test_what_is_added_is_found_as_it_was(self, store: Store) -> None:
        batch = a_batch(
            model="m", inline=True, inline_key="k", metadata={"a": "1"}, errors=({"message": "x"},), total=3
        )
        store.batches.add(batch)
        assert store.batches.find(batch.id) == batch
        assert store.batches.events(batch.id)[0].data == {"status": "QUEUED"}

    def test_a_life(self, store: Store, clock: Clock) -> None:
        batch = a_batch()
        store.batches.add(batch)
        claimed = store.batches.claim("w", NOW, LEASE)
        assert claimed is not None
        assert (claimed.status, claimed.attempt) == ("RUNNING", 1)
        assert store.batches.beat(batch.id, "w", 1, NOW + 5, LEASE) == "ok"
        assert store.batches.progress(batch.id, 1, completed=2, succeeded=1, failed=1)
        assert not store.batches.progress(batch.id, 2, completed=9)
        with pytest.raises(InUse):
            store.batches.delete(batch.id)
        clock.now += 9
        results = a_file(name="Results.jsonl")
        assert not store.batches.finish(batch.id, 2, "SUCCESS", [results], output_file=results.id)
        assert store.files.find(results.id) is None
        assert store.batches.finish(batch.id, 1, "SUCCESS", [results], output_file=results.id)
        assert store.files.list(search="results")[0] == [results]
        assert not store.batches.progress(batch.id, 1, completed=9)
        done = store.batches.find(batch.id)
        assert done is not None
        assert (done.status, done.completed, done.completed_at, done.output_file) == ("SUCCESS", 2, NOW + 9, results.id)
        assert [event.data["status"] for event in store.batches.events(batch.id)] == ["QUEUED", "RUNNING", "SUCCESS"]
        assert store.batches.delete(batch.id)
        assert not store.batches.delete(batch.id)
        assert store.batches.events(batch.id) == []

    def test_filters_narrow(self, store: Store) -> None:
        one = a_batch(metadata={"team": "a", "run": "1"}, model="m")
        two = a_batch(metadata={"team": "a", "run": "2"}, created_at=NOW + 5, status="RUNNING", created_by="k")
        for batch in (one, two):
            store.batches.add(batch)

        def found(**filters: object) -> list[str]:
            return [batch.id for batch in store.batches.list(**filters)[0]]  # type: ignore[arg-type]

        assert found(metadata={"team": "a"}) == found(metadata={}) == found() == [two.id, one.id]
        assert found(metadata={"team": "a", "run": "1"}) == found(model="m") == [one.id]
        assert found(metadata={"team": "b"}) == found(metadata={"run": "a"}) == []
        assert found(metadata={'"]\0$.%': "'; --"}) == []
        assert found(metadata={str(number): "x" for number in range(5000)}) == []
        assert found(oldest_first=True) == [one.id, two.id]
        assert found(status=["RUNNING", "QUEUED"], created_by="k") == found(created_after=NOW + 1) == [two.id]


class TestDatasets:
    def test_a_life(self, store: Store) -> None:
        made = a_dataset(parts=({"file": "f", "rows": 3},), warnings=("a",), metrics={"rows": 3}, bytes=5)
        store.datasets.add(made)
        assert store.datasets.find(made.id) == made
        assert store.datasets.bytes() == 5
        changed = store.datasets.change(made.id, status="failed", error="why", parts=(), bytes=0)
        assert changed is not None
        assert (changed.status, changed.error, changed.parts) == ("failed", "why", ())
        assert [store.datasets.delete(made.id), store.datasets.delete(made.id)] == [True, False]
        assert store.datasets.find(made.id) is None
        assert store.datasets.change(made.id, status="failed") is None

    def test_lists(self, store: Store) -> None:
        for place, (kind, status) in enumerate([("a", "validated"), ("b", "failed"), ("a", "failed")]):
            store.datasets.add(a_dataset(id=f"d{place}", type=kind, status=status, created_at=NOW + place))
        ids = lambda **filters: [found.id for found in store.datasets.list(**filters)]  # noqa: E731
        assert (ids(), ids(limit=2), ids(offset=1, limit=1)) == (["d2", "d1", "d0"], ["d2", "d1"], ["d1"])
        assert (ids(type="a"), ids(status="failed"), ids(type="a", status="failed")) == (
            ["d2", "d0"],
            ["d2", "d1"],
            ["d2"],
        )
        assert (ids(after=NOW + 1), ids(before=NOW + 1)) == (["d2", "d1"], ["d1", "d0"])

    def test_jobs_know_theirs(self, store: Store) -> None:
        store.jobs.add(a_job(id="job", dataset_id="d", title="My model"))
        store.jobs.add(a_job())
        (found,), total = store.jobs.list(dataset_id="d")
        assert (found.id, found.title, total) == ("job", "My model", 1)
        changed = store.jobs.change("job", when={"QUEUED"}, quiet=True, title="Another")
        assert changed is not None
        assert changed.title == "Another"


def test_no_secret_can_be_read_in_the_database(store: Store) -> None:
    canary = "canary-0123456789-0123456789-0123456789-"
    store.secrets.put("job", "wandb", canary)
    store.secrets.put("job", "wandb", canary[::-1])
    store.secrets.put("job", "wandb", canary)
    assert store.secrets.get("job", "wandb") == canary
    assert store.secrets.get("job", "other") is None
    with store.database.reading() as connection:
        rows = connection.execute(text("SELECT * FROM secrets")).all()
    assert len(rows) == 1
    assert canary not in json.dumps([str(value) for value in rows[0]])
    assert canary.encode() not in bytes(rows[0].sealed)
    store.secrets.drop("job")
    assert store.secrets.get("job", "wandb") is None


class TestReviews:
    def test_found_changed_listed_deleted(self, store: Store) -> None:
        made = a_review(status="RUNNING", options={"suspects": True}, test_files=("t",), summary=({"id": "x"},))
        store.reviews.add(made)
        assert store.reviews.find(made.id) == made
        assert store.reviews.change(made.id, when="QUEUED", status="FAILED") is None
        changed = store.reviews.change(made.id, when="RUNNING", status="SUCCESS", progress=1.0, result_key="k")
        assert changed is not None
        assert (changed.status, changed.progress, changed.result_key) == ("SUCCESS", 1.0, "k")
        store.reviews.add(a_review(id="later", training_file="other", created_at=NOW + 1))
        assert [found.id for found in store.reviews.list()[0]] == ["later", made.id]
        assert [found.id for found in store.reviews.list(training_file="file-1")[0]] == [made.id]
        assert store.reviews.list(0, 0, status="SUCCESS")[1] == 2
        assert [store.reviews.delete(made.id), store.reviews.delete(made.id)] == [True, False]
        assert store.reviews.change(made.id, status="FAILED") is None

    def test_decisions_of_several_who_decide_at_once_are_all_kept(self, store: Store) -> None:
        store.reviews.add(a_review(id="r"))
        with ThreadPoolExecutor(4) as threads:
            decide = lambda n: store.reviews.decide("r", lambda known: {**known, f"f{n}": {"": "accepted"}})  # noqa: E731
            list(threads.map(decide, range(12)))
        found = store.reviews.find("r")
        assert found is not None
        assert len(found.decisions) == 12
        assert store.reviews.decide("nobody", lambda known: known) is None

    def test_the_latest_version_of_a_file(self, store: Store) -> None:
        assert store.reviews.version_of("f") is None
        store.reviews.add(a_review(output_file="f", version={"number": 2}))
        assert store.reviews.version_of("f") == {"number": 2}


class TestOperations:
    def test_found_changed_listed_deleted(self, store: Store) -> None:
        made = an_operation(status="RUNNING", model_id="m", told={"file": "f"}, owner="o")
        store.operations.add(made)
        assert store.operations.find(made.id) == made
        assert store.operations.change(made.id, when="QUEUED", status="FAILED") is None
        changed = store.operations.change(made.id, when="RUNNING", status="SUCCESS", summary={"rows": 3}, bytes=7)
        assert changed == store.operations.find(made.id)
        assert changed is not None
        assert (changed.summary, changed.bytes) == ({"rows": 3}, 7)
        store.operations.add(an_operation(id="later", kind="compare", created_at=NOW + 1))
        assert [found.id for found in store.operations.list()[0]] == ["later", made.id]
        assert [found.id for found in store.operations.list(kind="evaluate", model_id="m")[0]] == [made.id]
        assert store.operations.list(0, 0, status=("SUCCESS", "FAILED"))[1] == 2
        assert store.files.stored_bytes() == 7
        assert [store.operations.delete(made.id), store.operations.delete(made.id)] == [True, False]

    def test_narrowed_by_what_they_were_told_and_by_their_titles(self, store: Store) -> None:
        told = {"name": "shop", "files": {"training": "f-1"}, "odd": "\x00 \ud800 \"'"}
        store.operations.add(an_operation(id="mine", told=told, title="Shop 100 % on Test.jsonl"))
        store.operations.add(an_operation(id="other", told={"name": "bank", "n": 3}, title="shop 100 x"))
        wanted = [{"name": "shop"}, {"files.training": "f-1"}, {"name": "shop", "files.training": "f-1"}]
        assert [[each.id for each in store.operations.list(told=each)[0]] for each in wanted] == [["mine"]] * 3
        nothing = [{"name": "f-1"}, {"files.training": "shop"}, {"name.deep": "bank"}, {"no": "shop"}]
        assert [store.operations.list(told=each)[1] for each in nothing] == [0] * 4
        assert [each.id for each in store.operations.list(search="test.JSONL")[0]] == ["mine"]
        assert [each.id for each in store.operations.list(search="100 %")[0]] == ["mine"]
        assert [each.id for each in store.operations.list(search="oth")[0]] == ["other"]

    def test_old_ones(self, store: Store) -> None:
        store.operations.add(an_operation(id="old", modified_at=NOW - 10))
        store.operations.add(an_operation(id="new"))
        assert [found.id for found in store.operations.untouched(NOW - 5)] == ["old"]


class TestShares:
    def test_found_used_revoked_dropped(self, store: Store) -> None:
        made = a_share(token_hash="h")
        store.shares.add(made)
        store.shares.add(a_share(model_id="other"))
        assert store.shares.find_by_hash("h") == store.shares.find(made.id) == made
        assert store.shares.find_by_hash("nobody's") is None
        assert store.shares.count_use(made.id, 2, NOW)
        assert store.shares.count_use(made.id, 3, NOW - 5)
        used = store.shares.find(made.id)
        assert used is not None
        assert (used.uses, used.last_used_at) == (5, NOW)
        assert [store.shares.revoke(made.id), store.shares.revoke(made.id)] == [True, False]
        assert [found.id for found in store.shares.list("model-1")] == [made.id]
        assert len(store.shares.list()) == 2
        assert store.shares.drop_of("model-1") == 1
        assert store.shares.find(made.id) is None

    def test_no_more_a_minute_than_it_allows(self, store: Store) -> None:
        """Whichever server is asked, though their clocks differ by some seconds."""
        made = a_share(per_minute=3)
        store.shares.add(made)
        minute = NOW - NOW % 60
        asked = [(3, 59), (1, 59), (1, 60), (3, 60), (2, 59), (1, 61), (4, 200), (3, 200)]
        taken = [store.shares.count_use(made.id, n_inputs, minute + second) for n_inputs, second in asked]
        assert taken == [True, False, True, False, True, False, False, True]
        assert not store.shares.count_use("nobody's", 1, NOW)

    def test_ended_ones_are_dropped(self, store: Store) -> None:
        for name, ends in (
            ("expired", {"expires_at": 9}),
            ("revoked", {"revoked_at": 9, "expires_at": 99}),
            ("good", {}),
        ):
            store.shares.add(a_share(id=name, **ends))
        assert store.shares.drop_ended(9) == 0
        assert store.shares.drop_ended(10) == 2
        assert [found.id for found in store.shares.list()] == ["good"]


class TestLooks:
    def test_the_most_urgent_comes_first(self, store: Store) -> None:
        made = [a_look(id=f"look-{n}", priority=n % 3) for n in range(6)]
        assert store.looks.add(made) == 6
        assert [found.priority for found in store.looks.list()[0]] == [2, 2, 1, 1, 0, 0]
        assert store.looks.find("look-3") == made[3]
        assert store.looks.list(1, 4, name="shop")[1] == 6
        assert store.looks.list(name="other") == ([], 0)

    def test_an_input_has_one_look_a_name(self, store: Store) -> None:
        twice = [a_look(input_hash="h"), a_look(input_hash="h", name="other"), a_look(input_hash="h")]
        assert store.looks.add(twice) == 2
        assert store.looks.add([a_look(input_hash="h"), a_look(input_hash="g")]) == 1
        assert store.looks.add([a_look(input_hash=f"{n}") for n in range(1200)]) == 1200
        assert store.looks.add([a_look(input_hash=f"{n}") for n in range(1201)]) == 1
        found = store.looks.find_by_input("other", "h")
        assert found is not None
        assert found.id == twice[1].id

    def test_answered_counted_dropped(self, store: Store) -> None:
        store.looks.add([a_look(id="a"), a_look(id="b", reason="suspect"), a_look(id="c", name="other")])
        answered = store.looks.change("a", when="open", status="answered", answer={"t": ["x"]}, answered_at=NOW)
        assert answered is not None
        assert answered.answer == {"t": ["x"]}
        assert store.looks.change("a", when="open", status="skipped") is None
        assert store.looks.counts("shop") == {("shop", "uncertain", "answered"): 1, ("shop", "suspect", "open"): 1}
        assert [found.id for found in store.looks.list(reason="suspect", status=("open", "skipped"))[0]] == ["b"]
        assert store.looks.drop("shop", "open") == 1
        assert store.looks.drop("shop") == 1
        assert store.looks.list()[1] == 1
