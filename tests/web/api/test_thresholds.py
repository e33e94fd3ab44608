"""The routes of thresholds: shown, tried, changed; every door answers by the new ones, and aliases stay."""

import pytest

TEXT = "where is my parcel"


def test_thresholds_and_curves_are_shown(models, client):
    answer = client.get("/v1/tamis/models/flags/thresholds")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["object"], told["model"], told["parent"]) == ("thresholds", "flags@1", "flags@1")
    target = told["targets"]["flags"]
    assert {label["label"] for label in target["labels"]} == {"delivery", "payment", "safe"}
    assert target["rows"] == 40
    curves = target["curves"]
    assert len(curves["labels"]["safe"]["recall"]) == len(curves["thresholds"]) == 131
    both = client.get("/v1/tamis/models/both/thresholds", params={"target": "a"}).json()
    assert (list(both["targets"]), both["abstain"]) == (["a"], {})
    intents = client.get("/v1/tamis/models/intents/thresholds").json()
    assert intents["targets"] == {}
    assert intents["abstain"]["topic"]["curve"][0] | {"accuracy": None} == {
        "loss": 0.0, "threshold": None, "coverage": 1.0, "accuracy": None, "oos_recall": None,
    }  # fmt: skip


def test_a_new_version_answers_by_the_new_thresholds_at_every_door(models, client):
    models.aliases.set("live", models.models.find("flags").id)
    asked = {"set": {"delivery": 0.0, "payment": 1.0, "safe": 1.0}}
    tried = client.post("/v1/tamis/models/flags/thresholds", json={**asked, "dry_run": True}).json()
    assert (tried["model"], tried["model_id"], tried["parent"]) == (None, None, "flags@1")
    made = client.post("/v1/tamis/models/live/thresholds", json=asked)
    assert made.status_code == 200, made.text
    assert (made.json()["model"], made.json()["parent"]) == ("flags@2", "flags@1")
    assert made.json()["targets"] == tried["targets"]
    for name in ("flags", "flags@2", made.json()["model_id"]):
        answer = client.post("/v1/moderations", json={"model": name, "input": [TEXT]}).json()["results"][0]
        assert answer["categories"] == {"delivery": True, "payment": False, "safe": False}
    old = client.post("/v1/classifications", json={"model": "live", "input": [TEXT]}).json()
    new = client.post("/v1/classifications", json={"model": "flags", "input": [TEXT]}).json()
    assert old["results"] == new["results"]  # scores are the same
    assert client.get("/v1/models/live").json()["id"] == "flags@1"


def test_a_promise_that_no_threshold_keeps_is_told(models, client):
    told = client.post(
        "/v1/tamis/models/flags/thresholds", json={"optimise": "precision>=0.999", "dry_run": True}
    ).json()
    target = told["targets"]["flags"]
    assert target["not_kept"] == [label["label"] for label in target["labels"] if not label["kept"]] != []
    assert any("no threshold is known" in remark for remark in told["remarks"])
    assert all(label["asked"] == "precision>=0.999" for label in target["labels"])


@pytest.mark.parametrize(
    ("model", "body", "status", "loc"),
    [
        ("flags", {}, 422, ["body", "optimise"]),
        ("flags", {"optimise": ["precision=0.9"]}, 422, ["body", "optimise"]),
        ("flags", {"set": {"delivery": 1.5}}, 422, ["body", "set", "delivery"]),
        ("flags", {"set": {"nothing": 0.5}}, 422, ["body", "optimise"]),
        ("flags", {"optimise": "f1", "no": 1}, 422, ["body", "no"]),
        ("flags", {"abstain_loss": 0.1}, 422, ["body", "abstain_loss"]),
        ("intents", {"abstain_loss": {"nothing": 0.1}}, 422, ["body", "abstain_loss"]),
        ("intents", {"optimise": "f1"}, 422, ["body", "optimise"]),
        ("nothing", {"optimise": "f1"}, 404, None),
    ],
)
def test_what_cannot_be_is_refused(models, client, model, body, status, loc):
    answer = client.post(f"/v1/tamis/models/{model}/thresholds", json=body)
    assert answer.status_code == status, answer.text
    if loc is not None:
        assert answer.json()["detail"][0]["loc"] == loc
    assert "--" not in answer.json()["message"]


def test_looking_is_for_those_who_ask_and_changing_for_those_who_train(models, make_client):
    secret = models.keys.create("reader", ["infer"])[1]
    reader = make_client(headers={"authorization": f"Bearer {secret}"})
    assert reader.get("/v1/tamis/models/flags/thresholds").status_code == 200
    refused = reader.post("/v1/tamis/models/flags/thresholds", json={"optimise": "f1"})
    assert refused.status_code == 403


def test_a_new_version_is_silent_where_it_is_to_be_surer(models, client):
    made = client.post("/v1/tamis/models/both/thresholds", json={"abstain_loss": {"topic": 0.5}})
    assert made.status_code == 200, made.text
    rule = made.json()["abstain"]["topic"]
    assert (rule["loss"], rule["before"]["loss"], rule["coverage"]) == (0.5, 0.03, pytest.approx(0.5, abs=0.2))
    for body in ({"abstain_loss": 0.9}, {"abstain_loss": "much"}, {"abstain_loss": {"topic": 1}}):
        assert client.post("/v1/tamis/models/both/thresholds", json=body).status_code == 422
    said = {
        name: client.post("/v1/classifications", json={"model": name, "input": ["so"]}).json()["results"][0]["topic"]
        for name in ("both@1", "both@2")
    }
    assert said["both@1"]["scores"] == said["both@2"]["scores"]
    assert said["both@2"]["abstained"]
