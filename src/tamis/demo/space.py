"""A model as a Space of the Hugging Face hub: a folder with all that its demo needs, and that starts as it is.

A Space installs what `requirements.txt` names before it has the folder's other files, so Tamis's wheel is not named
there: `app.py` unpacks it.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

from tamis.demo.hosted import EXAMPLES, MODEL
from tamis.demo.inputs import as_messages
from tamis.demo.quiet import quiet_gradio
from tamis.demo.wheel import write_wheel
from tamis.errors import ModelError, OutputExists
from tamis.ml.artifact import refuse_inside, refuse_output
from tamis.ml.folder_swap import sync, written_beside
from tamis.ml.manifest import Manifest
from tamis.ml.model import Model
from tamis.schema import Input

APP, CARD, REQUIREMENTS = "app.py", "README.md", "requirements.txt"
NEEDED = {
    "static": ("numpy", "pydantic", "safetensors", "scipy", "threadpoolctl", "tokenizers"),
    "encoder": (
        *("jinja2", "numpy", "onnxruntime", "psutil", "pydantic", "safetensors", "scipy", "threadpoolctl"),
        "tokenizers",
    ),
}
"""What the demo of a model imports beside Gradio, by tier."""

_OWN = re.compile(r"app\.py|README\.md|requirements\.txt|examples\.jsonl|model|tamis-[\w.+]+-py3-none-any\.whl")

GRAPH = "model.onnx"
"""The file of an encoder that runs without torch."""

LONGEST_TITLE, LONGEST_REMARK = 100, 60
"""Characters that the hub takes of a Space's title and of its short description."""

_APP = '''\
"""The demo of the model in this folder: `pip install -r requirements.txt`, then `python app.py`."""

import sys
import tempfile
import zipfile
from pathlib import Path

here = Path(__file__).resolve().parent
code = tempfile.TemporaryDirectory(prefix="tamis-")
with zipfile.ZipFile(here / "{wheel}") as wheel:
    wheel.extractall(code.name)
sys.path.insert(0, code.name)

from tamis.demo.hosted import launch  # noqa: E402

if __name__ == "__main__":
    launch(here)
'''

_BODY = """
# {name}

A demo of a text classifier made with Tamis: it says {targets} of each text, with calibrated scores.
The model, with its card, is in [model/](./model/README.md).

It runs wherever Python does, without a network:

```bash
pip install -r requirements.txt
python app.py
```

| file | what it is |
|---|---|
| `app.py` | starts the demo |
| `requirements.txt` | the libraries that it needs, in the versions that it was made with |
| `{wheel}` | Tamis itself, which `app.py` unpacks |
| `model/` | the model; `tamis classify model "Your text"` uses it too |
| `examples.jsonl` | optional: texts or chats to start from, a line of JSON each, like `{{"text": "..."}}` |
"""


def write_space(model: Model, folder: str | Path, *, examples: tuple[Input, ...] = (), overwrite: bool = False) -> Path:
    """Write the folder of a Space, whole or not at all, and return its place.

    Args:
        model: what the Space shows.
        folder: where to; the folders above it are made.
        examples: inputs to start from, which everybody who sees the Space can read.
        overwrite: replace a Space's folder that is there.

    Raises:
        OutputExists: something is there that is not a Space's folder, or `overwrite` is not given.
        MissingExtra: Gradio is not installed, whose version the Space must name.
        InvalidSetting: Tamis is not installed, so that its wheel cannot be made.
        ModelError: the disk is full, or the place may not be written.
    """
    quiet_gradio()
    place = Path(folder).expanduser().resolve()
    refuse_space(place, overwrite=overwrite)
    try:
        with written_beside(place) as partial:
            stored = model.save(partial / MODEL)
            _write_files(partial, stored.manifest, examples)
            sync(partial)
    except OSError as error:
        raise ModelError(
            f"{place} cannot be written: {error.strerror or error}. Make room, check the permissions, or choose "
            "another place."
        ) from error
    return place


def refuse_space(folder: Path, *, overwrite: bool = False) -> None:
    """Do nothing where `write_space` may write: call it before the work.

    Raises:
        OutputExists: something is there that is not a Space's folder, or `overwrite` is not given; or it is within a
            model.
    """
    refuse_inside(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputExists(f"{folder} is a file: choose another place for the Space.", folder=str(folder))
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if not found:
        return
    if foreign := sorted(name for name in found if not is_own(name)):
        raise OutputExists(
            f"{folder} holds what is not of a Space ({', '.join(foreign[:3])}): choose another place, so that nothing "
            "of yours is lost.",
            folder=str(folder),
        )
    refuse_output(folder / MODEL, overwrite=True)
    if not overwrite:
        raise OutputExists(
            f"{folder} is not empty: choose another place, or replace the Space there with --force.", folder=str(folder)
        )


def is_own(name: str) -> bool:
    """Return whether a Space's folder has a file or folder of this name."""
    return _OWN.fullmatch(name) is not None


def _write_files(folder: Path, manifest: Manifest, examples: tuple[Input, ...]) -> None:
    wheel = write_wheel(folder).name
    (folder / APP).write_text(_APP.format(wheel=wheel), encoding="utf-8")
    (folder / REQUIREMENTS).write_text(requirements(manifest), encoding="utf-8")
    (folder / CARD).write_text(card(manifest, wheel), encoding="utf-8")
    if examples:
        lines = ({"text": given} if isinstance(given, str) else {"messages": as_messages(given)} for given in examples)
        (folder / EXAMPLES).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def requirements(manifest: Manifest) -> str:
    """Return what is to be installed for the model's demo: the versions that are installed here."""
    torch = manifest.tier == "encoder" and GRAPH not in manifest.files  # few architectures cannot be written as ONNX
    names = ("gradio", *NEEDED[manifest.tier], *(("torch", "transformers") if torch else ()))
    return "".join(f"{name}=={version(name).partition('+')[0]}\n" for name in names)


def card(manifest: Manifest, wheel: str) -> str:
    """Return the Space's README, with the head that the hub reads."""
    name = _plain(manifest.name, LONGEST_TITLE)
    targets = ", ".join(entry.name for entry in manifest.targets)
    head = {
        "title": name,
        "emoji": "🏷️",
        "colorFrom": "green",
        "colorTo": "blue",
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "app_file": APP,
        "pinned": False,
        "short_description": _plain(f"Classifies texts: {targets}", LONGEST_REMARK),
        "tags": ["tamis", "text-classification"],
    }
    lines = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in head.items())  # JSON is YAML
    shown = ", ".join(f"`{_plain(entry.name, LONGEST_TITLE).replace('`', '')}`" for entry in manifest.targets)
    return f"---\n{lines}---\n{_BODY.format(name=_markdown(name), targets=shown, wheel=wheel)}"


def _plain(text: str, longest: int) -> str:
    """The text on one line, of characters that can be printed, cut where it is too long."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "model"
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def _markdown(text: str) -> str:
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>#!~&" else sign for sign in text)
