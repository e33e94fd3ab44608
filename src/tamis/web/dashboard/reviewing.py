"""A new classifier: what its rows are worth is shown, finding by finding; changes are accepted, rejected, made by hand.

What is found, and what a decision may be, is the workspace's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi import Response

from tamis.errors import InvalidRequest
from tamis.web.auth import TRAIN
from tamis.web.dashboard.listing import Asked, Listing
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.workspace.background import LIVE, SUCCESS
from tamis.workspace.preparing import Prepared, Preparing
from tamis.workspace.reviews import Decision, Relabelled, accepted_of, by_hand, changes_of, counts_of, mark_of

if TYPE_CHECKING:
    from tamis.store.records import ReviewRecord
    from tamis.workspace.reviews import DecidedItem

SHOWN = 3
"""Rows of a finding that stand with it on the page of all findings."""

MOST_LABELS = 2_000
"""Labels that a list offers for a row."""

STATES = ("open", "accepted", "rejected")

TITLES = {
    "suspects": "Labels that may be wrong",
    "conflicts": "The same text with different labels",
    "leaks": "Rows that are measured on, too",
    "near_leaks": "Rows nearly like those that are measured on",
    "duplicates": "Rows that stand twice",
    "near_duplicates": "Rows that are nearly the same",
    "near_conflicts": "Nearly the same text with different labels",
    "same_names": "Labels with nearly the same name",
    "misspelt_names": "Labels that may be misspelt",
    "few_rows": "Labels with few rows",
    "uneven": "Labels with very many rows",
    "hard_to_tell": "Labels that are hard to tell apart",
    "beside_none": "“None of these” beside other labels",
    "never_alone": "Labels that never stand alone",
    "unknown_or_none": "Not known, or none of the labels?",
    "empty_texts": "Texts without content",
    "cut_texts": "Texts that seem to be cut off",
    "personal_data": "Personal data in texts",
    "other_languages": "Texts in another language",
    "templates": "Texts made from one template",
}
"""What the findings are called here, by their code."""

INSTEAD = {
    "few_rows": "Nothing is changed here: bring more rows for these labels, or give their rows another label.",
    "unknown_or_none": "Say it in one way: the step Columns lets empty cells mean “none of the labels”.",
}
"""What is suggested here, where the suggestion is one for the command line."""

pages = Pages()


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as the page shows it: with its first rows, and what was decided."""

    card: Mapping[str, Any]
    items: Sequence[Any]
    decision: str
    accepted: int
    decided: Mapping[str, int]
    may_accept: bool

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return TITLES.get(str(self.card["code"]), str(self.card["code"]).replace("_", " ").capitalize())

    @property
    def one_by_one(self) -> bool:
        """Whether something was said of single rows: what is decided on all is then on the rest."""
        return any(self.decided.get(state) for state in STATES[1:])

    @property
    def suggestion(self) -> str:
        """What accepting it does, or what a person could do."""
        return INSTEAD.get(str(self.card["code"]), str(self.card["suggestion"]))


@pages.get("/new/data/{prepared_id}", TRAIN)
def data(visit: Visit) -> Response:
    """Show how far the work is, then what was found."""
    preparing = Preparing(visit.workspace)
    record = preparing.get(_id(visit))
    if record.status != SUCCESS:
        return visit.page("new_wait.html", record=record, is_live=record.status in LIVE, back=_back(record.told))
    prepared = preparing.result(record.id)
    review, report = visit.workspace.reviews.report(prepared.review)
    files = {part: visit.workspace.files.get(file_id) for part, file_id in prepared.files.items()}
    found = [_found(review, finding) for finding in report.findings]
    return visit.page(
        "new_data.html",
        charts=True,
        record=record,
        prepared=prepared,
        files=files,
        review=review,
        report=report,
        found=found,
        changes=changes_of(review),
        decided=mark_of(review),
        to_training=_to_training(prepared),
        next_data=_next_data(preparing, record.id, review.output_file),
    )


