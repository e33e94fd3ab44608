"""A stand-in for the Hugging Face hub: datasets in memory, served over HTTP on this machine."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Datasets by (id, revision): their files by path, and what their card says."""

    def __init__(self, home):
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.cards: dict[str, dict] = {}
        self.asked: list[str] = []
        self._home = home
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, files, card=None, revision="main"):
        self.files[name, revision] = files
        self.cards[name] = card or {}

    def answer(self, request, body):
        path = unquote(request.path.split("?")[0])
        self.asked.append(path)
        parts = path.strip("/").split("/")
        found = self._info(parts[2:]) if parts[:2] == ["api", "datasets"] else self._file(parts)
        status, content, headers = found or (404, b"{}", {"X-Error-Code": "RepoNotFound"})
        request.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(key, value)
        request.end_headers()
        if body:
            request.wfile.write(content)

    def _info(self, parts):
        name = "/".join(parts[:2])
        revision = "/".join(parts[3:]) if parts[2:3] == ["revision"] else "main"
        if (name, revision) not in self.files:
            code = "RevisionNotFound" if name in self.cards else "RepoNotFound"
            return 404, b'{"error": "not found"}', {"X-Error-Code": code}
        siblings = [{"rfilename": path} for path in self.files[name, revision]]
        info = {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": self.cards[name], "tags": []}
        return 200, json.dumps(info).encode(), {"Content-Type": "application/json"}

    def _file(self, parts):
        """/datasets/owner/name/resolve/COMMIT/path"""
        name, path = "/".join(parts[1:3]), "/".join(parts[5:])
        for (known, _), files in self.files.items():
            if known == name and path in files:
                etag = hashlib.sha1(files[path]).hexdigest()
                return 200, files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
        return 404, b"", {"X-Error-Code": "EntryNotFound"}

    def run(self, code, **environment):
        """Run Python code in a process that takes this for the hub; return what it prints as JSON."""
        place = {"HF_ENDPOINT": self.url, "HF_HOME": str(self._home), "HF_HUB_DISABLE_XET": "1", **environment}
        clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], env={**clean, **place}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def hub(tmp_path):
    stand_in = Hub(tmp_path / "hf_home")
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()
