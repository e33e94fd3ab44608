"""A workspace in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tamis.settings import Settings
from tamis.store.records import FileRecord
from tamis.workspace.files import NewFile
from tamis.workspace.workspace import Workspace, open_workspace


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TAMIS_HOME", str(tmp_path / "home"))
    return Settings(max_upload_bytes=1000, max_live_jobs=3, max_inline_requests=2)


@pytest.fixture
def workspace(settings: Settings) -> Iterator[Workspace]:
    with open_workspace(settings) as found:
        yield found


@pytest.fixture
def upload(workspace: Workspace) -> Callable[..., FileRecord]:
    """Uploads a file in one piece."""

    def upload(content: bytes = b'{"text": "a", "labels": {"t": "x"}}\n', name: str = "rows.jsonl", **said: object):
        coming = workspace.files.begin(NewFile(name=name, **said))  # type: ignore[arg-type]
        coming.write(content)
        return coming.commit()

    return upload
