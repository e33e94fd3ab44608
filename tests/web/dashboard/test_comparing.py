"""A comparison is asked for with a form, watched, read, taken along."""

import re
from typing import Any

import pytest

from tamis.store.records import ModelRecord, OperationRecord
from tamis.workspace.workspace import Workspace
from web.dashboard.browsing import Watched

DONE, RUNNING, FAILED = (f"00000000-0000-4000-8000-0000000000{n:02d}" for n in (5, 15, 25))
HOSTILE_LLM = "<script>alert(1)</script>"
ID = "00000000-0000-4000-8000-00000000010{}"


@pytest.fixture
def begun(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be done in the background; nothing is."""
    found: list[str] = []
    monkeypatch.setattr(workspace.operations._background, "submit", lambda work, id: found.append(id))
    return found


@pytest.fixture
def two(workspace: Workspace) -> list[str]:
    """Two models."""
    targets = ({"name": "t", "labels": ["a", "b"]},)
    usual: dict[str, Any] = {"root": "r", "base": "b", "place": "objects:x", "created_at": 1, "targets": targets}
    return [workspace.store.models.add(ModelRecord(id=ID.format(n), name=f"shop{n}", **usual)).id for n in (1, 2)]


def checked(page: str, name: str) -> list[str]:
    return re.findall(rf'name="{name}" value="([^"]+)" checked', page)


def test_what_is_chosen_becomes_a_comparison(
    visitor: Any, workspace: Workspace, two: list[str], upload: Any, begun: list[str]
) -> None:
    file = upload(name="test.jsonl")["id"]
    answer = visitor.send(
        "/ui/compare/new", act="compare", file=file, model=two, baseline="majority", train=file, limit="1,000"
    )
    assert answer.headers["location"] == f"/ui/compare/{begun[0]}"
    (record,), _ = workspace.comparisons.list(0, 5)
    assert [model["name"] for model in record.told["models"]] == ["shop1@1", "shop2@1"]
    assert (record.told["limit"], record.told["baselines"]) == (1000, ["majority"])
    page = visitor.get(answer.headers["location"]).text
    assert 'data-live="2"' in page
    assert "shop1@1, shop2@1, Most frequent label on test.jsonl" in page


def test_looking_for_models_keeps_what_is_chosen(visitor: Any, two: list[str], upload: Any, begun: list[str]) -> None:
    file = upload()["id"]
    answer = visitor.send(
        "/ui/compare/new", act="find", find_models="shop2", model=two[0], file=file, limit="300", baseline="tfidf"
    )
    assert answer.status_code == 200
    assert checked(answer.text, "model") == [two[0]]
    assert f'value="{two[1]}"' in answer.text
    assert f'value="{file}" selected' in answer.text
    assert 'value="300"' in answer.text
    assert checked(answer.text, "baseline") == ["tfidf"]
    assert not begun
    nothing = visitor.send("/ui/compare/new", act="find", find_models="zzz")
    assert "No model here fits" in nothing.text


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "Choose the file"),
        ({"limit": "many"}, "Give a whole number"),
        ({"limit": "²"}, "Give a whole number"),
        ({"llm": "m", "price_in": "cheap"}, "“cheap” is no number"),
        ({"llm": "m", "price_in": "1e999"}, "is no number"),
        ({"model": "nope"}, "There is no model nope"),
        ({"baseline": "majority"}, "at least two"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    visitor: Any, upload: Any, begun: list[str], fields: dict[str, str], why: str
) -> None:
    file = {"file": upload()["id"]} if fields else {}
    answer = visitor.send("/ui/compare/new", act="compare", **file, **fields)
    assert answer.status_code == 422
    assert why in answer.text
    assert "Not begun yet" in answer.text
    assert not begun


def test_a_file_that_is_gone_is_said(visitor: Any, two: list[str], begun: list[str]) -> None:
    answer = visitor.send("/ui/compare/new", act="compare", file="gone", model=two)
    assert answer.status_code == 422
    assert "A file was deleted meanwhile" in answer.text


def test_models_and_a_file_come_chosen_from_other_pages(visitor: Any, two: list[str], upload: Any) -> None:
    file = upload()["id"]
    page = visitor.get(f"/ui/compare/new?model={two[0]}&model=nope&file={file}").text
    assert checked(page, "model") == [two[0]]
    assert f'value="{file}" selected' in page


def test_llms_can_be_asked_where_there_is_an_endpoint(
    make_client: Any, workspace: Workspace, two: list[str], upload: Any, begun: list[str]
) -> None:
    from web.dashboard.conftest import Visitor

    visitor = Visitor(make_client(llm_base_url="http://llm.test", llm_models={"mini": "vendor/mini"}))
    workspace.comparisons._settings = workspace.settings
    page = visitor.get("/ui/compare/new").text
    assert '<option value="mini">' in page
    fields = {"llm": ["mini", ""], "price_in": ["0,15", ""], "price_out": ["0.6", ""], "budget": "2"}
    answer = visitor.send("/ui/compare/new", act="compare", file=upload()["id"], model=two[0], **fields)
    assert answer.status_code == 303, answer.text
    record = workspace.comparisons.get(begun[0])
    assert record.told["llms"][0]["price_in"] == 0.15
    assert record.told["budget"] == 2
    again = visitor.get(f"/ui/compare/new?again={record.id}").text
    assert 'name="llm" value="mini"' in again
    assert 'name="price_in" value="0.15"' in again
    assert checked(again, "model") == [two[0]]


@pytest.fixture
def kept(workspace: Workspace, upload: Any) -> tuple[str, str]:
    """A file, and the id of answers of an LLM of a hostile name about it."""
    file = upload(name="test.jsonl")["id"]
    summary = {"answers": [{"name": HOSTILE_LLM, "rows": 1234}], "targets": []}
    made = {"created_at": 1_763_800_000, "modified_at": 1, "finished_at": 1_763_800_000, "title": "t"}
    workspace.store.operations.add(
        OperationRecord(id="c", kind="compare", status="SUCCESS", told={"file": file}, summary=summary, **made)
    )
    return file, "c:0"


def test_answers_that_are_kept_are_chosen_again_at_no_cost(
    visitor: Any, workspace: Workspace, two: list[str], kept: tuple[str, str], upload: Any, begun: list[str]
) -> None:
    file, id = kept
    assert 'name="earlier"' not in visitor.get("/ui/compare/new").text
    page = visitor.get(f"/ui/compare/new?file={file}").text
    assert 'name="earlier" value="c:0"' in page
    assert "1,234 rows, asked" in page
    assert "answers kept: costs nothing" in page
    assert "<script>alert" not in page
    other = upload(name="other.jsonl")["id"]
    refused = visitor.send("/ui/compare/new", act="compare", file=other, model=two[0], earlier=id)
    assert (refused.status_code, "about another file" in refused.text) == (422, True)
    answer = visitor.send("/ui/compare/new", act="compare", file=file, model=two[0], earlier=id)
    assert answer.headers["location"] == f"/ui/compare/{begun[0]}"
    assert workspace.comparisons.get(begun[0]).told["earlier"][0]["name"] == f"{HOSTILE_LLM}, 2025-11-22"
    assert checked(visitor.get(f"/ui/compare/new?again={begun[0]}").text, "earlier") == [id]


def test_a_script_looks_for_answers_once_a_file_is_chosen(
    address: str, watched: Watched, kept: tuple[str, str], two: list[str]
) -> None:
    page = watched.page
    page.goto(f"{address}/ui/compare/new?model={two[0]}")
    assert page.locator("[name=earlier]").count() == 0
    page.select_option("#field-file", kept[0])
    page.wait_for_selector("[name=earlier]")
    assert page.locator("text=Look for kept answers").is_hidden()
    page.select_option("#field-file", "")
    page.wait_for_selector("[name=earlier]", state="detached")


def test_the_report_stands_in_the_page(visitor: Any, filled: Workspace) -> None:
    answer = visitor.get(f"/ui/compare/{DONE}")
    assert "'unsafe-inline'" in answer.headers["content-security-policy"]
    assert "<script>alert(1)" not in answer.text
    assert 'data-key="0.5"' in answer.text
    assert 'href="#section-2"' in answer.text
    assert "data-live" not in answer.text


def test_the_report_is_taken_along(visitor: Any, filled: Workspace) -> None:
    page = visitor.get(f"/ui/compare/{DONE}/report.html")
    assert page.headers["content-disposition"].startswith('attachment; filename="comparison.html"')
    assert page.text.startswith("<!doctype html>")
    assert "<script>alert(1)" not in page.text
    assert visitor.get(f"/ui/compare/{DONE}/comparison.json").json()["n"] == 9
    assert visitor.get(f"/ui/compare/{FAILED}/report.html").status_code == 409


def test_a_report_of_another_version_is_said_to_be_one(visitor: Any, filled: Workspace) -> None:
    key = f"operations/{DONE}/result"
    with filled.store.objects.writer(key) as writer:
        writer.write(b'{"comparison": {"of": "later"}, "outline": {"title": "", "subtitle": "", "blocks": []}}')
        writer.commit()
    assert visitor.get(f"/ui/compare/{DONE}").status_code == 200
    answer = visitor.get(f"/ui/compare/{DONE}/report.html")
    assert (answer.status_code, "another version of Tamis" in answer.text) == (409, True)


def test_one_is_ended_and_deleted(visitor: Any, filled: Workspace) -> None:
    assert visitor.send(f"/ui/compare/{RUNNING}/cancel").headers["location"] == f"/ui/compare/{RUNNING}"
    page = visitor.get(f"/ui/compare/{RUNNING}").text
    assert "Cancelled" in page
    assert "data-live" not in page
    assert visitor.send(f"/ui/compare/{RUNNING}/delete").headers["location"] == "/ui/compare"
    assert visitor.get(f"/ui/compare/{RUNNING}").status_code == 404
    assert visitor.get("/ui/compare").text.count('data-label="Comparison"') == 2


def test_comparisons_are_looked_for_and_paged(visitor: Any, filled: Workspace) -> None:
    for n in range(60):
        made = {"created_at": 2**31 + n, "modified_at": 1, "told": {"file_name": "f"}}
        filled.store.operations.add(
            OperationRecord(id=f"c{n}", kind="compare", status="CANCELLED", title=f"number {n} on f.csv", **made)
        )
    first = visitor.get("/ui/compare").text
    assert first.count('data-label="Comparison"') == 25
    assert 'href="/ui/compare?page=2"' in first
    found = visitor.get("/ui/compare?search=NUMBER+7+on").text
    assert [found.count('data-label="Comparison"'), "number 7 on f.csv" in found] == [1, True]
    assert visitor.get("/ui/compare?state=FAILED").text.count('data-label="Comparison"') == 1
    nothing = visitor.get("/ui/compare?search=zzz").text
    assert "Nothing found" in nothing
    assert 'name="search" value="zzz"' in nothing


def test_other_operations_are_not_shown_here(visitor: Any, workspace: Workspace) -> None:
    other = OperationRecord(id="e", kind="evaluate", status="SUCCESS", title="t", created_at=1, modified_at=1)
    workspace.store.operations.add(other)
    assert visitor.get("/ui/compare/e").status_code == 404
    assert visitor.send("/ui/compare/e/delete").status_code == 404
    assert "Which model is better?" in visitor.get("/ui/compare").text
