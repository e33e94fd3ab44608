"""Classify: with tuned models, and after examples. What is wrong is 400 and says where."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tamis.jobs.states import Status
from tamis.ml.manifest import Abstain
from tamis.schema import Ending
from tamis.store.records import JobRecord
from tamis.workspace.workspace import Workspace

EXAMPLES = [
    {"text": "where is my parcel", "label": "delivery"},
    {"text": "the box is late", "label": "delivery"},
    {"text": "my card was charged", "label": "payment"},
    {"text": "the invoice is wrong", "label": "payment"},
]
JOB = "0b0f7a52-90f0-4f2f-9b7e-3c1d5a8e7f10"


def classify(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/classify", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(client: TestClient, **body: Any) -> str:
    answer = client.post("/v1/classify", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"][0]["loc"][0] == "body"
    message: str = answer.json()["message"]
    return message


class TestWithAModel:
    def test_a_single_label_model(self, client: TestClient, models: Workspace) -> None:
        texts = ["where is my parcel", "you charge my card"]
        for more in ({}, {"examples": None}, {"examples": []}, {"truncate": "START"}, {"extra": 1}):
            body = classify(client, model=f"{models.models.find('intents').id}-ft", inputs=texts, **more)
            assert [one["input"] for one in body["classifications"]] == texts
            for one in body["classifications"]:
                assert one["classification_type"] == "single-label"
                scores = {label: found["confidence"] for label, found in one["labels"].items()}
                assert sum(scores.values()) == pytest.approx(1, abs=1e-6)
                assert one["prediction"] == max(scores, key=scores.__getitem__)
                assert (one["predictions"], one["confidences"]) == ([one["prediction"]], [one["confidence"]])
            assert [one["prediction"] for one in body["classifications"]] == ["delivery", "payment"]
        assert body["meta"] == {"api_version": {"version": "1"}, "billed_units": {"classifications": 2}}

    def test_the_best_label_is_told_where_the_model_abstains(self, client: TestClient, models: Workspace) -> None:
        served = models.classifier.served("intents")
        for rule in served.predictor._rules:
            rule._abstain = Abstain(threshold=1e6, coverage=0.0, evidence={"spread": 1.0})
        assert served.predictor.predict(["where is my parcel"])[0]["topic"].labels == ()
        (one,) = classify(client, model="intents", inputs=["where is my parcel"])["classifications"]
        assert (one["prediction"], one["predictions"]) == ("delivery", ["delivery"])

    def test_a_multi_label_model(self, client: TestClient, models: Workspace) -> None:
        served = models.classifier.served("flags")
        text = "where is my parcel"
        (one,) = classify(client, model="flags", inputs=[text])["classifications"]
        assert (one["classification_type"], one["prediction"], one["confidence"]) == ("multi-label", None, None)
        assert set(one["predictions"]) == set(served.predictor.predict([text])[0]["flags"].labels)
        assert one["confidences"] == [one["labels"][label]["confidence"] for label in one["predictions"]]
        assert one["confidences"] == sorted(one["confidences"], reverse=True)

    def test_of_several_targets_the_labels_have_their_names(self, client: TestClient, models: Workspace) -> None:
        (one,) = classify(client, model="both", inputs=["where is my parcel"])["classifications"]
        assert {name.partition("/")[0] for name in one["labels"]} == {"topic", "a", "b"}
        assert "topic/delivery" in one["predictions"]
        assert one["prediction"] is None

    def test_truncate(self, client: TestClient, models: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        scorer = models.classifier.served("intents").predictor._scorer
        asked: list[Any] = []
        monkeypatch.setattr(
            scorer, "too_long", lambda inputs: [row for row, text in enumerate(inputs) if len(text) > 9]
        )
        computed = scorer.logits
        monkeypatch.setattr(scorer, "logits", lambda inputs: asked.extend(inputs) or computed(inputs))
        short, long = "my parcel", "where is my parcel"
        for truncate, kind in (("START", Ending), ("END", str), (None, str), ("NONE", str)):
            classify(
                client, model="intents", inputs=[short, "a"] if truncate == "NONE" else [short, long], truncate=truncate
            )
            assert {type(text) for text in asked} == {kind}
            asked.clear()
        assert "body.inputs.1: the text at index 1 is longer" in refused(
            client, model="intents", inputs=[short, long], truncate="NONE"
        )
        assert asked == []
        answer = client.post("/v1/classify", json={"model": "gone", "inputs": [long], "truncate": "NONE"})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")

    def test_when_a_model_was_last_asked_is_told(self, client: TestClient, models: Workspace) -> None:
        place = "/v1/finetuning/finetuned-models"
        found = client.get(place).json()["finetuned_models"]
        assert {each["last_used"] for each in found} == {None}
        for _ in range(2):  # the second is answered by a loaded model, with nothing looked up
            assert client.post("/v1/classify", json={"model": "intents@1", "inputs": ["x"]}).status_code == 200
        model = models.models.find("intents@1")
        assert model.last_used_at is not None
        assert client.get(f"{place}/{model.id}").json()["finetuned_model"]["last_used"] is not None
        others = client.get(place).json()["finetuned_models"]
        assert [each["id"] for each in others if each["last_used"]] == [model.id]

    def test_96_and_no_more(self, client: TestClient, models: Workspace) -> None:
        assert len(classify(client, model="intents", inputs=["a"] * 96)["classifications"]) == 96
        assert "96" in refused(client, model="intents", inputs=["a"] * 97)

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"inputs": []}, "at least one text"),
            ({"inputs": ["a", " "]}, "index 1"),
            ({"inputs": "a"}, "body.inputs"),
            ({}, "body.inputs"),
            ({"inputs": [1]}, "body.inputs.0"),
            ({"inputs": ["a", "b" * 200_001]}, "max_input_chars"),
            ({"inputs": ["b" * 100_000] * 41}, "max_request_chars"),
            ({"inputs": ["a"], "truncate": "MIDDLE"}, "body.truncate"),
            ({"inputs": ["a"], "preset": "p"}, "presets"),
            ({"inputs": ["a"], "model": None}, "name a model"),
            ({"inputs": ["a"], "examples": EXAMPLES}, "leave out either"),
            ({"inputs": ["a"], "model": "abc-ft"}, "UUID followed by -ft"),
            ({"inputs": ["a"], "model": "embed-english-v3.0"}, "is a base model: give examples"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, client: TestClient, models: Workspace, body: dict[str, Any], says: str
    ) -> None:
        assert says in refused(client, **{"model": "intents", **body})

    def test_a_model_that_is_not_there(self, client: TestClient, models: Workspace) -> None:
        for model in ("gone", f"{JOB}-ft"):
            answer = client.post("/v1/classify", json={"model": model, "inputs": ["a"]})
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
            assert model in answer.json()["message"]

    @pytest.mark.parametrize(("status", "stage"), [(Status.QUEUED, "QUEUED"), (Status.RUNNING, "FINETUNING")])
    def test_a_model_that_is_not_ready(
        self, client: TestClient, workspace: Workspace, status: Status, stage: str
    ) -> None:
        job = JobRecord(
            id=JOB,
            status=status,
            model="english",
            base="static-en",
            name="m",
            fingerprint="f",
            created_at=1,
            modified_at=1,
        )
        workspace.store.jobs.add(job)
        assert f"it is {stage}" in refused(client, model=f"{JOB}-ft", inputs=["a"])


class TestAfterExamples:
    def test_no_model_is_needed(self, client: TestClient) -> None:
        texts = ["the parcel did not come", "a wrong charge on the card"]
        for more in (
            {},
            {"model": None},
            {"model": "embed-english-v3.0"},
            {"model": "english"},
            {"model": "static-en"},
        ):
            body = classify(client, inputs=texts, examples=EXAMPLES, **more)
            assert [one["prediction"] for one in body["classifications"]] == ["delivery", "payment"]
            assert all(one["classification_type"] == "single-label" for one in body["classifications"])
            assert list(body["classifications"][0]["labels"]) == ["delivery", "payment"]

    def test_it_is_learnt_once(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        from tamis.workspace import few_shot

        learnt = []
        fit = few_shot.fit
        monkeypatch.setattr(few_shot, "fit", lambda *given: learnt.append(1) or fit(*given))
        for _ in range(3):
            classify(client, inputs=["a"], examples=EXAMPLES)
        assert len(learnt) == 1
        classify(client, inputs=["a"], examples=EXAMPLES[::-1])
        assert len(learnt) == 2

    @pytest.mark.parametrize(
        ("examples", "says"),
        [
            (EXAMPLES[:2], "at least 2 labels"),
            (EXAMPLES[:3], "fewer of 'payment'"),
            ([*EXAMPLES, {"text": "x"}], "index 4 has no label"),
            ([{"text": " ", "label": "a"}, *EXAMPLES], "index 0 has no text"),
            (EXAMPLES * 700, "2,500"),
            ([*EXAMPLES, {"text": "x" * 200_001, "label": "delivery"}], "index 4 has more than 200,000 characters"),
            ([1], "body.examples.0"),
        ],
    )
    def test_what_is_wrong_is_told(self, client: TestClient, examples: list[Any], says: str) -> None:
        message = refused(client, inputs=["a"], examples=examples)
        assert says in message
        assert message.startswith("body.examples")
