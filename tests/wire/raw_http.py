"""Plain HTTP without any SDK: for what no SDK can send, and for what the newest one can no longer do."""

from __future__ import annotations

import http.client
import json
import urllib.parse
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wire.polling import wait_for

Json = dict[str, Any]
ENDED = ("SUCCESS", "FAILED", "FAILED_VALIDATION", "CANCELLED")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body's object."""
        return json.loads(self.body)


class RawServer:
    """The server as bytes on a socket."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """Remember where it is; a key is sent only where one is given."""
        self._place = urllib.parse.urlsplit(url)
        self._key = key

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send one request on a connection of its own; underscores in header names become dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._key:
            sent["Authorization"] = f"Bearer {self._key}"
        connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=60)
        try:
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ready(self) -> bool:
        """Return whether the server says that it is ready."""
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def get(self, path: str) -> Any:
        """Return the object at a path, which must be there."""
        answer = self.request("GET", path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.body[:2000]!r}"
        return answer.json

    def post(self, path: str, value: Any = None) -> Answer:
        """Send an object."""
        body = b"" if value is None else json.dumps(value).encode()
        return self.request("POST", path, body, Content_Type="application/json")

    def upload(self, path: Path, **fields: str) -> Json:
        """Upload a file as a multipart form, plain fields first, and return the file object."""
        edge = uuid.uuid4().hex
        parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = "".join([*parts, head]).encode() + path.read_bytes() + f"\r\n--{edge}--\r\n".encode()
        answer = self.request("POST", "/v1/files", body, Content_Type=f"multipart/form-data; boundary={edge}")
        assert answer.status == 200, f"upload: {answer.status} {answer.body[:2000]!r}"
        return answer.json

    def train(self, rows: Path, validation: Path | None = None, **fields: Any) -> Json:
        """Run a job to its success and return it."""
        files = [{"file_id": self.upload(rows)["id"], "weight": 1}]
        body = {"model": "ministral-3b-latest", "job_type": "classifier", "training_files": files, "auto_start": True}
        body |= {"hyperparameters": {"training_steps": 50}}
        if validation:
            body["validation_files"] = [self.upload(validation)["id"]]
        answer = self.post("/v1/fine_tuning/jobs", body | fields)
        assert answer.status == 200, f"create: {answer.status} {answer.body[:2000]!r}"
        job = self.ended(answer.json["id"])
        assert job["status"] == "SUCCESS", job
        return job

    def ended(self, job_id: str, seconds: float = 90) -> Json:
        """Return a fine-tuning job once it has ended."""
        return self.reaches(job_id, *ENDED, seconds=seconds)

    def reaches(self, job_id: str, *statuses: str, seconds: float = 90) -> Json:
        """Return a fine-tuning job once it is in one of the statuses."""

        def now() -> Json | None:
            job = self.get(f"/v1/fine_tuning/jobs/{job_id}")
            assert job["status"] in statuses or job["status"] not in ENDED, f"ended as {job}"
            return job if job["status"] in statuses else None

        return wait_for(now, seconds)
