"""A new classifier, its first half: a file comes, its columns are chosen, its rows are set apart.

What the rows are worth is shown and decided on in `reviewing`; what is trained, in `training`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi import Response
from fastapi.responses import JSONResponse

from tamis.errors import TamisError
from tamis.examples import example_path
from tamis.web.auth import TRAIN
from tamis.web.dashboard.pages import Pages
from tamis.web.dashboard.uploading import received
from tamis.web.dashboard.visits import Visit
from tamis.workspace.files import FINE_TUNE, UPLOAD, NewFile
from tamis.workspace.preparing import Choice, NewPreparation, Preparing, Preview

if TYPE_CHECKING:
    from tamis.store.records import FileRecord

PARTS = ("training", "validation", "test")
SET_ASIDE = PARTS[1:]
EXAMPLE = "support.jsonl"

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Of the rows, what may be set aside for each part."""

FEW_ROWS = 500
"""Rows below which none are set aside to choose by: training does that by itself, and then learns from all."""

ROLES = {"text": "Text", "label": "Label", "flag": "Yes/no", "unused": "Not used"}
SEPARATORS = {"": "one label", "|": "several, by |", ",": "several, by ,", ";": "several, by ;", "/": "several, by /"}
DELIMITERS = {"": "as it seems", "comma": "comma", "semicolon": "semicolon", "tab": "tab", "pipe": "pipe |"}
ENCODINGS = {
    "": "as it seems",
    "utf-8": "Unicode (UTF-8)",
    "utf-16": "Unicode (UTF-16)",
    "cp1252": "Western European (Windows)",
    "cp1250": "Central European (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "shift_jis": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
}
HEADERS = {"": "as it seems", "yes": "names of columns", "no": "data"}
READ_AS = {"delimiter": DELIMITERS, "encoding": ENCODINGS, "header": HEADERS}
"""How a file is read: by the name of the form's field, what may be chosen."""

SHOWN_FILES = 6
MOST_COLUMNS = 200

REMEMBERED = 16
"""Previews of files."""

_previews: OrderedDict[str, Preview] = OrderedDict()
_lock = Lock()

pages = Pages()


@pages.get("/new", TRAIN)
def new(visit: Visit) -> Response:
    """Ask for a file."""
    files, total = visit.workspace.files.list(0, SHOWN_FILES, {"purpose": FINE_TUNE, "sources": (UPLOAD,)})
    most = visit.workspace.settings.max_upload_bytes
    return visit.page("new.html", files=files, n_files=total, most=most)


@pages.upload("/new/upload", TRAIN)
async def upload(visit: Visit) -> Response:
    """Take files, and go on to their columns; a script is told where."""
    stored = await received(visit, PARTS, FINE_TUNE)
    place = _columns_at({part: record.id for part, record in stored.items()})
    if "application/json" in visit.request.headers.get("accept", ""):
        return JSONResponse({"place": place})
    return visit.go(place)


@pages.post("/new/example", TRAIN)
def example(visit: Visit) -> Response:
    """Take the packaged example set."""
    incoming = visit.workspace.files.begin(NewFile(name=EXAMPLE, purpose=FINE_TUNE, created_by=visit.caller))
    try:
        incoming.write(example_path(EXAMPLE).read_bytes())
    except BaseException:
        incoming.abort()
        raise
    return visit.go(_columns_at({PARTS[0]: incoming.commit().id}))


@pages.get("/new/columns", TRAIN)
def columns(visit: Visit) -> Response:
    """Show what is in the file, and ask which column is what."""
    said = Said.of({name: visit.request.query_params.getlist(name) for name in visit.request.query_params})
    if PARTS[0] not in said.files:
        return new(visit)
    return _columns_page(visit, said)


@pages.post("/new/columns", TRAIN)
def columns_again(visit: Visit) -> Response:
    """Show the file as it is chosen to be read."""
    return visit.go(f"/ui/new/columns?{Said.of(visit.form).query()}")


@pages.post("/new/prepare", TRAIN)
def prepare(visit: Visit) -> Response:
    """Have the files made ready."""
    said = Said.of(visit.form)
    preparing = Preparing(visit.workspace)
    seen = preparing.look(said.files.get(PARTS[0], ""), said.choice)
    others = {part: _problem_of(preparing, file_id, seen) for part, file_id in said.files.items() if part != PARTS[0]}
    if seen.problem or any(others.values()):
        return _columns_page(visit, said, status=422)
    shares = {part: share for part, share in said.shares.items() if share}
    asked = NewPreparation(
        files=said.files, layout=seen.layout, shares=shares, chosen=said.query(), created_by=visit.caller
    )
    return visit.go(f"/ui/new/data/{preparing.begin(asked).id}")


