import numpy as np
import pytest

from tamis.ml.static import packed as module
from tamis.ml.static.packed import pack_runs, without_others
from tamis.ml.static.runs import FIELDS_OF_CHAT, FIELDS_OF_TEXT, split_runs
from tamis.schema import Message

CHAT = (Message("user", "a b"), Message("assistant", "a c"), Message("user", "c b a"))
INPUTS = ["a b a", CHAT, "", "c \ud800 d", (Message("user", "x"), Message("user", "")), "b a " * 5]


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch):
    monkeypatch.setattr(module, "PORTION", 2)


def told(runs):
    """What stands where: input, text or message within it, run, field."""
    new = np.diff(runs.segment, prepend=-1) > 0
    segments = [int(new[(runs.row == row) & (np.arange(len(new)) <= i)].sum()) for i, row in enumerate(runs.row)]
    strings, fields = [runs.strings[i] for i in runs.run], runs.run_fields[runs.run].tolist()
    return list(zip(runs.row.tolist(), segments, strings, fields, strict=True))


@pytest.mark.parametrize("n_fields", [FIELDS_OF_TEXT, FIELDS_OF_CHAT])
class TestPackedRuns:
    @pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 1, 1, 2], [2], []])
    def test_unpacked_they_are_what_splitting_gives(self, n_fields, order):
        found = pack_runs(INPUTS, n_fields)
        wanted = split_runs([INPUTS[row] for row in order], n_fields)
        rows = np.array(order, dtype=np.int64)
        for runs in (
            found.unpack(rows),
            without_others(found.unpack(rows)),
            found.select(rows).unpack(np.arange(len(rows))),
        ):
            assert told(runs) == told(wanted)
            assert runs.opening().tolist() == wanted.opening().tolist()
        assert sorted(without_others(found.unpack(rows)).strings) == sorted(wanted.strings)

    def test_portions_are_all_inputs(self, n_fields):
        found = pack_runs(INPUTS, n_fields)
        portions = list(found.portions())
        assert [runs.n_rows for runs in portions] == [2, 2, 2]
        strings = [runs.strings[i] for runs in portions for i in runs.run]
        wanted = split_runs(INPUTS, n_fields)
        assert strings == [wanted.strings[i] for i in wanted.run]

    def test_a_run_is_kept_once(self, n_fields):
        found = pack_runs(["a b"] * 9, n_fields)
        assert sorted(found.strings) == ["a", "b"]
        assert found.run.dtype == np.int32

    def test_no_input(self, n_fields):
        found = pack_runs([], n_fields)
        assert (found.n_rows, found.strings, len(found.run)) == (0, [], 0)
        assert [runs.n_rows for runs in found.portions()] == [0]


def test_it_tells_and_asks_on_the_way():
    heard, asked = [], []
    pack_runs(["a"] * 8, FIELDS_OF_TEXT, lambda: asked.append(1), heard.append)
    assert heard == [0.25, 0.5, 0.75, 1.0]
    assert len(asked) == 4
