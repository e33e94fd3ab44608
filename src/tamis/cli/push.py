"""`tamis push`: a model on the Hugging Face hub, or a Space of its demo."""

from __future__ import annotations

from typing import Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import AsJson, out, print_json
from tamis.cli.given_model import ModelArgument, load_model

Repository = Annotated[str, typer.Argument(metavar="REPO", help="The repository: OWNER/NAME.")]
Private = Annotated[bool, typer.Option("--private", help="Others are not to see it.")]
Licence = Annotated[
    str | None,
    typer.Option(
        "--license", metavar="NAME", help="Licence of the model, by the hub's name for it (default: the base model's)."
    ),
]
Space = Annotated[bool, typer.Option("--space", help="Push its demo, as a Space, instead of the model.")]


@app.command()
def push(
    model: ModelArgument,
    repository: Repository,
    space: Space = False,
    private: Private = False,
    licence: Licence = None,
    as_json: AsJson = False,
) -> None:
    """Put a model on the Hugging Face hub; who may see it there uses it by that name.

    Takes the token of `hf auth login`, or HF_TOKEN; HF_ENDPOINT names another hub.
    """
    from tamis.ml.publishing import require_repository

    if space and licence is not None:
        raise typer.BadParameter("A Space has no --license: that is for a model.")
    require_repository(repository)
    loaded = load_model(model)
    if space:
        from tamis.demo.publishing import publish_space

        done = publish_space(loaded, repository, private=private)
    else:
        done = loaded.push(repository, private=private, licence=licence)
    if as_json:
        print_json({"repository": done.repository, "url": done.url, "commit": done.commit, "private": done.private})
        return
    seen = "private" if done.private else "public"
    out.print(f"pushed  {done.url} ({seen}, commit {done.commit[:8]})", markup=False, soft_wrap=True)
    how = f"open {done.url}" if space else f"tamis classify {done.repository} 'a text'"
    out.print(f"try it  {how}", markup=False, soft_wrap=True)
