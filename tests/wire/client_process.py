"""Client programs in their own processes, each with the Python that has one SDK release.

They know the server by its address alone and nothing of Tamis.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from wire.sdk_environments import Sdk, interpreter

PROGRAMS = Path(__file__).parent / "clients"
SECONDS_A_CALL = 60
SECONDS_A_PROGRAM = 120
Json = dict[str, Any]


class ClientFailed(AssertionError):
    """A client program ended with an error, or a call raised where none was expected."""


class CallFailed(Exception):
    """The SDK raised: what its exception showed of it."""

    def __init__(self, call: str, seen: Json) -> None:
        """Keep what a user of the SDK would see."""
        super().__init__(f"{call}: {seen['type']}, status {seen['status']}: {seen['message'][:2000]}")
        self.type: str = seen["type"]
        self.status: int | None = seen["status"]
        self.body: str = seen["body"] or ""
        self.message: str = seen["message"]
        self.detail: Any = seen["detail"]


def run_program(sdk: Sdk, program: str, *arguments: str | Path) -> Json:
    """Run a program of clients/ to its end and return the object that it printed last."""
    return json.loads(run_python(sdk, PROGRAMS / program, *arguments).splitlines()[-1])


def run_python(sdk: Sdk, *arguments: str | Path, folder: Path | None = None, seconds: float = SECONDS_A_PROGRAM) -> str:
    """Run an SDK's Python in a folder and return what it printed."""
    done = subprocess.run(
        [interpreter(sdk), *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=folder,
        env=surroundings(),
        check=False,
    )
    if done.returncode:
        raise ClientFailed(f"{arguments[0]} with {sdk} ended with {done.returncode}:\n{done.stderr[-6000:]}")
    return done.stdout


def surroundings() -> dict[str, str]:
    """Return an environment in which nothing but the program's own arguments says where a server is."""
    ours = ("MISTRAL", "CO_API", "COHERE", "OPENAI", "TAMIS", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


class Client:
    """An SDK's client in a process of its own that makes the calls it is told to.

    One process a release serves many tests, so that the import is paid for once.
    """

    def __init__(self, sdk: Sdk, url: str, key: str = "any-key-will-do") -> None:
        """Start the process and wait until its SDK is imported."""
        self.sdk = sdk
        self._process = subprocess.Popen(
            [interpreter(sdk), "-W", "ignore", PROGRAMS / "remote_control.py", sdk.name, url, key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings(),
        )
        self._read("starting")

    def call(self, method: str, **arguments: Any) -> Any:
        """Return what `client.<method>(**arguments)` gave, models as dictionaries.

        Raises:
            CallFailed: where the SDK raised.
        """
        return self.typed(method, **arguments)[1]

    def typed(self, method: str, **arguments: Any) -> tuple[str, Any]:
        """Return the name of the answer's class beside the answer."""
        print(json.dumps({"call": method, "arguments": arguments}), file=self._process.stdin, flush=True)
        answer = self._read(method)
        if error := answer.get("error"):
            raise CallFailed(method, error)
        return answer["type"], answer["value"]

    def _read(self, what: str) -> Json:
        watchdog = threading.Timer(SECONDS_A_CALL, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise ClientFailed(f"{self.sdk}: {what}: no answer within {SECONDS_A_CALL} s, or the program ended")
        return json.loads(line)

    def close(self) -> None:
        """End the process; it ends by itself when its input does."""
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Client:
        """Return this client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the process."""
        self.close()
