"""What people are told of work that failed: what it means, and what they can do, by the code of what went wrong.

Whatever a job or an operation can end with has an entry (a test sees to it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis.store.records import JobRecord, OperationRecord


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failure means in a line, and what helps, in sentences; `again`: the same may well work the next time."""

    title: str
    cures: tuple[str, ...]
    again: bool = False


_ROWS = "The rows cannot be used as they are."
_MEMORY = (
    "Choose the fast base model, or one that is smaller.",
    "Cut long texts (Longest input, under How to train).",
    "Give fewer rows, or have the operator allow more memory (job_memory_mb).",
)

UNKNOWN = Failure(
    "Something went wrong in the server.",
    (
        "Try again; if it fails once more, give the operator the address of this page: the log can be searched for the "
        "id in it.",
    ),
    again=True,
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
    "unknown_file": Failure("A file is gone that is needed.", ("Upload it again, and start anew.",)),
    "unknown_model": Failure(
        "A model is not here any more.",
        ("Choose another one. One that was archived can be brought back on its page (Models, Archived).",),
    ),
    "unknown_review": Failure(
        "A data check is not here any more.", ("Check the file once more (New classifier), then begin again.",)
    ),
    "unknown_operation": Failure(
        "Something that this builds on was deleted meanwhile.", ("Choose anew what to use, and begin again.",)
    ),
    "invalid_request": Failure("A choice does not fit.", ("Change what the sentence names, and begin again.",)),
    "conflict": Failure("This cannot be done as things are now.", ("Do what the sentence says, then begin again.",)),
    "model_error": Failure(
        "A model cannot be used, or not be written.",
        ("Choose another one, or train it again.", "Or have the operator look whether the disk has room."),
    ),
    "damaged_artifact": Failure(
        "A model's files are damaged or missing.",
        (
            "Choose another version of it, or train it again.",
            "If the operator has copies of the server's files, those of the model can be put back.",
        ),
    ),
    "unsupported_artifact": Failure(
        "A model is of a form that this server does not read: another version of Tamis made it.",
        ("Train it again here, or have the operator install the newest version.",),
    ),
    "golden_rows_drift": Failure(
        "A model does not answer as it did when it was made.",
        (
            "Train it again, or choose another version.",
            "If that does not help, tell the operator: the machine's memory or disk, or a library, may be at fault.",
        ),
    ),
    "output_exists": Failure(
        "What was to be written is there already.", ("Begin again: a new place is taken then.",), again=True
    ),
    "secret_unreadable": Failure(
        "A key that was given for this, such as that of a tracker, cannot be opened any more.",
        ("Start again and give the key anew.", "Or have the operator set the server's former secret key again."),
    ),
    "upstream_failed": Failure(
        "The LLM did not answer.",
        (
            "Try again later: what it has answered so far is kept, and not paid for twice.",
            "If it fails again, have the operator look at the LLM's address, key and credit.",
        ),
        again=True,
    ),
    "service_failed": Failure(
        "A service that was to be told, such as a tracker, did not do its part.",
        ("Look at its address and key, or go on without it.",),
        again=True,
    ),
    "storage_full": Failure(
        "There is no room left on the server.",
        ("Delete files and models that nobody needs, then try again.",),
        again=True,
    ),
    "storage_failed": Failure("The server could not reach its storage.", ("Try again in a moment.",), again=True),
    "system_error": Failure(
        "The server's machine refused something.",
        ("Try again; if it fails once more, tell the operator what the sentence says.",),
        again=True,
    ),
    "interrupted": Failure("The server was restarted meanwhile.", ("Begin again.",), again=True),
    "error": UNKNOWN,
}

ALLOW = "let up to {:g} % of the rows be left out (Bad rows to leave out, under How to train)"
_PLACE = re.compile(r"body(?:\.[\w-]+)*: +(.)", re.DOTALL)
_SKIPPED = re.compile(r"train without them: invalid_sample_skip_percentage = ([\d.]+\d)")


def in_words(message: str) -> str:
    """Return a sentence for callers of the API as one for people before a form: without its place in a request."""
    if found := _PLACE.match(message):
        message = found[1].upper() + message[found.end() :]
    return _SKIPPED.sub(lambda found: ALLOW.format(100 * float(found[1])), message)


def failure_of(work: JobRecord | OperationRecord) -> Failure | None:
    """Return what is said of a job or an operation that failed; None of any other."""
    if work.status not in ("FAILED", "FAILED_VALIDATION"):
        return None
    return FAILURES.get(work.error_code or "", UNKNOWN)
