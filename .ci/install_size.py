"""Print what the environment's packages weigh; fail above a limit, or where a library is that must not be."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import sysconfig
from pathlib import Path


def weight_mb(path: Path) -> float:
    """Return the size of a file or of a folder's files, in MB."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir()) / 1e6


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-mb", type=float, required=True)
    parser.add_argument("--without", nargs="*", default=[])
    given = parser.parse_args()
    site = Path(sysconfig.get_path("purelib"))
    weights = sorted(((weight_mb(path), path.name) for path in site.iterdir()), reverse=True)
    total = sum(weight for weight, _ in weights)
    for weight, name in weights[:12]:
        sys.stdout.write(f"{weight:8.1f} MB  {name}\n")
    sys.stdout.write(f"{total:8.1f} MB  in all (at most {given.most_mb:.0f})\n")
    found = [name for name in given.without if importlib.util.find_spec(name)]
    for name in found:
        sys.stderr.write(f"{name} is installed, but a base install must do without it\n")
    return int(total > given.most_mb or bool(found))


if __name__ == "__main__":
    sys.exit(main())
