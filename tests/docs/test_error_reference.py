"""docs/reference/errors.md describes each error code, once, and no other; the tree in errors.py is whole."""

import re
from pathlib import Path

import pytest

import tamis.errors
from tamis.errors import TamisError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")


def family(error: type[TamisError]) -> list[type[TamisError]]:
    """Return the class and all that descend from it."""
    return [error, *(below for child in error.__subclasses__() for below in family(child))]


ERRORS = [error for error in family(TamisError) if error.__module__.startswith("tamis.")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_each_error_has_its_own_code_and_a_line_that_explains_it(error: type[TamisError]) -> None:
    assert "code" in vars(error), "every error states its code"
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| `{error.code}` |")]
    assert len(lines) == 1, f"one line of the table starts with | `{error.code}` |"
    cells = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert f"`{error.__name__}`" in cells[1]
    assert len(cells) == 4
    assert all(len(cell) > 10 for cell in cells[2:]), "say what it means and what to do"


def test_the_page_knows_no_other_codes() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == {error.code for error in ERRORS}


def test_codes_are_unique() -> None:
    codes = [error.code for error in ERRORS]
    assert len(codes) == len(set(codes))


def test_all_errors_live_in_errors_py_and_stand_in_its_tree() -> None:
    assert {error.__module__ for error in ERRORS} == {"tamis.errors"}
    tree = tamis.errors.__doc__ or ""
    assert set(re.findall(r"[├└]── (\w+)", tree)) | {"TamisError"} == {error.__name__ for error in ERRORS}
