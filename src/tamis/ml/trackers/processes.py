"""The end of processes that trackers' libraries start beside themselves: none may outlive its job."""

from __future__ import annotations

from contextlib import suppress

import psutil

WAIT_S = 1.0
"""They are gone at once; this is for the system to say so."""


def kill_children(pid: int, *, itself: bool = False) -> None:
    """Kill all that a process has started, and what those have; `itself` too."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        doomed = process.children(recursive=True) + ([process] if itself else [])
        for each in doomed:
            with suppress(psutil.Error):
                each.kill()
        psutil.wait_procs(doomed, timeout=WAIT_S)
