"""One suite for a folder and for S3: objects are there whole or not at all, and memory stays flat."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tamis.errors import StorageFailed, UnknownFile
from tamis.store.objects import UNFINISHED, Objects

BIG_MB = int(os.environ.get("TAMIS_TEST_UPLOAD_MB", "40"))


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The URL of an S3 bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1,localhost",
        }.items():
            environment.setenv(name, value)
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="tamis")
        yield f"s3://tamis/{{}}?endpoint={endpoint}&region=us-east-1"
        server.stop()


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return f"file://{tmp_path / 'my objects'}".replace(" ", "%20")
    bucket: str = request.getfixturevalue("bucket")
    return bucket.format(uuid4().hex)


@pytest.fixture
def objects(url: str) -> Objects:
    return Objects(url)


def put(objects: Objects, key: str, content: bytes) -> None:
    with objects.writer(key) as writer:
        writer.write(content)
        writer.commit()


def keys(objects: Objects, prefix: str = "") -> list[str]:
    return sorted(info.key for info in objects.list(prefix))


def drafts(objects: Objects) -> list[Path]:
    return [] if objects.root is None else list((objects.root / UNFINISHED).iterdir())


class TestWriting:
    def test_what_is_committed_is_there_as_it_was(self, objects: Objects) -> None:
        pieces = [b"abc", b"", bytes(range(256)) * 5000, b"\n"]
        with objects.writer("files/one") as writer:
            for piece in pieces:
                writer.write(piece)
            assert writer.size == sum(map(len, pieces))
            written = writer.commit()
        content = b"".join(pieces)
        assert written.bytes == len(content)
        assert written.sha256 == hashlib.sha256(content).hexdigest()
        assert b"".join(objects.read("files/one")) == content
        assert objects.size("files/one") == len(content)
        assert objects.exists("files/one")
        assert not drafts(objects)

    def test_nothing_is_to_be_seen_before_the_commit(self, objects: Objects) -> None:
        with objects.writer("files/one") as writer:
            writer.write(b"x" * 100_000)
            assert keys(objects) == []
            assert not objects.exists("files/one")
            with pytest.raises(UnknownFile):
                objects.read("files/one")
            writer.commit()
        assert keys(objects) == ["files/one"]

    def test_an_abort_leaves_nothing(self, objects: Objects) -> None:
        writer = objects.writer("files/one")
        writer.write(b"x")
        writer.abort()
        writer.abort()
        with pytest.raises(StorageFailed, match="closed"):
            writer.write(b"x")
        with pytest.raises(StorageFailed, match="closed"):
            writer.commit()
        with objects.writer("files/two") as two:
            two.write(b"not committed")
        assert keys(objects) == []
        assert not drafts(objects)

    def test_an_empty_object(self, objects: Objects) -> None:
        put(objects, "files/none", b"")
        assert list(objects.read("files/none")) == []
        assert objects.size("files/none") == 0
        assert keys(objects) == ["files/none"]

    def test_an_object_is_replaced_whole(self, objects: Objects) -> None:
        put(objects, "files/one", b"first, long")
        put(objects, "files/one", b"second")
        assert b"".join(objects.read("files/one")) == b"second"

    def test_more_than_one_part(self, objects: Objects) -> None:
        content = os.urandom(2**20) * 18
        put(objects, "files/big", content)
        assert hashlib.sha256(b"".join(objects.read("files/big"))).digest() == hashlib.sha256(content).digest()


class TestReading:
    def test_from_anywhere_in_pieces(self, objects: Objects) -> None:
        content = bytes(range(250)) * 40
        put(objects, "a/b", content)
        for start in (0, 1, 9_998, 10_000, 20_000):
            pieces = list(objects.read("a/b", start=start, chunk=999))
            assert b"".join(pieces) == content[start:]
            assert all(len(piece) <= 999 for piece in pieces)

    def test_what_is_not_there_is_said_at_once(self, objects: Objects) -> None:
        with pytest.raises(UnknownFile, match="a/b"):
            objects.read("a/b")
        with pytest.raises(UnknownFile):
            objects.size("a/b")
        assert objects.local_path("a/b") is None

    @pytest.mark.parametrize(
        "key", ["", "/", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\0", "a b", "é", "a\n", f"{UNFINISHED}/x"]
    )
    def test_keys_that_could_lead_elsewhere_are_refused(self, objects: Objects, key: str) -> None:
        for refuse in (objects.writer, objects.read, objects.delete, objects.delete_all, objects.local_path):
            with pytest.raises(StorageFailed, match="key"):
                refuse(key)

    def test_keys_may_have_these_characters(self, objects: Objects) -> None:
        for key in ("a/.hidden", "a/x@1", "a/B_c-d.e+f=g", "a/..x"):
            put(objects, key, b"1")
            assert b"".join(objects.read(key)) == b"1"
        assert keys(objects, "a") == sorted(["a/.hidden", "a/x@1", "a/B_c-d.e+f=g", "a/..x"])


class TestListsAndDeletes:
    def test_a_prefix_is_a_folder(self, objects: Objects) -> None:
        before = time.time()
        for key in ("a/1", "a/b/2", "ab/3", "c"):
            put(objects, key, b"xy")
        assert keys(objects) == ["a/1", "a/b/2", "ab/3", "c"]
        assert keys(objects, "a") == ["a/1", "a/b/2"]
        assert keys(objects, "a/b") == ["a/b/2"]
        assert keys(objects, "nothing") == []
        info = next(iter(objects.list("a/b")))
        assert info.bytes == 2
        assert abs(info.modified.timestamp() - before) < 600

    def test_deletes(self, objects: Objects) -> None:
        for key in ("a/1", "a/b/2", "ab/3"):
            put(objects, key, b"x")
        objects.delete("a/1")
        objects.delete("a/1")
        assert keys(objects) == ["a/b/2", "ab/3"]
        objects.delete_all("a")
        objects.delete_all("nothing/there")
        assert keys(objects) == ["ab/3"]
        put(objects, "a/1", b"again")
        assert keys(objects) == ["a/1", "ab/3"]
        assert not drafts(objects)


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "artifact"
        (folder / "sub").mkdir(parents=True)
        for name in ("manifest.json", "a.safetensors", "z.json", "sub/x.bin"):
            (folder / name).write_bytes(name.encode() * 1000)
        return folder

    def test_there_and_back(self, objects: Objects, folder: Path, tmp_path: Path) -> None:
        objects.put_folder(folder, "models/m")
        assert keys(objects, "models/m") == [
            "models/m/a.safetensors",
            "models/m/manifest.json",
            "models/m/sub/x.bin",
            "models/m/z.json",
        ]
        back = tmp_path / "back"
        objects.get_folder("models/m", back)
        for path in folder.rglob("*"):
            if path.is_file():
                assert (back / path.relative_to(folder)).read_bytes() == path.read_bytes()
        assert not drafts(objects)
        with pytest.raises(UnknownFile):
            objects.get_folder("models/other", back)

    def test_again_replaces_the_files(self, objects: Objects, folder: Path) -> None:
        objects.put_folder(folder, "models/m")
        (folder / "z.json").write_bytes(b"new")
        objects.put_folder(folder, "models/m")
        assert b"".join(objects.read("models/m/z.json")) == b"new"

    def test_the_manifest_comes_last(self, objects: Objects, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        order: list[str] = []
        put(objects, "models/m/was-there", b"x")  # so that the files are put one by one
        written = objects.writer
        monkeypatch.setattr(objects, "writer", lambda key: (order.append(key), written(key))[1])
        objects.put_folder(folder, "models/m")
        assert order[-1] == "models/m/manifest.json"
        assert len(order) == 4

    def test_other_programs_can_read_a_folders_files(self, objects: Objects, folder: Path) -> None:
        objects.put_folder(folder, "models/m")
        path = objects.local_path("models/m")
        assert (path is None) == (objects.root is None)
        if path is not None:
            assert (path / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()


WRITER = """
import json, os, sys, tracemalloc
from resource import RUSAGE_SELF, getrusage
from tamis.store.objects import Objects
objects = Objects(sys.argv[1])
piece = os.urandom(2**20)
with objects.writer("files/warm") as writer:  # what is loaded once is not what grows
    for _ in range(20):
        writer.write(piece)
    writer.commit()
