"""What the store promises holds when threads and processes race for the same rows, on both databases."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from contract import racing
from contract.records_made import NOW, a_file, a_job, a_model
from tamis.errors import AliasMoved, InUse, SimilarJob, UnknownFile
from tamis.store.opening import Store, open_store

T = TypeVar("T")
PROCESSES = 3


def processes(kind: str, url: str, folder: Path, number: int = PROCESSES) -> list[Any]:
    """Run processes that race, and return what each of them printed."""
    command = [sys.executable, "-W", "error", racing.__file__, kind, url, str(folder)]
    started = [
        subprocess.Popen([*command, str(one)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for one in range(number)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        printed = [process.communicate(timeout=120)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0] * number
    return [json.loads(line) for line in printed]


def threads(work: Callable[[int], T], number: int = 8) -> list[T]:
    """Run the work in threads that begin together."""
    together = threading.Barrier(number)

    def one(which: int) -> T:
        together.wait()
        return work(which)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def flat(lists: Sequence[Sequence[T]]) -> list[T]:
    return [item for one in lists for item in one]


class TestClaims:
    def test_processes_never_claim_the_same(self, store: Store, database_url: str, tmp_path: Path) -> None:
        jobs = [a_job(created_by=f"{number % 3}") for number in range(24)]
        for job in jobs:
            store.jobs.add(job)
        claimed = processes("claim", database_url, tmp_path)
        assert Counter(id for id, _ in flat(claimed)) == Counter(job.id for job in jobs)
        assert {attempt for _, attempt in flat(claimed)} == {1}
        assert sum(bool(one) for one in claimed) > 1, "one process did it all: nothing was raced for"

    def test_threads_never_claim_the_same_also_when_leases_run_out(self, store: Store) -> None:
        for number in range(6):
            store.jobs.add(a_job(created_at=NOW + number))
        for round_ in range(3):
            now = NOW + round_ * 100.0
            claimed = threads(lambda which, now=now: store.jobs.claim(f"w{which}", now, 60.0))
            ids = [job.id for job in claimed if job]
            assert len(ids) == len(set(ids)) == 6
            assert {job.attempt for job in claimed if job} == {round_ + 1}

    def test_a_claim_and_a_cancel_never_both_succeed_blindly(self, store: Store) -> None:
        """The cancel of a queued job, or the claim, comes first; then the other sees it."""
        for _ in range(5):
            job = a_job()
            store.jobs.add(job)

            def step(which: int, id: str = job.id) -> object:
                if which:
                    return store.jobs.change(id, when={"QUEUED"}, to="CANCELLED")
                return store.jobs.claim("w", NOW, 60.0)

            claimed, cancelled = threads(step, 2)
            assert (claimed is None) != (cancelled is None)
            assert store.jobs.find(job.id) == (claimed or cancelled)


class TestOnce:
    def test_of_many_changes_one_happens(self, store: Store) -> None:
        job = a_job(status="VALIDATED")
        store.jobs.add(job)
        changed = threads(lambda which: store.jobs.change(job.id, when={"VALIDATED"}, to="QUEUED", phase="train"))
        assert sum(one is not None for one in changed) == 1
        assert len(store.jobs.events(job.id)) == 2

    def test_a_job_ends_once_and_numbers_have_no_gaps(self, store: Store, database_url: str, tmp_path: Path) -> None:
        for _ in range(10):
            store.jobs.add(a_job())
        while store.jobs.claim("w", NOW, 60.0):
            pass
        finished = flat(processes("finish", database_url, tmp_path))
        assert sorted(finished) == sorted(job.id for job in store.jobs.list()[0])
        models = store.models.list(name="raced")[0]
        assert sorted(model.version for model in models) == list(range(1, 11))
        assert sorted(str(model.job_id) for model in models) == sorted(finished)
        assert {len(store.jobs.events(id)) for id in finished} == {3}
        assert store.models.generation() == 10

    def test_versions_have_neither_gaps_nor_doubles(self, store: Store) -> None:
        given = flat(threads(lambda which: [store.models.add(a_model(name="raced")).version for _ in range(4)]))
        assert sorted(given) == list(range(1, 33))
        assert store.models.generation() == 32

    def test_of_similar_jobs_one_is_added(self, store: Store) -> None:
        def add(which: int) -> str:
            try:
                store.jobs.add(a_job(fingerprint="same"))
            except SimilarJob as similar:
                return str(similar.context["job_id"])
            return "added"

        for _ in range(3):
            done = threads(add)
            live = store.jobs.list(status="QUEUED")[0]
            assert len(live) == done.count("added") == 1
            assert set(done) == {"added", live[0].id}
            store.jobs.change(live[0].id, when={"QUEUED"}, to="CANCELLED")

    def test_an_alias_is_made_once_and_points_at_one(self, store: Store) -> None:
        models = [store.models.add(a_model()) for _ in range(4)]
        threads(lambda which: store.aliases.move("prod", models[which % 4].id, "set"))
        assert store.aliases.list().keys() == {"prod"}
        assert store.models.generation() == 12
        moves = store.aliases.history("prod")[0]
        assert [move.number for move in moves] == list(range(len(moves), 0, -1))
        assert moves[0].to_id == store.aliases.find("prod")
        assert all(later.from_id == earlier.to_id for later, earlier in pairwise(moves))

    def test_of_those_who_saw_the_same_one_moves_the_alias(self, store: Store) -> None:
        models = [store.models.add(a_model()) for _ in range(8)]

        def move(which: int) -> bool:
            try:
                return store.aliases.move("prod", models[which % 8].id, "promote", after=0) is not None
            except AliasMoved:
                return False

        assert sum(threads(move)) == 1
        assert store.aliases.history("prod")[1] == 1


class TestDeletes:
    def test_a_file_is_deleted_or_used_never_both(self, store: Store) -> None:
        for _ in range(6):
            file = a_file()
            store.files.add(file)
            job = a_job(training_files=((file.id, 1.0),))

            def step(which: int, id: str = file.id, job: Any = job) -> str:
                try:
                    return "deleted" if which and store.files.delete(id) else str(store.jobs.add(job) or "added")
                except (InUse, UnknownFile):
                    return "refused"

            done = sorted(threads(step, 2))
            assert done in (["added", "refused"], ["deleted", "refused"])
            assert (store.files.find(file.id) is not None) == ("added" in done)
            assert (store.jobs.find(job.id) is not None) == ("added" in done)

    def test_a_model_is_deleted_or_gets_the_alias_never_both(self, store: Store) -> None:
        for _ in range(6):
            model = store.models.add(a_model())

            def step(which: int, id: str = model.id) -> bool:
                try:
                    if which:
                        return store.models.delete(id)
                    store.aliases.move("prod", id, "set")
                except LookupError:
                    return False
                except Exception as error:
                    if "prod" in str(error) or "There is no model" in str(error):
                        return False
                    raise
                return True

            pointed, deleted = threads(step, 2)
            assert pointed != deleted
            assert (store.models.find(model.id) is None) == deleted
            store.aliases.drop("prod")


def test_the_same_file_from_several_at_once_is_one(store: Store) -> None:
    kept = threads(lambda _: store.files.add(a_file(sha256="1" * 64), once=True))
    assert len({file.id for file in kept if file}) == 1
    assert store.files.list()[1] == 1


def test_files_that_come_at_once_stay_within_the_quota(store: Store) -> None:
    kept = threads(lambda which: store.files.add(a_file(bytes=40), 100))
    assert sum(file is not None for file in kept) == 2
    assert store.files.stored_bytes() == 80


def test_under_load_everything_is_written_and_nobody_sees_a_locked_database(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    job = a_job()
    store.jobs.add(job)
    done = processes("write", database_url, tmp_path)
    assert all(done), "a process starved"
    assert len(store.jobs.events(job.id)) == sum(done) + 1


@pytest.mark.parametrize("kind", ["sqlite"])
def test_processes_that_open_a_new_store_together(kind: str, tmp_path: Path) -> None:
    """All get the same tables and the same key."""
    url = f"sqlite:///{tmp_path / 'new' / 'tamis.db'}"
    assert processes("open", url, tmp_path, 4) == [0] * 4
    with open_store(url, f"file://{tmp_path}/objects", tmp_path / "secret.key") as store:
        assert [store.secrets.get(f"{number}", "key") for number in range(4)] == list("0123")


def test_a_writer_that_holds_the_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own patience ends before the lock is free; ours does not."""
    monkeypatch.setattr("tamis.store.database.BUSY_S", 0.05)
    with open_store(f"sqlite:///{tmp_path}/a.db", f"file://{tmp_path}/o", tmp_path / "key") as store:
        job = a_job()
        holds, written = threading.Event(), threading.Event()

        def hold() -> None:
            with store.database.writing():
                holds.set()
                assert not written.wait(1.0), "nothing can be written beside a writer"

        thread = threading.Thread(target=hold)
        thread.start()
        assert holds.wait(5)
        assert store.jobs.find(job.id) is None  # readers do not wait
        store.jobs.add(job)
        written.set()
        thread.join()
        assert store.jobs.find(job.id) == replace(job)
