"""A candidate measured against the current model on an uploaded file, in a process of its own.

What it comes to is answered; who asks decides what follows (`workspace.promotions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tamis.errors import UnknownModel
from tamis.evaluation.conditions import parse_all
from tamis.evaluation.gate import GateReport
from tamis.jobs.aside import answered
from tamis.jobs.operating import Acting, Done, Tell
from tamis.jobs.tools import Tools, files_here
from tamis.ml.model import Model, load
from tamis.ml.promotion import Rivals, contest, rows_for
from tamis.store.artifacts import CACHE, folder_of


def answer(tools: Tools, told: Mapping[str, Any]) -> bytes:
    """Return what the process says: the table and what became of the conditions, or why it could not measure."""

    def work() -> dict[str, Any]:
        return _measured(tools, told, Path(told["work"]), lambda share, stage: None).model_dump(mode="json")

    return answered(work, tools.choices.home)


def measure(acting: Acting) -> Done:
    """Measure as an operation, whose result is the table with what became of the conditions.

    Raises:
        UnknownModel: one of the models was deleted meanwhile.
        InvalidSetting: a condition cannot be judged.
        DataError: the rows cannot be used.
    """
    report = _measured(acting.tools, acting.told, acting.work, acting.tell)
    return Done(report.model_dump_json().encode(), "promotion.json")


def _measured(tools: Tools, told: Mapping[str, Any], work: Path, tell: Tell) -> GateReport:
    tell(0.05, "Loading the versions")
    conditions = parse_all(told["conditions"])
    current = told["current"]
    rivals = Rivals(
        candidate=_loaded(tools, told["candidate"]),
        name=told["candidate_name"],
        current=None if current is None else _loaded(tools, current),
        current_name=told["current_name"],
    )
    tell(0.2, "Reading the rows")
    with files_here(tools.store, [told["file"]], work) as paths:
        part = rows_for(rivals, paths[told["file"]], tools.choices.reading, max_bad_share=told["max_bad_share"])
    tell(0.4, f"Measuring on {len(part.data):,} rows")
    report = contest(
        rivals,
        part.data,
        conditions,
        allow_label_changes=told["allow_label_changes"],
        allow_unmeasured=bool(told.get("allow_unmeasured")),
    )
    return report.model_copy(update={"remarks": (*part.read_as, *report.remarks)})


def _loaded(tools: Tools, model_id: str) -> Model:
    record = tools.store.models.find(model_id)
    if record is None:
        raise UnknownModel(f"The model {model_id} was deleted meanwhile.", model=model_id)
    return load(folder_of(tools.store.objects, record, tools.choices.home / CACHE))
