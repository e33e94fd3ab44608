"""docs/reference/http-api.md has every route of the OpenAPI document once, with its scope, and no other."""

import re
from pathlib import Path

import pytest

from tamis.settings import Settings
from tamis.web.app import create_app
from tamis.web.auth import PUBLIC, is_public, scope_for
from tamis.web.problems import STATUS, TOO_LARGE, UNKNOWN_AT_INFERENCE
from tamis.workspace.workspace import open_workspace

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([A-Z]+) \| `(/[^`]*)` \| (\w+) \| (.+) \|$", re.MULTILINE)

Route = tuple[str, str]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[Route, dict]:
    """What the OpenAPI document has, by method and path."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    with open_workspace(settings) as workspace:
        document = create_app(workspace, settings).openapi()
    return {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def test_every_route_has_one_row_with_its_scope(routes: dict[Route, dict]) -> None:
    expected = sorted((method, path, "none" if is_public(path) else scope_for(method, path)) for method, path in routes)
    assert sorted(row[:3] for row in ROW.findall(PAGE)) == expected


def test_parameters_that_the_page_names_exist(routes: dict[Route, dict]) -> None:
    for method, path, _, why in ROW.findall(PAGE):
        known = {parameter["name"] for parameter in routes[method, path].get("parameters", ())}
        listed = re.search(r"; ((?:`\w+`(?:, )?)+)$", why)
        named = re.findall(r"`(\w+)`", listed[1]) if listed else []
        assert set(named) <= known, f"{method} {path} has no {set(named) - known}"


def test_every_status_is_explained() -> None:
    rows = re.findall(r"^\| (\d{3}(?:, \d{3})*) \|", PAGE, re.MULTILINE)
    explained = {int(status) for row in rows for status in row.split(", ")}
    given = {*STATUS.values(), TOO_LARGE, UNKNOWN_AT_INFERENCE} - {501}  # no route needs an extra
    assert explained == given


def test_what_is_public_is_named() -> None:
    assert all(f"`{path}`" in PAGE for path in PUBLIC)
