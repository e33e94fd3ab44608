"""A real `tamis serve`, started as an operator would start it, and always ended with all its children."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from wire.raw_http import RawServer

SECONDS_TO_START = 60
SECONDS_TO_STOP = 15


class ServerFailed(AssertionError):
    """The server did not come up; the message ends with what it said."""


ALWAYS = {"NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1", "TAMIS_WANDB_MODE": "disabled"}
"""What every server's environment has: nothing may be sent to the public Weights & Biases."""


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the system end this process when the one that started it is gone; only Linux can."""
    with contextlib.suppress(AttributeError):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """A server process with a home of its own."""

    def __init__(self, home: Path, *options: str, **settings: str) -> None:
        """Start `tamis serve` and wait until it is ready.

        Args:
            home: where it keeps everything; may be another server's old home.
            options: more options of the command.
            settings: environment variables; none that begins with TAMIS_ is inherited.
        """
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.log = home.with_name(f"{home.name}.stderr")
        self.output = home.with_name(f"{home.name}.stdout")
        (home / "server.json").unlink(missing_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAMIS_", "WANDB_"))}
        command = [sys.executable, "-m", "tamis", "serve", "--host", "127.0.0.1", "--port", "0", "--home", str(home)]
        with self.log.open("w") as errors, self.output.open("w") as output:
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=kept | ALWAYS | settings,
                start_new_session=True,  # so that the whole group can be ended
                preexec_fn=end_with_parent,
            )
        try:
            self.url = self._wait()
        except BaseException:
            self.stop()
            raise
        self.raw = RawServer(self.url)

    def _wait(self) -> str:
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerFailed(f"tamis serve ended with {self._process.returncode}\n{self.said()}")
            if (url := self._announced()) and RawServer(url).ready():
                return url
            time.sleep(0.05)
        raise ServerFailed(f"tamis serve was not ready after {SECONDS_TO_START} s\n{self.said()}")

    def _announced(self) -> str | None:
        try:
            return json.loads((self.home / "server.json").read_text(encoding="utf-8"))["url"]
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def said(self, since: int = 0) -> str:
        """Return the end of what the server wrote on stderr after the first `since` bytes."""
        return self.log.read_bytes()[since:][-6000:].decode(errors="replace")

    def stop(self) -> int:
        """Ask the server to end, end its process group whatever it does, and return the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=SECONDS_TO_STOP)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def __enter__(self) -> Server:
        """Return this server."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop the server."""
        self.stop()
