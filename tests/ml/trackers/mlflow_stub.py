"""As much of an MLflow server's REST interface as a run needs, on loopback."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


class MlflowStub:
    """Keeps one run. `token`: the password that it wants; `broken`: it fails all but the first look at its health."""

    def __init__(self) -> None:
        self.broken = False
        self.metrics: list[tuple[str, float, int]] = []
        self.params: dict[str, str] = {}
        self.runs: list[dict[str, Any]] = []
        self.statuses: list[str] = []
        self.files: dict[str, str] = {}
        self.authorizations: set[str] = set()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                stub.authorizations.add(self.headers.get("Authorization", ""))
                path = urlsplit(self.path).path
                failing = stub.broken and path != "/health"
                status, told = (500, {}) if failing else stub._answer(path, body)
                content = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str, body: str) -> tuple[int, dict[str, Any]]:
        if "mlflow-artifacts" in path:
            self.files[path.rpartition("/artifacts/")[2]] = body
            return 200, {}
        given = json.loads(body) if body.startswith("{") else {}
        match path.removeprefix("/api/2.0/mlflow/"):
            case "experiments/get-by-name":
                return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}
            case "experiments/create":
                return 200, {"experiment_id": "7"}
            case "runs/create":
                self.runs.append(given)
                return 200, {"run": self._run()}
            case "runs/get":
                return 200, {"run": self._run()}
            case "runs/search":
                return 200, {"runs": [self._run()] if self.runs else []}
            case "runs/log-batch":
                self.metrics += [
                    (each["key"], each["value"], int(each.get("step", 0))) for each in given.get("metrics", [])
                ]
                self.params |= {each["key"]: each["value"] for each in given.get("params", [])}
            case "runs/update":
                self.statuses.append(given["status"])
                return 200, {"run_info": self._run()["info"]}
        return 200, {}

    def _run(self) -> dict[str, Any]:
        info = {
            "run_id": "abc",
            "run_uuid": "abc",
            "experiment_id": "7",
            "user_id": "u",
            "status": "RUNNING",
            "start_time": 1,
            "artifact_uri": "mlflow-artifacts:/7/abc/artifacts",
            "lifecycle_stage": "active",
        }
        params = [{"key": key, "value": value} for key, value in self.params.items()]
        return {"info": info, "data": {"params": params}}
