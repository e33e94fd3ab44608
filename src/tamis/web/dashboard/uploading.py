"""Files on their way in from a page: written on as they come, looked at for their form's token before.

Pages with an upload form of their own add its address to `limits.UPLOAD_PATHS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tamis.errors import InvalidRequest
from tamis.web.dashboard.pages import FORM_TOKEN, require_token
from tamis.web.uploads import Form, boundary_of, receive_files
from tamis.workspace.files import NewFile, Upload

if TYPE_CHECKING:
    from tamis.store.records import FileRecord
    from tamis.web.dashboard.visits import Visit


async def received(
    visit: Visit, names: Sequence[str], purpose: str, said: dict[str, str] | None = None
) -> dict[str, FileRecord]:
    """Store the files of a form, those parts of these names that hold one, and return their records.

    What stands in other fields of the form that `said` has is put there.

    The form's token stands before its files, or in a header: nothing is stored before it was seen.

    Raises:
        InvalidRequest: the body is no whole form, the first of the files is missing, or one is empty.
        LimitExceeded: one is too large.
        Forbidden: the form is none of this session's pages.
        BodyRefused: any of these, before the body's end.
    """
    form = Form(boundary_of(visit.request.headers.get("content-type", "")), names, {FORM_TOKEN, *(said or ())})
    files, caller = visit.workspace.files, visit.caller

    def begin(part: str, filename: str) -> Upload:
        return files.begin(NewFile(name=filename or f"{part}.csv", purpose=purpose, created_by=caller))

    def ready(form: Form) -> None:
        require_token(visit, form.fields.get(FORM_TOKEN, ""))
        if names[0] not in form.filenames or not form.filenames[names[0]]:
            raise InvalidRequest("No file was chosen: choose one, then send it again.", loc=["body", names[0]])

    found = await receive_files(visit.request, form, begin, ready)
    if said is not None:
        said.update((name, form.fields[name]) for name in said.keys() & form.fields.keys())
    return found
