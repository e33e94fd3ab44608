"""Whose turn it is, on both databases."""

from contract.conftest import Clock
from contract.records_made import NOW, a_job
from tamis.store.opening import Store

LEASE = 15.0


def test_many_jobs_of_one_caller_do_not_keep_another_waiting(store: Store, clock: Clock) -> None:
    by = {}
    for number, creator in enumerate(["ann", "ann", "ann", "bob", "bob"]):
        job = a_job(created_by=creator, created_at=NOW + number, phase="train")
        by[job.id] = creator
        store.jobs.add(job)
    order = []
    for _ in range(5):  # a worker that does one after another
        clock.now += 10
        job = store.jobs.claim("w", clock.now, LEASE)
        assert job is not None
        order.append(by[job.id])
        assert store.jobs.finish(job.id, job.attempt, "FAILED")
    assert order == ["ann", "bob", "ann", "bob", "ann"]
