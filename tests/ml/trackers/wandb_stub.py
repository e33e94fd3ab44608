"""A server on loopback that answers as Weights & Biases does, or badly in one of many ways."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

Manner = Literal[
    "well", "unauthorized", "nobody", "garbage", "errors", "hangs", "hangs later", "errors later", "redirects"
]


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that are killed in the middle are what the tests are about."""


class WandbStub:
    """Answers in a manner that may change at any time; `close` is a server that is gone."""

    def __init__(self, manner: Manner = "well") -> None:
        self.manner = manner
        self.requests: list[tuple[str, str, str]] = []  # path, authorization, body
        self._over = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def answer(self) -> None:
                with suppress(OSError):
                    stub._answer(self)

            do_GET = do_POST = do_PUT = answer

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def history(self) -> list[dict[str, Any]]:
        """The rows that were logged."""
        found = []
        for path, _, body in list(self.requests):
            if path.endswith("/file_stream"):
                files = json.loads(body).get("files") or {}
                found += [json.loads(row) for row in files.get("wandb-history.jsonl", {}).get("content", [])]
        return found

    def exit_codes(self) -> list[int]:
        """How runs ended."""
        told = [json.loads(body) for path, _, body in list(self.requests) if path.endswith("/file_stream")]
        return [each["exitcode"] for each in told if each.get("complete")]

    def variables(self, operation: str) -> list[dict[str, Any]]:
        """What was sent with an operation of the GraphQL interface."""
        told = [json.loads(body) for path, _, body in list(self.requests) if path == "/graphql"]
        return [each.get("variables") or {} for each in told if operation in each["query"]]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        self.requests.append((handler.path, handler.headers.get("Authorization", ""), body))
        asks_viewer = "viewer" in body and "UpsertBucket" not in body
        late = self.manner.endswith("later")
        if self.manner == "hangs" or (self.manner == "hangs later" and not asks_viewer):
            self._over.wait(60)
            return
        status, content = 200, json.dumps(self._good(handler.path, body)).encode()
        if self.manner == "unauthorized":
            status, content = 401, b'{"errors": [{"message": "invalid API key"}]}'
        elif self.manner == "nobody":
            content = b'{"data": {"viewer": null}}'
        elif self.manner == "garbage":
            content = b"<html>\x00\xff nothing of the kind"
        elif self.manner == "errors" or (late and not asks_viewer):
            status, content = 500, b"no"
        elif self.manner == "redirects":
            status = 302
        handler.send_response(status)
        if status == 302:
            handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _good(self, path: str, body: str) -> dict[str, Any]:
        if path != "/graphql":
            return {}
        asked = json.loads(body)
        query, given = asked["query"], asked.get("variables") or {}
        if "upsertBucket" in query:
            project = {"name": given.get("project") or "p", "entity": {"name": "me"}}
            bucket = {
                "id": "UnVu",
                "name": given.get("name"),
                "displayName": given.get("displayName"),
                "project": project,
            }
            return {"data": {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in given["files"]]
            return {"data": {"createRunFiles": {"runID": "UnVu", "uploadHeaders": [], "files": files}}}
        if "createArtifact(" in query:
            artifact = {"id": "QXJ0", "state": "COMMITTED", "artifactSequence": {"id": "U2Vx", "latestArtifact": None}}
            return {"data": {"createArtifact": {"artifact": artifact}}}
        if "viewer" in query:
            viewer = {"id": "VXNlcg==", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
            return {"data": {"viewer": viewer}}
        server = {"features": [], "cliVersionInfo": {}, "latestLocalVersionInfo": None}
        return {"data": {"project": None, "serverInfo": server, "model": None}}
