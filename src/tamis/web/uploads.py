"""Uploads: a multipart body parsed as it comes, its file part written on, so that memory stays flat at any size.

The framework's own parser spools the whole part to disk before anybody can refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tamis.errors import InvalidRequest, LimitExceeded, Refused, ServiceFailed
from tamis.web.limits import ENVELOPE, BodyRefused
from tamis.web.routing import caller_of, require_purpose, workspace_of
from tamis.workspace.files import FINE_TUNE, NewFile, Upload

if TYPE_CHECKING:
    from tamis.store.records import FileRecord

FIELDS = frozenset({"purpose", "visibility", "expiry"})
"""Plain parts that mean something; unknown ones are skipped, since SDKs add some with every version."""

FILE = "file"
DEFAULT_NAME = "upload.jsonl"

MOST_PARTS = 64
MOST_FIELD_BYTES = 1024
PIECE = 2**20
"""Bytes that are gathered before they are written: a trip to another thread for each packet would cost more."""

_PLAIN_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})


class Form:
    """What a multipart body holds, fed piece by piece; bytes of files wait until they are taken."""

    def __init__(self, boundary: bytes, files: Sequence[str] = (FILE,), plain: Collection[str] = FIELDS) -> None:
        """Expect parts between `boundary`; those of the names `files` are files, of the names `plain` fields."""
        self._plain = plain
        self.fields: dict[str, str] = {}
        self.filenames: dict[str, str] = {}
        self._waiting = {name: bytearray() for name in files}
        self.ended = False
        self._parts = 0
        self._into = ""  # what the present part is: a field, FILE, or nothing
        self._value = bytearray()
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """Parse the next piece.

        Raises:
            InvalidRequest: it is no multipart body, or one of a kind that no client sends by accident.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise InvalidRequest(f"The body is not valid multipart/form-data: {error}.", loc=["body"]) from None

    @property
    def filename(self) -> str | None:
        """The name of the part `file`, once it has begun."""
        return self.filenames.get(FILE)

    def waiting(self, name: str = FILE) -> int:
        """Return how many bytes of a file wait."""
        return len(self._waiting[name])

    def take(self, name: str = FILE) -> bytes:
        """Return the bytes of a file that wait, and forget them."""
        taken = bytes(self._waiting[name])
        self._waiting[name].clear()
        return taken

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            message = f"The form has more than {MOST_PARTS} parts. One `file` and its fields are all that is needed."
            raise LimitExceeded(message, limit=MOST_PARTS, loc=["body"])
        self._headers = {}
        self._into = ""
        self._value.clear()

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).strip().lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind.lower() != b"form-data" or not name:
            raise InvalidRequest("A part of the form has no Content-Disposition that names it.", loc=["body"])
        if name in self._plain:
            self._into = name
        elif name in self._waiting:
            self._begin_file(name, options.get(b"filename", b""))

    def _begin_file(self, name: str, filename: bytes) -> None:
        if name in self.filenames:
            raise InvalidRequest(f"The form has two parts `{name}`. Send one request a file.", loc=["body", name])
        encoding = self._headers.get(b"content-transfer-encoding", b"").strip().lower()
        kind = self._headers.get(b"content-type", b"").strip().lower()
        if encoding not in _PLAIN_ENCODINGS or kind.startswith(b"multipart/"):
            raise InvalidRequest(f"The part `{name}` must hold the file's own bytes, as they are.", loc=["body", name])
        self.filenames[name] = filename.decode("utf-8", "replace").replace("%22", '"')  # as browsers and SDKs write it
        self._into = name

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._into in self._waiting:
            self._waiting[self._into] += data[start:end]
        elif self._into:
            self._value += data[start:end]
            if len(self._value) > MOST_FIELD_BYTES:
                message = f"The part `{self._into}` is longer than {MOST_FIELD_BYTES} bytes."
                raise LimitExceeded(message, limit=MOST_FIELD_BYTES, loc=["body", self._into])

    def _end_part(self) -> None:
        if self._into in self._plain:
            self.fields[self._into] = self._value.decode("utf-8", "replace").strip()
        self._into = ""

    def _end(self) -> None:
        self.ended = True


async def receive_file(request: Request) -> FileRecord:
    """Store the file that the request uploads and return its record; what does not arrive whole leaves nothing.

    Raises:
        InvalidRequest: the body is no form with one part `file`.
        LimitExceeded: the file, or a field, is too large.
        Forbidden: the caller's key is not for files of this purpose.
    """
    form = Form(boundary_of(request.headers.get("content-type", "")))
    upload: Upload | None = None
    try:
        await refuse_declared(request)
        async for piece in request.stream():
            form.feed(piece)
            if "purpose" in form.fields:  # else it may still come
                require_purpose(request, form.fields["purpose"] or FINE_TUNE)
            if upload is None and form.filename is not None:
                upload = await anyio.to_thread.run_sync(workspace_of(request).files.begin, _new_file(request, form))
            if upload is not None and form.waiting() >= PIECE:
                await anyio.to_thread.run_sync(upload.write, form.take())
        if not form.ended:
            raise InvalidRequest("The body ends in the middle: its last boundary is missing.", loc=["body"])
        if upload is None:
            raise InvalidRequest("The form has no part `file`.", loc=["body", FILE])
        require_purpose(request, form.fields.get("purpose") or FINE_TUNE)
        upload.describe(_new_file(request, form))
        return await anyio.to_thread.run_sync(_finish, upload, form)
    except BaseException as error:
        if upload is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(upload.abort)
        if isinstance(error, Refused | ServiceFailed) and not form.ended:
            raise BodyRefused(error) from error
        raise


