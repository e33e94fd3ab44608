"""Requests a second and latency of `tamis serve`, beside a constant answer and what users write themselves.

    apt-get install wrk
    python benchmarks/serving.py --data ../shared/data

One short text a request, a model of 8 labels on the static tier, one worker, wrk on the loopback, 1 to 16 clients:
(a) a constant answer of the same size to the same POST through the same middleware, by an ordinary FastAPI route
(async, a pydantic body, JSON), in the same process as Tamis; (a+) the same bytes from where Tamis's own route stands,
which is not looked for and validates nothing: what is left is the server alone;
(b) FastAPI with a scikit-learn pipeline in a route. Tamis is asked about 500 held-out texts over and over, and about
the same with every word changed into one never seen. Rounds alternate between them, and medians count. Then batches of
1,000 texts, a model's cold first request, and fine-tuning jobs from `start` to SUCCESS.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import record
from serving_apps import ANSWER

HERE = Path(__file__).parent
MODEL = "bench"
LABELS = 8
CONCURRENCIES = (1, 4, 16)
BATCH_SETS = ("hwu64", "banking77")
"""Sets whose texts are asked about a thousand at a time."""

LUA = """
local bodies = {}
for line in io.lines(os.getenv("WRK_BODIES")) do bodies[#bodies + 1] = line end
local at = 0
local stamp = (os.time() % 1000000) * 1000000
request = function()
  at = at % #bodies + 1
  stamp = stamp + 1
  local body = bodies[at]:gsub("@", string.format("%x", stamp))
  return wrk.format("POST", nil, {["content-type"] = "application/json", ["authorization"] = "Bearer any"}, body)
end
local bad = 0
response = function(status) if status ~= 200 then bad = bad + 1 end end
done = function(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
"""


def rows_of(folder: Path, target: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return training rows of the most frequent labels, and other texts to ask about."""
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    frequent = collections.Counter(row["labels"][target] for row in rows if target in row["labels"])
    kept = {label for label, _ in frequent.most_common(LABELS)}
    chosen = [
        {"text": row["text"], "labels": {"label": row["labels"][target]}}
        for row in rows
        if row["labels"].get(target) in kept
    ]
    held = chosen[:: len(chosen) // 500 or 1]
    texts = {row["text"] for row in held}
    return [row for row in chosen if row["text"] not in texts], sorted(texts)


@contextmanager
def running(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server of serving_apps, and yield its URL."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "serving_apps.py"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    try:
        url = process.stdout.readline().decode().strip()
        for _ in range(600):
            try:
                httpx.get(url + "/healthz")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def ask(url: str, bodies: Path, script: Path, concurrency: int, seconds: int) -> dict[str, float]:
    """Return requests a second, and p50 and p99 in milliseconds."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "WRK_BODIES": str(bodies)},
    )
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\d+)", done.stdout)
    if not found or int(found[4]):
        raise SystemExit(f"{url}: requests failed\n{done.stdout}\n{done.stderr}")
    return {"per_second": float(found[1]), "p50_ms": float(found[2]), "p99_ms": float(found[3])}


def write_bodies(path: Path, texts: Sequence[str], **fields: str) -> Path:
    path.write_text("".join(json.dumps({**fields, "input": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def one_text(given: argparse.Namespace, work: Path, home: Path, texts: list[str]) -> dict[str, Any]:
    """Ask all three, in turn."""
    script = work / "post.lua"
    script.write_text(LUA, encoding="utf-8")
    bodies = write_bodies(work / "bodies.jsonl", texts, model=MODEL)
    unseen = write_bodies(
        work / "unseen.jsonl", [with_new_words(text.replace("@", " ")) for text in texts], model=MODEL
    )
    found: dict[str, Any] = {}
    with running("tamis", str(home)) as tamis, running("usual", str(work / "train.jsonl")) as usual:
        asked = {
            "constant": (tamis + "/constant", bodies),
            "constant_hot": (tamis + "/constant-hot", bodies),
            "tamis": (tamis + "/v1/classifications", bodies),
            "unseen": (tamis + "/v1/classifications", unseen),
            "usual": (usual + "/classify", bodies),
        }
        for url, sent in asked.values():
            ask(url, sent, script, 4, 2)
        for concurrency in CONCURRENCIES:
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in asked}
            for _ in range(given.rounds):
                for name, (url, sent) in asked.items():
                    rounds[name].append(ask(url, sent, script, concurrency, given.seconds))
            found[str(concurrency)] = {name: medians(each) for name, each in rounds.items()}
        found["batch"] = batches(tamis, given)
    found["cold_first_request_ms"] = cold(home, texts[0], given.rounds)
    return found


def with_new_words(text: str, mark: str = "@") -> str:
    """Return the text with every word changed into one never seen; a mark is for the load generator to fill in."""
    return " ".join(word + mark for word in text.split())


def batches(url: str, given: argparse.Namespace) -> dict[str, float]:
    """Return texts a second in calls of 1,000: texts as they come, the same again, and texts of never seen words."""
    texts = [
        json.loads(line)["text"]
        for name in BATCH_SETS
        for line in (given.data / name / "train.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    random.Random(0).shuffle(texts)
    calls = [texts[start : start + 1000] for start in range(0, len(texts) - 999, 1000)]
    unseen = [[with_new_words(text, f"{number:x}") for text in call] for number, call in enumerate(calls, 4096)]
    found = {}
    with httpx.Client(base_url=url, timeout=60) as client:
        for name, chosen in (("as_they_come", calls), ("again", calls), ("unseen", unseen)):
            found[name] = 1000 / statistics.median(one_batch(client, call) for call in chosen)
    return found


def one_batch(client: httpx.Client, texts: list[str]) -> float:
    """Return the seconds that one call takes."""
    body = json.dumps({"model": MODEL, "input": texts}).encode()
    begin = time.perf_counter()
    answer = client.post("/v1/classifications", content=body, headers={"content-type": "application/json"})
    seconds = time.perf_counter() - begin
    assert len(answer.json()["results"]) == len(texts)
    return seconds


def cold(home: Path, text: str, rounds: int) -> float:
    """Return the median of the first request to a server that has just started, in milliseconds."""
    taken = []
    for _ in range(rounds):
        with running("tamis", str(home)) as url, httpx.Client(base_url=url, timeout=60) as client:
            client.get("/healthz")
            begin = time.perf_counter()
            client.post("/v1/classifications", json={"model": MODEL, "input": text}).raise_for_status()
            taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken)


def jobs(given: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Return how long jobs on 5,000 rows took from `start` to SUCCESS, and how much of it was training."""
    lines = (given.data / "banking77" / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    content = "".join(lines[:5000]).encode()
    home = work / "jobs-home"
    process = subprocess.Popen(
        [sys.executable, "-m", "tamis", "serve", "--port", "0", "--home", str(home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = []
    try:
        place = home / "server.json"
        while not place.exists():
            time.sleep(0.05)
        with httpx.Client(base_url=json.loads(place.read_text())["url"], timeout=60) as client:
            file_id = client.post("/v1/files", files={"file": ("train.jsonl", content)}).json()["id"]
            for steps in (None, None, 100, 250):
                found.append({"training_steps": steps, **one_job(client, file_id, steps, len(found))})
    finally:
        process.terminate()
        process.wait()
    return found


def one_job(client: httpx.Client, file_id: str, steps: int | None, number: int) -> dict[str, float]:
    hyperparameters = {"learning_rate": 1e-4, **({"training_steps": steps} if steps else {})}
    made = client.post(
        "/v1/fine_tuning/jobs",
        json={
            "model": "ministral-3b-latest",
            "training_files": [{"file_id": file_id, "weight": 1}],
            "hyperparameters": hyperparameters,
            "suffix": f"run{number}",
        },
    ).json()
    wait(client, made["id"], "VALIDATED")
    time.sleep(1.5)  # as a person, or the notebooks' polling loop, would take
    begin = time.perf_counter()
    client.post(f"/v1/fine_tuning/jobs/{made['id']}/start")
    done = wait(client, made["id"], "SUCCESS")
    seconds = time.perf_counter() - begin
    card = client.get(f"/v1/models/{done['fine_tuned_model']}").json()
    return {"start_to_success_s": seconds, "checkpoints": len(done["checkpoints"]), "model": card["id"]}


def wait(client: httpx.Client, job_id: str, status: str) -> dict[str, Any]:
    while True:
        job = client.get(f"/v1/fine_tuning/jobs/{job_id}").json()
        if job["status"] == status:
            return job
        if job["status"] in ("FAILED", "FAILED_VALIDATION", "CANCELLED"):
            raise SystemExit(f"the job failed: {job}")
        time.sleep(0.05)


def train_alone(given: argparse.Namespace, work: Path) -> float:
    """Return the seconds of training alone, on the same rows, in a process of its own."""
    lines = (given.data / "banking77" / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (work / "5000.jsonl").write_text("".join(lines[:5000]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tamis", "train", str(work / "5000.jsonl"), "--out", str(work / "alone"), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout)["seconds"]["total"])


def prepare(given: argparse.Namespace, work: Path) -> tuple[Path, list[str]]:
    """Train the model that is asked, in a home of its own; return the home and texts to ask about."""
    rows, texts = rows_of(given.data / given.set, given.target)
    train = work / "train.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    home = work / "home"
    subprocess.run(
        [sys.executable, "-m", "tamis", "train", str(train), "--out", str(work / "model"), "--name", MODEL],
        check=True,
        capture_output=True,
        env={**os.environ, "TAMIS_HOME": str(home)},
    )
    (home / ANSWER).write_bytes(b"{}")
    with running("tamis", str(home)) as url:
        answer = httpx.post(url + "/v1/classifications", json={"model": MODEL, "input": texts[0]})
        answer.raise_for_status()
        (home / ANSWER).write_bytes(answer.content)
    return home, texts


HEAD = [
    *("clients", "what", "requests/s", "p50 ms", "p99 ms", "of (a)'s requests/s", "p50 of (a)'s"),
    *("of (a+)'s requests/s", "p50 of (a+)'s", "of (b)'s requests/s"),
]
TITLES = {
    "constant": "(a) constant answer, FastAPI route, same middleware",
    "constant_hot": "(a+) constant answer on the hot path",
    "tamis": "Tamis",
    "unseen": "Tamis, words never seen",
    "usual": "(b) FastAPI + scikit-learn",
}


def one_text_row(concurrency: str, title: str, mine: dict[str, Any], each: dict[str, Any]) -> list[str]:
    a, hot, b = each["constant"], each["constant_hot"], each["usual"]
    return [
        concurrency,
        title,
        f"{mine['per_second']:,.0f}",
        f"{mine['p50_ms']:.2f}",
        f"{mine['p99_ms']:.2f}",
        f"{mine['per_second'] / a['per_second']:.0%}",
        f"{mine['p50_ms'] / a['p50_ms']:.2f}",
        f"{mine['per_second'] / hot['per_second']:.0%}",
        f"{mine['p50_ms'] / hot['p50_ms']:.2f}",
        f"{mine['per_second'] / b['per_second']:.1f}",
    ]


def job_row(job: dict[str, Any]) -> list[str]:
    return [str(job["training_steps"] or "none given"), f"{job['start_to_success_s']:.1f}", str(job["checkpoints"])]


def markdown(found: dict[str, Any]) -> str:
    one_text = found["one_text"]
    rows = [
        one_text_row(concurrency, title, one_text[concurrency][name], one_text[concurrency])
        for concurrency in map(str, CONCURRENCIES)
        for name, title in TITLES.items()
    ]
    batch = one_text["batch"]
    lines = [
        "# Serving\n",
        record.preamble(found["about"]),
        record.table(HEAD, rows, left=2),
        f"Calls of 1,000 texts, texts a second (medians): {batch['as_they_come']:,.0f} of texts as they come, "
        f"{batch['again']:,.0f} of the same again, {batch['unseen']:,.0f} where every word is new.\n",
        f"First request to a new server: {one_text['cold_first_request_ms']:.0f} ms (median).\n",
        "Fine-tuning jobs on 5,000 rows of banking77, from `start` to SUCCESS (training alone, by `tamis train`: "
        f"{found['train_alone_s']:.1f} s):\n",
        record.table(["training_steps", "seconds", "checkpoints"], [job_row(job) for job in found["jobs"]]),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled sets")
    parser.add_argument("--set", default="hwu64")
    parser.add_argument("--target", default="scenario")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        home, texts = prepare(given, work)
        found = {
            "about": record.surroundings(),
            "one_text": one_text(given, work, home, texts),
            "train_alone_s": train_alone(given, work),
            "jobs": jobs(given, work),
        }
    page = markdown(found)
    print(page)
    record.write(given.out, "serving", page, found)


if __name__ == "__main__":
    main()
