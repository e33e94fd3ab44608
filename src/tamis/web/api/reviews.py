"""`/v1/tamis/reviews`: labelled files looked at row by row; suggestions accepted, rejected, applied to a new file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from tamis.web.routing import JsonRoute, answer, caller_of, unless_left, workspace_of
from tamis.workspace.reviews import Decision, NewReview, counts_of

if TYPE_CHECKING:
    from tamis.store.records import ReviewFilters, ReviewRecord
    from tamis.workspace.reviews import Applied, DecidedItem

router = APIRouter(prefix="/v1/tamis/reviews", tags=["Reviews"], route_class=JsonRoute)

_FILE, _REVIEW = "5f0c2d5e-7a9b-4a53-9c3c-0f6f8e1c2b3a", "0b9d8c1e-3f4a-4e6b-8a55-6c2f1d7e9a10"

Severity = Literal["error", "warning", "info"]
Verdict = Literal["accepted", "rejected", "open"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReviewRequest(_Body):
    """What to look at: a training file, or a dataset, whose evaluation rows are the validation file."""

    training_file: str | None = Field(default=None, max_length=200, examples=[_FILE])
    dataset: str | None = Field(default=None, max_length=200, description="id of a dataset, instead of a file")
    validation_files: list[Annotated[str, Field(max_length=200)]] = []
    test_files: list[Annotated[str, Field(max_length=200)]] = []
    suspects: bool = True
    learning_curve: bool = False


class DecisionRequest(_Body):
    """A decision on an item of a finding; without an item, on all of the finding."""

    finding: str = Field(max_length=1000, examples=["suspects:intent"])
    item: int | None = None
    decision: Verdict


class DecisionsRequest(_Body):
    """Decisions, taken in this order."""

    decisions: list[DecisionRequest]


class ApplyRequest(_Body):
    """Further fixes, as `tamis fix --apply` takes them, and the new file's name."""

    fixes: str | None = Field(default=None, max_length=2000, examples=["drop-rare=200,cap-none=0.1"])
    name: str | None = Field(default=None, max_length=200)


class FindingCard(BaseModel):
    """A finding without its items, and what was decided on it: on all of it, and on how many items otherwise."""

    id: str = Field(examples=["suspects:intent"])
    code: str = Field(examples=["suspects"])
    severity: Severity
    target: str | None = Field(examples=["intent"])
    message: str = Field(examples=["12 rows may have a wrong label of `intent`."])
    why: str
    suggestion: str
    fix: str | None
    count: int = Field(examples=[12])
    decision: Verdict
    items_decided: dict[str, int] = Field(examples=[{"accepted": 3, "rejected": 1}])


class ReviewCard(BaseModel):
    """A review."""

    id: str = Field(examples=[_REVIEW])
    object: Literal["review"] = "review"
    status: Literal["QUEUED", "RUNNING", "SUCCESS", "FAILED", "CANCELLED"]
    progress: float = Field(examples=[1.0])
    training_file: str = Field(examples=[_FILE])
    validation_files: list[str]
    test_files: list[str]
    suspects: bool
    learning_curve: bool
    dataset: str | None = Field(default=None, description="where a dataset is looked at, its id")
    findings: list[FindingCard]
    output_file: str | None
    log_file: str | None
    version: dict[str, Any] | None
    error_code: str | None
    error: str | None
    created_at: int
    modified_at: int
    finished_at: int | None

    @classmethod
    def of(cls, record: ReviewRecord) -> ReviewCard:
        """Return what is told of a review."""
        return cls(
            id=record.id,
            status=record.status,  # type: ignore[arg-type]
            progress=record.progress,
            training_file=record.training_file,
            validation_files=list(record.validation_files),
            test_files=list(record.test_files),
            suspects=bool(record.options.get("suspects", True)),
            learning_curve=bool(record.options.get("learning_curve")),
            dataset=record.options.get("dataset"),
            findings=[_card(record, finding) for finding in record.summary],
            output_file=record.output_file,
            log_file=record.log_file,
            version=record.version,
            error_code=record.error_code,
            error=record.error,
            created_at=record.created_at,
            modified_at=record.modified_at,
            finished_at=record.finished_at,
        )


class ReviewList(BaseModel):
    """A page of reviews, the newest first."""

    object: Literal["list"] = "list"
    data: list[ReviewCard]
    total: int


class ItemCard(BaseModel):
    """One thing to decide on: rows, what is special, the labels proposed, what accepting changes, the decision."""

    number: int
    decision: Verdict
    rows: list[dict[str, Any]] = Field(
        examples=[
            [{"file": "train.jsonl", "line": 17, "text": "where is my parcel", "labels": {"intent": ["payment"]}}]
        ]
    )
    told: str
    score: float | None = Field(examples=[0.91])
    proposed: list[str] | None = Field(examples=[["delivery"]])
    edits: list[dict[str, Any]]

    @classmethod
    def of(cls, decided: DecidedItem) -> ItemCard:
        """Return an item with its decision."""
        return cls(
            number=decided.number,
            decision=decided.decision,  # type: ignore[arg-type]
            **decided.item.model_dump(mode="json"),
        )


class ItemList(BaseModel):
    """A page of a finding's items; `total` counts those that match, `count` all rows of the finding."""

    object: Literal["list"] = "list"
    finding: str = Field(examples=["suspects:intent"])
    count: int
    data: list[ItemCard]
    total: int


