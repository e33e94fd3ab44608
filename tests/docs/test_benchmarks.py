"""The benchmark of quality runs as its page says, on a small set, and its rows are what it says they are."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WORDS = {"delivery": "where is my parcel number", "payment": "you charged my card twice on day"}


def load(name: str) -> ModuleType:
    """Import one of the scripts, which are in no package."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one set: 60 training rows and 20 test rows, two targets."""
    folder = tmp_path / "data" / "shop"
    folder.mkdir(parents=True)
    rows = [
        {"text": f"{WORDS[topic]} {n}", "labels": {"topic": topic, "all": [topic] if n % 3 else []}}
        for n in range(40)
        for topic in WORDS
    ]
    for name, part in (("train", rows[:60]), ("test", rows[60:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    return tmp_path / "data"


def test_the_report_measures_every_target_and_method(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "quality.py"), "--data", str(data), "--out", str(tmp_path)]
    subprocess.run([*command, "--methods", "majority,tfidf"], check=True, capture_output=True, text=True)
    shop = json.loads((tmp_path / "quality.json").read_text(encoding="utf-8"))["sets"]["shop"]
    targets = {method: result["targets"] for method, result in shop["methods"].items()}
    assert targets["majority"]["topic"]["accuracy"] == 0.5
    assert targets["tfidf"]["topic"] == {"accuracy": 1.0, "macro_f1": 1.0}
    ceiling = targets["tfidf"]["all"]["at_best_shared_threshold_of_the_measured_rows"]
    assert 0 < targets["tfidf"]["all"]["micro_f1"] <= ceiling["micro_f1"] + 0.02
    page = (tmp_path / "quality.md").read_text(encoding="utf-8")
    assert "| shop | topic (2) | accuracy | 50.00 | **100.00** |" in page


def test_development_leaves_the_test_file_closed_and_parts_the_rows_the_same_way(data: Path, tmp_path: Path) -> None:
    sets = load("sets")
    (data / "shop" / "test.jsonl").write_text("not opened", encoding="utf-8")
    plans = [sets.plan(data, "shop", "validation", tmp_path / name) for name in ("once", "again")]
    parts = [[path.read_text(encoding="utf-8") for path in (plan.train, plan.measured)] for plan in plans]
    assert parts[0] == parts[1]
    rows = [set(part.splitlines()) for part in parts[0]]
    assert len(rows[0]) + len(rows[1]) == 60
    assert rows[1]
    assert not rows[0] & rows[1]
