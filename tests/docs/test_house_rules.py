"""House rules that no linter checks: sizes, names, docstrings, and nothing that runs code found in data."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "tamis").rglob("*.py"))
SCRIPTS = [path for folder in ("benchmarks", "examples", ".ci") for path in sorted((ROOT / folder).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MOST_FUNCTION_LINES, MOST_FILE_LINES, MOST_PARAMETERS = 60, 600, 6
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "base", "misc"}
RUNS_DATA = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "pickletools"}
EXCEPTION = re.compile(r"# (?:size:|noqa: PLR09\d+) +\S.{9,}")  # at a `def`: a mark and the reason

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield all functions, methods and nested ones."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def excused(node: Function, lines: list[str]) -> bool:
    """Return whether the function is marked as an exception, with a reason."""
    head = lines[node.lineno - 1 : node.body[0].lineno]
    return any(EXCEPTION.search(line) for line in head)


def lines_of(node: Function) -> int:
    """Return a function's lines: decorators and docstring not counted."""
    first = node.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def parameters_of(node: Function) -> int:
    """Return how many parameters a function has, `self` and `cls` not counted."""
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    own = 1 if given and given[0].arg in ("self", "cls") else 0
    return len(given) - own + (node.args.vararg is not None) + (node.args.kwarg is not None)


def too_long(source: str) -> list[str]:
    lines = source.splitlines()
    found = [node for node in functions(ast.parse(source)) if not excused(node, lines)]
    return [f"{node.name}: {lines_of(node)} lines" for node in found if lines_of(node) > MOST_FUNCTION_LINES]


def too_many_parameters(source: str) -> list[str]:
    lines = source.splitlines()
    found = [node for node in functions(ast.parse(source)) if not excused(node, lines)]
    return [f"{node.name}: {parameters_of(node)}" for node in found if parameters_of(node) > MOST_PARAMETERS]


def undocumented(source: str) -> list[str]:
    """Return the module, the public classes and the public functions that have no docstring."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["the module"]

    def visit(node: ast.Module | ast.ClassDef, where: str) -> None:
        for child in node.body:
            if not isinstance(child, ast.ClassDef | Function) or child.name.startswith("_"):
                continue
            overload = isinstance(child, Function) and any("overload" in ast.unparse(d) for d in child.decorator_list)
            if not ast.get_docstring(child) and not overload:
                found.append(where + child.name)
            if isinstance(child, ast.ClassDef):
                visit(child, f"{where}{child.name}.")

    visit(tree, "")
    return found


def runs_data(source: str) -> list[str]:
    """Return what could run code that came as data: pickles, torch.load, eval, exec, remote code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in RUNS_DATA]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in RUNS_DATA:
            found.append(node.module or "")
        elif isinstance(node, ast.Name) and node.id in ("eval", "exec", "__import__"):
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("torch.load", "builtins.eval", "builtins.exec"):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code"):
            found += [] if isinstance(node.value, ast.Constant) and node.value.value is False else [node.arg]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in RUNS_DATA:
            found.append(f"the string {node.value!r}")  # import_module("pickle"), read_pickle by name
        elif isinstance(node, ast.Attribute) and "pickle" in node.attr:
            found.append(node.attr)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
class TestSources:
    def test_functions_fit_on_a_screen(self, path: Path) -> None:
        assert not too_long(path.read_text(encoding="utf-8"))

    def test_files_stay_small(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_FILE_LINES

    def test_parameters_are_few(self, path: Path) -> None:
        if "cli" not in path.relative_to(ROOT).parts:  # a command has as many options as it has
            assert not too_many_parameters(path.read_text(encoding="utf-8"))

    def test_names_say_something(self, path: Path) -> None:
        assert not EMPTY_NAMES & {part.removesuffix(".py") for part in path.relative_to(ROOT / "src").parts}

    def test_what_is_public_is_documented(self, path: Path) -> None:
        assert not undocumented(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=name_of)
def test_nothing_runs_code_that_came_as_data(path: Path) -> None:
    assert not runs_data(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_scripts_keep_to_the_sizes_too(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not too_long(source)
    assert len(source.splitlines()) <= MOST_FILE_LINES


def test_tests_mirror_the_modules() -> None:
    """tests/data/test_checks.py tests src/tamis/data/checks.py; some folders follow other orders."""
    free = {"contract", "wire", "journeys", "docs"}
    modules = {path.relative_to(ROOT / "src" / "tamis").with_suffix("").as_posix() for path in SOURCES}
    packages = {path.parent.relative_to(ROOT / "src" / "tamis").as_posix() for path in SOURCES}
    for path in TESTS:
        inside = path.relative_to(ROOT / "tests")
        if inside.parts[0] in free or not path.name.startswith("test_"):
            continue
        mirrored = inside.with_name(path.name.removeprefix("test_")).with_suffix("").as_posix()
        assert mirrored in modules | packages, f"{name_of(path)} mirrors no module"


class TestTheRulesThemselves:
    def test_a_long_function_is_seen(self) -> None:
        body = "    x = 1\n" * MOST_FUNCTION_LINES
        assert too_long(f"def long():\n{body}")
        assert not too_long(f"def long():  # size: a table of sixty cases\n{body}")
        assert too_long(f"def long():  # size: no\n{body}")

    def test_a_docstring_is_not_counted(self) -> None:
        body = "    x = 1\n" * (MOST_FUNCTION_LINES - 1)
        assert not too_long(f'def long():\n    """One.\n\n    Two.\n    """\n{body}')

    def test_many_parameters_are_seen(self) -> None:
        assert not too_many_parameters("class A:\n    def f(self, a, b, c, d, e, f): ...")
        assert too_many_parameters("def f(a, b, c, d, e, *, f, g): ...")
        assert too_many_parameters("def f(a, b, c, d, e, *f, **g): ...")
        assert too_many_parameters("def f(a, b, c, d, e, f, g):  # noqa: PLR0913\n    ...")
        assert not too_many_parameters("def f(a, b, c, d, e, f, g):  # noqa: PLR0913  (columns of a table)\n    ...")

    def test_missing_docstrings_are_seen(self) -> None:
        source = '"""M."""\nclass A:\n    """A."""\n    def b(self): ...\n    def _c(self): ...\ndef d(): ...'
        assert undocumented(source) == ["A.b", "d"]
        assert undocumented("x = 1") == ["the module"]

    @pytest.mark.parametrize(
        "source",
        [
            "import pickle",
            "from joblib import load",
            "import_module('pickle')",
            "torch.load(path)",
            "np.load(path, allow_pickle=True)",
            "np.load(path, allow_pickle=flag)",
            "AutoModel.from_pretrained(name, trust_remote_code=True)",
            "frame.read_pickle(path)",
            "eval(text)",
            "run = exec",
            "__import__(name)",
        ],
    )
    def test_ways_to_run_data_are_seen(self, source: str) -> None:
        assert runs_data(source)

    @pytest.mark.parametrize(
        "source",
        ["model.eval()", "re.compile(x)", "np.load(path, allow_pickle=False)", "# no pickle", '"""No pickle."""'],
    )
    def test_what_is_harmless_passes(self, source: str) -> None:
        assert not runs_data(source)
