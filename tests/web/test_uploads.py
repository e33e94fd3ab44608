"""Multipart bodies, well made and not; what does not arrive whole leaves nothing."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tamis.errors import InvalidRequest, LimitExceeded
from tamis.store.writers import Writer, failed
from tamis.web.uploads import MOST_FIELD_BYTES, MOST_PARTS, Form, boundary_of
from tamis.workspace.workspace import Workspace

FORM = {"content-type": "multipart/form-data; boundary=XX"}
FILE = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n{"a": 1}\r\n'
PURPOSE = b'--XX\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
END = b"--XX--\r\n"


def left(home: Path) -> list[Path]:
    """Return what uploads have left in the home's storage."""
    return [path for path in (home / "objects").rglob("*") if path.is_file()]


@pytest.fixture
def home(tmp_path: Path, client: TestClient) -> Path:
    assert not left(tmp_path / "home")
    return tmp_path / "home"


class TestForm:
    def test_a_part_after_the_file_counts_too(self, client: TestClient) -> None:
        answer = client.post("/v1/files", content=FILE + PURPOSE + END, headers=FORM)
        assert answer.json()["purpose"] == "batch"

    def test_unknown_parts_are_skipped(self, client: TestClient) -> None:
        unknown = b'--XX\r\nContent-Disposition: form-data; name="new"; filename="x"\r\n\r\n' + b"y" * 5000 + b"\r\n"
        answer = client.post("/v1/files", content=unknown + FILE + unknown + END, headers=FORM)
        assert answer.json()["bytes"] == len(b'{"a": 1}')

    def test_bytes_that_look_like_a_boundary_stay_in_the_file(self, client: TestClient) -> None:
        content = b'{"a": "--XX"}\r\n--X\r\n-\r\n--XY--\r\n'
        answer = client.post("/v1/files", content=FILE[:-10] + content + b"\r\n" + END, headers=FORM)
        file = answer.json()["id"]
        assert client.get(f"/v1/files/{file}/content").content == content

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            (b"../../etc/passwd", "passwd"),
            (b"C:\\\\data\\\\rows.jsonl", "rows.jsonl"),
            (b"a\x01b\x7f.jsonl", "ab.jsonl"),
            ("näme.jsonl".encode(), "näme.jsonl"),
            (b"\xff\xfe.jsonl", "\N{REPLACEMENT CHARACTER}" * 2 + ".jsonl"),
            (b"x" * 400 + b".jsonl", "x" * 249 + ".jsonl"),
            (b"", "upload.jsonl"),
        ],
    )
    def test_file_names_are_made_harmless(self, client: TestClient, given: bytes, name: str) -> None:
        answer = client.post("/v1/files", content=FILE.replace(b"rows.jsonl", given) + END, headers=FORM)
        assert (answer.status_code, answer.json()["filename"]) == (200, name)

    def test_a_file_without_a_name_gets_one(self, client: TestClient) -> None:
        answer = client.post("/v1/files", content=FILE.replace(b'; filename="rows.jsonl"', b"") + END, headers=FORM)
        assert answer.json()["filename"] == "upload.jsonl"


HOSTILE = {
    "no form at all": (b'{"a": 1}', {"content-type": "application/json"}, 422),
    "no content type": (FILE + END, {}, 422),
    "no boundary": (FILE + END, {"content-type": "multipart/form-data"}, 422),
    "an endless boundary": (FILE + END, {"content-type": "multipart/form-data; boundary=" + "x" * 300}, 422),
    "another boundary": (FILE + END, {"content-type": "multipart/form-data; boundary=YY"}, 422),
    "an empty body": (b"", FORM, 422),
    "no part file": (PURPOSE + END, FORM, 422),
    "an empty file": (FILE.replace(b'{"a": 1}', b"") + END, FORM, 422),
    "two files": (FILE + FILE + END, FORM, 422),
    "no end": (FILE, FORM, 422),
    "half an end": (FILE + b"--XX", FORM, 422),
    "a cut part": (FILE[:-4], FORM, 422),
    "thousands of parts": (PURPOSE * 5000 + FILE + END, FORM, 422),
    "a giant header": (FILE.replace(b"rows.jsonl", b"x" * 100_000) + END, FORM, 422),
    "many headers": (FILE.replace(b"\r\n\r\n", b"\r\n" + b"X-A: b\r\n" * 500 + b"\r\n", 1) + END, FORM, 422),
    "a giant field": (PURPOSE.replace(b"batch", b"b" * 100_000) + FILE + END, FORM, 422),
    "a part without a name": (FILE.replace(b'name="file"; ', b"") + END, FORM, 422),
    "a part without headers": (b"--XX\r\n\r\nabc\r\n" + FILE + END, FORM, 422),
    "another disposition": (FILE.replace(b"form-data", b"attachment") + END, FORM, 422),
    "a nested form": (
        FILE.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n", 1) + END,
        FORM,
        422,
    ),
    "a transfer encoding": (
        FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1) + END,
        FORM,
        422,
    ),
    "bare newlines": ((FILE + END).replace(b"\r\n", b"\n"), FORM, 422),
    "a NUL in the header": (FILE.replace(b"form-data", b"form\0data") + END, FORM, 422),
}


