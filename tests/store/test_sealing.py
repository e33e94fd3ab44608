"""Keys and what they seal."""

import base64
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tamis.errors import SecretUnreadable, StorageFailed
from tamis.store.sealing import Sealer

PASSPHRASE = "correct horse battery staple"


@pytest.mark.parametrize(
    "secret", [PASSPHRASE, base64.urlsafe_b64encode(bytes(range(32))).decode(), "ü" * 16, "a" * 44]
)
def test_what_is_sealed_can_be_read_with_the_key_only(secret: str) -> None:
    sealed = Sealer(secret).seal(b"canary")
    assert b"canary" not in sealed
    assert Sealer(secret).unseal(sealed) == b"canary"
    with pytest.raises(SecretUnreadable, match="another secret key"):
        Sealer(secret + "x").unseal(sealed)
    with pytest.raises(SecretUnreadable):
        Sealer(secret).unseal(sealed[:-1] + b"A")


def test_a_key_of_fernets_own_form_is_taken_as_it_is() -> None:
    key = Fernet.generate_key()
    assert Sealer(key.decode()).unseal(Fernet(key).encrypt(b"x")) == b"x"


def test_the_same_is_sealed_differently_each_time() -> None:
    sealer = Sealer(PASSPHRASE)
    assert sealer.seal(b"x") != sealer.seal(b"x")


@pytest.mark.parametrize("secret", ["", "short", " " * 40])
def test_short_keys_are_refused(secret: str) -> None:
    with pytest.raises(StorageFailed, match="16 characters"):
        Sealer(secret)


class TestKeyFile:
    def test_it_is_made_for_its_owner_alone_and_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "home" / "secret.key"
        sealed = Sealer(path).seal(b"x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert os.listdir(path.parent) == ["secret.key"]
        assert Sealer(path).unseal(sealed) == b"x"

    def test_others_lose_their_right_to_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "secret.key"
        path.write_text(PASSPHRASE)
        path.chmod(0o644)
        assert Sealer(path).unseal(Sealer(PASSPHRASE).seal(b"x")) == b"x"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("links", [True, False])
    def test_of_processes_that_make_it_together_all_get_the_same(self, tmp_path: Path, links: bool) -> None:
        without = "" if links else "import errno, os\ndef no(*a): raise OSError(errno.EPERM, 'no')\nos.link = no\n"
        code = (
            f"{without}import sys\nfrom pathlib import Path\nfrom tamis.store.sealing import Sealer\n"
            "print('ready', flush=True); sys.stdin.readline()\nprint(Sealer(Path(sys.argv[1])).seal(b'x').decode())"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "secret.key")]
        pipe = subprocess.PIPE
        started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        sealed = [process.communicate("go\n", timeout=60)[0].strip() for process in started]
        assert [Sealer(tmp_path / "secret.key").unseal(one.encode()) for one in sealed] == [b"x"] * 3

    def test_what_cannot_be_read_or_made_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(StorageFailed, match="key file"):
            Sealer(tmp_path / "file" / "secret.key")
        with pytest.raises(StorageFailed, match="key file"):
            Sealer(tmp_path)
        (tmp_path / "damaged").write_bytes(b"\xff" * 40)
        with pytest.raises(StorageFailed, match="not text"):
            Sealer(tmp_path / "damaged")
