"""The example set that comes with the package: messages to the support of an invented shop, written for Tamis.

What is deliberately wrong in it stands in the README beside it. This module knows where the files are, not what is done
with them.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tamis.errors import InvalidSetting

EXAMPLES = ("support.jsonl", "support-test.jsonl")


def example_path(name: str) -> Path:
    """Return where an example file lies.

    Args:
        name: `support.jsonl` (to train on) or `support-test.jsonl` (to measure with); `.jsonl` may be left out.

    Raises:
        InvalidSetting: there is no example of that name.
    """
    file = name if name.endswith(".jsonl") else f"{name}.jsonl"
    if file not in EXAMPLES:
        raise InvalidSetting(f"There is no example {name!r}: the package has {' and '.join(EXAMPLES)}.", name=name)
    return Path(str(resources.files(__package__) / file))
