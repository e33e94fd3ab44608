"""Comparisons: what may be asked, what is told to who does them, and what comes back."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from tamis.errors import InvalidRequest, UnknownFile, UnknownModel, UnknownOperation
from tamis.jobs.comparing import ANSWERS
from tamis.settings import Settings
from tamis.store.records import ModelRecord, OperationRecord
from tamis.workspace.comparisons import AskedLlm, Comparisons, NewComparison
from tamis.workspace.operations import NewOperation
from tamis.workspace.workspace import Workspace

ID = "00000000-0000-4000-8000-00000000000{}"
EVALUATION: dict[str, Any] = {
    "id": "e",
    "kind": "evaluate",
    "status": "SUCCESS",
    "title": "t",
    "created_at": 1,
    "modified_at": 1,
    "told": {"file": "f"},
    "summary": {ANSWERS: [{"name": "x", "rows": 1}]},
}
PRICED = AskedLlm("mini", 0.15, 0.6)


@pytest.fixture(autouse=True)
def begun(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be done in the background; nothing is."""
    found: list[str] = []
    monkeypatch.setattr(workspace.operations._background, "submit", lambda work, id: found.append(id))
    return found


@pytest.fixture
def models(workspace: Workspace) -> list[str]:
    records = [
        ModelRecord(id=ID.format(n), name="shop", root="r", base="b", place=f"objects:{n}", created_at=n)
        for n in range(3)
    ]
    return [workspace.store.models.add(record).id for record in records]


@pytest.fixture
def with_llms(workspace: Workspace, settings: Settings) -> Comparisons:
    chosen = settings.model_copy(
        update={
            "llm_base_url": "http://llm.test",
            "llm_models": {"mini": "vendor/mini:7b"},
            "llm_api_key": SecretStr("k"),
        }
    )
    return Comparisons(workspace.models, workspace.files, workspace.operations, chosen)


