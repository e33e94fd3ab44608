"""Rows a second and peak memory of `tamis check`, beside plain `json.loads` over the same file in the same run.

    python benchmarks/check.py --rows 1000000

The file is made from a seed in a temporary folder: short messages of 77 labels, with some repeats, near repeats and
bad rows among them. Each reader is a process of its own: seconds and peak memory are those of the whole process, its
start included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import record

BAD_SHARE = 0.0005
JSON_LOADS = """
import json, sys
rows = 0
for line in open(sys.argv[1], encoding="utf-8"):
    try:
        json.loads(line)
        rows += 1
    except ValueError:
        pass
print(json.dumps({"rows": {"train": rows}, "verdict": ""}))
"""
TAMIS_CHECK = "import sys; from tamis.cli import main; main()"


def write_rows(path: Path, rows: int, seed: int) -> None:
    """Write the file; memory does not grow with the rows."""
    draw = random.Random(seed)
    syllables = [a + b for a in "bdfgklmnprstv" for b in ("a", "e", "i", "o", "u", "an", "er", "in", "os")]
    words = [draw.choice(syllables) + draw.choice(syllables) for _ in range(4_000)]
    labels = [f"intent_{number}" for number in range(77)]
    recent: list[str] = []
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(rows):
            stream.write(f"{_row(draw, words, labels, recent)}\n")


def _row(draw: random.Random, words: list[str], labels: list[str], recent: list[str]) -> str:
    chance = draw.random()
    if chance < BAD_SHARE:
        return draw.choice(['{"text": "", "labels": {"intent": "x"}}', "not json", '{"text": "no labels"}'])
    if recent and chance < 0.02:
        text = draw.choice(recent)
        text = text if chance < 0.01 else f"{text} {draw.choice(words)}"
    else:
        text = " ".join(draw.choices(words, k=draw.randint(4, 18)))
        recent.append(text)
        del recent[:-1_000]
    return json.dumps({"text": text, "labels": {"intent": draw.choice(labels)}})


def measure(name: str, code: str, *arguments: str) -> dict[str, Any]:
    """Run Python code in a process of its own; return its rows, seconds and peak memory."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stdout:
        start = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=stdout)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{name} ended with {child.returncode}")
        stdout.seek(0)
        found = json.load(stdout)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    return {
        "reader": name,
        "rows": found["rows"]["train"],
        "seconds": seconds,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / unit,
        "verdict": found["verdict"],
    }


def table(results: list[dict[str, Any]], size_mb: float) -> str:
    rows = [
        [
            found["reader"],
            f"{found['rows']:,}",
            f"{found['seconds']:.1f}",
            f"{found['processor_seconds']:.1f}",
            f"{found['rows'] / found['seconds']:,.0f}",
            f"{size_mb / found['seconds']:.1f}",
            f"{found['peak_mb']:,.0f}",
        ]
        for found in results
    ]
    head = ["", "rows", "seconds", "processor seconds", "rows a second", "MB a second", "peak memory, MB"]
    return record.table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        write_rows(path, given.rows, given.seed)
        size_mb = path.stat().st_size / 1e6
        results = [
            measure("json.loads", JSON_LOADS, str(path)),
            measure("tamis check", TAMIS_CHECK, "check", str(path), "--max-bad-share", "0.01", "--json"),
        ]
    about = record.surroundings()
    said = f"{given.rows:,} rows of JSONL, {size_mb:.0f} MB, seed {given.seed}."
    markdown = "\n".join(["# Checking data\n", record.preamble(about), said + "\n", table(results, size_mb)])
    record.write(given.out, "check", markdown, {**about, "file_mb": size_mb, "readers": results})
    print(markdown)


if __name__ == "__main__":
    main()
