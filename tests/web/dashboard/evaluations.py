"""Evaluations and exports as they are kept, with names that are hard on pages."""

from functools import cache
from time import time

import numpy as np

from tamis.data.truth import MultiTruth, SingleTruth, multi_truth
from tamis.evaluation.behind import behind
from tamis.evaluation.kept import Evaluation, KeptReasons, KeptRow, KeptTarget
from tamis.evaluation.report import EvaluationReport, evaluate_target
from tamis.jobs.evaluating import charts_of, summary_of
from tamis.jobs.worker import owner_name
from tamis.schema import Kind, Target
from tamis.store.records import OperationRecord
from tamis.workspace.workspace import Workspace

N, LABELS = 200, 77


@cache
def hostile_evaluation(name: str) -> Evaluation:
    """Return an evaluation of two targets of 77 labels, whose labels, texts and file are called so."""
    name = name.replace("\ud800", "")
    random = np.random.default_rng(0)
    labels = tuple(f"{number} {name[:150]}" for number in range(LABELS))
    scores = random.dirichlet(np.full(LABELS, 0.05), N).astype(np.float32)
    one = Target(name=name, kind=Kind.SINGLE_LABEL, labels=labels)
    many = Target(name="t0", kind=Kind.MULTI_LABEL, labels=labels)
    truths: dict[str, SingleTruth | MultiTruth] = {
        one.name: SingleTruth(random.integers(0, LABELS, N).astype(np.int32), LABELS),
        many.name: multi_truth([random.integers(0, LABELS, 3).tolist() for _ in range(N)], LABELS),
    }
    reports, kept = {}, {}
    for target in (one, many):
        thresholds = np.full(LABELS, 0.5, np.float32) if target.is_multi else None
        report = evaluate_target(target, truths[target.name], scores, thresholds, resamples=0)
        gathered = behind(target, truths[target.name], thresholds)
        gathered.add(0, scores)
        reasons = {
            mistake.row: KeptReasons(label=labels[0], highlights=((0, 8, 1.0), (9, 12, -0.4)))
            for mistake in report.mistakes
        }
        reports[target.name] = report
        kept[target.name] = KeptTarget(cells=gathered.cells(), reasons=reasons, charts=charts_of(report))
    rows = {row: KeptRow(line=row + 1, text=f"{name} {row}") for row in range(N)}
    whole = EvaluationReport(n=N, targets=reports, seconds=1.0)
    return Evaluation(model=name, file=name, sha256="0", report=whole, rows=rows, targets=kept, remarks=(name,))


def fill_operation(workspace: Workspace, id: str, kind: str, model_id: str, content: bytes, **columns: object) -> None:
    """Put in an operation of a model that is done, with its result."""
    with workspace.store.objects.writer(f"operations/{id}/result") as writer:
        writer.write(content)
        written = writer.commit()
    usual: dict[str, object] = {"title": "t", "status": "SUCCESS", "owner": owner_name(), "finished_at": int(time())}
    record = OperationRecord(
        id=id,
        kind=kind,
        model_id=model_id,
        result_key=f"operations/{id}/result",
        bytes=written.bytes,
        created_at=int(time()),
        modified_at=int(time()),
        **{**usual, **columns},  # type: ignore[arg-type]
    )
    workspace.store.operations.add(record)


def fill_evaluation(workspace: Workspace, id: str, model_id: str, name: str) -> None:
    """Put in a model's evaluation."""
    made = hostile_evaluation(name)
    content, summary = made.model_dump_json().encode(), summary_of(made, "f")
    fill_operation(workspace, id, "evaluate", model_id, content, title=name, summary=summary, told={"file": "f"})
