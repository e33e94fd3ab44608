"""Makes quickstart.svg, what `tamis quickstart` prints: python docs/images/make_quickstart.py."""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from tamis.cli import quickstart

PICTURE = Path(__file__).with_name("quickstart.svg")


def main() -> None:
    """Run the command in an empty folder and draw what it printed; fonts are the reader's, nothing is fetched."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, highlight=False)
    quickstart.out = console
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        quickstart.quickstart()
        os.chdir(PICTURE.parent)
    picture = console.export_svg(title="tamis quickstart", theme=MONOKAI, unique_id="tamis")
    plain = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    PICTURE.write_text("\n".join(line.rstrip() for line in plain.splitlines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
