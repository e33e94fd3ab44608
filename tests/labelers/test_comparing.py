"""Comparisons whole: models, baselines and LLMs on the same rows, what is warned of, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tamis
from labelers import stub_endpoint as stub
from labelers.conftest import example_rows, write_rows
from labelers.stub_endpoint import StubEndpoint, by_schema
from tamis.errors import DataError, InvalidSetting, UnknownModel, UpstreamFailed
from tamis.evaluation.comparison import Comparison, ContenderKind
from tamis.labelers import comparing
from tamis.labelers.asking import Asking
from tamis.labelers.budget import Price
from tamis.labelers.comparing import compare
from tamis.labelers.contenders import LlmContender
from tamis.labelers.entering import Llms
from tamis.ml.model import Model
from tamis.schema import Input
from tamis.testing import ScriptedLabeler

QUICK = {"resamples": 100}


def script(model: Model, wrong_every: int = 0) -> LlmContender:
    """An LLM that answers by the words of the text, and refuses some of them."""

    def said(given: Input) -> dict[str, list[str]] | None:
        text = str(given)
        if wrong_every and int(text.split()[4]) % wrong_every == 0:
            return None
        topic = "delivery" if "parcel" in text else "payment"
        return {"topic": [topic], "all": [topic, *(["urgent"] if "please" in text else [])]}

    return LlmContender(
        "llm:scripted", ScriptedLabeler(model.targets, said), model.targets, "a script", price=Price(1, 1)
    )


def test_all_kinds_of_contenders_on_the_same_rows(model: Model, rows: Path, train_rows: Path) -> None:
    made = tamis.compare(
        [model, "baseline:majority", "baseline:random", script(model, wrong_every=10)],
        str(rows),
        train=str(train_rows),
        **QUICK,
    )
    assert [c.name for c in made.contenders] == ["small", "baseline:majority", "baseline:random", "llm:scripted"]
    assert [c.kind for c in made.contenders][-1] is ContenderKind.LLM
    assert (made.n, made.rows, made.sampled) == (40, 40, None)
    topic, several = made.targets["topic"], made.targets["all"]
    assert topic.contenders["small"].figures["accuracy"].value == 1
    assert topic.contenders["baseline:majority"].figures["accuracy"].value == 0.5
    assert topic.contenders["llm:scripted"].figures["accuracy"].value == 0.9
    assert topic.contenders["llm:scripted"].failed == 4
    assert "ece" not in topic.contenders["llm:scripted"].figures
    assert made.contender("llm:scripted").outcomes == {"answered": 36, "refused": 4}
    assert several.contenders["small"].thresholds == "stored in the model"
    assert "too few to hold some out" in str(several.contenders["baseline:majority"].thresholds)
    assert several.contenders["small"].per_label[0].threshold is not None
    assert made.targets["topic"].best == "small"
    assert not made.warnings
    assert any("learnt from 80 rows" in line for line in made.used)
    assert any("chosen on" in line and "baseline:majority" in line for line in made.used)
    assert Comparison.model_validate_json(made.model_dump_json()) == made


def test_figures_are_those_of_evaluate(model: Model, rows: Path) -> None:
    made = compare({"mine": model, "folder": str(model.folder)}, str(rows), **QUICK)
    report = model.evaluate(str(rows))
    for name, target in report.targets.items():
        for figures in made.targets[name].contenders.values():
            for figure, measured in figures.figures.items():
                assert measured.value == pytest.approx(getattr(target, figure), abs=1e-5), figure
            assert [label.f1 for label in figures.per_label] == [label.f1 for label in target.per_label]
    assert made.targets["topic"].pair("accuracy", "mine", "folder").p == 1  # type: ignore[union-attr]


def test_a_sample_is_the_same_for_all_and_for_the_same_seed(model: Model, rows: Path) -> None:
    contender = script(model)
    made = compare({"a": model, "b": contender}, str(rows), limit=10, seed=3, **QUICK)
    asked = list(contender.labels.asked)  # type: ignore[attr-defined]
    assert (made.n, made.rows) == (10, 40)
    assert "simple random sample of the 40 rows" in str(made.sampled)
    assert asked == sorted(asked, key=lambda text: [row["text"] for row in example_rows(40, 1000)].index(text))
    again = script(model)
    compare({"a": model, "b": again}, str(rows), limit=10, seed=3, **QUICK)
    assert again.labels.asked == asked  # type: ignore[attr-defined]
    other = script(model)
    compare({"a": model, "b": other}, str(rows), limit=10, seed=4, **QUICK)
    assert other.labels.asked != asked  # type: ignore[attr-defined]
    with pytest.raises(InvalidSetting, match="give 1 or more"):
        compare({"a": model, "b": other}, str(rows), limit=0)


def test_rows_that_were_learnt_from_are_warned_of(model: Model, train_rows: Path, rows: Path, tmp_path: Path) -> None:
    pair = {"a": model, "b": "baseline:majority"}
    made = compare(pair, str(train_rows), train=str(train_rows), **QUICK)
    assert any("the rows that a learnt from" in warning for warning in made.warnings)
    assert any("80 of the 80 texts are in the training data" in warning for warning in made.warnings)
    assert not any("nothing was learnt" in line for line in made.used)
    mixed = write_rows(tmp_path / "mixed.jsonl", [*example_rows(2), *example_rows(10, 1000)])
    made = compare(pair, str(mixed), train=str(train_rows), validation=str(rows), **QUICK)
    assert "2 of the 12 texts are in the training data too" in made.warnings[0]
    assert "10 of the 12 texts are in the validation data too" in made.warnings[1]
    assert len(made.warnings) == 2


def test_rows_that_a_model_was_fitted_on_are_warned_of(
    model: Model, rows: Path, train_rows: Path, tmp_path: Path
) -> None:
    chosen = model.with_thresholds("recall>=0.5", data=str(rows)).save(tmp_path / "chosen")
    made = compare({"a": model, "b": chosen}, str(rows), **QUICK)
    (warning,) = made.warnings
    assert "The thresholds of b were chosen by these rows" in warning
    assert "is warned of" in made.used[0]
    base = str(Path(str(model.folder)).parent / "base")
    held = tamis.train(str(train_rows), validation=str(rows), base=base, epochs=1)
    (warning,) = compare({"a": model, "b": held}, str(rows), **QUICK).warnings
    assert "b was calibrated on a file of the name test.jsonl" in warning


def test_labels_and_targets_that_not_all_have(model: Model, tmp_path: Path) -> None:
    labels = {"topic": ("delivery", "returns"), "mood": ("good", "bad")}
    train = [
        {"text": f"{'parcel' if n % 2 else 'back'} {n}", "labels": {name: both[n % 2] for name, both in labels.items()}}
        for n in range(40)
    ]
    test = [
        *example_rows(20, 1000),
        {"text": "send it back", "labels": {"topic": "returns"}},
        {"text": "?", "labels": {"topic": "new"}},
    ]
    test.append({"text": "fine", "labels": {"mood": "good"}})
    files = [write_rows(tmp_path / f"{name}.jsonl", some) for name, some in (("train", train), ("test", test))]
    made = compare({"a": model, "b": "baseline:majority"}, str(files[1]), train=str(files[0]), **QUICK)
    assert list(made.targets) == ["topic"]
    found = made.targets["topic"]
    assert found.labels == ("delivery", "payment", "returns")
    assert found.unseen_labels == ("new",)
    assert (found.n, found.unseen_rows) == (22, 1)
    assert found.contenders["a"].lacking == ("returns", "new")
    assert found.contenders["b"].lacking == ("payment", "new")
    assert (found.contenders["a"].lacking_rows, found.contenders["b"].lacking_rows) == (2, 11)
    assert any("1 rows say nothing of the targets" in note for note in made.notes)
    assert any("Not compared" in note and "all" in note and "mood" in note for note in made.notes)


def test_contenders_that_have_nothing_in_common_are_refused(model: Model, tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", [{"text": f"t {n}", "labels": {"u": "ab"[n % 2]}} for n in range(20)])
    with pytest.raises(DataError, match="no target in common"):
        compare({"a": model, "b": "baseline:majority"}, str(train), train=str(train), **QUICK)
    test = write_rows(tmp_path / "test.jsonl", [{"text": "x", "labels": {"u": "a", "v": "b"}}])
    with pytest.raises(DataError):
        compare({"a": model, "b": model}, str(test), **QUICK)


def test_an_llm_over_http(model: Model, rows: Path, tmp_path: Path) -> None:
    with StubEndpoint(by_schema) as endpoint:
        llms = Llms(asking=Asking(backoff_s=0.01), price=Price(10, 100), key="k", cache=tmp_path / "kept")
        reference = f"llm:gpt@{endpoint.url}/v1"
        made = compare([model, reference], str(rows), limit=8, llms=llms, **QUICK)
        assert len(endpoint.requests) == 8
        assert endpoint.headers[0]["authorization"] == "Bearer k"
        again = compare([model, reference], str(rows), limit=8, llms=llms, **QUICK)
        assert len(endpoint.requests) == 8
    told = made.contender("llm:gpt")
    assert told.cost.this_run == pytest.approx(8 * (100 * 10 + 10 * 100) / 1e6)
    assert told.cost.million_texts == pytest.approx(2000)
    assert told.speed.latency_rows == 8
    kept = again.contender("llm:gpt")
    assert (kept.cached, kept.cost.this_run, kept.cost.million_texts) == (8, 0, pytest.approx(2000))
    assert again.targets["topic"].contenders["llm:gpt"] == made.targets["topic"].contenders["llm:gpt"]


def test_keys_stay_with_their_host(model: Model, rows: Path) -> None:
    with StubEndpoint(by_schema) as mine, StubEndpoint(by_schema) as other:
        named = {"m": f"llm:a@{mine.url}", "o": f"llm:b@{other.url}"}
        made = compare(named, str(rows), limit=2, llms=Llms(key="hush", default_url=mine.url), **QUICK)
    assert mine.headers[0]["authorization"] == "Bearer hush"
    assert "authorization" not in other.headers[0]
    assert any(f"The key was not sent to {other.url}" in note for note in made.notes)
    assert "hush" not in made.model_dump_json()


def test_llms_alone_are_told_the_labels_of_the_rows(rows: Path) -> None:
    with StubEndpoint(by_schema) as endpoint:
        both = {"one": f"llm:a@{endpoint.url}", "two": f"llm:b@{endpoint.url}"}
        made = compare(both, str(rows), limit=3, **QUICK)
    assert made.targets["topic"].labels == ("delivery", "payment")
    assert any("told the labels that these rows carry" in note for note in made.notes)


def test_a_budget_holds_for_all_llms_together(model: Model, rows: Path) -> None:
    with StubEndpoint(by_schema) as endpoint:
        llms = Llms(asking=Asking(concurrency=1, answer_tokens=10), price=Price(0, 1_000_000), most_cost=150.0)
        named = {"one": f"llm:a@{endpoint.url}", "two": f"llm:b@{endpoint.url}", "m": model}
        made = compare(named, str(rows), limit=20, llms=llms, **QUICK)
    spent = [made.contender(name).cost.this_run or 0 for name in ("one", "two")]
    assert sum(spent) <= 150
    assert made.contender("two").outcomes["over_budget"] > 0
    assert made.targets["topic"].contenders["two"].failed == made.contender("two").failures


def test_an_llm_that_votes_chooses_its_share_on_validation_rows(
    model: Model, rows: Path, train_rows: Path, tmp_path: Path
) -> None:
    validation = write_rows(tmp_path / "validation.jsonl", example_rows(12, 5000))
    with StubEndpoint(by_schema) as endpoint:
        llms = Llms(asking=Asking(samples=2))
        made = compare(
            [model, f"llm:a@{endpoint.url}"],
            str(rows),
            train=str(train_rows),
            validation=str(validation),
            limit=4,
            llms=llms,
            **QUICK,
        )
        assert {stub.text_of(body) for body in endpoint.requests} >= {row["text"] for row in example_rows(12, 5000)}
    assert "12 rows of the validation data" in str(made.targets["all"].contenders["llm:a"].thresholds)
    assert "ece" in made.targets["topic"].contenders["llm:a"].figures


def test_an_endpoint_that_answers_nothing_ends_it(model: Model, rows: Path) -> None:
    with StubEndpoint(lambda number, body: stub.fails(401)) as endpoint, pytest.raises(UpstreamFailed):
        compare([model, f"llm:a@{endpoint.url}"], str(rows), limit=4, **QUICK)


@pytest.mark.parametrize(
    ("contenders", "error", "says"),
    [
        (["baseline:best", "baseline:majority"], InvalidSetting, "no 'baseline:best'"),
        (["baseline:majority", "baseline:random"], InvalidSetting, "--train"),
        (["nowhere", "baseline:random"], UnknownModel, "nowhere"),
        (["llm:gpt@localhost:1", "baseline:random"], InvalidSetting, "begin the URL with http"),
        ([1, "baseline:random"], InvalidSetting, "of type int"),
        (["baseline:random"], InvalidSetting, "1 contender"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_computed(contenders, error, says, rows: Path) -> None:
    with pytest.raises(error, match=says):
        compare(contenders, str(rows), **QUICK)


def test_other_settings_that_are_refused(model: Model, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match="'c' is none of the contenders a, b"):
        compare({"a": model, "b": model}, str(rows), against="c", **QUICK)
    with pytest.raises(InvalidSetting, match="without training rows"):
        compare({"a": model, "b": model}, str(rows), validation=str(rows), **QUICK)
    monkeypatch.setattr(comparing, "MOST_SCORES", 100)
    with pytest.raises(InvalidSetting, match="about 20 rows with --limit"):
        compare({"a": model, "b": model}, str(rows), **QUICK)


def test_bad_rows_rows_in_memory_and_someone_to_be_shown_against(model: Model, tmp_path: Path) -> None:
    bad = write_rows(tmp_path / "bad.jsonl", [*example_rows(9, 1000), {"text": "", "labels": {"topic": "payment"}}])
    made = compare(
        {"a": model, "b": script(model)},
        str(bad),
        against="b",
        max_bad_share=0.2,
        rejects=tmp_path / "no.jsonl",
        **QUICK,
    )
    assert made.targets["topic"].against == "b"
    assert any("1 rows could not be used" in note for note in made.notes)
    assert len((tmp_path / "no.jsonl").read_text().splitlines()) == 1
    memory = compare({"a": model, "b": script(model)}, example_rows(6, 1000), **QUICK)
    assert memory.n == 6


def test_it_tells_how_far_it_is_and_can_be_ended(model: Model, rows: Path) -> None:
    told: list[tuple[str, int, int]] = []
    compare({"a": model, "b": script(model)}, str(rows), told=lambda *what: told.append(what), **QUICK)
    assert ("a", 40, 40) in told
    assert ("b", 40, 40) in told

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare({"a": model, "b": model}, str(rows), check=stop, **QUICK)


def test_hostile_names_and_labels_do_no_harm(model: Model, tmp_path: Path) -> None:
    row = {"text": "<b>", "labels": {"topic": "</script><script>alert(1)</script>"}}
    file = write_rows(tmp_path / "hostile.jsonl", [row, *example_rows(4, 1000)])
    made = compare({"</script>": model, "b": model}, str(file), **QUICK)
    from tamis.evaluation.comparison_page import build_page

    page = build_page(made).render()
    assert "<script>alert" not in page
    assert json.loads(made.model_dump_json())["n"] == 5


def test_a_target_of_another_name_is_told(tmp_path: Path) -> None:
    def rows(name: str, first: int) -> str:
        made = example_rows(20, first)
        renamed = [{"text": row["text"], "labels": {name: row["labels"]["topic"]}} for row in made]
        return str(write_rows(tmp_path / f"{name}.jsonl", renamed))

    contenders = {"a": "baseline:majority", "b": "baseline:random"}
    made = compare(contenders, rows("subject", 1000), train=rows("topic", 0), **QUICK)
    assert list(made.targets) == ["topic"]
    assert any("subject -> topic" in note for note in made.notes)
