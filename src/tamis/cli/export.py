"""`tamis export`: a model as other programs load it, or as a Space of its demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import ModelArgument, load_model

if TYPE_CHECKING:
    from tamis.ml.model import Model

SPACE = "space"

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write; it must be new or empty.")]
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="hf: a folder that transformers loads; onnx: for ONNX Runtime; space: its demo, as a Space.",
    ),
]
Examples = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="space: texts or chats to start from: lines, JSONL, CSV, Parquet."),
]
Alone = Annotated[
    bool,
    typer.Option("--network-alone", help="hf, onnx: of an ensemble the network by itself, which scores otherwise."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier export there.")]


@app.command()
def export(
    model: ModelArgument,
    folder: Folder,
    to: To,
    examples: Examples = None,
    network_alone: Alone = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a model as other programs load it, with the same scores: that is checked, and drift is refused."""
    from tamis.errors import InvalidSetting
    from tamis.ml.export.exporting import FORMATS, refuse_folder

    if to not in (*FORMATS, SPACE):
        raise InvalidSetting(f"There is no export to {to!r}: there are {', '.join((*FORMATS, SPACE))}.", setting="to")
    if examples is not None and to != SPACE:
        raise typer.BadParameter("--examples is for --to space.")
    if network_alone and to == SPACE:
        raise typer.BadParameter("--network-alone is for --to hf and onnx: a Space holds the whole model.")
    refuse_folder(folder, overwrite=force)
    loaded = load_model(model)
    if to == SPACE:
        place = _space(loaded, folder, examples, force)
    else:
        place = loaded.export(to, folder, overwrite=force, network_alone=network_alone)
    files = sorted(path for path in place.rglob("*") if path.is_file())
    size = round(sum(path.stat().st_size for path in files) / 1e6, 1)
    names = [path.relative_to(place).as_posix() for path in files]
    if as_json:
        print_json({"model": loaded.name, "format": to, "folder": str(folder), "files": names, "size_mb": size})
        return
    out.print(f"written  {folder} ({size:,.1f} MB): {', '.join(names)}", markup=False, soft_wrap=True)
    if to == SPACE:
        out.print(f"start it  python {folder / 'app.py'}", markup=False, soft_wrap=True)
    else:
        whose = "the model's" if loaded.manifest.network_alone is None else "those of its network alone"
        out.print(f"checked  its scores of the golden rows are {whose}", markup=False, soft_wrap=True)
    out.print(f"read on  {folder / 'README.md'}", markup=False, soft_wrap=True)


def _space(model: Model, folder: Path, examples: Path | None, force: bool) -> Path:
    from tamis.demo.inputs import read_examples
    from tamis.demo.space import write_space

    given = () if examples is None else tuple(read_examples(examples))
    return write_space(model, folder, examples=given, overwrite=force)
