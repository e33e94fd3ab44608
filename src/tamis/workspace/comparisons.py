"""Comparisons: models, baselines and LLMs of the operator's endpoint on one labelled file, measured in the background.

Owns what may be asked: which contenders, which files, what LLMs may cost. Models are those of the workspace, and LLMs
those of the configured endpoint: no address that a caller names is ever asked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite
from typing import Any

from pydantic import ValidationError

from tamis.errors import Conflict, InvalidRequest, UnknownOperation
from tamis.evaluation.comparison import Comparison
from tamis.evaluation.comparison_page import build_page
from tamis.jobs.comparing import ANSWERS, BASELINES
from tamis.labelers.entering import MOST
from tamis.settings import Settings
from tamis.store.records import ModelRecord, OperationFilters, OperationRecord
from tamis.workspace.background import SUCCESS
from tamis.workspace.files import Files
from tamis.workspace.models import Models
from tamis.workspace.operations import NewOperation, Operations

COMPARE = "compare"

MOST_ROWS = 1_000_000
MOST_CONTEXT, MOST_NAME = 2000, 200
MOST_SHOTS = 20
MOST_LOOKED_AT = 200
"""Comparisons on one file in which kept answers are looked for, the newest ones."""

Listing = tuple[list[OperationRecord], int]
Told = list[dict[str, Any]]
Earlier = list["EarlierLlm"]


@dataclass(frozen=True, slots=True)
class AskedLlm:
    """An LLM of the endpoint, by the name that callers use; prices are of a million tokens, None where not known."""

    name: str
    price_in: float | None = None
    price_out: float | None = None

    @property
    def has_price(self) -> bool:
        """Whether it is known what it costs."""
        return bool(self.price_in or self.price_out)


@dataclass(frozen=True, slots=True)
class EarlierLlm:
    """An LLM of a finished comparison, whose answers are kept: `rows` of the file that it was asked about.

    `id` says which it is: that of the comparison, a colon, and its number among the LLMs of it.
    """

    id: str
    name: str
    rows: int
    asked_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComparison:
    """A comparison as it is asked for.

    Attributes:
        file: the labelled rows that all are asked about.
        models: references of models.
        baselines: names of `jobs.comparing.BASELINES`.
        llms: of the endpoint.
        earlier: ids of LLMs whose answers on the same file are kept (`Comparisons.earlier`): they are asked nothing.
        train: the rows that baselines learn from, and that examples for LLMs are drawn from.
        limit: ask about so many rows, drawn at random; None: about all.
        budget: what all LLMs together may cost, in the currency of their prices.
        shots: examples of each label that LLMs are shown.
        context: what the texts are, for LLMs.
        oos_label: what rows carry that no label fits.
        created_by: the key it came with.
    """

    file: str
    models: Sequence[str] = ()
    baselines: Sequence[str] = ()
    llms: Sequence[AskedLlm] = ()
    earlier: Sequence[str] = ()
    train: str | None = None
    limit: int | None = None
    budget: float | None = None
    shots: int = 0
    context: str = ""
    oos_label: str | None = None
    created_by: str | None = None


@dataclass(frozen=True)
class Report:
    """What came of a comparison: itself, and its page as other pages show it (`tamis.pages.Page.outline`)."""

    record: OperationRecord
    comparison: dict[str, Any]
    outline: dict[str, Any]

    @cached_property
    def html(self) -> str:
        """The page as one file that needs no network.

        Raises:
            Conflict: it was made by a Tamis whose comparisons look otherwise.
        """
        try:
            comparison = Comparison.model_validate(self.comparison)
        except ValidationError:
            raise Conflict("This comparison was made by another version of Tamis: make it again.") from None
        return build_page(comparison).render()


class Comparisons:
    """The comparisons of a workspace."""

    def __init__(self, models: Models, files: Files, operations: Operations, settings: Settings) -> None:
        """Take what is compared, on what, who does it, and which LLMs there are."""
        self._models, self._files, self._operations, self._settings = models, files, operations, settings

    @property
    def has_llms(self) -> bool:
        """Whether an endpoint is configured."""
        return bool(self._settings.llm_base_url)

    @property
    def llms(self) -> tuple[str, ...]:
        """The names of LLMs that the operator has given; others of the endpoint can be asked too."""
        return tuple(self._settings.llm_models) if self.has_llms else ()

    def create(self, new: NewComparison) -> OperationRecord:
        """Begin a comparison.

        Raises:
            InvalidRequest: it cannot be made; `loc` names the field.
            UnknownModel: there is no such model, or it is archived.
            UnknownFile: there is no such file.
            Overloaded, LimitExceeded, StorageFull: see `Operations.create`.
        """
        models = list({model.id: model for model in map(self._models.answering, new.models)}.values())
        self._check(new, len(models))
        file = self._files.get(new.file)
        train = self._files.get(new.train) if new.train else None
        names = _names(models)
        llms = self._told_llms(new.llms, set(names.values()))
        told = {
            "file": file.id,
            "file_name": file.name,
            "train": None if train is None else train.id,
            "train_name": None if train is None else train.name,
            "models": [{"id": model.id, "name": names[model.id]} for model in models],
            "baselines": [name for name in BASELINES if name in new.baselines],
            "llms": llms,
            "earlier": self._told_earlier(new, {*names.values(), *(llm["name"] for llm in llms)}),
            **{name: getattr(new, name) for name in ("limit", "budget", "shots", "context", "oos_label")},
        }
        contenders = [*names.values(), *(BASELINES[name] for name in told["baselines"])]
        contenders += [llm["name"] for llm in (*told["llms"], *told["earlier"])]
        title = f"{_listed(contenders)} on {file.name}"
        return self._operations.create(
            NewOperation(kind=COMPARE, title=title, told=told, created_by=new.created_by),
        )

    def get(self, comparison_id: str) -> OperationRecord:
        """Return a comparison, however far it is.

        Raises:
            UnknownOperation: there is none.
        """
        return self._operations.get(comparison_id, COMPARE)

    def list(self, page: int, page_size: int, filters: OperationFilters | None = None) -> Listing:
        """Return one page of the comparisons, the newest first, and how many there are in all."""
        return self._operations.list(page, page_size, {**(filters or {}), "kind": COMPARE})

    def earlier(self, file_id: str) -> Earlier:
        """Return the LLMs that were asked about a file and whose answers are kept, the newest first."""
        filters: OperationFilters = {"kind": COMPARE, "status": SUCCESS, "told": {"file": file_id}}
        found, _ = self._operations.list(0, MOST_LOOKED_AT, filters)
        return [each for record in found for each in _answers_of(record)]

    def report(self, comparison_id: str) -> Report:
        """Return what came of a comparison.

        Raises:
            UnknownOperation: there is none.
            Conflict: it is not finished, or failed.
        """
        record = self.get(comparison_id)
        content = json.loads(b"".join(self._operations.read(record.id)))
        return Report(record, content["comparison"], content["outline"])

    def cancel(self, comparison_id: str) -> OperationRecord:
        """End a comparison; LLMs are asked nothing more.

        Raises:
            UnknownOperation: there is none.
        """
        return self._operations.cancel(self.get(comparison_id).id)

    def delete(self, comparison_id: str) -> OperationRecord:
        """Delete a comparison with its report.

        Raises:
            UnknownOperation: there is none.
        """
        record = self.get(comparison_id)
        self._operations.delete(record.id)
        return record

    def _check(self, new: NewComparison, n_models: int) -> None:
        """Refuse what could not be compared, before anything is computed or paid for.

        Raises:
            InvalidRequest: it could not.
        """
        n = n_models + len(set(new.baselines)) + len(new.llms) + len(set(new.earlier))
        if not 2 <= n <= MOST:
            many = "Choose at least two to compare." if n < 2 else f"Choose {MOST} at most."
            raise _wrong("contenders", many)
        if unknown := set(new.baselines) - set(BASELINES):
            raise _wrong("baselines", f"There is no baseline {min(unknown)[:40]!r}.")
        if new.baselines and not new.train:
            raise _wrong("train", "The baselines learn from labelled rows: choose a training file.")
        if new.limit is not None and not 1 <= new.limit <= MOST_ROWS:
            raise _wrong("limit", f"Give a number of rows from 1 to {MOST_ROWS:,}, or leave it empty.")
        if new.oos_label is not None and len(new.oos_label) > self._settings.max_label_chars:
            raise _wrong("oos_label", f"Give {self._settings.max_label_chars} characters at most.")
        if new.llms:
            self._check_llms(new)

    def _check_llms(self, new: NewComparison) -> None:
        if not self.has_llms:
            raise _wrong("llms", "No LLM is configured on this server (TAMIS_LLM_BASE_URL).")
        _check_names(new.llms)
        if new.budget is not None and not (isfinite(new.budget) and new.budget > 0):
            raise _wrong("budget", "Give an amount above 0, or leave it empty.")
        unpriced = [llm.name for llm in new.llms if not llm.has_price]
        if new.budget is not None and unpriced:
            raise _wrong("budget", f"Give the price of {unpriced[0]}: without it nobody can tell when to stop.")
        if new.limit is None and new.budget is None:
            raise _wrong("limit", "Every row is a request to the LLM: say how many rows at most, or what it may cost.")
        if not 0 <= new.shots <= MOST_SHOTS:
            raise _wrong("shots", f"Give a number from 0 to {MOST_SHOTS}.")
        if new.shots and not new.train:
            raise _wrong("train", "Examples for the LLM come from labelled rows: choose a training file.")
        if len(new.context) > MOST_CONTEXT:
            raise _wrong("context", f"Give {MOST_CONTEXT:,} characters at most.")

    def _told_earlier(self, new: NewComparison, taken: set[str]) -> Told:
        """Whose answers are taken from where, by names that nobody else has."""
        told = []
        for wanted in dict.fromkeys(new.earlier):
            llm, file = self._earlier(wanted)
            if file != new.file:
                raise _wrong("earlier", f"The answers of {llm.name} are about another file: choose again.")
            when = datetime.fromtimestamp(llm.asked_at, UTC).strftime("%Y-%m-%d")
            name = _free(f"{llm.name}, {when}", taken)
            taken.add(name)
            comparison, _, number = wanted.partition(":")
            told.append({"comparison": comparison, "number": int(number), "name": name, "when": when})
        return told

    def _earlier(self, id: str) -> tuple[EarlierLlm, str]:
        """Return an LLM whose answers are kept, and the file that they are about."""
        try:
            record = self.get(id.partition(":")[0])
            return next(each for each in _answers_of(record) if each.id == id), record.told["file"]
        except (UnknownOperation, StopIteration):
            raise _wrong("earlier", "Answers of an earlier comparison are no longer here: choose again.") from None

    def _told_llms(self, asked: Sequence[AskedLlm], taken: set[str]) -> Told:
        """What is asked of the endpoint, by its own names; shown by the names that callers use."""
        told = []
        for llm in asked:
            model = self._settings.llm_models.get(llm.name, llm.name)
            name = f"{llm.name} (LLM)" if llm.name in taken else llm.name
            prices = {"price_in": llm.price_in, "price_out": llm.price_out}
            told.append({"name": name, "asked": llm.name, "model": model, **prices})
        return told


def _check_names(llms: Sequence[AskedLlm]) -> None:
    """Refuse LLMs that have no name, or one that is there twice, or no price that is one.

    Raises:
        InvalidRequest: there is such a one.
    """
    for llm in llms:
        if not _is_name(llm.name):
            raise _wrong("llms", "This is no name of a model: it has no blanks, and 200 characters at most.")
        for price in (llm.price_in, llm.price_out):
            if price is not None and not (isfinite(price) and price >= 0):
                raise _wrong("llms", f"The price of {llm.name} is no price: give 0 or more.")
    twice = [name for name, times in Counter(llm.name for llm in llms).items() if times > 1]
    if twice:
        raise _wrong("llms", f"{twice[0]} is there twice.")


def _answers_of(record: OperationRecord) -> Earlier:
    """The LLMs whose answers a comparison has kept."""
    kept, asked_at = record.summary.get(ANSWERS, ()), record.finished_at or record.created_at
    return [EarlierLlm(f"{record.id}:{n}", each["name"], each["rows"], asked_at) for n, each in enumerate(kept)]


def _free(name: str, taken: Collection[str]) -> str:
    """A name that nobody has."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _names(models: Sequence[ModelRecord]) -> dict[str, str]:
    """What models are called in a report: `shop@3`."""
    return {model.id: f"{model.name}@{model.version}" for model in models}


def _listed(names: Sequence[str], most: int = 3) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MOST_NAME and name.isprintable() and " " not in name


def _wrong(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, loc=["body", field])
