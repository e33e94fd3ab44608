"""What went wrong with a job, as a code and a sentence for whoever made it: no paths of this machine, no options."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

from tamis.errors import StorageFull, TamisError
from tamis.store.disk import is_full

OUT_OF_MEMORY = "out_of_memory"
FULL = (
    "The server's disk is full: there was no room for what had to be written. Delete files and models that are not "
    "needed, or have the operator make room; then try again."
)


def sentence_of(error: BaseException, home: Path) -> tuple[str, str]:
    """Return the code and the sentence of an error; files have the names that their owners gave them."""
    if is_full(error) or isinstance(error, StorageFull):
        return StorageFull.code, FULL
    if isinstance(error, TamisError):
        return error.code, own_names(error.for_callers, home)
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY, _out_of_memory()
    if isinstance(error, OSError):
        return "system_error", _refused(error, home)
    return "error", f"This is a defect in Tamis ({type(error).__name__}): the server's log has the details."


def own_names(message: str, home: Path) -> str:
    """Return a message that tells nothing of where files are on this machine."""
    place = re.escape(str(home))
    named = re.sub(rf"{place}/work/[^/\s]+/files-\d+/\d+/", "", message)  # where `files_here` puts files
    return named.replace(f"{home}/", "HOME/")


def _refused(error: OSError, home: Path) -> str:
    told = own_names(str(error.filename or ""), home)
    name = f" ({told})" if told and "/" not in told else ""  # a file of a caller's; where others are is not told
    return f"The system refused something: {error.strerror or type(error).__name__}{name}."


def _out_of_memory() -> str:
    """What is said where the machine refused memory, with the most that this process had."""
    unit = 1e6 if sys.platform == "darwin" else 1e3  # the one counts bytes, the others kilobytes
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return f"The memory did not suffice: it had used {used:,.0f} MB. Use fewer rows or labels, or a larger machine."
