"""docs/how-to/check-data.md lists every finding that `tamis check` can make of its own, and no others."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "check-data.md").read_text(encoding="utf-8")
SOURCE = (ROOT / "src" / "tamis" / "data" / "checks" / "findings.py").read_text(encoding="utf-8")
CODE = re.compile(r"[a-z]+(?:_[a-z]+)*")


def made() -> set[str]:
    """Return the codes that stand in the calls that make findings, and in the table of repeats."""
    found = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_finding":
            given = node.args[1]
            branches = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
            found |= {part.value for part in branches if isinstance(part, ast.Constant)}
        elif isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
            found.add(node.value.value)
        elif isinstance(node, ast.Tuple) and len(node.elts) == 3 and isinstance(node.elts[0], ast.Constant):
            found |= {node.elts[0].value} if str(node.elts[0].value).endswith("duplicates") else set()
    return found


def test_every_finding_is_documented() -> None:
    listed = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert len(made()) > 30
    assert sorted(listed) == sorted(made())
