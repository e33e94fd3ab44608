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
        cure = f"pip install 'tamis[{extra}]', or '.[{extra}]' in the folder of Tamis' sources"
        raise MissingExtra(
            f"{module} is needed here: {cure}",
            for_callers=f"The server lacks {module} for this. Its operator can add it: {cure}",
            module=module,
            extra=extra,
        ) from error
