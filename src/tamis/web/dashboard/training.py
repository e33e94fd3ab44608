"""The last step of a new classifier: its name, the base model with the time that it takes, how to train, the start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi import Response

from tamis.errors import DataError, InvalidRequest, Overloaded, SimilarJob, TamisError
from tamis.web import problems
from tamis.web.auth import TRAIN
from tamis.web.dashboard.drafts import MOST_TITLE, Draft, place_of
from tamis.web.dashboard.failures import FAILURES, Failure, in_words
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.visits import Visit
from tamis.web.routing import unless_left
from tamis.workspace.estimates import Measured, Offered, Presence
from tamis.workspace.files import FINE_TUNE

if TYPE_CHECKING:
    from tamis.store.records import FileRecord

PLACE = "/new/train"
CHOICE = 100
"""Files that can be chosen from."""

LANGUAGES_SHOWN = 4
UNFIT = FAILURES["data_error"]

_RANGE = re.compile(r"^\w+ = [^:]*: input should be")

pages = Pages()


@dataclass(frozen=True, slots=True)
class Card:
    """A base model to choose, and what is known of the time that it takes: `measured`, or why that is not known."""

    offer: Offered
    chosen: bool
    measured: Measured | None = None
    trouble: str = ""
    later: bool = False

    @property
    def name(self) -> str:
        """What a job calls it."""
        return self.offer.name

    @property
    def can_be_used(self) -> bool:
        """Whether a job could begin with it."""
        return self.offer.presence is not Presence.LACKING

    @property
    def can_be_measured(self) -> bool:
        """Whether its time can be told before: one that is not here would be downloaded first."""
        return self.offer.presence is Presence.HERE

    @property
    def languages(self) -> str:
        """The languages that it was made for, in a few words."""
        shown = self.offer.languages[:LANGUAGES_SHOWN]
        more = len(self.offer.languages) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")


@dataclass(frozen=True, slots=True)
class Refused:
    """What is wrong with a form: the field, why, and the status of the answer."""

    field: str
    why: str
    status: int

    @classmethod
    def of(cls, error: TamisError) -> Refused:
        """Read it from an error."""
        name = place_of(error) if isinstance(error, InvalidRequest) else ""
        why = _RANGE.sub("It should be", in_words(error.for_callers))
        return cls(name, why[:1].upper() + why[1:], problems.status_of(error))


NOTHING = Refused("", "", 200)
"""Nothing is wrong."""


@pages.get(PLACE, TRAIN)
def form(visit: Visit) -> Response:
    """Show the form: on files of the address, as a job was (`from`), or the files that there are to choose from."""
    if job_id := visit.asked("from"):
        draft = Draft.like(visit.workspace.jobs.get(job_id).job)
    else:
        draft = Draft.of(visit.request.query_params.getlist)
    if not draft.training or visit.asked("choose"):
        files, total = visit.workspace.files.list(0, CHOICE, {"purpose": FINE_TUNE})
        return visit.page("train_choose.html", files=files, total=total, draft=draft)
    return _shown(visit, draft)


@pages.post(f"{PLACE}/estimate", TRAIN)
def estimate(visit: Visit) -> Response:
    """Show the form again, with the time that the chosen base model takes."""
    draft = Draft.of(lambda name: visit.form.get(name, ()))
    cards, told = _cards(visit, draft), NOTHING
    unread: tuple[Failure, str] | None = None
    for place, card in enumerate(cards):
        if not (card.chosen and card.can_be_measured):
            continue
        try:
            measured = visit.workspace.estimates.measure(draft.job(card.name), unless_left(visit.request))
            cards[place] = Card(card.offer, True, measured)
        except InvalidRequest as error:
            told = replace(Refused.of(error), status=200)  # nobody meant to send the form yet
        except DataError as error:
            cards[place] = Card(card.offer, True, None, "Not known before the data is set right: see above.")
            unread = (FAILURES.get(error.code, UNFIT), in_words(error.for_callers))
        except TamisError as error:
            cards[place] = Card(card.offer, True, None, error.for_callers, isinstance(error, Overloaded))
    return _shown(visit, draft, cards, told, unread)


@pages.post(PLACE, TRAIN)
def start(visit: Visit) -> Response:
    """Make the job, which starts by itself, and show it; one that is the same and under way is shown instead."""
    draft, jobs = Draft.of(lambda name: visit.form.get(name, ())), visit.workspace.jobs
    try:
        new = draft.job(draft["base"], visit.sent("wandb_key").strip(), visit.caller)
        job_id = jobs.create(new).id
    except SimilarJob as similar:
        return visit.go(f"/ui/jobs/{similar.context['job_id']}", "This very job is under way already.", "info")
    except TamisError as error:
        return _shown(visit, draft, told=Refused.of(error))
    return visit.go(f"/ui/jobs/{job_id}")


def _shown(
    visit: Visit,
    draft: Draft,
    cards: Sequence[Card] = (),
    told: Refused = NOTHING,
    unread: tuple[Failure, str] | None = None,
) -> Response:
    files = _files(visit, draft)
    if visit.request.method == "GET" and not draft["title"]:
        draft = replace(draft, said={**draft.said, "title": files["training"][0].name.partition(".")[0][:MOST_TITLE]})
    cards = cards or _cards(visit, draft)
    measured = next((card.measured for card in cards if card.measured), None)
    return visit.page(
        "train.html",
        status=told.status,
        draft=draft,
        files=files,
        cards=cards,
        measured=measured,
        unread=unread,
        wrong={told.field: told.why} if told.field else {},
        trouble="" if told.field else told.why,
        address=f"/ui{PLACE}?{urlencode(draft.fields, doseq=True)}",
        tracks=visit.workspace.estimates.tracks(),
        mlflow=bool(visit.workspace.settings.mlflow_tracking_uri),
    )


def _files(visit: Visit, draft: Draft) -> Mapping[str, Sequence[FileRecord]]:
    """The records of the files that it is about."""
    tested = (draft.test,) if draft.test else ()
    asked = {"training": draft.training, "validation": draft.validation, "test": tested}
    return {name: [visit.workspace.files.get(file_id) for file_id in ids] for name, ids in asked.items()}


def _cards(visit: Visit, draft: Draft) -> list[Card]:
    """The base models to choose from; the first that can be used is chosen where none is."""
    offers = visit.workspace.estimates.bases()
    usable = [offer.name for offer in offers if offer.presence is not Presence.LACKING]
    named = {offer.name for offer in offers}
    chosen = draft["base"] if draft["base"] in named else next(iter(usable), "")
    return [Card(offer, offer.name == chosen, _known(visit, draft, offer)) for offer in offers]


def _known(visit: Visit, draft: Draft, offer: Offered) -> Measured | None:
    """What was found out before of training on this base model."""
    try:
        return visit.workspace.estimates.known(draft.job(offer.name))
    except InvalidRequest:  # which is told where the form is sent
        return None
