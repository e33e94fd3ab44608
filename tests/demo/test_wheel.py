"""Tamis's own wheel, from the Tamis that runs."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import tamis
from tamis.demo import wheel
from tamis.errors import InvalidSetting


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.write_wheel(tmp_path_factory.mktemp("wheel"))


def test_pip_takes_it_and_it_is_the_same_tamis(made: Path, tmp_path: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        tmp_path,
        made,
    ]
    subprocess.run(pip, check=True, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"}, capture_output=True)
    assert (tmp_path / "bin" / "tamis").is_file()
    code = "import sys; sys.path.insert(0, sys.argv[1]); import tamis; print(tamis.__version__, tamis.__file__)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [tamis.__version__, str(tmp_path / "tamis" / "__init__.py")]
    package = Path(tamis.__file__).parent
    for path in package.rglob("*.*"):
        name = path.relative_to(package)
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in name.parts):
            assert (tmp_path / "tamis" / name).read_bytes() == path.read_bytes()


def test_its_record_is_right(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        about = f"tamis-{tamis.__version__}.dist-info"
        rows = list(csv.reader(io.StringIO(archive.read(f"{about}/RECORD").decode())))
        assert [row[0] for row in rows] == names
        for name, digest, size in rows[:-1]:
            content = archive.read(name)
            assert len(content) == int(size)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert digest == f"sha256={wanted}"
    assert f"{about}/METADATA" in names
    assert f"{about}/entry_points.txt" in names
    assert {name.partition("/")[0] for name in names} == {"tamis", about}
    assert not [name for name in names if "__pycache__" in name or "direct_url" in name or name.endswith("INSTALLER")]


def test_the_same_files_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    assert wheel.write_wheel(tmp_path).read_bytes() == made.read_bytes()


def test_sources_that_are_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(wheel, "distribution", missing)
    with pytest.raises(InvalidSetting, match="pip install -e"):
        wheel.write_wheel(tmp_path)
    assert not list(tmp_path.iterdir())