@dataclass(frozen=True, slots=True)
class Said:
    """What the address or the form of the page of columns says.

    Attributes:
        files: ids of files by part.
        choice: how the first is read, and which column is what.
        shares: of the rows, what is set aside for the other parts; none where nothing was said.
        fields: the same as fields of the form.
    """

    files: Mapping[str, str]
    choice: Choice
    shares: Mapping[str, float]
    fields: Mapping[str, str]

    @classmethod
    def of(cls, sent: Mapping[str, Sequence[str]]) -> Said:
        """Read it; what cannot be meant is as if it were not said."""
        given = {name: values[0] for name, values in sent.items() if values and values[0]}
        read_as = {name: given[name] for name, known in READ_AS.items() if given.get(name) in known}
        same = given.get("read_as", _joined(read_as)) == _joined(read_as)  # else these are columns of another reading
        roles = {place: role for place, role in _numbered(given, "c").items() if role in ROLES} if same else {}
        marks = {place: mark for place, mark in _numbered(given, "s").items() if mark in SEPARATORS} if same else {}
        header = read_as.get("header")
        choice = Choice(
            roles=roles,
            separators=marks,
            delimiter=read_as.get("delimiter"),
            encoding=read_as.get("encoding"),
            header=None if header is None else header == "yes",
            empty_means_none=given.get("empty") == "none",
        )
        shares = {part: share for part in SET_ASIDE if (share := _share(given.get(f"share_{part}"))) is not None}
        files = {part: given[part][:80] for part in PARTS if part in given}
        fields = {
            **files,
            **read_as,
            **({"empty": "none"} if choice.empty_means_none else {}),
            **{f"share_{part}": f"{share:g}" for part, share in shares.items()},
            **{f"c{place}": role for place, role in roles.items() if role != "unused" or not place},
            **{f"s{place}": mark for place, mark in marks.items() if roles.get(place) == "label"},
        }
        return cls(files, choice, shares, fields)

    @property
    def read_as(self) -> str:
        """How the file is read, in one word."""
        return _joined({name: self.fields[name] for name in READ_AS if name in self.fields})

    def query(self, **changed: str) -> str:
        """The same as the query of an address."""
        return urlencode({name: value for name, value in {**self.fields, **changed}.items() if value})


def _columns_page(visit: Visit, said: Said, status: int = 200) -> Response:
    files = {part: visit.workspace.files.get(said.files.get(part, "")) for part in PARTS if _is_told(part, said)}
    preparing = Preparing(visit.workspace)
    seen = _preview(preparing, files[PARTS[0]].id, said.choice)
    others = {part: _problem_of(preparing, files[part].id, seen) for part in SET_ASIDE if part in files}
    return visit.page(
        "new_columns.html",
        status=status,
        said=said,
        seen=seen,
        files=files,
        problems=others,
        shares={**_usual_shares(files[PARTS[0]]), **said.shares},
        choices={"roles": ROLES, "separators": SEPARATORS, "shares": SHARES, "read_as": READ_AS},
        set_aside=SET_ASIDE,
        without={part: said.query(**{part: ""}) for part in SET_ASIDE},
    )


def _preview(preparing: Preparing, file_id: str, choice: Choice) -> Preview:
    """What the beginning of a file shows: remembered, for files never change, and many columns take a while."""
    asked = f"{file_id} {choice}"
    with _lock:
        if asked in _previews:
            _previews.move_to_end(asked)
            return _previews[asked]
    seen = preparing.look(file_id, choice)
    with _lock:
        _previews[asked] = seen
        while len(_previews) > REMEMBERED:
            _previews.popitem(last=False)
    return seen


def _is_told(part: str, said: Said) -> bool:
    return part == PARTS[0] or part in said.files


def _problem_of(preparing: Preparing, file_id: str, seen: Preview) -> str:
    """Why a further file cannot be read as the first is; "" where it can, or where that is not known yet."""
    if seen.problem:
        return ""
    try:
        return preparing.look_as(file_id, seen.layout).problem
    except TamisError as error:
        return error.for_callers


def _usual_shares(file: FileRecord) -> dict[str, float]:
    if file.num_lines is not None and file.num_lines < FEW_ROWS:
        return {"validation": 0.0, "test": 0.2}
    return {"validation": 0.1, "test": 0.1}


def _columns_at(files: Mapping[str, str]) -> str:
    return f"/ui/new/columns?{urlencode(files)}"


def _numbered(given: Mapping[str, str], letter: str) -> dict[int, str]:
    """The fields of columns: a letter and the column's number."""
    return {place: given[f"{letter}{place}"] for place in range(MOST_COLUMNS) if f"{letter}{place}" in given}


def _share(given: str | None) -> float | None:
    try:
        share = float(given) if given else None
    except ValueError:
        return None
    return share if share in SHARES else None


def _joined(read_as: Mapping[str, str]) -> str:
    return "/".join(read_as.get(name, "") for name in READ_AS)
