"""Files that were made ready, and their review, with names and texts that are hard on pages."""

import json
from time import time

from tamis.data.review.edits import MaskText, RemoveRow, RenameLabel, SetLabels
from tamis.data.review.report import Finding, Item, Place, Review
from tamis.jobs.reviewing import BY_HAND
from tamis.jobs.worker import owner_name
from tamis.store.records import OperationRecord, ReviewRecord
from tamis.workspace.workspace import Workspace

N_LABELS = 77


def hostile_review(name: str, target: str = "t") -> Review:
    """Return a review with findings of every gravity and every kind of change."""
    name = name.replace("\ud800", "").replace("\x00", "")
    labels = {target: (f"1 {name[:150]}",), name[:200]: ("a", "b"), "third": ()}
    rows = tuple(
        Place(split="train", row=n, file=name, line=n + 1, text=f"{n} {name}", labels=labels) for n in range(4)
    )
    tested = Place(split="test", row=0, file=name, line=1, text=name, labels=labels)
    told = {"message": name, "why": name, "suggestion": name}
    suspect = Item(
        rows=rows,
        told=name,
        score=0.9,
        proposed=(name[:150], "b"),
        edits=(SetLabels(row=0, target=target, labels=(name,)),),
    )
    pair = Item(rows=(rows[0], tested), told=name, edits=(RemoveRow(row=0), MaskText(row=1)))
    rename = Item(told=name, edits=(RenameLabel(target=target, label=name, into="b"),))
    findings = (
        Finding(
            id=f"suspects:{target}",
            code="suspects",
            severity="error",
            target=target,
            count=99,
            items=(suspect,) * 30,
            **told,
        ),
        Finding(id="leaks", code="leaks", severity="warning", count=1, items=(pair,), **told),
        Finding(
            id=f"same_names:{name[:300]}",
            code="same_names",
            severity="info",
            target=name,
            count=1,
            items=(rename,),
            **told,
        ),
        Finding(id="unheard_of", code="unheard_of", severity="info", count=3, **told),
    )
    return Review(rows={"train": 4, "test": 1}, version="0", findings=findings, remarks=(name,))


def fill_preparation(workspace: Workspace, id: str, name: str, file_id: str) -> None:
    """Put in a preparation of this id and its review, of a file that is there, with all that people said about it."""
    plain, now = name.replace("\ud800", ""), int(time())
    found = hostile_review(name)
    store = workspace.store
    with store.objects.writer(f"reviews/{id}/report.json") as writer:
        writer.write(found.model_dump_json().encode())
        writer.commit()
    store.reviews.add(
        ReviewRecord(
            id=f"{id}-review",
            status="SUCCESS",
            training_file=file_id,
            created_at=now,
            modified_at=now,
            summary=tuple(each.model_dump(mode="json", exclude={"items"}) for each in found.findings),
            result_key=f"reviews/{id}/report.json",
            decisions={"suspects:t": {"0": "accepted", "1": "rejected"}, BY_HAND: {"0:t": json.dumps([plain[:99]])}},
        )
    )
    bad = {"file": plain, "line": 3, "cause": plain, "cure": plain, "raw": plain}
    result = {
        "blocks": [
            {"kind": "section", "anchor": "section-1", "title": plain, "intro": plain},
            {
                "kind": "table",
                "headers": [plain],
                "rows": [[{"text": plain}]],
                "numeric": [],
                "sortable": True,
                "caption": "",
            },
        ],
        "findings": [{"severity": "warning", "code": "x", "message": plain, "action": plain, "count": 1, "where": []}],
        "left_out": {"count": 1, "codes": {"x": 1}, "first": [bad]},
        "targets": [
            {"name": "t", "kind": "single_label", "labels": [f"{n} {plain[:150]}" for n in range(N_LABELS)]},
            {"name": plain[:200], "kind": "multi_label", "labels": ["a", "b", plain]},
            {"name": "third", "kind": "multi_label", "labels": [str(n) for n in range(N_LABELS)]},
            {"name": "fourth", "kind": "single_label", "labels": ["a"]},
        ],
    }
    with store.objects.writer(f"operations/{id}/result") as writer:
        writer.write(json.dumps(result).encode())
        written = writer.commit()
    files = {"training": file_id, "test": file_id}
    store.operations.add(
        OperationRecord(
            id=id,
            kind="prepare",
            status="SUCCESS",
            title=name,
            told={"files": files, "layout": {}, "shares": {}},
            summary={"files": files, "review": f"{id}-review", "rows": {"train": 4, "test": 1}, "left_out": 1},
            result_key=f"operations/{id}/result",
            bytes=written.bytes,
            owner=owner_name(),
            created_at=now,
            modified_at=now,
            finished_at=now,
        )
    )
