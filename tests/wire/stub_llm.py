"""An LLM endpoint that speaks the OpenAI-compatible form and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Json = dict[str, Any]
LLM_KEY = "operators-own-llm-key"
FOOD = {"categories": ["dairies", "plant-based-foods"], "country": "france"}
PIECES = ["One ", "two ", "three"]


class StubLlm:
    """A server on a free port of this machine; `requests` has what came, oldest first."""

    def __init__(self) -> None:
        """Start serving."""
        self.requests: list[tuple[str, dict[str, str], Json]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if body["model"] == "no-such-llm":
                    self._send(404, {"error": {"message": "The model `no-such-llm` does not exist", "type": "x"}})
                elif body.get("stream"):
                    self._stream(body["model"])
                else:
                    said = json.dumps(FOOD) if "response_format" in body else "".join(PIECES)
                    self._send(200, completion(body["model"], said))

            def _send(self, status: int, value: Json) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _stream(self, model: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                for event in chunks(model):
                    self.wfile.write(f"data: {event}\n\n".encode())
                    self.wfile.flush()
                self.close_connection = True

        return Handler

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> StubLlm:
        """Return this stub."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop serving."""
        self.close()


def completion(model: str, said: str) -> Json:
    """Return an answer that says `said`."""
    message = {"role": "assistant", "content": said}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }


def chunks(model: str) -> list[str]:
    """Return the events of a streamed answer."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    found = [
        head | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}]}
        for piece in PIECES
    ]
    found.append(head | {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]})
    return [*map(json.dumps, found), "[DONE]"]
