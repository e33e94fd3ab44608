"""An LLM endpoint for tests: a real HTTP server on 127.0.0.1 that does whatever a script says, well or badly."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Json = dict[str, Any]
Act = Callable[["Handler"], None]
"""What is done with one request."""

Script = Callable[[int, Json], Act]
"""From the number of a request (from 0) and its body to what is done with it."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        stub: StubEndpoint = self.server.stub
        with stub.lock:
            number = len(stub.requests)
            stub.requests.append(body)
            stub.headers.append({name.lower(): value for name, value in self.headers.items()})
            stub.paths.append(self.path)
            stub.under_way += 1
            stub.most_under_way = max(stub.most_under_way, stub.under_way)
        try:
            stub.script(number, body)(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with stub.lock:
                stub.under_way -= 1

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stub: StubEndpoint

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are what some tests are about."""


class StubEndpoint:
    """A server on a free port; `requests` has the bodies that came, `headers` and `paths` the rest, oldest first."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.stub = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.llm = f"vendor/model:7b@{self.url}"  # as commands take it
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> StubEndpoint:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def completion(said: str | None, *, finish: str = "stop", refusal: str | None = None, usage: object = "usual") -> Json:
    message = {"role": "assistant", "content": said, "refusal": refusal}
    made: Json = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    if usage == "usual":
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return made if usage is None else made | {"usage": usage}


def says(said: str | None, **more: Any) -> Act:
    return lambda handler: handler.answer(200, json.dumps(completion(said, **more)).encode())


def fails(status: int, error: object = "it went wrong", **headers: str) -> Act:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(status, json.dumps({"error": error}).encode(), named)


def raw(status: int, content: bytes, **headers: str) -> Act:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(status, content, named)


def stalls(seconds: float) -> Act:
    return lambda handler: time.sleep(seconds)


def trickles(handler: Handler) -> None:
    """Send a byte now and then, so that no single read takes long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.01)


def breaks_off(handler: Handler) -> None:
    """Close the connection in the middle of the body."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def input_of(body: Json) -> Json:
    """Return the input that a request asks about, as it was held."""
    said = next(message["content"] for message in reversed(body["messages"]) if "<input>" in message["content"])
    return json.loads(said.rpartition("<input>\n")[2].partition("\n</input>")[0])


def text_of(body: Json) -> str:
    held = input_of(body)
    return held["text"] if "text" in held else held["messages"][-1]["content"]


def by_schema(_: int, body: Json) -> Act:
    """Answer by the schema: of each enumeration what occurs in the text, or else the first."""
    text = text_of(body)
    said: Json = {}
    for name, asked in body["response_format"]["json_schema"]["schema"]["properties"].items():
        if asked["type"] == "array":
            said[name] = [label for label in asked["items"]["enum"] if label in text]
        else:
            said[name] = next((label for label in asked["enum"] if label in text), asked["enum"][0])
    return says(json.dumps(said))
