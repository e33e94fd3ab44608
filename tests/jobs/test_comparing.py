"""Comparisons that the dashboard asks for: what stands in the result, how far it is told to be, what LLMs may cost."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import pytest

from labelers.stub_endpoint import StubEndpoint, by_schema
from tamis.errors import InvalidSetting, UnknownModel, UnknownOperation
from tamis.jobs.comparing import act
from tamis.jobs.operating import Acting, Done
from tamis.jobs.tools import Tools
from tamis.labelers import comparing
from tamis.ml.training import train
from tamis.store.opening import Store
from tamis.store.records import ModelRecord, OperationRecord
from tamis.testing import tiny_base

TEXTS = {"delivery": "where is my parcel", "payment": "you charge my card"}
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("train", "limit", "budget", "oos_label")),
    **dict.fromkeys(("models", "baselines", "llms"), ()),
    "shots": 0,
    "context": "",
}
MINI = {"name": "mini", "model": "vendor/mini", "price_in": 1.0, "price_out": 2.0}
KEY = "sk-a-secret-of-the-operator"


def lines(n: int, first: int = 0) -> bytes:
    rows = [
        {"text": f"{text} {k}", "labels": {"topic": topic}}
        for k in range(first, first + n)
        for topic, text in TEXTS.items()
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    (place / "rows.jsonl").write_bytes(lines(20))
    train(str(place / "rows.jsonl"), base=str(tiny_base(place / "base")), out=place / "made", epochs=4, name="shop")
    return place / "made"


@pytest.fixture
def models(store: Store, folder: Path) -> list[dict[str, str]]:
    """Two models as a comparison is told of them."""
    made = []
    for n in (1, 2):
        record = ModelRecord(
            id=str(uuid4()), name="shop", root="r", base="b", place=f"folder:{folder}", created_at=int(time())
        )
        made.append({"id": store.models.add(record).id, "name": f"shop@{n}"})
    return made


class Heard:
    """Does a comparison here, and hears how far it is."""

    def __init__(self, tools: Tools, work: Path) -> None:
        self.tools, self.work, self.said = tools, work, []
        work.mkdir()

    def __call__(self, **told: Any) -> Done:
        record = OperationRecord(
            id="o", kind="compare", status="RUNNING", title="", created_at=0, modified_at=0, told={**NOTHING, **told}
        )
        return act(Acting(self.tools, record, self.work, lambda share, stage: self.said.append((share, stage))))


@pytest.fixture
def compare(tools: Tools, tmp_path: Path) -> Heard:
    return Heard(tools, tmp_path / "act")


def test_the_result_is_the_comparison_and_its_page(
    compare: Heard, models: Any, add_file: Callable[[str, bytes], str]
) -> None:
    file, learnt = add_file("test.jsonl", lines(6, 100)), add_file("train.jsonl", lines(20))
    done = compare(models=models, baselines=["majority"], file=file, train=learnt)
    content = json.loads(done.content)  # type: ignore[arg-type]
    assert set(content["comparison"]["targets"]["topic"]["contenders"]) == {"shop@1", "shop@2", "Most frequent label"}
    assert content["outline"]["blocks"][0] == {
        "kind": "section",
        "anchor": "section-1",
        "title": "Summary",
        "intro": "",
    }
    assert {block["kind"] for block in content["outline"]["blocks"]} >= {"table", "figure", "note", "details"}
    (topic,) = done.summary["targets"]
    assert [each["name"] for each in topic["contenders"]] == ["shop@1", "shop@2", "Most frequent label"]
    assert topic["contenders"][2]["value"] == 0.5
    assert done.summary["n"] == 12
    shares = [share for share, _ in compare.said]
    assert shares == sorted(shares)
    assert ("shop@1: 12 of 12 rows") in {stage for _, stage in compare.said}


def test_rows_that_cannot_be_read_are_left_out(compare: Heard, models: Any, add_file: Any) -> None:
    done = compare(models=models, file=add_file("test.jsonl", lines(6, 100) + b"{}\n"))
    assert done.summary["n"] == 12


def test_a_model_that_is_gone_is_told_of(compare: Heard, models: Any, add_file: Any) -> None:
    gone = {"id": "gone", "name": "shop@3"}
    with pytest.raises(UnknownModel, match="choose the models again"):
        compare(models=[*models, gone], file=add_file("test.jsonl", lines(6)))


def test_too_much_is_told_in_the_words_of_the_page(
    compare: Heard, models: Any, add_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "MOST_SCORES", 10)
    with pytest.raises(InvalidSetting, match="ask about fewer rows") as caught:
        compare(models=models, file=add_file("test.jsonl", lines(6)))
    assert "--" not in caught.value.message


def test_llms_are_asked_at_the_operators_endpoint_within_their_budget(
    tools: Tools, models: Any, add_file: Any, tmp_path: Path
) -> None:
    with StubEndpoint(by_schema) as llm:
        choices = replace(tools.choices, llm_base_url=llm.url, llm_key=KEY)
        compare = Heard(replace(tools, choices=choices), tmp_path / "act")
        asked = {"name": "small", "model": "vendor/small", "price_in": 1.0, "price_out": 2.0}
        hostile = {"name": "other", "model": "x@http://192.0.2.1", "price_in": 1.0, "price_out": 1.0}
        done = compare(models=models[:1], llms=[asked, hostile], file=add_file("t.jsonl", lines(5)), budget=1.0)
        assert {header["authorization"] for header in llm.headers} == {f"Bearer {KEY}"}
        assert {body["model"] for body in llm.requests} == {"vendor/small", "x@http://192.0.2.1"}
        assert KEY.encode() not in done.content  # type: ignore[operator]
        comparison = json.loads(done.content)["comparison"]  # type: ignore[arg-type]
        told = {contender["name"]: contender for contender in comparison["contenders"]}
        assert told["small"]["outcomes"] == {"answered": 10}
        assert told["small"]["cost"]["this_run"] > 0
        asked_for = len(llm.requests)
        spent = Heard(replace(tools, choices=choices), tmp_path / "again")
        done = spent(models=models[:1], llms=[asked], file=add_file("u.jsonl", lines(5, 50)), budget=1e-9)
        assert len(llm.requests) == asked_for
        assert json.loads(done.content)["comparison"]["contenders"][1]["outcomes"] == {"over_budget": 10}  # type: ignore[arg-type]


def test_answers_of_an_earlier_comparison_cost_nothing(
    tools: Tools, models: Any, add_file: Any, tmp_path: Path
) -> None:
    file = add_file("t.jsonl", lines(8))
    with StubEndpoint(by_schema) as llm:
        choices = replace(tools.choices, llm_base_url=llm.url, llm_key=KEY)
        done = Heard(replace(tools, choices=choices), tmp_path / "act")(
            models=models[:1], llms=[MINI], file=file, limit=6, shots=0
        )
    assert done.summary["answers"] == [{"name": "mini", "rows": 6}]
    earlier = OperationRecord(
        id="c",
        kind="compare",
        status="SUCCESS",
        title="",
        created_at=0,
        modified_at=0,
        result_key="operations/c/result",
    )
    with tools.store.objects.writer("operations/c/result") as writer:
        writer.write(done.content)  # type: ignore[arg-type]
        writer.commit()
    tools.store.operations.add(earlier)
    told = {"comparison": "c", "number": 0, "name": "mini, 2026-11-22", "when": "2026-11-22"}
    again = Heard(tools, tmp_path / "again")(models=models, earlier=[told], file=file)
    before, now = (json.loads(each.content)["comparison"] for each in (done, again))  # type: ignore[arg-type]
    figures = [
        made["targets"]["topic"]["contenders"][name]["figures"]
        for made, name in ((before, "mini"), (now, "mini, 2026-11-22"))
    ]
    assert (now["n"], figures[0]) == (6, figures[1])
    assert now["contenders"][2]["cost"]["this_run"] == 0.0
    assert again.summary["answers"] == [], "they are kept where they were asked"
    tools.store.operations.delete("c")
    with pytest.raises(UnknownOperation, match="deleted meanwhile"):
        Heard(tools, tmp_path / "gone")(models=models, earlier=[told], file=file)