def test_what_is_told_holds_names_of_then_and_no_secret(
    with_llms: Comparisons, models: list[str], upload: Any, begun: list[str]
) -> None:
    file, train = upload(name="test.csv"), upload(name="train.csv")
    new = NewComparison(
        file=file.id,
        models=["shop@1", models[0], "shop@3"],
        baselines=("majority", "tfidf"),
        llms=[PRICED],
        train=train.id,
        budget=2.0,
        shots=1,
        created_by="key",
    )
    record = with_llms.create(new)
    assert begun == [record.id]
    assert record.title == "shop@1, shop@3, TF-IDF baseline and 2 more on test.csv"
    assert record.told["models"] == [{"id": models[0], "name": "shop@1"}, {"id": models[2], "name": "shop@3"}]
    assert record.told["baselines"] == ["tfidf", "majority"]
    asked = {"name": "mini", "asked": "mini", "model": "vendor/mini:7b", "price_in": 0.15, "price_out": 0.6}
    assert record.told["llms"] == [asked]
    assert (record.told["file_name"], record.told["train_name"], record.created_by) == ("test.csv", "train.csv", "key")
    assert "llm.test" not in str(record)
    assert with_llms.get(record.id) == record
    assert with_llms.list(0, 5) == ([record], 1)


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({"models": ["shop@1"]}, "contenders", "at least two"),
        ({"models": ["shop@1"], "baselines": ["tfidf"]}, "train", "choose a training file"),
        ({"models": ["shop@1"], "baselines": ["other"], "train": "f"}, "baselines", "no baseline 'other'"),
        ({"limit": 0}, "limit", "from 1 to"),
        ({"oos_label": "x" * 999}, "oos_label", "characters at most"),
        ({"llms": [AskedLlm("mini")]}, "limit", "Every row is a request"),
        ({"llms": [AskedLlm("mini")], "budget": 3.0}, "budget", "Give the price of mini"),
        ({"llms": [PRICED], "budget": 0.0}, "budget", "above 0"),
        ({"llms": [PRICED], "budget": float("nan")}, "budget", "above 0"),
        ({"llms": [AskedLlm("mini", -1.0)], "limit": 5}, "llms", "is no price"),
        ({"llms": [PRICED, PRICED], "limit": 5}, "llms", "twice"),
        ({"llms": [AskedLlm("a b")], "limit": 5}, "llms", "no blanks"),
        ({"llms": [PRICED], "limit": 5, "shots": 2}, "train", "Examples for the LLM"),
        ({"llms": [PRICED], "limit": 5, "shots": 99}, "shots", "from 0 to"),
        ({"llms": [PRICED], "limit": 5, "context": "x" * 9999}, "context", "at most"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_paid_for(
    with_llms: Comparisons,
    models: list[str],
    upload: Any,
    begun: list[str],
    given: dict[str, Any],
    field: str,
    why: str,
) -> None:
    usual = {"file": upload().id, "models": models[:2]}
    with pytest.raises(InvalidRequest, match=why) as caught:
        with_llms.create(NewComparison(**{**usual, **given}))
    assert caught.value.context["loc"] == ["body", field]
    assert not begun


class TestEarlierAnswers:
    """LLMs of finished comparisons on the same file enter another one, and are asked nothing."""

    @pytest.fixture
    def finished(self, workspace: Workspace) -> Callable[..., str]:
        def add(file: str, *names: str, status: str = "SUCCESS", at: int = 1_763_800_000) -> str:
            made = OperationRecord(
                id=str(uuid4()),
                kind="compare",
                status=status,
                title="t",
                told={"file": file},
                summary={ANSWERS: [{"name": name, "rows": 300} for name in names]},
                created_at=at,
                modified_at=at,
                finished_at=at,
            )
            workspace.store.operations.add(made)
            return made.id

        return add

    def test_those_on_a_file_are_offered(self, workspace: Workspace, finished: Callable[..., str]) -> None:
        first, later = finished("f", "mini", "large"), finished("f", "mini", at=1_763_900_000)
        finished("f")
        finished("f", "x", status="FAILED")
        finished("other", "x")
        workspace.store.operations.add(OperationRecord(**EVALUATION))
        found = workspace.comparisons.earlier("f")
        assert [each.id for each in found] == [f"{later}:0", f"{first}:0", f"{first}:1"]
        assert (found[2].name, found[2].rows, found[2].asked_at) == ("large", 300, 1_763_800_000)

    def test_they_enter_without_an_endpoint_and_without_a_limit(
        self, workspace: Workspace, models: list[str], upload: Any, finished: Callable[..., str]
    ) -> None:
        file = upload(name="test.csv").id
        first, later = finished(file, "mini", "large"), finished(file, "mini")
        new = NewComparison(file=file, models=models[:1], earlier=[f"{first}:0", f"{later}:0", f"{later}:0"])
        record = workspace.comparisons.create(new)
        assert record.told["earlier"] == [
            {"comparison": first, "number": 0, "name": "mini, 2025-11-22", "when": "2025-11-22"},
            {"comparison": later, "number": 0, "name": "mini, 2025-11-22 (2)", "when": "2025-11-22"},
        ]
        assert record.title == "shop@1, mini, 2025-11-22, mini, 2025-11-22 (2) on test.csv"

    @pytest.mark.parametrize("wrong", ["", "gone:0", "{}", "{}:9", "{}:-1", "{}:x", "{}:0:0", "\x00:0"])
    def test_answers_that_are_not_there_are_refused(
        self,
        workspace: Workspace,
        models: list[str],
        upload: Any,
        finished: Callable[..., str],
        begun: list[str],
        wrong: str,
    ) -> None:
        file = upload().id
        asked = wrong.format(finished(file, "mini"))
        with pytest.raises(InvalidRequest, match="no longer here") as caught:
            workspace.comparisons.create(NewComparison(file=file, models=models, earlier=[asked]))
        assert caught.value.context["loc"] == ["body", "earlier"]
        assert not begun

    def test_answers_about_another_file_are_refused(
        self, workspace: Workspace, models: list[str], upload: Any, finished: Callable[..., str]
    ) -> None:
        asked = finished("other", "mini")
        with pytest.raises(InvalidRequest, match="about another file"):
            workspace.comparisons.create(NewComparison(file=upload().id, models=models, earlier=[f"{asked}:0"]))


def test_without_an_endpoint_there_are_no_llms(workspace: Workspace, models: list[str], upload: Any) -> None:
    assert not workspace.comparisons.has_llms
    assert workspace.comparisons.llms == ()
    with pytest.raises(InvalidRequest, match="TAMIS_LLM_BASE_URL"):
        workspace.comparisons.create(NewComparison(file=upload().id, models=models, llms=[PRICED], limit=5))


def test_models_and_files_must_be_there(workspace: Workspace, models: list[str], upload: Callable[..., Any]) -> None:
    file = upload().id
    workspace.models.archive(models[0])
    with pytest.raises(UnknownModel, match="archived"):
        workspace.comparisons.create(NewComparison(file=file, models=models))
    with pytest.raises(UnknownFile):
        workspace.comparisons.create(NewComparison(file="nope", models=models[1:]))


def test_other_operations_are_no_comparisons(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamis.workspace.operations.act_of", lambda kind: None)
    other = workspace.operations.create(NewOperation(kind="count", title="t"))
    for ask in (workspace.comparisons.get, workspace.comparisons.report, workspace.comparisons.delete):
        with pytest.raises(UnknownOperation):
            ask(other.id)
    assert workspace.operations.get(other.id) == other
    assert workspace.comparisons.list(0, 5) == ([], 0)
