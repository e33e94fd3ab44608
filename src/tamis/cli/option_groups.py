"""Groups of options that commands share: a command takes one parameter for all of a group.

A group is a frozen dataclass whose fields are annotated as Typer's parameters are. It knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command as the terminal sees it: a parameter that is a group stands for each of its options."""
    groups: dict[str, tuple[Callable[..., object], list[str]]] = {}
    seen: list[Parameter] = []
    for parameter in _parameters(command, command):
        group: Any = parameter.annotation
        if is_dataclass(parameter.annotation):
            options = _parameters(group, group.__init__)
            groups[parameter.name] = group, [option.name for option in options]
            seen += options
        else:
            seen.append(parameter)

    @wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401  (what Typer made of what was typed)
        for name, (group, options) in groups.items():
            given[name] = group(**{option: given.pop(option) for option in options})
        command(**given)

    setattr(run, "__signature__", Signature(seen))  # noqa: B010  (no attribute of functions that a type checker knows)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in seen}
    return run


def _parameters(of: Any, annotated: Any) -> list[Parameter]:  # noqa: ANN401  (a command, or a group)
    """Return what it takes, by name, with annotations as they are meant."""
    hints = get_type_hints(annotated, include_extras=True)
    return [
        parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in signature(of).parameters.items()
    ]
