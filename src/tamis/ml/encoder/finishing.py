"""From a network that is trained to what is served and stored: its files, the form that is served, held-out logits.

It does not know how the network was trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import mkdtemp
from typing import Any, cast
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from tamis.data.dataset import Dataset
from tamis.data.thinning import evenly
from tamis.ml.encoder.base_model import TEMPLATE, TOKENIZER_CONFIG, EncoderBase
from tamis.ml.encoder.ensemble import Ensemble
from tamis.ml.encoder.ensembling import LOGITS
from tamis.ml.encoder.inputs import Encoded
from tamis.ml.encoder.network import last_linear, quiet
from tamis.ml.encoder.onnx_file import NotExportable, export
from tamis.ml.encoder.onnx_scorer import OnnxScorer, Reader
from tamis.ml.encoder.options import encoder_options
from tamis.ml.encoder.placement import DATA, ENSEMBLE, MODEL, STATIC_TENSORS, STATIC_TOKENIZER
from tamis.ml.encoder.torch_scorer import TorchScorer
from tamis.ml.encoder.trainer import Finished, held_out
from tamis.ml.encoder.variants import FLOAT, Choice, Question, choose_form
from tamis.ml.export.folding import Head
from tamis.ml.golden import golden_inputs
from tamis.ml.holding_out import Held
from tamis.ml.progress import Check, Progress
from tamis.ml.scorer import Scorer
from tamis.ml.tensors import write_tensors
from tamis.ml.trained import Attended, HeldOut, Task, Trained

Floats = NDArray[np.float32]

MOST_ASKED = 5_000
"""Held-out rows on which forms are compared, and that calibration and thresholds are fitted on where another form than
32-bit numbers is served."""

AT_ONCE = 500
"""Rows that are asked about at a time: a run may be stopped after each portion."""

CONFIG = "config.json"


def finish(finished: Finished, base: EncoderBase, task: Task, attended: Attended) -> Trained:
    """Return the model as it will be served and stored.

    Raises:
        Cancelled: the one who attends says so.
    """
    attended.check()
    attended.listener(Progress("writing the model", 0.95))
    keep = _Kept()
    folder = keep.folder
    _write_files(finished, base, folder)
    targets = tuple(task.train.targets)
    reader = Reader(finished.reading.encoding(base.tokenizer_json), finished.reading.pad_id, targets)
    int8 = encoder_options(task.chosen.encoder).int8
    served = _Served(finished, reader, folder, keep, int8)
    network, form, told, held = served.by_onnx(task.train, attended)
    known = {} if finished.static is None else {ENSEMBLE: finished.static[1].model_dump(mode="json")}
    return Trained(
        scorer=network if finished.static is None else Ensemble(network, *finished.static),
        architecture={**finished.reading.facts(), "served": form, **known},
        held_out=held,
        checkpoints=finished.checkpoints,
        remarks=(*finished.remarks, told),
        facts={**finished.facts, "served": told},
        alone=None if finished.static is None else network,
    )


class _Kept:
    """A folder that is there for as long as this is."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="tamis-encoder-"))
        finalize(self, rmtree, self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Served:
    """A network on its way to being served."""

    finished: Finished
    reader: Reader
    folder: Path
    keep: _Kept
    int8: bool

    def by_onnx(self, train: Dataset, attended: Attended) -> tuple[Scorer, str, str, HeldOut | None]:
        """Return the scorer, the form it is in, what is to be said of that, and the held-out logits."""
        reader, held = self.reader, self.finished.held
        golden = reader.encoding.encode(golden_inputs(reader.targets))
        rows = [golden.ids[begin:end].tolist() for begin, end in zip(golden.offsets, golden.offsets[1:], strict=False)]
        (self.folder / FLOAT).mkdir()
        try:
            export(cast("Any", self.finished.network), self.folder / FLOAT, rows, reader.pad_id)
        except NotExportable as error:
            told = f"Served by torch, which needs tamis[encoder]: it cannot be written as model.onnx ({error})."
            by_torch = TorchScorer(self.folder, reader, keep=self.keep)
            return by_torch, "torch", told, self._out(held)
        attended.check()
        attended.listener(Progress("choosing what is served", 0.97))
        judged = None if held is None else max((held, *held.instead.values()), key=lambda each: len(each.data))
        choice = self._chosen(judged, train, attended.check) if self.int8 else Choice(FLOAT)
        place = self.folder / choice.form
        if held is not None and judged is not None and choice.moved is not None:
            attended.listener(Progress("calibrating what is served", 0.98))
            held = self._as_served(held, place, attended.check, (judged, choice.moved))
        for name in (MODEL, DATA):
            (place / name).replace(self.folder / name)
        scorer = OnnxScorer(self.folder, reader, form=choice.form, keep=self.keep)
        return scorer, choice.form, choice.told(), self._out(held)

    def _chosen(self, held: Held | None, train: Dataset, check: Check) -> Choice:
        """Return the form that is served, judged by held-out rows, if there are any."""
        targets = self.reader.targets
        if held is None:
            data, said = _some_of(train), None
        else:
            shares = None if self.finished.static is None else self.finished.static[1].shares
            logits = held_out(replace(held, instead={}), shares).logits
            data, rows = _some_of(held.data), evenly(len(held.data), MOST_ASKED)
            said = np.hstack([logits[target.name][rows] for target in targets])
        encoded = self.reader.encoding.encode(data.inputs, check)
        question = Question(targets, data.truth, said)
        return choose_form(self.folder, lambda place: self._said_in(place, encoded, check), question)

    def _said_in(self, place: Path, encoded: Encoded, check: Check) -> Floats:
        """(rows, all labels) the logits of the form in a folder."""
        scorer = OnnxScorer(place, self.reader)
        said: Floats = np.concatenate([scorer.of_tokens(part) for part in _portions(encoded, check)])
        return said

    def _out(self, held: Held | None) -> HeldOut | None:
        """What calibration is fitted on, and whether the network could hold all that it may come to."""
        if held is None:
            return None
        network, static = self.finished.network, self.finished.static
        made = held_out(held, None if static is None else static[1].shares)
        return replace(made, shift=Head(network, last_linear(network)).takes_shifts)

    def _as_served(self, held: Held, place: Path, check: Check, known: tuple[Held, Floats]) -> Held:
        """Return held-out rows with logits as the form that is served gives them, of very many rows evenly some.

        What a fold's network said of a row is shifted by how far the form is off for the network that is served: a
        form of each fold's own network comes to the same calibration (docs/log.md). It is `known` of some rows.
        """
        data, rows = _some_of(held.data), evenly(len(held.data), MOST_ASKED)
        said = {name: array[rows] for name, array in held.said.items()}
        instead = {name: self._as_served(other, place, check, known) for name, other in held.instead.items()}
        off = known[1] if held is known[0] else self._moved(data, place, check)
        return Held(held.rows, data, {**said, LOGITS: said[LOGITS] + off}, instead)

    def _moved(self, data: Dataset, place: Path, check: Check) -> Floats:
        """(rows, labels) how far a form is off the 32-bit numbers."""
        encoded = self.reader.encoding.encode(data.inputs, check)
        return self._said_in(place, encoded, check) - self._said_in(self.folder / FLOAT, encoded, check)


def _some_of(data: Dataset) -> Dataset:
    return data if len(data) <= MOST_ASKED else data.select(evenly(len(data), MOST_ASKED))


def _portions(encoded: Encoded, check: Check) -> Iterator[Encoded]:
    for start in range(0, len(encoded), AT_ONCE):
        check()
        yield encoded.select(np.arange(start, min(start + AT_ONCE, len(encoded))))


def _write_files(finished: Finished, base: EncoderBase, folder: Path) -> None:
    """Write what transformers loads: weights, configuration, tokenizer."""
    network = cast("Any", finished.network)
    network.should_save_on_this_rank = lambda _: True  # of several processes each has a folder of its own here
    with quiet():
        network.save_pretrained(folder, max_shard_size="1TB")
    path = folder / CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)  # a place on this machine
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_bytes(base.tokenizer_json)
    if finished.static is not None:
        static = finished.static[0].contents()
        write_tensors(folder / STATIC_TENSORS, static.tensors)
        (folder / STATIC_TOKENIZER).write_bytes(static.tokenizer_json or b"")
    for name in (TOKENIZER_CONFIG, TEMPLATE):
        if (base.folder / name).is_file():
            copyfile(base.folder / name, folder / name)
