"""README's map of the code names each module once, says what it is for, and names nothing that is not there."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tamis"
LINE = re.compile(r"(?P<indent>(?:  )*)(?P<name>\S+)\s+(?P<why>\S.*)")


def map_of(readme: str) -> list[str]:
    """Return the paths of the tree below "Map of the code"; a folder ends in a slash."""
    block = re.search(r"^## Map of the code$.*?^```text\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert block, "README has no tree in a ```text block under '## Map of the code'"
    folders: list[str] = []
    paths = []
    for line in block[1].splitlines():
        found = LINE.fullmatch(line)
        assert found, f"not 'name  what it is for', indented by two blanks a level: {line!r}"
        folders = folders[: len(found["indent"]) // 2]
        paths.append("".join([*folders, found["name"]]))
        if found["name"].endswith("/"):
            folders.append(found["name"])
    return paths


def modules() -> list[str]:
    """Return the paths of the modules; a package counts as its folder."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.parent if path.name == "__init__.py" else path
        found.append(where.relative_to(ROOT).as_posix() + ("/" if where.is_dir() else ""))
    return found


@pytest.fixture(scope="module")
def tree() -> list[str]:
    return map_of((ROOT / "README.md").read_text(encoding="utf-8"))


def test_each_module_stands_in_the_map_once(tree: list[str]) -> None:
    times = Counter(tree)
    wrong = {module: times[module] for module in modules() if times[module] != 1}
    assert not wrong, f"give each a line in README's map (times it stands there now): {wrong}"


def test_the_map_names_only_what_is_there(tree: list[str]) -> None:
    gone = [path for path in tree if not (ROOT / path).exists()]
    assert not gone, f"take these out of README's map: {gone}"


def test_the_reader_of_the_map_sees_folders_and_files() -> None:
    readme = "## Map of the code\nWords.\n```text\nsrc/tamis/  all\n  data/  rows\n    a.py  one\n  b.py  two\n```\n"
    assert map_of(readme) == ["src/tamis/", "src/tamis/data/", "src/tamis/data/a.py", "src/tamis/b.py"]


def test_a_line_without_an_explanation_is_refused() -> None:
    with pytest.raises(AssertionError, match="what it is for"):
        map_of("## Map of the code\n```text\nsrc/tamis/\n```\n")
