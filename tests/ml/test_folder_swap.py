import errno
from pathlib import Path

import pytest

from tamis.ml import folder_swap
from tamis.ml.folder_swap import put_in_place, sync


@pytest.fixture(params=["in one step", "in two steps"])
def way(request, monkeypatch):
    if request.param == "in two steps":
        monkeypatch.setattr(folder_swap, "_exchange", lambda *_: False)


def made(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "file").write_text(content)
    sync(folder)
    return folder


def test_a_new_folder(tmp_path, way):
    put_in_place(made(tmp_path / "new", "new"), tmp_path / "place")
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_the_old_folder_is_replaced_and_gone(tmp_path, way):
    made(tmp_path / "place", "old")
    made(tmp_path / ".place.old", "left over from a crash")
    put_in_place(made(tmp_path / "new", "new"), tmp_path / "place")
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert "new" not in {path.name for path in tmp_path.iterdir()}


def test_where_the_second_rename_fails_the_old_folder_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_swap, "_exchange", lambda *_: False)
    made(tmp_path / "place", "old")
    with pytest.raises(OSError, match="new") as caught:
        put_in_place(tmp_path / "new", tmp_path / "place")
    assert caught.value.errno == errno.ENOENT
    assert (tmp_path / "place" / "file").read_text() == "old"


def test_linux_exchanges_in_one_step(tmp_path):
    old, new = made(tmp_path / "a", "a"), made(tmp_path / "b", "b")
    if not folder_swap._exchange(old, new):
        pytest.skip("this system cannot exchange two folders")
    assert (old / "file").read_text() == "b"
    assert (new / "file").read_text() == "a"
    assert not folder_swap._exchange(old, tmp_path / "nothing")
