"""Optional libraries: import one, or say exactly how to install it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from tamis.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Return the module, imported.

    Raises:
        MissingExtra: it is not installed; the message names the `pip install` that brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = MissingExtra(f"{module} is needed here: pip install 'tamis[{extra}]'", module=module, extra=extra)
        raise missing from error
