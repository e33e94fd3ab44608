"""`tamis demo`: a page to try a model, and a link by which others can."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamis.cli.app import app
from tamis.cli.console import out
from tamis.cli.given_model import ModelArgument, load_model
from tamis.cli.layout import plain
from tamis.cli.signals import ended_by_signals

if TYPE_CHECKING:
    import socket

    from tamis.ml.model import Model

PORT = 7860

Host = Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1, this machine only).")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
Network = Annotated[bool, typer.Option("--network", help="Let others on your network open the link.")]
NoLink = Annotated[bool, typer.Option("--no-link", help="Need no token in the link; on this machine only.")]
Hours = Annotated[
    float | None, typer.Option(min=0.0001, max=8760, help="End the demo, and its link, after so many hours.")
]
Examples = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Texts or chats to start from: lines, JSONL, CSV, Parquet (default: labels)."),
]
MaxCharacters = Annotated[int, typer.Option(min=1, max=200_000, help="Longest text or chat that is taken.")]


@app.command()
def demo(
    model: ModelArgument,
    host: Host = None,
    port: Port = PORT,
    network: Network = False,
    no_link: NoLink = False,
    hours: Hours = None,
    examples: Examples = None,
    max_characters: MaxCharacters = 20_000,
) -> None:
    """Open a page to try a model on, with a link for others. Ctrl-C ends both."""
    if network and host is not None:
        raise typer.BadParameter("Give --network or --host, not both.")
    from tamis.demo import server
    from tamis.demo.gate import link, new_token
    from tamis.demo.inputs import read_examples
    from tamis.demo.page import Demo
    from tamis.demo.quiet import quiet_gradio
    from tamis.errors import InvalidSetting
    from tamis.listening import bound_socket

    quiet_gradio()  # before the model: what is not installed is said at once
    shown = Demo(load_model(model), read_examples(examples) if examples else (), max_characters)
    address = server.network_address() if network else host or "127.0.0.1"
    with bound_socket(address, port) as listening, ended_by_signals():
        if no_link and not server.is_loopback(listening.getsockname()[0]):
            raise InvalidSetting(f"{address} can be reached by others: leave out --no-link.", setting="no_link")
        token = None if no_link else new_token()
        page = server.application(shown, token, listening.getsockname()[1])
        _greet(shown.model, listening, link(server.url_for_others(listening), token), hours)
        server.serve(listening, page, None if hours is None else 3600 * hours)


def _greet(model: Model, listening: socket.socket, link: str, hours: float | None) -> None:
    from tamis.demo.server import is_loopback

    if is_loopback(listening.getsockname()[0]):
        reach = "On this machine only; with --network others on your network can open it too."
    else:
        reach = "Whoever has the link can open it. It is not encrypted: keep it to a network that you trust."
    ends = "Ctrl-C ends it, and the link with it." if hours is None else f"Ctrl-C ends it, or {hours:g} hours from now."
    for line in (f"Demo of {plain(model.name)}", f"  {link}", f"  {reach}", ends):
        out.print(line, markup=False, soft_wrap=True)
    out.file.flush()