@pages.post("/new/data/{prepared_id}/cancel", TRAIN)
def cancel(visit: Visit) -> Response:
    """End the work."""
    record = Preparing(visit.workspace).get(_id(visit))
    visit.workspace.operations.cancel(record.id)
    return visit.go(_place(visit), "The work was stopped.", "info")


@pages.get("/new/data/{prepared_id}/finding", TRAIN)
def finding(visit: Visit) -> Response:
    """Show the rows of one finding, each with what could be done."""
    name = visit.asked("finding")
    if not name:
        return data(visit)
    prepared = Preparing(visit.workspace).result(_id(visit))
    asked = Asked.of(visit, STATES)
    whole, items = visit.workspace.reviews.items(prepared.review, name, asked.state or None)
    review = visit.workspace.reviews.get(prepared.review)
    listing = Listing.of(asked, items)
    return visit.page(
        "new_finding.html",
        place=_place(visit),
        finding=_found(review, whole),
        listing=listing,
        links=_links(visit, name, asked, listing),
        by_hand=by_hand(review),
        targets={target.name: target for target in prepared.targets if len(target.labels) <= MOST_LABELS},
        lists={target.name: number for number, target in enumerate(prepared.targets)},
        changes=changes_of(review),
        does=_does,
        here=f"{_place(visit)}/finding?{visit.request.url.query}",
        states=STATES,
    )


@pages.post("/new/data/{prepared_id}/decide", TRAIN)
def decide(visit: Visit) -> Response:
    """Accept, reject or open again what is found: one row, or all of a finding."""
    prepared = Preparing(visit.workspace).result(_id(visit))
    item = visit.sent("item")
    number = int(item) if item.isascii() and item.isdigit() and len(item) < 8 else None
    which = -1 if item and number is None else number
    decision = Decision(visit.sent("finding"), visit.sent("decision"), which, rest=True)
    visit.workspace.reviews.decide(prepared.review, [decision])
    return visit.go(_from(visit, f"item-{number}" if item else f"finding-{_anchor(decision.finding)}"))


@pages.post("/new/data/{prepared_id}/label", TRAIN)
def label(visit: Visit) -> Response:
    """Give a row other labels by hand, or take that back."""
    prepared = Preparing(visit.workspace).result(_id(visit))
    row, back = visit.sent("row"), _from(visit, f"item-{visit.sent('item')}")
    target = next((target for target in prepared.targets if target.name == visit.sent("target")), None)
    if target is None:
        raise InvalidRequest(f"The rows have no labels of {visit.sent('target')[:80]!r}.", loc=["body", "target"])
    labels = _labels_sent(visit)
    if unknown := [label for label in labels if label not in target.labels]:
        return visit.go(
            back, f"There is no label “{unknown[0][:80]}” in the rows: take one of those that are there.", "error"
        )
    if not labels and not target.several:
        return visit.go(back, "Choose a label first.", "error")
    given = Relabelled(
        row=int(row) if row.isascii() and row.isdigit() and len(row) < 12 else -1,
        target=target.name,
        labels=None if visit.sent("undo") else labels,
    )
    visit.workspace.reviews.relabel(prepared.review, given)
    return visit.go(back)


@pages.post("/new/data/{prepared_id}/apply", TRAIN)
def apply(visit: Visit) -> Response:
    """Write a new training file with what was accepted, and look at it again: once, and only what the page showed."""
    preparing = Preparing(visit.workspace)
    prepared = preparing.result(_id(visit))
    review = visit.workspace.reviews.get(prepared.review)
    decided, changes = mark_of(review), changes_of(review)
    if changes and visit.sent("decided") != decided:
        now = "1 change is" if changes == 1 else f"{changes:,} changes are"
        told = f"Something else was decided meanwhile, in another window or by somebody else: {now} accepted now."
        return visit.go(_place(visit), f"{told} Nothing was applied yet: look again, then apply.", "info")
    if there := preparing.after(review.id, decided):
        return visit.go(f"/ui/new/data/{there.id}", "These changes were applied already.", "info")
    applied = visit.workspace.reviews.apply(prepared.review)
    again = preparing.again(_id(visit), applied, decided, visit.caller)
    told = f"{applied.file.name} has {applied.rows_after:,} rows (before: {applied.rows_before:,})."
    return visit.go(f"/ui/new/data/{again.id}", f"{told} The file before stays as it was.")


