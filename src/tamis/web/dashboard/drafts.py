"""The form of a training as a person filled it in: kept as it was written, and the job that it asks for.

It knows the fields of the form and what is wrong with one; what a job may ask for is the workspace's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from tamis.errors import InvalidRequest
from tamis.workspace.jobs import Integration, NewJob

if TYPE_CHECKING:
    from tamis.store.records import JobRecord

MOST_FILES = 16
MOST_TITLE = 100
MOST_PURPOSES = 1000
PERCENT = 100.0

NUMBERS = ("training_steps", "epochs", "learning_rate", "weight_decay", "warmup_fraction", "seq_len", "seed")
WHOLE = ("training_steps", "seq_len", "seed")
SHARES = {"abstain_loss": 50, "max_bad_share": 100}
"""Fields that people fill in with percents, and the most of each."""

TEXTS = ("title", "base", "length", "purpose", "floor", "cost_fp", "cost_fn", "purposes", "oos_label")
TRACKER = ("wandb_project", "wandb_run")
FIELDS = (*TEXTS, *NUMBERS, *SHARES, *TRACKER)
FILES = ("training", "validation", "test", "review")
LENGTHS = ("auto", "epochs", "steps")
PURPOSES = ("f1", "precision", "recall", "cost")

PLACES = {
    "model": "base",
    "invalid_sample_skip_percentage": "max_bad_share",
    "integrations": "wandb_project",
    "optimise": "purpose",
}
"""Fields of a job by the fields of the form that they come from, where these are called otherwise."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A training as it is asked for so far.

    Attributes:
        training: ids of the files to learn from.
        validation: ids of those to choose on; none: rows are held out.
        test: the id of the file that the model is measured on, or nothing.
        review: the id of the review that the files went through, or nothing.
        said: what stands in the other fields.
    """

    training: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: str = ""
    review: str = ""
    said: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Callable[[str], Sequence[str]]) -> Draft:
        """Read it from an address or a form."""

        def ids(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(each[:80] for each in values(name) if each))[:MOST_FILES]

        said = {name: _plain(found[0]) for name in FIELDS if (found := values(name))}
        return cls(ids("training"), ids("validation"), "".join(ids("test")[:1]), "".join(ids("review")[:1]), said)

    @classmethod
    def like(cls, job: JobRecord) -> Draft:
        """Ask for what a job was asked for, but for the keys of its trackers."""
        given = job.asked
        said = {"title": job.title or job.name, "base": job.model}
        for name in (*NUMBERS, "abstain_loss", "oos_label"):
            if (value := given.get(name)) is not None:
                said[name] = str(value)
        if job.max_bad_share:
            said["max_bad_share"] = f"{PERCENT * job.max_bad_share:g}"
        if "abstain_loss" in said:
            said["abstain_loss"] = f"{PERCENT * float(said['abstain_loss']):g}"
        said["length"] = "steps" if "training_steps" in said else "epochs" if "epochs" in said else "auto"
        said |= _written(given.get("optimise") or ())
        if job.integrations:
            said["wandb_project"] = str(job.integrations[0].get("project") or "")
        files = tuple(file_id for file_id, _ in job.training_files)
        return cls(files, job.validation_files, job.test_file or "", "", said)

    def __getitem__(self, name: str) -> str:
        """What stands in a field."""
        return self.said.get(name, "")

    @property
    def fields(self) -> dict[str, Sequence[str]]:
        """The files, as they stand in addresses and hidden fields."""
        single = {name: [value] for name, value in (("test", self.test), ("review", self.review)) if value}
        return {"training": self.training, "validation": self.validation, **single}

    def job(self, base: str, wandb_key: str = "", created_by: str | None = None) -> NewJob:
        """Return the job that is asked for, on a base model.

        Raises:
            InvalidRequest: a field is not what it should be.
        """
        if len(self["title"]) > MOST_TITLE:
            raise _wrong("title", f"Give {MOST_TITLE} characters at most.")
        return NewJob(
            model=base,
            training_files=[(file_id, 1.0) for file_id in self.training],
            validation_files=self.validation,
            test_file=self.test or None,
            hyperparameters=self._hyperparameters(),
            max_bad_share=self._share("max_bad_share") or 0.0,
            title=self["title"] or None,
            integrations=self._integrations(wandb_key),
            auto_start=True,
            created_by=created_by,
        )

    def _hyperparameters(self) -> dict[str, Any]:
        numbers = {name: self._number(name) for name in NUMBERS}
        if self["length"] != "steps":
            del numbers["training_steps"]
        if self["length"] != "epochs":
            del numbers["epochs"]
        if self["length"] in ("steps", "epochs"):
            name = "training_steps" if self["length"] == "steps" else "epochs"
            if numbers[name] is None:
                raise _wrong(name, "Say how long, or let the trainer choose.")
        given = {**numbers, "abstain_loss": self._share("abstain_loss"), "optimise": self._purposes() or None}
        return {**given, "oos_label": self["oos_label"] or None}

    def _purposes(self) -> list[str]:
        """What thresholds are for, as `tamis.evaluation.objectives` reads it."""
        goal, found = self["purpose"], []
        if goal in ("precision", "recall"):
            floor = self._number("floor")
            if floor is None or not 0 < floor < PERCENT:
                raise _wrong("floor", "Say how many percent: more than 0 and less than 100, such as 95.")
            found.append(f"{goal}>={floor / PERCENT:g}")
        elif goal == "cost":
            costs = [self._number(name) or 1.0 for name in ("cost_fp", "cost_fn")]
            found.append(f"cost:fp={costs[0]:g},fn={costs[1]:g}")
        lines = [line.strip() for line in self["purposes"].splitlines() if line.strip()]
        if len(lines) > MOST_PURPOSES:
            raise _wrong("purposes", f"Give {MOST_PURPOSES:,} lines at most.")
        return [*found, *lines]

    def _integrations(self, key: str) -> list[Integration]:
        if not (key or self["wandb_project"]):
            return []
        if not self["wandb_project"]:
            raise _wrong("wandb_project", "Say which project the run belongs to.")
        if not key:
            raise _wrong("wandb_key", "Give the key of your account there; it is deleted when the job ends.")
        return [Integration("wandb", self["wandb_project"], key, self["wandb_run"] or None)]

    def _share(self, name: str) -> float | None:
        percent = self._number(name)
        if percent is None:
            return None
        if not 0 <= percent <= SHARES[name]:
            raise _wrong(name, f"Give 0 to {SHARES[name]} percent.")
        return percent / PERCENT

    def _number(self, name: str) -> float | int | None:
        """The number in a field, None where it is empty; thousands may be apart, and a comma may be the point."""
        text = self[name].replace("\N{NO-BREAK SPACE}", "").replace(" ", "").rstrip("%")
        if not text:
            return None
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            raise _wrong(name, "Give a number.") from None
        if not isfinite(value):
            raise _wrong(name, "Give a number.")
        if name in WHOLE:
            if value != int(value):
                raise _wrong(name, "Give a whole number.")
            return int(value)
        return value


def _plain(text: str) -> str:
    """What was written, without characters that nobody sees."""
    return "\n".join("".join(filter(str.isprintable, line)) for line in text.splitlines()).strip()


def place_of(error: InvalidRequest) -> str:
    """Return the field of the form that an error is about; nothing where it is about none of them."""
    loc = error.context.get("loc")
    name = str(loc[-1]) if isinstance(loc, list) and loc else ""
    name = PLACES.get(name, name)
    return name if name in FIELDS or name == "wandb_key" else ""


def _written(optimise: Sequence[str]) -> dict[str, str]:
    """The fields that come to these purposes: what the fields cannot say stands in the lines."""
    said, lines = {"purpose": "f1"}, []
    for text in optimise:
        goal, _, floor = text.partition(">=")
        if goal in ("precision", "recall"):
            said |= {"purpose": goal, "floor": f"{PERCENT * float(floor):g}"}
        elif text.startswith("cost:"):
            fp, _, fn = text.removeprefix("cost:fp=").partition(",fn=")
            said |= {"purpose": "cost", "cost_fp": fp, "cost_fn": fn}
        elif text != "f1":
            lines.append(text)
    return {**said, "purposes": "\n".join(lines)} if lines else said


def _wrong(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(why, loc=["body", name])