class CurveCard(BaseModel):
    """Everything about the review as a whole that no finding says."""

    rows: dict[str, int] = Field(examples=[{"train": 5000, "validation": 500}])
    version: str
    scored: dict[str, Any] | None
    curve: dict[str, Any] | None
    remarks: list[str]
    seconds: float


class AppliedCard(BaseModel):
    """The new file, the log of what changed in it, and how much that was."""

    object: Literal["review.applied"] = "review.applied"
    file: str = Field(examples=[_FILE])
    name: str = Field(examples=["train.v2.jsonl"])
    log_file: str
    rows_before: int = Field(examples=[5000])
    rows_after: int = Field(examples=[4988])
    changes: dict[str, int] = Field(examples=[{"duplicates": 12, "suspects:intent": 3}])
    version: dict[str, Any]
    dataset: str | None = Field(default=None, description="where a dataset was looked at, the id of the new one")

    @classmethod
    def of(cls, applied: Applied) -> AppliedCard:
        """Return what came of it."""
        return cls(
            file=applied.file.id,
            name=applied.file.name,
            log_file=applied.log.id,
            rows_before=applied.rows_before,
            rows_after=applied.rows_after,
            changes=dict(applied.changes),
            version=dict(applied.version),
            dataset=applied.dataset.id if applied.dataset else None,
        )


class DeletedReview(BaseModel):
    """What a deletion answers."""

    id: str = Field(examples=[_REVIEW])
    object: Literal["review"] = "review"
    deleted: bool = True


@router.post("", summary="Review labelled files", response_model=ReviewCard)
def create(request: Request, body: ReviewRequest) -> Response:
    """Begin to look at files that were uploaded: every row, every label. Nothing is changed."""
    new = NewReview(**body.model_dump(), created_by=caller_of(request))
    return answer(ReviewCard.of(workspace_of(request).reviews.create(new)))


@router.get("", summary="List reviews", response_model=ReviewList)
def list_reviews(
    request: Request,
    page: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
    training_file: Annotated[str | None, Query(max_length=200)] = None,
    status: Annotated[str | None, Query(max_length=20)] = None,
) -> Response:
    """Return the reviews, the newest first."""
    filters: ReviewFilters = {"training_file": training_file, "status": status}
    found, total = workspace_of(request).reviews.list(page, page_size, filters)
    return answer(ReviewList(data=[ReviewCard.of(record) for record in found], total=total))


@router.get("/{review_id}", summary="Retrieve a review", response_model=ReviewCard)
def retrieve(
    request: Request,
    review_id: str,
    severity: Annotated[list[Severity] | None, Query()] = None,
    code: Annotated[list[str] | None, Query()] = None,
    target: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Return a review: how far it is, and its findings, of these severities, codes and this target."""
    card = ReviewCard.of(workspace_of(request).reviews.get(review_id))
    card.findings = [
        finding
        for finding in card.findings
        if (not severity or finding.severity in severity)
        and (not code or finding.code in code)
        and (target is None or finding.target == target)
    ]
    return answer(card)


@router.get("/{review_id}/items", summary="List the items of a finding", response_model=ItemList)
def list_items(
    request: Request,
    review_id: str,
    finding: Annotated[str, Query(max_length=1000)],
    decision: Annotated[Verdict | None, Query()] = None,
    page: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Return the rows of a finding, the surest first, each with what was decided. Personal data in texts is masked."""
    found, items = workspace_of(request).reviews.items(review_id, finding, decision)
    shown = items[page * page_size : (page + 1) * page_size]
    data = [ItemCard.of(each) for each in shown]
    return answer(ItemList(finding=finding, count=found.count, data=data, total=len(items)))


@router.get("/{review_id}/summary", summary="What holds for the whole review", response_model=CurveCard)
def summarise(request: Request, review_id: str) -> Response:
    """Return the rows looked at, how labels were judged, and the learning curve, if it was asked for."""
    _, report = workspace_of(request).reviews.report(review_id)
    return answer(CurveCard.model_validate(report.model_dump(mode="json", exclude={"findings"})))


@router.put("/{review_id}/decisions", summary="Accept or reject suggestions", response_model=ReviewCard)
def decide(request: Request, review_id: str, body: DecisionsRequest) -> Response:
    """Accept or reject items, or all of a finding at once, which takes back what was decided on its items."""
    decisions = [Decision(each.finding, each.decision, each.item) for each in body.decisions]
    return answer(ReviewCard.of(workspace_of(request).reviews.decide(review_id, decisions)))


@router.post("/{review_id}/apply", summary="Apply what was accepted", response_model=AppliedCard)
def apply(request: Request, review_id: str, body: ApplyRequest) -> Response:
    """Make a new file of the training file, with what was accepted applied, and a log with a line for every change."""
    reviews = workspace_of(request).reviews
    return answer(AppliedCard.of(reviews.apply(review_id, body.fixes, body.name, unless_left(request))))


@router.delete("/{review_id}", summary="Delete a review", response_model=DeletedReview)
def delete(request: Request, review_id: str) -> Response:
    """Delete a review, at work or not; files that came of it stay."""
    workspace_of(request).reviews.delete(review_id)
    return answer(DeletedReview(id=review_id))


def _card(record: ReviewRecord, finding: dict[str, Any]) -> FindingCard:
    decided = counts_of(record, finding)
    return FindingCard(**finding, decision=decided["decision"], items_decided=decided["items"])
