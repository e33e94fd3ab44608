"""The folder of a Space: what is in it, that it starts as it is, and that nothing of the user's is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.browser import CHROMIUM, NARROW, chromium, opened
from tamis.demo.space import NEEDED, card, requirements, write_space
from tamis.errors import OutputExists
from tamis.listening import bound_socket
from tamis.ml.model import Model, load
from tamis.schema import Message

PARCEL = "where is my parcel"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Path:
    examples = (PARCEL, (Message("user", "refund the fee"),))
    return write_space(model, tmp_path_factory.mktemp("spaces") / "mine", examples=examples[:1])


def head(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(found, dict)
    return found


class TestFolder:
    def test_all_that_it_needs(self, space: Path, model: Model) -> None:
        wheel = f"tamis-{version('tamis')}-py3-none-any.whl"
        assert {path.name for path in space.iterdir()} == {
            "README.md", "app.py", "examples.jsonl", "model", "requirements.txt", wheel,
        }  # fmt: skip
        assert load(space / "model").classify(PARCEL) == model.classify(PARCEL)
        lines = (space / "requirements.txt").read_text().split()
        assert lines[0] == f"gradio=={version('gradio')}"
        assert [line.split("==")[0] for line in lines[1:]] == list(NEEDED["static"])
        assert (space / "examples.jsonl").read_text() == '{"text": "where is my parcel"}\n'

    def test_the_head_of_its_card(self, space: Path) -> None:
        text = (space / "README.md").read_text(encoding="utf-8")
        found = head(text)
        assert (found["sdk"], found["sdk_version"]) == ("gradio", version("gradio"))
        assert found["python_version"] == f"{sys.version_info.major}.{sys.version_info.minor}"
        assert found["title"] == "support"
        assert re.findall(r"\]\(\./([^)]+)\)", text) == ["model/README.md"]

    def test_names_that_break_out_of_it(self, model: Model) -> None:
        odd = "a\n---\nsdk: docker\n`\x00" + "x" * 300
        entry = model.manifest.targets[0].model_copy(update={"name": odd})
        text = card(model.manifest.model_copy(update={"name": odd, "targets": (entry,)}), "w.whl")
        found = head(text)
        assert found["sdk"] == "gradio"
        assert len(found["title"]) == 100
        assert len(found["short_description"]) == 60
        assert "\n# a \\-\\-\\-" not in text

    def test_an_encoder_needs_torch_only_without_its_graph(
        self, model: Model, space: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tamis.demo.space.version", lambda name: "1.2+cpu")
        manifest = load(space / "model").manifest.model_copy(update={"tier": "encoder"})
        lines = requirements(manifest).split()
        assert "onnxruntime==1.2" in lines
        assert lines[-2:] == ["torch==1.2", "transformers==1.2"]
        files = {**manifest.files, "model.onnx": next(iter(manifest.files.values()))}
        assert "torch==1.2" not in requirements(manifest.model_copy(update={"files": files}))


class TestNothingIsLost:
    def test_what_is_there_stays(self, space: Path, model: Model) -> None:
        before = {path: path.read_bytes() for path in space.rglob("*") if path.is_file()}
        with pytest.raises(OutputExists, match="--force"):
            write_space(model, space)
        (space / ".git").mkdir()
        try:
            with pytest.raises(OutputExists, match=r"\.git"):
                write_space(model, space, overwrite=True)
        finally:
            (space / ".git").rmdir()
        assert {path: path.read_bytes() for path in space.rglob("*") if path.is_file()} == before
        assert [path.name for path in space.parent.iterdir()] == ["mine"]

    def test_an_earlier_one_is_replaced(self, tmp_path: Path, model: Model, chat_model: Model) -> None:
        write_space(model, tmp_path / "s", examples=(PARCEL,))
        write_space(chat_model, tmp_path / "s", overwrite=True)
        assert load(tmp_path / "s" / "model").name == chat_model.name
        assert not (tmp_path / "s" / "examples.jsonl").exists()

    def test_a_file(self, tmp_path: Path, model: Model) -> None:
        (tmp_path / "s").touch()
        with pytest.raises(OutputExists, match="is a file"):
            write_space(model, tmp_path / "s", overwrite=True)


def not_needed() -> set[str]:
    """The top-level modules of Tamis's dependencies that no Space of a static model installs."""
    names = {"scikit-learn": "sklearn", "python-multipart": "python_multipart"}
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    mine = {re.match(r"[\w-]+", line)[0].lower() for line in project["dependencies"]}  # type: ignore[index]
    brought, new = {"gradio", *NEEDED["static"]}, {"gradio", *NEEDED["static"]}
    while new:
        found = {re.match(r"[\w-]+", line)[0].lower() for name in new for line in _requires(name)}  # type: ignore[index]
        new = found - brought
        brought |= new
    return {names.get(name, name.replace("-", "_")) for name in mine - brought}


def _requires(name: str) -> list[str]:
    try:
        return [line for line in requires(name) or () if "extra ==" not in line]
    except Exception:  # noqa: BLE001  not installed on this system
        return []


@contextmanager
def started(space: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a Space's app.py with nothing but what its requirements bring; yield its address."""
    block = (
        "import sys, runpy, importlib.abc\n"
        f"class Missing(importlib.abc.MetaPathFinder):\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {sorted(not_needed())!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "runpy.run_path(sys.argv[1], run_name='__main__')\n"
    )
    with bound_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    surroundings = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"}
    process = subprocess.Popen(
        [sys.executable, "-c", block, str(space / "app.py")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=surroundings, cwd=space,
    )  # fmt: skip
    try:
        assert process.stdout
        said = ""
        while f"http://127.0.0.1:{port}" not in said:
            line = process.stdout.readline()
            said += line
            assert line, said
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_what_is_not_needed_is_known() -> None:
    assert {"sqlalchemy", "sklearn", "plotly", "wordllama", "alembic"} <= not_needed()
    assert not {"numpy", "pydantic", "gradio", "fastapi"} & not_needed()


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_it_starts_as_it_is(space: Path, model: Model) -> None:
    score = model.classify(PARCEL)["topic"].scores["delivery"]
    before = {path for path in space.rglob("*") if "__pycache__" not in path.parts}
    with started(space) as (url, _), chromium() as browser, opened(browser, url, NARROW) as page:
        page.get_by_role("button", name=PARCEL).click()
        page.get_by_text(f"{100 * score:.1f} %", exact=True).first.wait_for()
    assert {path for path in space.rglob("*") if "__pycache__" not in path.parts} == before