@pytest.mark.parametrize("case", HOSTILE, ids=str)
def test_hostile_bodies_are_refused_and_leave_nothing(client: TestClient, home: Path, case: str) -> None:
    content, headers, status = HOSTILE[case]
    answer = client.post("/v1/files", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] in ("invalid_request", "limit_exceeded")
    assert client.get("/v1/files").json()["total"] == 0
    assert not left(home)


class TestSizes:
    def test_too_large_by_what_it_says(self, make_client: Callable[..., TestClient], tmp_path: Path) -> None:
        client = make_client(max_upload_bytes=1000)
        body = FILE[:-10] + b"x" * (2**20 + 2000) + b"\r\n" + END
        answer = client.post("/v1/files", content=body, headers=FORM)
        assert answer.status_code == 413
        assert "1,000 bytes" in answer.json()["message"]
        assert not left(tmp_path / "home")

    def test_too_large_by_what_comes(self, make_client: Callable[..., TestClient], tmp_path: Path) -> None:
        """Chunked, so that nothing is known before; the file passes its limit long before the body does."""
        client = make_client(max_upload_bytes=3000)

        def pieces() -> Iterator[bytes]:
            yield FILE[:-10]
            for _ in range(10):
                yield b"x" * 1000
            yield b"\r\n" + END

        answer = client.post("/v1/files", content=pieces(), headers=FORM)
        assert (answer.status_code, answer.json()["code"]) == (413, "limit_exceeded")
        assert not left(tmp_path / "home")

    def test_the_largest_file_fits(self, make_client: Callable[..., TestClient]) -> None:
        client = make_client(max_upload_bytes=3000)
        answer = client.post("/v1/files", content=FILE[:-10] + b"x" * 3000 + b"\r\n" + END, headers=FORM)
        assert (answer.status_code, answer.json()["bytes"]) == (200, 3000)


class TestParser:
    def test_limits(self) -> None:
        form = Form(b"XX")
        with pytest.raises(LimitExceeded, match=str(MOST_PARTS)):
            form.feed(PURPOSE * (MOST_PARTS + 1))
        with pytest.raises(LimitExceeded, match=str(MOST_FIELD_BYTES)):
            Form(b"XX").feed(PURPOSE.replace(b"batch", b"b" * (MOST_FIELD_BYTES + 1)))

    @pytest.mark.parametrize("header", ["", "text/plain", "multipart/form-data", 'multipart/form-data; boundary=""'])
    def test_boundaries(self, header: str) -> None:
        with pytest.raises(InvalidRequest, match="boundary"):
            boundary_of(header)

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(content=st.binary(max_size=300), cuts=st.lists(st.integers(1, 50), max_size=20))
    @example(content=b"\r\n--X", cuts=[1] * 20)
    def test_pieces_of_any_size_give_the_same(self, content: bytes, cuts: list[int]) -> None:
        if b"\r\n--XX" in content or content.startswith(b"--XX"):
            return
        body = PURPOSE + FILE[:-10] + content + b"\r\n" + END
        form, at = Form(b"XX"), 0
        for cut in cuts:
            form.feed(body[at : at + cut])
            at += cut
        form.feed(body[at:])
        assert (form.ended, form.take(), form.fields) == (True, content, {"purpose": "batch"})

    @settings(max_examples=200, deadline=None)
    @given(
        parts=st.lists(
            st.sampled_from(
                [FILE, PURPOSE, END, b"--XX", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data", b'"', b"\0"]
            )
            | st.binary(max_size=20),
            max_size=12,
        )
    )
    def test_nothing_else_than_refusals_comes_of_garbage(self, parts: list[bytes]) -> None:
        form = Form(b"XX")
        with suppress(InvalidRequest, LimitExceeded):
            form.feed(b"".join(parts))
        assert form.waiting() <= sum(map(len, parts))


SERVER = """
import sys
from pathlib import Path
import uvicorn
from tamis.settings import Settings
from tamis.web.app import create_app
from tamis.workspace.workspace import open_workspace
settings = Settings(home=Path(sys.argv[1]), train_workers=0)
app = create_app(open_workspace(settings), settings)
uvicorn.run(app, fd=int(sys.argv[2]), log_level="error", access_log=False)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and its process id."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(listening.fileno(), True)
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path / "home"), str(listening.fileno())], close_fds=False
        )
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def memory_of(pid: int) -> float:
    """Return a process' memory, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def head_of(length: int) -> bytes:
    kind = FORM["content-type"]
    fields = f"host: 127.0.0.1\r\ncontent-length: {length}\r\ncontent-type: {kind}"
    return f"POST /v1/files HTTP/1.1\r\n{fields}\r\n\r\n".encode()


def send(port: int, megabytes: int, watch: Callable[[], None]) -> bytes:
    """Upload a generated file and return the beginning of the answer."""
    start = FILE[:-10]
    length = len(start) + megabytes * 2**20 + 2 + len(END)
    head = head_of(length)
    piece = (b'{"text": "' + b"x" * 1000 + b'", "labels": {"a": "b"}}\n') * 1100
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head + start)
        for index in range(megabytes):
            connection.sendall(piece[: 2**20])
            if index % 16 == 0:
                watch()
        connection.sendall(b"\r\n" + END)
        return connection.recv(4096)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the process' memory from /proc")
