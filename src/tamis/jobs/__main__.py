"""The processes of jobs, `python -m tamis.jobs ...`.

`work` is the worker; `child` does one task; `measure`, `review`, `promote`, `rows` and `operate` do something for
one caller. The only module below `workspace` that reads the settings.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading

from tamis.jobs.choosing import choices_of
from tamis.jobs.executors import LocalExecutor, Task
from tamis.jobs.heart import end_with_parent
from tamis.jobs.tools import Tools
from tamis.logs import log_what_is_raised, set_up_logs
from tamis.settings import Settings, load_settings
from tamis.store.opening import Store, open_store


def main(arguments: list[str]) -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(prog="python -m tamis.jobs")
    kinds = parser.add_subparsers(dest="kind", required=True)
    work = kinds.add_parser("work", help="claim queued jobs and run them")
    work.add_argument("--with-parent", action="store_true", help="end when standard input does")
    kinds.add_parser("child", help="read one task from standard input and do it")
    kinds.add_parser("measure", help="read one job from standard input and say what it would take")
    kinds.add_parser("review", help="read from standard input which review to make, or to apply")
    kinds.add_parser("promote", help="read from standard input which models to measure, and on what")
    kinds.add_parser("rows", help="read from standard input which file of a dataset to read, and write down")
    kinds.add_parser("operate", help="read from standard input which operation to do")
    chosen = parser.parse_args(arguments)
    if chosen.kind == "work":
        return _work(with_parent=chosen.with_parent)
    return _child() if chosen.kind == "child" else _aside(chosen.kind)


def _work(*, with_parent: bool) -> int:
    """Be a worker until a signal, or the parent's end."""
    from tamis.jobs.sweeping import sweep
    from tamis.jobs.training import forget
    from tamis.jobs.worker import Duties, Worker

    settings = load_settings()
    set_up_logs(settings.log_format, settings.log_level)
    log_what_is_raised()
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    if with_parent:
        end_with_parent(sys.stdin.fileno())
    if settings.train_workers == 0:
        over.wait()
        return 0
    executor = LocalExecutor()
    with _open(settings) as store:
        tools = Tools(store, choices_of(settings))
        duties = Duties(settings.train_workers, settings.job_attempts, tools.choices.memory_mb)
        worker = Worker(
            store, executor, duties, lambda job_id: forget(tools, job_id), executor.prepare, lambda: sweep(tools)
        )
        try:
            worker.run(over)
        finally:
            executor.close()
    return 0


def _child() -> int:
    """Import what tasks need, wait for one, do it."""
    from tamis.jobs.models_here import finder
    from tamis.jobs.tasks import run_task

    settings = load_settings()
    set_up_logs("json", settings.log_level)  # the worker passes it on, in the form that was chosen
    log_what_is_raised()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _open(settings) as store:
        line = _first_line(sys.stdin.fileno())
        if not line:
            return 0
        end_with_parent(sys.stdin.fileno())
        tools = Tools(store, choices_of(settings))
        run_task(tools, Task(**json.loads(line)), finder(store, tools.choices))
    return 0


def _aside(kind: str) -> int:
    """Do a dry run, something of a review, the measuring of a promotion, the rows of a dataset, or an operation."""
    if kind == "measure":
        from tamis.jobs.measuring import answer
    elif kind == "promote":
        from tamis.jobs.promoting import answer
    elif kind == "rows":
        from tamis.jobs.reading_rows import answer
    elif kind == "operate":
        from tamis.jobs.operating import answer
    else:
        from tamis.jobs.reviewing import answer

    answers, _ = os.dup(1), os.dup2(2, 1)  # whoever prints from now on prints to standard error
    settings = load_settings()
    set_up_logs("json", settings.log_level)  # who started this passes it on, in the form that was chosen
    log_what_is_raised()
    line = _first_line(sys.stdin.fileno())
    if not line:
        return 0
    end_with_parent(sys.stdin.fileno())
    with _open(settings) as store, os.fdopen(answers, "wb") as out:
        out.write(answer(Tools(store, choices_of(settings)), json.loads(line)))
    return 0


def _first_line(pipe: int) -> bytes:
    """Read up to a line break, and no further: what watches the parent reads on."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(pipe, 1)
        if not byte:
            return b""
        line += byte
    return line


def _open(settings: Settings) -> Store:
    settings.home.mkdir(parents=True, exist_ok=True)
    return open_store(settings.database, settings.storage, settings.secret)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
