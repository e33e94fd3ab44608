"""What people are told of a job that failed: what it means, and what they can do, by the code of what went wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis.store.records import JobRecord


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failure means in a line, and what helps, in sentences; `again`: the same may well work the next time."""

    title: str
    cures: tuple[str, ...]
    again: bool = False


_ROWS = "The rows cannot be learnt from as they are."
_MEMORY = (
    "Choose the fast base model, or one that is smaller.",
    "Cut long texts (Longest input, under How to train).",
    "Give fewer rows, or have the operator allow more memory (job_memory_mb).",
)

FAILURES = {
    "data_error": Failure(_ROWS, ("Correct the file, and start again with the new one.",)),
    "unreadable_file": Failure(
        "A file cannot be read.", ("Write it again as CSV or JSON lines in UTF-8, and upload it anew.",)
    ),
    "unknown_format": Failure(
        "A file is in no format that is known here.", ("Save it as CSV, or as JSON lines, and upload it anew.",)
    ),
    "missing_column": Failure(
        "A column is missing.", ("Say which columns hold the texts and the labels when you bring the file.",)
    ),
    "too_many_bad_rows": Failure("Some rows cannot be read.", ()),
    "no_rows": Failure(
        "There are no rows to learn from.", ("Look whether the right file and the right columns were chosen.",)
    ),
    "nothing_to_learn": Failure(
        "There is nothing to tell apart.", ("A target needs two labels at least, each with two rows or more.",)
    ),
    "undeclared_label": Failure(
        "A label is not one of those that were said.", ("Correct its name, in the form or in the rows.",)
    ),
    "invalid_setting": Failure("A choice does not fit the data.", ("Change it in the form, and start again.",)),
    "limit_exceeded": Failure(
        "It is more than this server allows.", ("Give less, or have the operator raise the limit that is named.",)
    ),
    "out_of_memory": Failure("The memory did not suffice.", _MEMORY),
    "killed": Failure("The machine ended it, most likely for want of memory.", _MEMORY, again=True),
    "missing_extra": Failure(
        "The server lacks a library for this base model.",
        ("Choose a base model that is ready on this server, or have the operator install it.",),
    ),
    "unknown_base_model": Failure(
        "The base model is not here, and could not be fetched.",
        ("Choose one that is ready on this server, or try again once the server reaches the Hugging Face hub.",),
        again=True,
    ),
    "hub_failed": Failure("The Hugging Face hub could not be asked.", ("Try again later.",), again=True),
    "unknown_file": Failure("A file of the job is gone.", ("Upload it again, and start anew.",)),
    "storage_full": Failure(
        "There is no room left on the server.",
        ("Delete files and models that nobody needs, then try again.",),
        again=True,
    ),
    "storage_failed": Failure("The server could not reach its storage.", ("Try again in a moment.",), again=True),
}
UNKNOWN = Failure(
    "Something went wrong in the server.",
    ("Try again; if it fails once more, give the operator the id of this job, by which the log can be searched.",),
    again=True,
)


ALLOW = "let up to {:g} % of the rows be left out (Bad rows to leave out, under How to train)"
_PLACE = re.compile(r"body(?:\.[\w-]+)*: +(.)", re.DOTALL)
_SKIPPED = re.compile(r"train without them: invalid_sample_skip_percentage = ([\d.]+\d)")


def in_words(message: str) -> str:
    """Return a sentence for callers of the API as one for people before a form: without its place in a request."""
    if found := _PLACE.match(message):
        message = found[1].upper() + message[found.end() :]
    return _SKIPPED.sub(lambda found: ALLOW.format(100 * float(found[1])), message)


def failure_of(job: JobRecord) -> Failure | None:
    """Return what is said of a job that failed; None of any other."""
    if job.status not in ("FAILED", "FAILED_VALIDATION"):
        return None
    return FAILURES.get(job.error_code or "", UNKNOWN)