async def refuse_declared(request: Request) -> None:
    """Do nothing where there is room for a body as large as the request says.

    Raises:
        LimitExceeded: all files together would be too large.
        StorageFull: there is no room on the disk.
    """
    length = request.headers.get("content-length", "0")
    most = max(0, int(length) - ENVELOPE) if length.isdigit() else 0
    await anyio.to_thread.run_sync(workspace_of(request).files.refuse_size, most)


class _Incoming:
    """Files on their way in, by the names of their parts: all are stored, or none."""

    def __init__(self, request: Request, form: Form, begin: Callable[[str, str], Upload]) -> None:
        self._files, self._form, self._begin = workspace_of(request).files, form, begin
        self._uploads: dict[str, Upload] = {}
        self._stored: dict[str, FileRecord] = {}

    @property
    def waits(self) -> bool:
        """Whether a file has begun, or enough of one has come to be written."""
        return any(
            self._form.waiting(name) >= PIECE or (name not in self._uploads and self._has_begun(name))
            for name in self._form.filenames
        )

    def _has_begun(self, name: str) -> bool:
        """Whether there is a file: browsers send a part without a name and bytes where none was chosen."""
        return bool(self._form.filenames[name]) or self._form.waiting(name) > 0

    def take(self) -> None:
        for name, filename in self._form.filenames.items():
            if name not in self._uploads and self._has_begun(name):
                self._uploads[name] = self._begin(name, filename)
            if self._form.waiting(name) >= PIECE:
                self._uploads[name].write(self._form.take(name))

    def finish(self) -> dict[str, FileRecord]:
        for name, upload in self._uploads.items():
            self._stored[name] = _finish(upload, self._form, name)
        return self._stored

    def undo(self) -> None:
        for name, upload in self._uploads.items():
            if name not in self._stored:
                upload.abort()
            elif self._stored[name].id == upload.id:  # else it was there before
                self._files.delete(upload.id)


async def receive_files(
    request: Request, form: Form, begin: Callable[[str, str], Upload], ready: Callable[[Form], None] = lambda form: None
) -> dict[str, FileRecord]:
    """Store the files that the request uploads, each in a part of its own; return their records by the parts' names.

    Args:
        request: whose body is a form.
        form: that nothing was fed yet; none of its files has to be there.
        begin: begins the upload of a part, given the names of part and file; called in a thread.
        ready: called before the first file is stored, and raises what speaks against it: fields may stand before files.

    Raises:
        InvalidRequest: the body is no form that is whole.
        LimitExceeded: a file is too large.
        BodyRefused: either was found out before the body's end.
    """
    incoming = _Incoming(request, form, begin)
    try:
        await refuse_declared(request)
        async for piece in request.stream():
            form.feed(piece)
            if incoming.waits:
                ready(form)
                await anyio.to_thread.run_sync(incoming.take)
        if not form.ended:
            raise InvalidRequest("The body ends in the middle: its last boundary is missing.", loc=["body"])
        ready(form)
        return await anyio.to_thread.run_sync(incoming.finish)
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(incoming.undo)
        if isinstance(error, Refused | ServiceFailed) and not form.ended:
            raise BodyRefused(error) from error
        raise


def boundary_of(content_type: str) -> bytes:
    """Return what parts a form's parts.

    Raises:
        InvalidRequest: it is no form, or has no usable boundary.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind.lower() != b"multipart/form-data" or not 1 <= len(boundary) <= 70:  # RFC 2046
        why = "A file is uploaded as multipart/form-data with a boundary of 1 to 70 characters"
        raise InvalidRequest(f"{why}, and with the file in the part `file`.", loc=["header", "content-type"])
    return boundary


def _new_file(request: Request, form: Form) -> NewFile:
    fields = form.fields
    return NewFile(
        name=form.filename or DEFAULT_NAME,
        purpose=fields.get("purpose") or None,
        visibility=fields.get("visibility") or None,
        expiry_hours=_hours(fields.get("expiry", "")),
        created_by=caller_of(request),
    )


def _finish(upload: Upload, form: Form, name: str = FILE) -> FileRecord:
    upload.write(form.take(name))
    return upload.commit()


def _hours(given: str) -> int | None:
    if given in ("", "null", "None"):
        return None
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= 24 * 365 * 10:
        raise InvalidRequest("`expiry` is a number of hours, 1 to 87600.", loc=["body", "expiry"])
    return int(given)
