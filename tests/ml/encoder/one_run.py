"""A training run for tests that kill it: `python one_run.py BASE RESTART SECONDS CHOSEN` prints what it came to."""

import hashlib
import json
import os
import sys
import time

import torch

from tamis.data.dataset import DatasetBuilder
from tamis.ml.base_models import load_base
from tamis.ml.encoder.trainer import EncoderTrainer
from tamis.ml.restart import RestartPoints
from tamis.ml.schedule import hyperparameters
from tamis.ml.trained import Attended, Task
from tamis.schema import Example


def run(base, restart, told, chosen):
    """Train; return a hash of all that came out, and some of it."""
    builder = DatasetBuilder()
    for row in range(chosen["rows"]):
        builder.add(Example(f"{'abc'[row % 3]}{row % 7} " * (1 + row % 5), {"t": ("abc"[row % 3],)}))
    points = RestartPoints(None if restart == "-" else restart, every=0.0)
    points.begin("this run")
    rest = {name: value for name, value in chosen.items() if name != "rows"}
    task = Task(builder.finish(), None, hyperparameters(**rest))
    finished = EncoderTrainer(load_base(base), task, Attended(told, points=points)).train()
    digest = hashlib.sha256()
    for name, weight in sorted(finished.network.state_dict().items()):
        digest.update(name.encode() + weight.numpy().tobytes())
    digest.update(finished.held.said["logits"].tobytes() + json.dumps(finished.checkpoints).encode())
    return {
        "digest": digest.hexdigest(),
        "resumed": points.resumed,
        "logits": finished.held.said["logits"][:9].tolist(),
        "processes": finished.facts["processes"],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)

    def slowly(progress):
        """Tell each stage, and leave time to be killed."""
        print(progress.stage, flush=True)
        time.sleep(float(sys.argv[3]))

    came = run(sys.argv[1], sys.argv[2], slowly, json.loads(sys.argv[4]))
    if os.environ.get("RANK", "0") == "0":
        print("RESULT", json.dumps(came), flush=True)
