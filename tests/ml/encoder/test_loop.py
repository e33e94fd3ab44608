"""A run that is killed goes on from its restart points, is cancelled within moments, and may be several processes."""

import itertools
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tamis.ml.progress import nobody

SCRIPT = Path(__file__).with_name("one_run.py")
CHOSEN = {"rows": 45, "epochs": 2}


class Killed(Exception):
    """What stands for a kill within this process."""


@pytest.fixture(scope="module")
def run():
    return runpy.run_path(str(SCRIPT))["run"]


def started(base, restart, slow, *launcher):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, *launcher, str(SCRIPT), str(base), str(restart), str(slow), json.dumps(CHOSEN)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def killed_after(n):
    """A listener that ends the run when it was told so many things."""
    heard = []

    def told(progress):
        heard.append(progress)
        if len(heard) == n:
            raise Killed

    return told


def test_a_process_that_is_killed_goes_on_and_ends_with_the_same_bytes(run, base_folder, tmp_path):
    whole = run(str(base_folder("bert")), "-", nobody, CHOSEN)
    killed = started(base_folder("bert"), tmp_path / "points", 0.05)
    seen = 0
    for line in killed.stdout:
        seen += line.startswith("fine-tuning")
        if seen == 30:
            break
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert seen == 30
    again = run(str(base_folder("bert")), str(tmp_path / "points"), nobody, CHOSEN)
    assert again["resumed"]
    assert again["digest"] == whole["digest"]


def goes_on(run, base, folder, chosen, shares):
    """Kill the run after shares of all that it tells; each time it goes on and ends with the same bytes."""
    told = []
    whole = run(str(base), "-", told.append, chosen)
    for share in shares:
        points = folder / str(share)
        with pytest.raises(Killed):
            run(str(base), str(points), killed_after(round(share * len(told))), chosen)
        again = run(str(base), str(points), nobody, chosen)
        assert again["resumed"]
        assert again["digest"] == whole["digest"]


def test_a_run_by_lora_goes_on_wherever_it_was_killed(run, base_folder, tmp_path):
    goes_on(run, base_folder("distilbert"), tmp_path, {**CHOSEN, "encoder": {"lora": True}}, (0.2, 0.6, 0.95))


def test_a_run_that_holds_out_once_goes_on(run, base_folder, tmp_path):
    chosen = {"rows": 1000, "epochs": 1, "encoder": {"batch_rows": 64}}
    goes_on(run, base_folder("bert"), tmp_path, chosen, (0.4, 0.9))


def test_a_run_with_a_second_head_and_averaged_weights_goes_on(run, base_folder, tmp_path, monkeypatch):
    alone = run(str(base_folder("bert")), "-", nobody, CHOSEN)
    monkeypatch.setattr("tamis.ml.encoder.fits.MANY_ROWS", 40)
    goes_on(run, base_folder("bert"), tmp_path, CHOSEN, (0.2, 0.6, 0.95))
    assert run(str(base_folder("bert")), "-", nobody, CHOSEN)["digest"] != alone["digest"]


def test_two_processes_are_one_run(run, base_folder):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    out, _ = started(base_folder("bert"), "-", 0, *launcher).communicate(timeout=300)
    both = json.loads(next((line for line in out.splitlines() if line.startswith("RESULT")), f"RESULT null{out}")[7:])
    alone = run(str(base_folder("bert")), "-", nobody, CHOSEN)
    assert both["processes"] == 2
    assert alone["processes"] == 1
    for one, other in zip(both["logits"], alone["logits"], strict=True):
        assert one == pytest.approx(other, abs=0.5)  # dropout differs, nothing else


def test_a_batch_of_long_texts_can_be_left(base_of, dataset_of):
    from tamis.errors import Cancelled
    from tamis.ml.encoder.trainer import EncoderTrainer
    from tamis.ml.schedule import hyperparameters
    from tamis.ml.trained import Attended, Task

    moments = []

    def check():
        moments.append(time.monotonic())
        if len(moments) > 200:
            raise Cancelled

    rows = [("word " * 40, {"t": "ab"[row % 2]}) for row in range(64)]
    with pytest.raises(Cancelled):
        EncoderTrainer(base_of("bert"), Task(dataset_of(rows), None, hyperparameters()), Attended(check=check)).train()
    assert max(after - before for before, after in itertools.pairwise(moments[5:])) < 2
