"""A process that does one kind of thing to a store again and again, beside others that do the same.

    python racing.py KIND DATABASE_URL FOLDER NUMBER

It says "ready", waits for a line on stdin, so that all begin together, and prints what it did as one JSON line.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from contract.records_made import NOW, a_model
from tamis.store.database import Database
from tamis.store.opening import Store, open_store

KEY = "a secret key for tests, not for you"


def claim(store: Store, owner: str) -> list[list[object]]:
    """Claim until there is nothing left."""
    done: list[list[object]] = []
    while job := store.jobs.claim(owner, NOW, 60.0):
        done.append([job.id, job.attempt])
        time.sleep(0.05)  # as if it did something, so that the others get some, on a busy machine too
    return done


def finish(store: Store, owner: str) -> list[str]:
    """Try to end the same jobs as all others, with a model each."""
    jobs = sorted(job.id for job in store.jobs.list(0, None)[0])
    return [id for id in jobs if store.jobs.finish(id, 1, "SUCCESS", a_model(name="raced", job_id=id))]


def write(store: Store, owner: str) -> int:
    """Write as fast as can be, as the beats of many jobs would."""
    until = time.monotonic() + 1
    done = 0
    while time.monotonic() < until:
        store.jobs.add_event(store.jobs.list(0, 1)[0][0].id, "beat", {"owner": owner})
        done += 1
    return done


KINDS: dict[str, Callable[[Store, str], object]] = {
    "claim": claim,
    "finish": finish,
    "write": write,
}


def main(kind: str, url: str, folder: str, number: str) -> None:
    if kind == "open":  # the opening itself is raced for
        begin_together()
        store = open_store(url, f"file://{folder}/objects", Path(folder) / "secret.key")
        store.secrets.put(number, "key", number)
        print(json.dumps(store.jobs.live()), flush=True)
        store.close()
        return
    store = Store(Database(url), None, None)  # type: ignore[arg-type]
    store.jobs.live()  # connected before the start
    begin_together()
    print(json.dumps(KINDS[kind](store, number)), flush=True)


def begin_together() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
