"""A stand-in for the Hugging Face hub that takes models: repositories in memory, over HTTP on this machine.

It speaks what the client huggingface_hub asks of the real one: making repositories, uploads of small files and by LFS,
commits, listings, downloads; tokens that may write, and others.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import yaml

WRITER, READER = "hf_writer0123456789", "hf_reader0123456789"
LARGE = (".safetensors", ".onnx")


@dataclass
class Repository:
    private: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{".gitattributes": b"*.safetensors lfs\n"}])

    @property
    def sha(self):
        return hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()

    @property
    def files(self):
        return self.commits[-1]

    def at(self, revision):
        """The files of a commit; None for one that is not there."""
        if revision == "main":
            return self.files
        return next((files for number, files in enumerate(self.commits, 1) if revision == _sha(number)), None)


def _sha(number):
    return hashlib.sha1(f"{number}".encode()).hexdigest()


class WritableHub:
    """Repositories by `owner/name`; what came by LFS; the requests that were made."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.failing: int = 0  # a status for everything that changes something
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                hub.answer(self, self.rfile.read(length))

            do_GET = do_HEAD = do_POST = do_PUT = _serve

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request, body):
        path = unquote(request.path.split("?")[0]).strip("/")
        self.asked.append((request.command, path))
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        try:
            status, content, headers = self._answer(request.command, path, body, token)
        except KeyError:
            status, content, headers = 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        request.send_response(status)
        for key, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **headers}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def _answer(self, method, path, body, token):
        parts = path.split("/")
        changes = method in ("POST", "PUT") and parts[0] != "lfs" and parts[-1] != "validate-yaml"
        if changes and (refused := self._refused(token)):
            return refused
        if path == "api/repos/create":
            return self._create(json.loads(body))
        if path == "api/validate-yaml":
            return _validated(json.loads(body)["content"])
        if parts[:2] in (["api", "models"], ["api", "spaces"]):
            return self._models([_kept(parts[1], parts[2]), *parts[3:]], body, token)
        if path.endswith("info/lfs/objects/batch"):
            objects = [self._upload(each) for each in json.loads(body)["objects"]]
            return 200, {"transfer": "basic", "objects": objects}, {}
        if parts[0] == "lfs":
            assert hashlib.sha256(body).hexdigest() == parts[1]
            self.large[parts[1]] = body
            return 200, {}, {}
        if parts[0] == "spaces":
            parts = [_kept("spaces", parts[1]), *parts[2:]]
        return self._file(parts, token) if parts[2:3] == ["resolve"] else (404, {"error": "Not found"}, {})

    def _refused(self, token):
        """What is answered to who may not change anything, or while nobody can."""
        if self.failing:
            return self.failing, {"error": "the disk is full"}, {}
        if token not in (WRITER, READER):
            return 401, {"error": "Invalid username or password."}, {}
        return (403, {"error": "You don't have the rights to do this."}, {}) if token == READER else None

    def _create(self, wanted):
        name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        if wanted.get("type") == "space":
            assert wanted["sdk"] == "gradio"
            name = f"spaces/{name}"
        if name in self.repositories:
            return 409, {"error": "You already created this model repo", "url": f"{self.url}/{name}"}, {}
        self.repositories[name] = Repository(
            private=bool(wanted.get("private") or wanted.get("visibility") == "private")
        )
        return 200, {"url": f"{self.url}/{name}", "name": name, "id": "0"}, {}

    def _upload(self, item):
        if item["oid"] in self.large:
            return {"oid": item["oid"], "size": item["size"]}
        href = f"{self.url}/lfs/{item['oid']}"
        return {"oid": item["oid"], "size": item["size"], "actions": {"upload": {"href": href}}}

    def _seen(self, name, token):
        repository = self.repositories[name]
        if repository.private and token not in (WRITER, READER):
            raise KeyError(name)
        return repository

    def _models(self, parts, body, token):
        repository, rest = self._seen("/".join(parts[:2]), token), parts[2:]
        if rest[:1] == ["preupload"]:
            return 200, {"files": [_mode(file) for file in json.loads(body)["files"]]}, {}
        if rest[:1] == ["commit"]:
            return self._commit("/".join(parts[:2]), [json.loads(line) for line in body.splitlines()])
        revision = rest[1] if rest[:1] in (["revision"], ["tree"]) else "main"
        files = repository.at(revision)
        if files is None:
            return 404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"}
        if rest[:1] == ["tree"]:
            return 200, [_entry(path, content) for path, content in files.items()], {}
        siblings = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
        info = {"id": "/".join(parts[:2]), "sha": repository.sha, "siblings": siblings, "tags": []}
        return 200, {**info, "private": repository.private}, {}

    def _commit(self, name, lines):
        repository = self.repositories[name]
        files = dict(repository.files)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        repository.commits.append(files)
        return 200, {"commitUrl": f"{self.url}/{name}/commit/{repository.sha}", "commitOid": repository.sha}, {}

    def _file(self, parts, token):
        """/owner/name/resolve/REVISION/path"""
        name, revision, path = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        repository = self._seen(name, token)
        files = repository.at(revision) or {}
        if path not in files:
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        etag = hashlib.sha256(files[path]).hexdigest() if path.endswith(LARGE) else _blob(files[path])
        commit = repository.sha if revision == "main" else revision
        return 200, files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": commit}

    def run(self, code, home, token="", **environment):
        """Run Python code in a process that takes this for the hub, as somebody with a home and a token."""
        clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        clean = {key: value for key, value in clean.items() if not key.startswith(("HF_", "TAMIS_"))}
        place = {"HF_ENDPOINT": self.url, "HF_HOME": str(home / "hf"), "HF_HUB_DISABLE_XET": "1", "HOME": str(home)}
        place |= {"TAMIS_HOME": str(home / "tamis"), "HF_TOKEN": token, **environment}
        command = [sys.executable, "-W", "ignore", "-c", code]
        return subprocess.run(command, env={**clean, **place}, capture_output=True, text=True, check=False)


def _kept(kind, owner):
    """Under which owner a repository of a kind is kept here."""
    return f"spaces/{owner}" if kind == "spaces" else owner


def _validated(card):
    """What the hub says of a card's head: a model's, or a Space's."""
    head = yaml.safe_load(card[4:].split("\n---\n")[0])
    asked = ("sdk", "sdk_version", "app_file") if "sdk" in head else ("library_name", "pipeline_tag", "tags")
    wrong = [key for key in asked if key not in head]
    for result in (head.get("model-index") or [{"results": []}])[0]["results"]:
        complete = result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
        wrong += [] if complete and all(each["type"] for each in result["metrics"]) else ["model-index"]
    return (400, {"errors": [{"message": f"{key} is missing"} for key in wrong]}, {}) if wrong else (200, {}, {})


def _mode(file):
    large = file["path"].endswith(LARGE)
    return {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}


def _blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path, content):
    entry = {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


def use(hub, home, monkeypatch, token=WRITER):
    """Let the client in this process take a stand-in for the hub, with a cache of its own."""
    for name, value in {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(home / "cache"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_PROGRESS_BARS": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
