"""Gradio, imported so that it reports to nobody and keeps no books."""

from __future__ import annotations

import os
from types import ModuleType

from tamis.extras import require

SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),  # else a table of all events is made anew with each of them
    "GRADIO_ANALYTICS_MAX_EVENTS": "100",
}


def quiet_gradio() -> ModuleType:
    """Return the module gradio.

    Raises:
        MissingExtra: it is not installed.
    """
    os.environ.update(SETTINGS)
    return require("gradio", "demo")