before = getrusage(RUSAGE_SELF).ru_maxrss
tracemalloc.start()
with objects.writer("files/big") as writer:
    for number in range(int(sys.argv[2])):
        writer.write(piece)
        if number == int(sys.argv[3]):
            print("half", flush=True)
            sys.stdin.read()
    written = writer.commit()
size = sum(len(piece) for piece in objects.read("files/big"))
assert size == written.bytes == len(piece) * int(sys.argv[2])
print(json.dumps([(getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024, tracemalloc.get_traced_memory()[1] / 2**20]))
"""


def writer_process(url: str, megabytes: int, stop_at: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, str(megabytes), str(stop_at)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_memory_does_not_grow_with_the_object(url: str) -> None:
    """With TAMIS_TEST_UPLOAD_MB=300, for more than what fits."""
    process = writer_process(url, BIG_MB)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    resident, traced = json.loads(printed)
    assert traced < 24
    assert resident < 32


def test_a_writer_that_is_killed_leaves_nothing_to_see(url: str) -> None:
    process = writer_process(url, 8, stop_at=5)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    objects = Objects(url)
    assert keys(objects) == ["files/warm"]
    for path in drafts(objects):  # what it left goes with the next start, once it is a minute old
        os.utime(path, (time.time() - 100,) * 2)
    assert not drafts(Objects(url))


class TestFolderAlone:
    @pytest.fixture
    def objects(self, tmp_path: Path) -> Objects:
        return Objects(f"file://{tmp_path / 'objects'}")

    def test_a_start_leaves_the_drafts_of_the_living(self, objects: Objects) -> None:
        with objects.writer("files/one") as writer:
            writer.write(b"x")
            for path in drafts(objects):
                os.utime(path, (time.time() - 100,) * 2)
            Objects(f"file://{objects.root}")
            writer.commit()
        assert keys(objects) == ["files/one"]

    def test_it_is_on_disk_before_it_is_there(self, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[str] = []
        fsync, replace = os.fsync, Path.replace

        def record_sync(descriptor: int) -> None:
            done.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
            fsync(descriptor)

        def record_replace(self: Path, target: Path) -> Path:
            done.append("name")
            return replace(self, target)

        monkeypatch.setattr(os, "fsync", record_sync)
        monkeypatch.setattr(Path, "replace", record_replace)
        put(objects, "files/one", b"x")
        assert done == ["file", "name", "folder"]

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to write to")
    def test_a_full_disk_is_said_and_leaves_nothing(self, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
        writer = objects.writer("files/one")
        writer._file.close()
        writer._file = open("/dev/full", "wb")  # noqa: SIM115
        with writer, pytest.raises(StorageFailed, match=r"disk is full.*nothing of it is kept"):
            writer.write(b"x" * 2**20)
        assert keys(objects) == []
        assert not drafts(objects)

    def test_a_folder_put_at_once_is_there_whole_or_not(self, objects: Objects, tmp_path: Path) -> None:
        folder = tmp_path / "artifact"
        folder.mkdir()
        (folder / "a").write_bytes(b"x")
        (folder / "b").symlink_to(tmp_path / "gone")
        (folder / "c").mkdir()
        objects.put_folder(folder, "models/m")  # what is no file is left out
        assert keys(objects) == ["models/m/a"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host/x", "objects can be kept in"),
        ("", "objects can be kept in"),
        ("s3://", "objects can be kept in"),
        ("file://host/abs", "whole path"),
        ("file:relative", "whole path"),
        ("s3://user:canary@bucket/x?nonsense=canary", "cannot be used"),
        ("file:///proc/nothing/here", "cannot be kept there"),
    ],
)
def test_urls_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(StorageFailed, match=says) as refused:
        Objects(url)
    assert "canary@" not in str(refused.value)


def test_a_storage_that_is_down_is_said(bucket: str) -> None:
    url = bucket.format("x").replace("s3://tamis", "s3://no-such-bucket")
    with pytest.raises(StorageFailed, match="cannot be used"):
        list(Objects(url).list())
    with pytest.raises(StorageFailed):
        put(Objects(url), "a", b"x")
