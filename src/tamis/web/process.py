"""The server as processes: one that serves, or several that share its socket; started, stopped, outliving nobody."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.supervisors import Multiprocess

from tamis.errors import InvalidSetting
from tamis.logs import log_what_is_raised, set_up_logs
from tamis.settings import Settings, load_settings
from tamis.web.app import create_app
from tamis.web.auth import is_loopback
from tamis.web.connections import Connection, raise_file_limit
from tamis.workspace.workspace import open_workspace

if TYPE_CHECKING:
    from fastapi import FastAPI

GRACE_S = 30
"""Seconds that running requests get to finish once the server is told to stop."""


def require_keys_unless_loopback(address: str, has_keys: bool) -> None:
    """Do nothing where the server may start.

    Raises:
        InvalidSetting: others could reach it, and no key keeps them out.
    """
    if not has_keys and not is_loopback(address):
        raise InvalidSetting(
            f"{address} can be reached from other machines, and the server has no API keys yet. Make one first "
            "(tamis keys create NAME), or listen on 127.0.0.1.",
            setting="host",
        )


def application() -> FastAPI:
    """Return the application of one of several processes; it ends when the process that started it does."""
    settings = load_settings()
    set_up_logs(settings.log_format, settings.log_level)
    log_what_is_raised()
    if parent := parent_process():
        threading.Thread(target=_end_with, args=(parent.sentinel,), name="parent watch", daemon=True).start()
    return _settled(create_app(open_workspace(settings), settings))


def serve(listening: socket.socket, settings: Settings, workers: int) -> None:
    """Serve until a signal says to stop, and let running requests finish."""
    raise_file_limit()  # the processes of several inherit it
    if workers == 1:
        serve_here(listening, create_app(open_workspace(settings), settings))
    else:
        if not settings.inference_threads:  # the cores, shared; the processes read their settings themselves
            os.environ["TAMIS_INFERENCE_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
        Multiprocess(_config(f"{__name__}:application", workers), sockets=[listening]).run()


def serve_here(listening: socket.socket, app: FastAPI) -> None:
    """Serve an application in this process until a signal says to stop."""
    uvicorn.Server(_config(_settled(app), workers=1)).run(sockets=[listening])


def _config(app: FastAPI | str, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        factory=isinstance(app, str),
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )


def _settled(app: FastAPI) -> FastAPI:
    """Return the application; what is there by now stays, and looking through it for garbage would hold up requests."""
    gc.collect()
    gc.freeze()
    return app


def _end_with(sentinel: int) -> None:
    """Stop this process, gracefully, when the one that started it is gone."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
