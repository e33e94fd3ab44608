"""What a benchmark writes beside its numbers: the machine, the versions, the command, Markdown tables."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("tamis", "numpy", "scipy", "scikit-learn", "fasttext-numpy2-wheel", "tokenizers", "wordllama")


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def surroundings() -> dict[str, Any]:
    """Return when, where, with what and by which command this runs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory) if memory else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {library: version(library) for library in LIBRARIES if version(library)},
        "thread_settings": {k: v for k, v in os.environ.items() if k.endswith("_NUM_THREADS") or "OPENBLAS" in k},
    }


def preamble(about: dict[str, Any]) -> str:
    """Return the paragraph that says where the numbers come from."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"Made {about['date']} by `{about['command']}` on {about['processor']} ({about['cores']} cores, "
        f"{about['memory_gb']} GB, {about['system']}), Python {about['python']}, {versions}.\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table; the first `left` columns stand left, the others right."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows]) + "\n"


def write(folder: Path, name: str, markdown: str, record: dict[str, Any]) -> None:
    """Write `name.md` and `name.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(markdown, encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {folder / name}.md and .json", file=sys.stderr)
