import hashlib
import json

import numpy as np
import pytest

from tamis.errors import InvalidSetting
from tamis.ml.restart import INDEX, RestartPoints, Stage, State


def state(number, **facts):
    return State({"a": np.full(3, number, dtype=np.float32), "b": np.arange(number)}, facts)


def points_in(folder, fingerprint="mine", every=0.0):
    points = RestartPoints(folder, every=every)
    points.begin(fingerprint)
    return points


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "restart"


@pytest.fixture
def left(folder):
    """A folder that a run left: two states that are done, one that was going on."""
    points = points_in(folder)
    assert not points.resumed
    points.keep("one/x", state(1, n=1, big=2**127, third=1 / 3))
    points.keep("two/x", state(2))
    points.offer(lambda: {"three/last": state(3)})
    return folder


class TestWhatIsKept:
    def test_it_comes_back_as_it_was(self, left):
        again = points_in(left)
        assert again.resumed
        assert again.remarks == []
        one = again.recall("one/x")
        assert one.facts == {"n": 1, "big": 2**127, "third": 1 / 3}
        np.testing.assert_array_equal(one.arrays["a"], [1, 1, 1])
        assert one.arrays["a"].dtype == np.float32
        assert list(one.arrays["b"]) == [0]
        assert again.recall("three/last") is not None
        assert again.recall("four") is None
        assert again.recall("one/x") is None, "a state is gone on with once"

    def test_what_was_going_on_is_replaced_and_what_is_done_stays(self, left):
        again = points_in(left)
        again.offer(lambda: {"four/last": state(4)})
        third = points_in(left)
        assert third.recall("three/last") is None
        assert third.recall("four/last") is not None
        assert third.recall("one/x") is not None
        assert len(list(left.glob("*.safetensors"))) == 3

    def test_a_state_that_did_not_change_is_not_written_again(self, folder):
        points, best = points_in(folder), state(5)
        written = []
        for number in range(3):
            points.offer(lambda number=number: {"best": best, "last": state(number)})
            names = json.loads((folder / INDEX).read_text())["index"]["states"]
            written.append((names["best"]["file"], names["last"]["file"]))
        assert len({best for best, _ in written}) == 1
        assert len({last for _, last in written}) == 3
        assert len(list(folder.glob("*.safetensors"))) == 2

    def test_what_is_forgotten_is_gone(self, left):
        again = points_in(left)
        again.forget("one/")
        again.offer()
        third = points_in(left)
        assert third.recall("one/x") is None
        assert third.recall("two/x") is not None

    def test_nothing_is_written_before_it_is_time(self, folder):
        points = points_in(folder, every=1000)
        points.keep("one", state(1))
        points.offer(lambda: pytest.fail("no state is made for nothing"))
        assert not folder.exists()

    def test_nothing_new_is_no_reason_to_write(self, left):
        before = (left / INDEX).stat().st_mtime_ns
        again = points_in(left)
        again.offer()
        assert (left / INDEX).stat().st_mtime_ns == before
        assert points_in(left).recall("three/last") is not None

    def test_clearing_leaves_what_is_not_ours(self, left):
        points_in(left).clear()
        assert not left.exists()
        points = points_in(left)
        points.keep("one", state(1))
        points.offer()
        (left / "mine.txt").write_text("x")
        points.clear()
        assert [path.name for path in left.iterdir()] == ["mine.txt"]

    def test_without_a_folder_nothing_is_kept(self):
        points = points_in(None)
        points.keep("one", state(1))
        points.offer(lambda: pytest.fail("there is nowhere to write to"))
        points.clear()
        assert not points.resumed

    def test_seconds_that_make_no_sense(self, folder):
        for every in (-1, float("nan")):
            with pytest.raises(InvalidSetting, match="every"):
                RestartPoints(folder, every=every)


def seal(folder, change):
    """Change the index, and make it look whole."""
    index = json.loads((folder / INDEX).read_text())["index"]
    change(index)
    body = json.dumps(index, sort_keys=True)
    seal = hashlib.sha256(body.encode()).hexdigest()
    (folder / INDEX).write_text(json.dumps({"index": index, "sha256": seal}))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


