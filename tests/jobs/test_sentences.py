"""What makers of jobs are told: what they can do, under their files' names, and nothing of this machine."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tamis.data.rows import FAULTS, FOR_CALLERS
from tamis.errors import DamagedArtifact, TamisError
from tamis.jobs.sentences import sentence_of
from tamis.jobs.tools import Tools
from tamis.jobs.validation import measure
from tamis.store.records import JobRecord

HOME = Path("/srv/our home")
MINE = f"{HOME}/work/0a1b/files-17/0/my rows.jsonl"

NO_OPTION = re.compile(r"--\w|in Python|TAMIS_|/(?:tmp|home|srv)\b")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TamisError(f"{MINE}:3: odd"), "my rows.jsonl:3: odd"),
        (DamagedArtifact(f"{HOME}/models/shop/1 is damaged"), "HOME/models/shop/1 is damaged"),
        (TamisError("Use --x.", for_callers="Use x."), "Use x."),
        (
            PermissionError(13, "Permission denied", MINE),
            "The system refused something: Permission denied (my rows.jsonl).",
        ),
        (
            PermissionError(13, "Permission denied", f"{HOME}/objects/x"),
            "The system refused something: Permission denied.",
        ),
        (PermissionError(13, "Permission denied", "/etc/passwd"), "The system refused something: Permission denied."),
        (OSError("/etc/passwd"), "The system refused something: OSError."),
        (
            ZeroDivisionError("a text"),
            "This is a defect in Tamis (ZeroDivisionError): the server's log has the details.",
        ),
    ],
)
def test_a_sentence_tells_nothing_of_the_machine(error: BaseException, said: str) -> None:
    assert sentence_of(error, HOME)[1] == said


def test_no_cure_is_an_option() -> None:
    cures = {code: FOR_CALLERS.get(code, cure) for code, cure in FAULTS.items()}
    assert not [code for code, cure in cures.items() if NO_OPTION.search(cure)]
    assert FOR_CALLERS.keys() <= FAULTS.keys()


def zipped(path: Path) -> bytes:
    with ZipFile(path / "x.zip", "w") as out:
        out.writestr("rows.jsonl", "{}")
    return (path / "x.zip").read_bytes()


WRONG: dict[str, bytes] = {
    "no_text.jsonl": b'{"label": "a"}\n' * 3,
    "no_label.jsonl": b'{"text": "a"}\n{"text": "b", "label": "c"}\n' * 3,
    "latin.jsonl": '{"text": "é", "label": "a"}\n'.encode("latin-1") * 3,
    "long_label.jsonl": b'{"text": "a", "label": "%s"}\n' % (b"x" * 300) * 3,
    "empty.jsonl": b"\n",
    "one_label.jsonl": b'{"text": "a", "label": "a"}\n' * 3,
    "binary.jsonl": bytes(range(256)) * 20,
    "cut.jsonl.gz": gzip.compress(b'{"text": "a", "label": "b"}\n' * 1000)[:-20],
    "no_columns.csv": b"12345\n67890\n",
    "no_label.csv": b"text\nwhere is my parcel\nyou charge my card\n",
    "lists.csv": b'text,label\nwhere,"[""a"", ""b"]"\nyou,"[""a""]"\nwe,"[""b""]"\n',
    "numbers.csv": b"a,b\n1,2\n3,4\n",
    "nothing.parquet": b"PAR1 no parquet",
}


@pytest.mark.parametrize("name", WRONG)
def test_no_file_makes_a_sentence_with_an_option(
    tools: Tools, add_job: Callable[..., JobRecord], add_file: Callable[[str, bytes], str], name: str
) -> None:
    job = add_job(training_files=((add_file(name, WRONG[name]), 1.0),))
    with pytest.raises(TamisError) as caught:
        measure(tools.store, tools.choices, job, lambda: False)
    code, said = sentence_of(caught.value, tools.choices.home)
    assert not NO_OPTION.search(said), said
    assert name in said or code in ("no_rows", "nothing_to_learn")


@pytest.mark.parametrize(
    ("bad", "cure"),
    [(1, "invalid_sample_skip_percentage = 0.1."), (5, "= 0.5."), (6, "Correct them."), (10, "no row is left.")],
)
def test_bad_rows_may_be_left_out_where_the_api_allows_it(
    tools: Tools, add_job: Callable[..., JobRecord], add_file: Callable[[str, bytes], str], bad: int, cure: str
) -> None:
    rows = b'{"text": "a", "label": "a"}\n' * (10 - bad) + b'{"text": 3, "label": "a"}\n' * bad
    job = add_job(training_files=((add_file("rows.jsonl", rows), 1.0),))
    with pytest.raises(TamisError) as caught:
        measure(tools.store, tools.choices, job, lambda: False)
    assert sentence_of(caught.value, tools.choices.home)[1].endswith(cure)
