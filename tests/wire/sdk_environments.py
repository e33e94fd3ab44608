"""One virtual environment for each SDK release, outside the repository: made once, kept, shared by all test runs.

Two runs, or two workers of one run, may want the same environment at the same time: the first one in makes it under a
name of its own while it holds a lock, and renames it when everything in it can be imported. What lies under the final
name is therefore always whole.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SECONDS_TO_INSTALL = 900


class EnvironmentNotBuilt(Exception):
    """An SDK's environment could not be made, so the tests that need it cannot say anything."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """A release of a client library: what to install, and the import by which it is known to work."""

    name: str
    version: str
    check: str
    requirements: tuple[str, ...] = ()  # instead of what the release asks for itself
    stand_ins: Mapping[str, str] = field(default_factory=dict)  # modules that only have to be importable

    def __str__(self) -> str:
        """Return the pin without the sign that folders and test ids would not take."""
        return f"{self.name}-{self.version}"

    @property
    def major(self) -> int:
        """Return the first number of the version."""
        return int(self.version.partition(".")[0])


MISTRAL_1_7 = Sdk("mistralai", "1.7.0", "from mistralai import Mistral")
MISTRAL_1_12 = Sdk("mistralai", "1.12.4", "from mistralai import Mistral")
MISTRAL_2_5 = Sdk("mistralai", "2.5.1", "from mistralai.client import Mistral")
MISTRAL_3_7 = Sdk("mistralai", "3.7.0", "from mistralai.client import Mistral")
MISTRAL = (MISTRAL_1_7, MISTRAL_1_12, MISTRAL_2_5, MISTRAL_3_7)
MISTRAL_WITH_JOBS = (MISTRAL_1_7, MISTRAL_1_12, MISTRAL_2_5)  # `client.fine_tuning` is gone from 2.5.2 on

COHERE_5_11 = Sdk(
    "cohere",
    "5.11.0",
    "import cohere",
    # It asks for sagemaker, hundreds of megabytes that it imports on load and that no test calls.
    requirements=(
        *("boto3>=1.34,<2", "fastavro>=1.9.4,<2", "httpx>=0.21.2", "httpx-sse==0.4.0", "parameterized>=0.9,<0.10"),
        *("pydantic>=1.9.2", "requests>=2,<3", "tokenizers>=0.15,<1", "types-requests>=2,<3", "typing_extensions>=4"),
    ),
    stand_ins={
        "sagemaker/__init__.py": "",
        "sagemaker/s3.py": "S3Downloader = S3Uploader = parse_s3_url = None\n",
    },
)
COHERE_5_21 = Sdk("cohere", "5.21.1", "import cohere")
COHERE_7_3 = Sdk("cohere", "7.3.1", "import cohere")
COHERE = (COHERE_5_11, COHERE_5_21, COHERE_7_3)
OPENAI = Sdk("openai", "3.54.0", "import openai")
EVERY_SDK = (*MISTRAL, *COHERE, OPENAI)


def cache_folder() -> Path:
    """Return where environments are kept: TAMIS_TEST_CACHE, or a folder of the user's cache."""
    return Path(os.environ.get("TAMIS_TEST_CACHE") or Path.home() / ".cache" / "tamis-tests").expanduser()


def interpreter(sdk: Sdk, cache: Path | None = None) -> Path:
    """Return the Python that has the SDK; its environment is made on the first call on this machine.

    Raises:
        EnvironmentNotBuilt: with what the installer said.
    """
    shelf = (cache or cache_folder()) / "venvs"
    home = shelf / str(sdk)
    if not is_whole(home):
        shelf.mkdir(parents=True, exist_ok=True)
        with locked(shelf / f"{sdk}.lock"):
            if not is_whole(home):  # somebody else may have made it while this process waited
                build(sdk, home)
    return python_of(home)


def is_whole(home: Path) -> bool:
    """Return whether an environment stands there whose Python still exists (an upgrade may have taken it away)."""
    return python_of(home).exists()


def python_of(home: Path) -> Path:
    """Return an environment's interpreter."""
    return home / "bin" / "python"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system gives back however this process ends."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build(sdk: Sdk, home: Path) -> None:
    """Make the environment under a temporary name, try the import, and only then give it its name."""
    making = Path(tempfile.mkdtemp(prefix=f".{sdk}-", dir=home.parent))
    try:
        make_environment(making)
        install(making, f"{sdk.name}=={sdk.version}", sdk.requirements)
        place_stand_ins(making, sdk)
        run([python_of(making), "-W", "ignore", "-c", sdk.check], sdk.check)
        shutil.rmtree(home, ignore_errors=True)  # one whose interpreter is gone
        making.rename(home)
    except EnvironmentNotBuilt as error:
        message = f"no environment for {sdk.name} {sdk.version}, which these tests drive: {error}"
        raise EnvironmentNotBuilt(message) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)


def make_environment(home: Path) -> None:
    """Make an empty environment, with uv where there is one."""
    if uv := shutil.which("uv"):
        run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, home], "uv venv")
    else:
        run([sys.executable, "-m", "venv", home], "python -m venv")


def install(home: Path, pin: str, requirements: tuple[str, ...]) -> None:
    """Install the pinned release with what it asks for, or with the given requirements alone."""
    if uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", "--python", python_of(home)]
    else:
        command = [python_of(home), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if requirements:
        run([*command, *requirements], f"installing what {pin} needs")
        run([*command, "--no-deps", pin], f"installing {pin}")
    else:
        run([*command, pin], f"installing {pin}")


def place_stand_ins(home: Path, sdk: Sdk) -> None:
    """Write the modules that an SDK imports but that no test calls."""
    (packages,) = (home / "lib").glob("python3*/site-packages")
    for name, source in sdk.stand_ins.items():
        (packages / name).parent.mkdir(exist_ok=True)
        (packages / name).write_text(source, encoding="utf-8")


def run(command: list[str | Path], what: str) -> None:
    """Run a command and raise with the end of what it said if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_INSTALL, check=False)
    except subprocess.TimeoutExpired:
        raise EnvironmentNotBuilt(f"{what} took more than {SECONDS_TO_INSTALL} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise EnvironmentNotBuilt(f"{what} failed (is there a network, or a package index?):\n{said}")
