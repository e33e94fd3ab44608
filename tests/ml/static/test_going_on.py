"""Runs that are killed at any moment and started again end with the bytes of a run that nothing interrupted."""

import hashlib

import numpy as np
import pytest

from tamis.errors import Cancelled
from tamis.ml.progress import Progress, nobody
from tamis.ml.restart import RestartPoints
from tamis.ml.schedule import hyperparameters
from tamis.ml.static import training as module
from tamis.ml.static.model import tensors_of
from tamis.ml.static.training import Attended, StaticTrainer

LONGEST_STAGE = 45  # checks
WAYS = ["few rows", "cross-validation", "held out once", "validation data"]


class Killed(BaseException):
    """As abrupt as a test can be."""


class Counter:
    """Counts how often it is called, and kills the run at one of them."""

    def __init__(self, at=None):
        self.calls, self.at = 0, at

    def __call__(self, *_):
        self.calls += 1
        if self.calls == self.at:
            raise Killed


def print_of(trained):
    """All that a run leaves, as one hash."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors_of(trained.model).items()):
        digest.update(name.encode() + np.ascontiguousarray(tensor).tobytes())
    if trained.held_out:
        for name, logits in trained.held_out.logits.items():
            digest.update(name.encode() + logits.tobytes())
    digest.update(repr((trained.checkpoints, trained.remarks, trained.facts)).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module", params=WAYS)
def run(request, semantics, data_of, texts_about, tmp_path_factory):
    """A function: one attempt at a run in one of the ways to hold rows out."""
    few = request.param == "few rows"
    rows = [
        (text, {"t": label, "m": [label[-1], *(["odd"] if row % 2 else [])]})
        for row, (text, label) in enumerate(texts_about(8 if few else 40, 3))
    ]
    data = data_of(rows)
    watched = data_of(rows[::3], data.targets) if request.param == "validation data" else None

    def attempt(points=None, check=None, listener=nobody):
        if points:
            points.begin("mine")
        attended = Attended(listener, check or (lambda: None), points or RestartPoints(None))
        with pytest.MonkeyPatch.context() as patch:
            if request.param == "held out once":
                patch.setattr(module, "MANY_ROWS", 20)
            trainer = StaticTrainer(semantics, hyperparameters(epochs=3), {}, attended)
            return trainer.train(data, watched)

    attempt.folder = lambda: tmp_path_factory.mktemp("restart")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tamis.ml.restart.sync", lambda _: None)  # what is killed here is no machine
        yield attempt


@pytest.fixture(scope="module")
def whole(run):
    """A run that nothing interrupts: its hash, how often it may be stopped, and what it tells."""
    counter, told = Counter(), []
    trained = run(check=counter, listener=told.append)
    return print_of(trained), counter.calls, told


def test_keeping_restart_points_changes_nothing(run, whole):
    assert print_of(run(RestartPoints(run.folder(), every=0))) == whole[0]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.75, 0.97, 1.0])
def test_killed_once(run, whole, share):
    wanted, calls, _ = whole
    folder = run.folder()
    with pytest.raises(Killed):
        run(RestartPoints(folder, every=0), Counter(max(1, round(share * calls))))
    points = RestartPoints(folder, every=0)
    again = Counter()
    assert print_of(run(points, again)) == wanted
    assert points.remarks == []
    if share > 0.7:
        assert points.resumed
        assert again.calls < calls, "what was done is not done again"


def test_killed_again_and_again(run, whole):
    wanted, calls, _ = whole
    folder, attempts = run.folder(), 0
    done = None
    while done is None:
        attempts += 1
        assert attempts < 40, "each attempt gets further"
        try:
            done = run(RestartPoints(folder, every=0), Counter(max(calls // 5, LONGEST_STAGE)))
        except Killed:
            continue
    assert attempts > 1
    assert print_of(done) == wanted


def test_killed_by_whoever_listens(run, whole):
    wanted, _, told = whole
    for at in range(2, len(told) + 1, max(1, len(told) // 3)):
        folder = run.folder()
        with pytest.raises(Killed):
            run(RestartPoints(folder, every=0), listener=Counter(at))
        heard: list[Progress] = []
        assert print_of(run(RestartPoints(folder, every=0), listener=heard.append)) == wanted
        steps = [row.checkpoint["step"] for row in heard if row.checkpoint]
        assert steps == sorted(set(steps))
        if told[-1].checkpoint or any(row.checkpoint for row in told[at:]):
            assert steps[-1] == max(row.checkpoint["step"] for row in told if row.checkpoint)


def test_a_run_that_is_cancelled_is_over_at_once(run):
    def cancel():
        raise Cancelled

    with pytest.raises(Cancelled):
        run(check=cancel)