def test_memory_stays_flat_whatever_the_size(server: tuple[int, int]) -> None:
    """By default 200 MB; `TAMIS_TEST_UPLOAD_MB=512` for the largest file that is taken."""
    port, pid = server
    deadline = time.monotonic() + 60
    while b" 200 " not in _healthz(port):
        assert time.monotonic() < deadline
    assert b" 200 OK" in send(port, 1, lambda: None)  # what a first request loads is no matter of size
    before, most = memory_of(pid), [0.0]

    def watch() -> None:
        most[0] = max(most[0], memory_of(pid))

    assert b" 200 OK" in send(port, int(os.environ.get("TAMIS_TEST_UPLOAD_MB", "200")), watch)
    assert 0 < most[0] < before + 24


def _healthz(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        return connection.recv(4096)


@pytest.mark.parametrize("sent", [FILE[:20], FILE, FILE[:-10] + b"x" * 2_000_000])
def test_a_client_that_leaves_leaves_nothing(server: tuple[int, int], tmp_path: Path, sent: bytes) -> None:
    port, _ = server
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head_of(9_000_000) + sent)
    assert b" 200 " in _healthz(port)
    deadline = time.monotonic() + 180  # at once where the system says that the client left; else after its patience
    while left(tmp_path / "home") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left(tmp_path / "home")


class TestFullDisk:
    """507 with the reason, before the body where it says how large it is, else in the middle; nothing is left."""

    @pytest.fixture
    def free(self, monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Callable[[int], None]:
        least = workspace.settings.min_free_disk_bytes

        def set_left(free: int) -> None:
            usage = SimpleNamespace(free=least + free)
            monkeypatch.setattr("tamis.workspace.room.shutil.disk_usage", lambda place: usage)

        return set_left

    @pytest.mark.parametrize("declared", [True, False])
    def test_it_is_507(self, client: TestClient, workspace: Workspace, free, declared: bool) -> None:
        free(2**20)
        body = FILE[:-10] + b"x" * 4 * 2**20 + b"\r\n" + END
        pieces = body if declared else iter([body[at : at + 2**16] for at in range(0, len(body), 2**16)])
        answer = client.post("/v1/files", content=pieces, headers=FORM)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert not declared or answer.headers["connection"] == "close"  # its body was not read
        assert workspace.files.list(0, 10, {})[1] == 0
        assert not left(workspace.settings.home)

    def test_a_quota_is_413(self, client: TestClient, workspace: Workspace) -> None:
        workspace.files.room.most_bytes = 10
        answer = client.post("/v1/files", files={"file": ("x", b"x" * 11)})
        assert answer.status_code == 413
        assert "max_storage_bytes" in answer.json()["message"]

    def test_a_system_that_refuses_to_write_is_507(
        self, client: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(writer: Writer, piece: bytes) -> None:
            raise failed("x", OSError(28, "No space left on device"))

        monkeypatch.setattr(Writer, "write", full)
        answer = client.post("/v1/files", files={"file": ("x", b"x" * 11)})
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert not left(workspace.settings.home)
