"""Tamis's own wheel, made from the Tamis that runs: nothing has to be published for somebody else to have the same.

The modules are those that run, wherever they are (installed, or the sources of an editable installation); what is said
of them is the installed metadata. The same files give the same bytes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

import tamis
from tamis.errors import InvalidSetting

NAME = "tamis"
NOT_TAKEN = frozenset({"RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json"})
"""What an installation writes of itself, and what is written anew here."""

WHEEL = "Wheel-Version: 1.0\nGenerator: tamis\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
BEGINNING = (1980, 1, 1, 0, 0, 0)


def installed() -> Distribution:
    """Return the installed distribution of Tamis.

    Raises:
        InvalidSetting: it runs from its sources, and nothing says what it is and needs.
    """
    try:
        return distribution(NAME)
    except PackageNotFoundError:
        raise InvalidSetting(
            "Tamis is not installed here, only its sources are on the path, so its wheel cannot be made: "
            "pip install -e . in the folder of its sources."
        ) from None


def write_wheel(folder: Path) -> Path:
    """Write the wheel into a folder, and return its place.

    Raises:
        InvalidSetting: Tamis is not installed.
    """
    found = installed()
    version = found.metadata["Version"]
    path = folder / f"{NAME}-{version}-py3-none-any.whl"
    about = f"{NAME}-{version}.dist-info"
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in (*_modules(), *_metadata(found, about), (f"{about}/WHEEL", WHEEL.encode())):
            _add(wheel, name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.writerow([name, f"sha256={digest}", len(content)])
        rows.writerow([f"{about}/RECORD", "", ""])
        _add(wheel, f"{about}/RECORD", record.getvalue().encode())
    return path


def _modules() -> Iterator[tuple[str, bytes]]:
    """The files of the package that runs, but for what Python made of them."""
    package = Path(tamis.__file__).parent
    for path in sorted(package.rglob("*")):
        name = PurePosixPath(NAME, *path.relative_to(package).parts)
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in name.parts):
            yield str(name), path.read_bytes()


def _metadata(found: Distribution, about: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(found.files or ()):
        if path.parts[0].endswith(".dist-info") and path.name not in NOT_TAKEN:
            yield str(PurePosixPath(about, *path.parts[1:])), path.read_binary()


def _add(wheel: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, BEGINNING)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    wheel.writestr(entry, content)
