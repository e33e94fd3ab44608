"""The OpenAPI document is complete, and its page fetches nothing from elsewhere."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from tamis.endpoints import ENDPOINTS
from tamis.web.problems import STATUS, Problem


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_explains_itself(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= tags
        assert {"200", "401", "422", "429", "500"} <= operation["responses"].keys(), path
        if method in ("post", "patch") and not path.endswith(
            ("/start", "/cancel", "/archive", "/rollback", "/check-api-key")
        ):
            assert operation["requestBody"]["content"], path


def test_errors_are_described_as_they_are(document: dict[str, Any], client: TestClient) -> None:
    problem = document["components"]["schemas"]["Problem"]
    assert set(problem["required"]) <= client.get("/v1/files/x").json().keys() <= problem["properties"].keys()
    for _, _, operation in operations(document):
        schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}


def test_every_answer_has_a_form_and_every_error_an_example(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            assert answer["content"], (path, status)
            assert all("schema" in content for content in answer["content"].values()), (path, status)
            if status >= "400" and path != "/readyz":
                Problem.model_validate(answer["content"]["application/json"]["example"])
    assert (
        "application/octet-stream"
        in document["paths"]["/v1/files/{file_id}/content"]["get"]["responses"]["200"]["content"]
    )


def test_examples_of_errors_have_codes_of_their_status(document: dict[str, Any]) -> None:
    answers = document["paths"]["/v1/files"]["post"]["responses"]
    for status in (status for status in answers if status not in ("200", "400", "413")):
        assert STATUS[answers[status]["content"]["application/json"]["example"]["code"]] == int(status)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= document["components"]["schemas"].keys()


def test_bodies_that_are_read_raw_are_described(document: dict[str, Any]) -> None:
    for path in ENDPOINTS:
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["examples"]
        assert "input" in document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["properties"]
    form = document["paths"]["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form == {"$ref": "#/components/schemas/UploadForm"}


def test_examples_are_what_the_server_takes(document: dict[str, Any], client: TestClient) -> None:
    """They name models and files that are not there, and nothing else may be wrong with them."""
    seen = 0
    for path, method, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        of_schema = document["components"]["schemas"].get(name, {}).get("examples", [])
        for example in [*(one["value"] for one in content.get("examples", {}).values()), *of_schema]:
            answer = client.request(method, path, json=example)
            assert answer.status_code in (400, 404) or "TAMIS_LLM_BASE_URL" in answer.text, (path, answer.text)
            seen += 1
    assert seen >= 7


def has_example(schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether an example is shown of a schema, or of a part of it."""
    if "examples" in schema:
        return True
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    parts += [schema["items"]] if "items" in schema else []
    if name := schema.get("$ref", "").rpartition("/")[2]:
        parts.append(schemas[name])
    return any(has_example(part, schemas) for part in parts)


@pytest.mark.parametrize(
    "tag",
    [
        "Files",
        "Fine-tuning",
        "Models",
        "Classification",
        "Moderation",
        "Batch",
        "Chat",
        "Cohere",
        "Gateways",
        "Reviews",
        "Aliases",
    ],
)
def test_what_is_asked_and_answered_has_examples(document: dict[str, Any], tag: str) -> None:
    schemas, seen = document["components"]["schemas"], 0
    for path, method, operation in operations(document):
        if tag not in operation["tags"]:
            continue
        asked = operation.get("requestBody", {}).get("content", {})
        for kind, content in [*asked.items(), *operation["responses"]["200"]["content"].items()]:
            shown = content.keys() & {"example", "examples"} or has_example(content["schema"], schemas)
            assert shown or kind == "application/octet-stream", (path, method, kind)
            seen += 1
    assert seen >= 2


def test_the_page_loads_from_here_only(client: TestClient) -> None:
    page = client.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = client.get(f"/{name}")
        assert answer.status_code == 200, name
        assert len(answer.content) > 100
    assert client.get("/docs/nope.js").status_code == 404
    assert client.get("/docs/..%2f..%2fapp.py").status_code == 404


def test_keys_are_described(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