def _found(review: ReviewRecord, finding: Any) -> Found:  # noqa: ANN401  a finding of the data's report
    card = finding.model_dump(mode="json", exclude={"items"})
    counts = counts_of(review, card)
    return Found(
        card=card,
        items=finding.items[:SHOWN],
        decision=counts["decision"],
        accepted=accepted_of(review, card),
        decided=counts["items"],
        may_accept=any(item.edits for item in finding.items),
    )


def _does(item: DecidedItem) -> Iterator[str]:
    """Say what accepting an item does, change by change."""
    for edit in item.item.edits:
        at = next((place for place in item.item.rows if place.split == "train" and place.row == _row(edit)), None)
        where = "a row" if at is None else f"line {at.source_line:,}" if at.source_line else f"row {at.line:,}"
        if edit.kind == "remove_row":
            yield f"leave {where} out"
        elif edit.kind == "set_labels":
            given = ", ".join(edit.labels) if edit.labels else "no label" if edit.labels is not None else "not known"
            yield f"{edit.target} of {where} becomes {given}"
        elif edit.kind == "rename_label":
            yield f"“{edit.label}” is called “{edit.into}” in all rows"
        else:
            yield f"e-mail addresses, numbers and the like in {where} become words like [email]"


def _row(edit: Any) -> int | None:  # noqa: ANN401  one of the data's edits
    return getattr(edit, "row", None)


def _to_training(prepared: Prepared) -> str:
    return f"/ui/new/train?{urlencode({**prepared.files, 'review': prepared.review})}"


def _next_data(preparing: Preparing, prepared_id: str, output_file: str | None) -> str:
    """Return the page of the files with what was accepted, where that was applied."""
    later = preparing.latest(output_file) if output_file else None
    return f"/ui/new/data/{later.id}" if later and later.id != prepared_id else ""


def _links(visit: Visit, name: str, asked: Asked, listing: Listing[Any]) -> dict[str, str]:
    """The addresses of the pages beside this one, and of the rows in each state."""
    place = f"{_place(visit)}/finding"

    def link(page: int = 1, state: str = asked.state) -> str:
        query = {"finding": name, **({"state": state} if state else {}), **({"page": str(page)} if page > 1 else {})}
        return f"{place}?{urlencode(query)}"

    return {
        "newer": link(asked.page - 1) if asked.page > 1 else "",
        "older": link(asked.page + 1) if asked.page < listing.pages else "",
        "last": link(listing.pages),
        **{state or "all": link(state=state) for state in ("", *STATES)},
    }


def _back(told: Mapping[str, Any]) -> str:
    """Return the page of columns of the same files, with what was chosen there."""
    chosen = told.get("chosen") or urlencode(told.get("files", {}))
    return f"/ui/new/columns?{chosen}" if told.get("layout") is not None else "/ui/new"


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["prepared_id"])


def _place(visit: Visit) -> str:
    return f"/ui/new/data/{quote(_id(visit), safe='')}"


def _labels_sent(visit: Visit) -> tuple[str, ...]:
    """Return the labels of a form: ticked, written, or one a line."""
    given = [*visit.form.get("label", ()), *visit.sent("lines").splitlines()]
    return tuple(dict.fromkeys(label.strip() for label in given if label.strip()))


def _from(visit: Visit, anchor: str) -> str:
    """Return where the form came from: the finding's own page where it says so, else the page of all."""
    asked = {name: visit.sent(name) for name in ("state", "page") if visit.sent(name)}
    if visit.sent("from") == "finding":
        return f"{_place(visit)}/finding?{urlencode({'finding': visit.sent('finding'), **asked})}#{quote(anchor)}"
    return f"{_place(visit)}#{quote(anchor)}"


def _anchor(finding: str) -> str:
    return quote(finding, safe="")
