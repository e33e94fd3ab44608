"""`tamis serve`: the API, and beside it the process that runs the jobs."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import typer

import tamis
from tamis.cli.app import app
from tamis.cli.console import out
from tamis.cli.signals import ended_by_signals

if TYPE_CHECKING:
    from tamis.settings import Settings

PORT = 8000
RUNNING = "server.json"
"""File in the home that says where the server is, while it runs."""

READY_S = 60.0

Host = Annotated[str, typer.Option(help="Address to listen on; other machines reach it only on one of the network's.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Home = Annotated[Path | None, typer.Option(help="Folder of everything that is kept (default: that of the settings).")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Processes that answer requests.")]
TrainWorkers = Annotated[
    int | None, typer.Option(min=0, max=64, help="Jobs that run at the same time; 0: none here (default: the setting).")
]
LogFormat = Annotated[
    Literal["text", "json"] | None, typer.Option(help="How to log, on stderr (default: the setting, which is text).")
]


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = PORT,
    home: Home = None,
    workers: Workers = 1,
    train_workers: TrainWorkers = None,
    log_format: LogFormat = None,
) -> None:
    """Serve the API: files, jobs, models, classification, moderation. Ctrl-C stops it; jobs go on at the next start."""
    _choose({"home": home, "train_workers": train_workers, "log_format": log_format})
    from tamis.cli.job_worker import kept_running
    from tamis.jobs.launching import WorkerProcess
    from tamis.listening import bound_socket, url_of
    from tamis.logs import set_up_logs
    from tamis.settings import load_settings
    from tamis.web import process
    from tamis.workspace.workspace import open_workspace

    settings = load_settings()
    set_up_logs(settings.log_format, settings.log_level)
    with open_workspace(settings) as workspace:
        has_keys = workspace.keys.any()
        workspace.models.take_in()
    with bound_socket(host, port) as listening, ended_by_signals(), _figures_of_all(settings, workers):
        process.require_keys_unless_loopback(listening.getsockname()[0], has_keys)
        worker = kept_running(WorkerProcess()) if settings.train_workers else nullcontext()
        with worker, _announced(url_of(listening), settings, has_keys):
            process.serve(listening, settings, workers)


def _choose(options: dict[str, object]) -> None:
    """Make options the settings of this process and of those that it starts: an option goes before a variable."""
    for name, value in options.items():
        if value is not None:
            os.environ[f"TAMIS_{name.upper()}"] = str(value)


@contextmanager
def _figures_of_all(settings: Settings, workers: int) -> Iterator[None]:
    """Where several processes serve, let each write its figures to a folder, where `/metrics` adds them up."""
    if workers == 1:
        yield
        return
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="figures-", dir=settings.home)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _announced(url: str, settings: Settings, has_keys: bool) -> Iterator[None]:
    """Once the server answers, say where it is, on the terminal and in the home; take the latter back at the end."""
    place = settings.home / RUNNING
    over = threading.Event()

    def announce() -> None:
        if _answers(url, over):
            partial = place.with_suffix(f".{os.getpid()}")
            partial.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
            partial.replace(place)
            _greet(url, settings, has_keys)

    announcer = threading.Thread(target=announce, name="announcer", daemon=True)
    announcer.start()
    try:
        yield
    finally:
        over.set()
        announcer.join()
        _withdraw(place)


def _withdraw(place: Path) -> None:
    """Remove the file that says where the server is, unless another server has written it since."""
    with suppress(OSError, ValueError):
        if json.loads(place.read_text(encoding="utf-8"))["pid"] == os.getpid():
            place.unlink()


def _answers(url: str, over: threading.Event) -> bool:
    """Return whether the server came up, once that is known."""
    address = urlsplit(url)
    for _ in range(int(READY_S / 0.05)):
        if over.is_set():
            return False
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return not over.is_set()
        sleep(0.05)
    return False


def _greet(url: str, settings: Settings, has_keys: bool) -> None:
    keys = (
        "needed: Authorization: Bearer KEY (tamis keys list)"
        if has_keys
        else "none yet: it serves this machine only, and takes any key or none (tamis keys create NAME)"
    )
    key = "KEY" if has_keys else "any"
    header = f'-H "Authorization: Bearer {key}" ' if has_keys else ""
    lines = [
        f"Tamis {tamis.__version__} listens on {url}",
        f"  home  {settings.home}",
        f"  keys  {keys}",
        f"  pages {url}/ui",
        f"  docs  {url}/docs",
        "Try it:",
        f"  curl {header}{url}/v1/models",
        f'  from mistralai import Mistral; Mistral(api_key="{key}", server_url="{url}").models.list()',
        "  tamis train ROWS.jsonl --name shop     # then classify with the model shop",
        "Ctrl-C stops it.",
    ]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
    out.file.flush()  # it may be a file, or a log of the system's
