"""Whatever fits, or does not fit, the OpenAPI document: the server says yes or no, and never fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from tamis.settings import Settings
from tamis.web.app import create_app
from tamis.workspace.workspace import open_workspace

EXAMPLES = 12


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home: Path = tmp_path_factory.mktemp("fuzz") / "home"
    chosen = Settings(home=home, max_upload_bytes=100_000)
    with open_workspace(chosen) as workspace:
        app = create_app(workspace, chosen)

        async def local(scope: Any, receive: Any, send: Any) -> None:
            """As it comes from this machine, which is all that a server without keys serves."""
            if scope["type"] == "http":
                headers = [pair for pair in scope["headers"] if pair[0] != b"host"]
                scope = {**scope, "client": ("127.0.0.1", 1), "headers": [*headers, (b"host", b"localhost")]}
            await app(scope, receive, send)

        yield schemathesis.openapi.from_asgi("/openapi.json", local)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_makes_it_fail(api: Any, mode: GenerationMode) -> None:
    tried = 0
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            answer = case.call_and_validate(checks=[not_a_server_error])
            is_signed = case.path.startswith("/signed/")
            assert answer.status_code not in (401, 403) or is_signed, "it must get through to the routes"

        try:
            send()
            tried += 1
        except Unsatisfiable:  # nothing can be wrong with a request that takes nothing
            assert mode is GenerationMode.NEGATIVE
    assert tried >= 15