class TestWhatIsNotUsed:
    def refused(self, folder, cause, fingerprint="mine"):
        points = points_in(folder, fingerprint)
        assert not points.resumed
        assert points.recall("one/x") is None
        (remark,) = points.remarks
        assert "Started afresh" in remark
        assert cause in remark
        points.keep("one/x", state(9))
        points.offer()
        again = points_in(folder, fingerprint)
        assert again.recall("one/x").arrays["a"][0] == 9
        assert again.recall("two/x") is None
        assert len(list(folder.glob("*.safetensors"))) == 1, "what was not used is removed"

    def test_another_run(self, left):
        self.refused(left, "other data", fingerprint="other")

    @pytest.mark.parametrize("damage", [cut, flip])
    def test_a_damaged_state(self, left, damage):
        damage(next(left.glob("*.safetensors")))
        self.refused(left, "is damaged")

    def test_a_missing_state(self, left):
        next(left.glob("*.safetensors")).unlink()
        self.refused(left, "cannot be read")

    @pytest.mark.parametrize(
        "index",
        ["", "{", "[]", "{}", '{"index": 3, "sha256": ""}', '{"index": {"format": 1}, "sha256": ""}'],
    )
    def test_a_damaged_index(self, left, index):
        (left / INDEX).write_text(index)
        self.refused(left, "")

    def test_a_changed_number(self, left):
        index = (left / INDEX).read_text()
        (left / INDEX).write_text(index.replace('"n": 1', '"n": 2'))
        self.refused(left, "restart.json is damaged")

    @pytest.mark.parametrize(
        "change",
        [
            lambda index: index.update(format=2),
            lambda index: index.update(states=3),
            lambda index: index.pop("states"),
            lambda index: index["states"].update({"one/x": 3}),
            lambda index: index["states"]["one/x"].update(file="../secret.safetensors"),
            lambda index: index["states"]["one/x"].update(file="/etc/passwd"),
            lambda index: index["states"]["one/x"].update(file="state-99.safetensors"),
            lambda index: index["states"]["one/x"].update(sha256="0" * 64),
            lambda index: index["states"]["one/x"].pop("running"),
        ],
    )
    def test_an_index_that_makes_no_sense(self, left, change):
        seal(left, change)
        self.refused(left, "")

    def test_half_a_write_changes_nothing(self, left):
        (left / f"{INDEX}.partial").write_text('{"format": 1')
        (left / "state-77.safetensors").write_bytes(b"half")
        (left / ".tmpTHdIcc").write_bytes(b"half")
        again = points_in(left)
        assert again.resumed
        again.offer(lambda: {"four/last": state(4)})
        assert not (left / f"{INDEX}.partial").exists()
        assert not (left / "state-77.safetensors").exists()
        assert not (left / ".tmpTHdIcc").exists()
        again.clear()
        assert not left.exists()


class TestAFullDisk:
    def test_the_run_goes_on_without(self, folder, monkeypatch):
        points = points_in(folder)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("tamis.ml.restart.write_tensors", full)
        points.keep("one", state(1))
        points.offer()
        points.offer()
        assert points.remarks == [f"No restart points could be kept in {folder}: No space left on device."]

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("x")
        points = points_in(tmp_path / "file" / "restart")
        points.keep("one", state(1))
        points.offer()
        assert len(points.remarks) == 1

    def test_numbers_that_json_does_not_have(self, folder):
        points = points_in(folder)
        points.offer(lambda: {"last": state(1, loss=float("nan"))})
        assert len(points.remarks) == 1


def test_a_stage_names_its_parts_and_checks(folder):
    checked = []
    points = points_in(folder)
    stage = Stage("fold 0", points, lambda: checked.append(1))
    stage.keep("done", state(1))
    stage.pulse(lambda: {"last": state(2)})
    assert checked == [1]
    again = points_in(folder)
    assert again.recall("fold 0/done") is not None
    later = Stage("fold 0", points_in(folder), lambda: None)
    assert later.recall("last") is not None
    later.forget()
    later.pulse()
    assert not points_in(folder).resumed
