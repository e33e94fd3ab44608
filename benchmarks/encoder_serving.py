"""The same fine-tuned encoder served by Tamis, by infinity, and by FastAPI with a pipeline of transformers.

    python -m venv ~/.cache/tamis-bench/venvs/infinity
    ~/.cache/tamis-bench/venvs/infinity/bin/pip install 'infinity-emb[torch,server]==0.0.78' torch==2.13.0
    python benchmarks/encoder_serving.py --data ../shared/data
    python benchmarks/encoder_serving.py --data ../shared/data --rounds 0     # right answers alone: speeds stay
    python benchmarks/encoder_serving.py --data ../shared/data --gathering    # requests computed together, or not

Each is a server of one process on the loopback. They take turns: texts in calls of 64, one text after the other, and
16 clients with a text each; medians of the rounds count, and each process's peak memory. Then each is asked about
labelled rows that training did not see: how many it gets right, and how many it answers as Tamis does. The weights are
the same. Where Tamis serves them in 8-bit integers a second server of Tamis has them in floats (`int8=false`).
infinity runs its torch engine; without its virtual environment it is left out.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import record

HERE = Path(__file__).parent
INFINITY = Path("~/.cache/tamis-bench/venvs/infinity").expanduser()
MODEL, CALL, CLIENTS = "bench", 64, 16

PIPELINE = """
import sys, torch, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline
classify = pipeline("text-classification", model=sys.argv[1], device="cpu", top_k=None)
app = FastAPI()
class Question(BaseModel):
    input: list[str]
@app.get("/health")
def health(): return {}
@app.post("/classify")
def answer(question: Question): return {"data": classify(question.input, batch_size=64)}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""
"""What a user writes in an afternoon."""

FORMS = {"int8": "8-bit integers", "int8-tables": "float32, its token table in 8 bits", "float32": "float32"}


@dataclass
class Server:
    """A server that runs, and how it is asked."""

    name: str
    port: int
    path: str
    pid: int

    def ask(self, connection: http.client.HTTPConnection, texts: list[str]) -> Any:
        body = json.dumps({"model": MODEL, "input": texts, **({"raw_scores": True} if self.name == "infinity" else {})})
        connection.request("POST", self.path, body, {"content-type": "application/json", "authorization": "Bearer any"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self.name}: {answer.status} {content[:300]!r}")
        return json.loads(content)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def labels(self, texts: list[str]) -> list[str]:
        """Return the label of each text, as Tamis calls it."""
        connection = self.connect()
        calls = [texts[start : start + CALL] for start in range(0, len(texts), CALL)]
        return [label for call in calls for label in self._labels_of(self.ask(connection, call))]

    def _labels_of(self, answer: Any) -> list[str]:
        if self.name.startswith("tamis"):
            each = [next(iter(row.values()))["scores"] for row in answer["results"]]
            return [max(scores, key=scores.get) for scores in each]
        return [max(row, key=lambda entry: entry["score"])["label"] for row in answer["data"]]


def calls_of_64(server: Server, texts: list[str]) -> float:
    """Texts a second."""
    connection, begin = server.connect(), time.perf_counter()
    for start in range(0, len(texts), CALL):
        server.ask(connection, texts[start : start + CALL])
    return len(texts) / (time.perf_counter() - begin)


def one_by_one(server: Server, texts: list[str]) -> float:
    """Median milliseconds of a text."""
    connection, taken = server.connect(), []
    for text in texts:
        begin = time.perf_counter()
        server.ask(connection, [text])
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken)


def sixteen_clients(server: Server, texts: list[str]) -> float:
    """Requests a second."""
    return by_clients(server, texts, CLIENTS)[0]


def by_clients(server: Server, texts: list[str], count: int) -> tuple[float, float]:
    """Requests a second of so many clients at the same time, and the median milliseconds of a request."""
    taken: list[float] = []

    def client(mine: list[str]) -> None:
        connection = server.connect()
        for text in mine:
            begin = time.perf_counter()
            server.ask(connection, [text])
            taken.append((time.perf_counter() - begin) * 1e3)

    threads = [threading.Thread(target=client, args=(texts[number::count],)) for number in range(count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(texts) / (time.perf_counter() - begin), statistics.median(taken)


def peak_mb(pid: int) -> float:
    """The most memory that a process and those it started have held, in MB."""
    import psutil

    of = psutil.Process(pid)
    total = 0.0
    for process in [of, *of.children(recursive=True)]:
        with suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            total += int(status.split("VmHWM:")[1].split()[0]) / 1024
    return total


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and those it started: it counts the same on a machine that has other work."""
    import psutil

    of = psutil.Process(pid)
    times = [process.cpu_times() for process in [of, *of.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: str, command: list[str], port: int, path: str, log: Path) -> Iterator[Server]:
    with log.open("wb") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env={**os.environ, "DO_NOT_TRACK": "1"})
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise SystemExit(f"{name} ended: {log.read_text()[-2000:]}")
            with suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/healthz" if name.startswith("tamis") else "/health")
                if connection.getresponse().status == 200:
                    break
            time.sleep(0.25)
        yield Server(name, port, path, process.pid)
    finally:
        process.terminate()
        process.wait()


@dataclass
class Prepared:
    """What servers start from, and what they are asked: Tamis's home, the folder that transformers reads, and rows.

    `form` says which numbers Tamis serves; `wanted` is the label of each text. `floats` is the home of the same model
    served in 32-bit numbers, if there is one.
    """

    home: Path
    floats: Path | None
    plain: Path
    form: str
    texts: list[str]
    wanted: list[str]


def prepare(given: argparse.Namespace, work: Path) -> Prepared:
    """Fine-tune, and write the model where the servers look for it."""
    import tamis

    rows = [json.loads(line) for line in (given.data / given.set / "train.jsonl").read_text("utf-8").splitlines()]
    random.Random(0).shuffle(rows)
    home = work / "home"
    model = given.model or work / "model"
    floats = None
    if not given.model:
        options: dict[str, object] = {"ensemble": False}  # the servers beside it hold no other
        tamis.train(
            rows[: given.rows], base="minilm-l6", out=model, name=MODEL, epochs=given.epochs, encoder_options=options
        )
        if not given.gathering:
            floats = in_floats(rows[: given.rows], given.epochs, options, model, work)
    put_up(model, home)
    (target,) = tamis.load(model).targets
    names = list(target.labels)
    plain = work / "plain"
    plain.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model / name, plain / name)
    config = json.loads((plain / "config.json").read_text())
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: place for place, name in enumerate(names)}}
    (plain / "config.json").write_text(json.dumps(config))
    manifest = json.loads((model / "manifest.json").read_text())
    asked = rows[given.rows : given.rows + max(given.texts, given.judged)]
    wanted = [row["labels"][target.name] for row in asked]
    return Prepared(home, floats, plain, manifest["architecture"]["served"], [row["text"] for row in asked], wanted)


def in_floats(
    rows: list[dict[str, Any]], epochs: float | None, options: dict[str, object], model: Path, work: Path
) -> Path | None:
    """Return the home of the same network served in 32-bit numbers: the same training, which gives the same weights."""
    import tamis

    if json.loads((model / "manifest.json").read_text())["architecture"]["served"] == "float32":
        return None
    other = work / "floats"
    tamis.train(
        rows, base="minilm-l6", out=other, name=MODEL, epochs=epochs, encoder_options={**options, "int8": False}
    )
    if (other / "model.safetensors").read_bytes() != (model / "model.safetensors").read_bytes():
        raise SystemExit("the same training gave other weights")
    put_up(other, work / "home-of-floats")
    return work / "home-of-floats"


def put_up(model: Path, home: Path) -> None:
    """Register a model, as its owner would."""
    subprocess.run([sys.executable, "-c", REGISTER, str(home), str(model), MODEL], check=True)


def serving(home: Path, port: int, start: Sequence[str] = ("-m", "tamis")) -> list[str]:
    """The command of a server without workers that train."""
    asked = ["serve", "--home", str(home), "--port", str(port), "--train-workers", "0"]
    return [sys.executable, *start, *asked]


REGISTER = "import sys; from pathlib import Path; from tamis.ml.registry import register; "
REGISTER += "register(Path(sys.argv[1]), sys.argv[3], Path(sys.argv[2]))"


ALONE = """
import sys
from tamis.serving import batching
async def alone(self, inputs, compute):
    return await self._dispatcher.aside(lambda: compute(inputs))
batching.Gathering.scores = alone
from tamis.cli import main
sys.argv = ["tamis", *sys.argv[1:]]
main()
"""
"""The server in which each request is computed for itself."""

CROWDS = (1, 16, 64)


def gathering(given: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Requests a second and milliseconds of a request by clients: gathered, and each for itself, taking turns."""
    prepared = prepare(given, work)
    home, texts = prepared.home, prepared.texts[: given.texts]
    found: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        servers_ = []
        for title, start in (("gathered", ("-m", "tamis")), ("each alone", ("-c", ALONE))):
            port = free_port()
            server = running("tamis", serving(home, port, start), port, "/v1/classifications", work / f"{title}.log")
            servers_.append((title, stack.enter_context(server)))
        for _, server in servers_:
            by_clients(server, texts[:CALL], 4)
        for _ in range(given.rounds):
            for count in CROWDS:
                for title, server in servers_:
                    asked = texts[: given.texts // 4 if count == 1 else given.texts]
                    begin = cpu_seconds(server.pid)
                    rate, wait = by_clients(server, asked, count)
                    row = found.setdefault(f"{title}, {count}", {"requests_per_second": [], "p50_ms": [], "cpu_ms": []})
                    row["requests_per_second"].append(rate)
                    row["p50_ms"].append(wait)
                    row["cpu_ms"].append((cpu_seconds(server.pid) - begin) / len(asked) * 1e3)
    return {name: {kind: statistics.median(each) for kind, each in row.items()} for name, row in found.items()}


def gathering_page(about: dict[str, Any], found: dict[str, Any]) -> str:
    head = ["requests are computed", "clients", "requests/s", "p50 ms", "processor ms a request"]
    rows = [
        [*name.split(", "), f"{row['requests_per_second']:,.0f}", f"{row['p50_ms']:.1f}", f"{row['cpu_ms']:.1f}"]
        for name, row in found.items()
    ]
    return "\n".join(
        ["# An encoder, asked by many at once\n", record.preamble(about), record.table(head, rows, left=1)]
    )


@contextmanager
def servers(prepared: Prepared, work: Path) -> Iterator[list[Server]]:
    plain = prepared.plain
    (work / "pipeline.py").write_text(PIPELINE)
    ports = [free_port() for _ in range(4)]
    homes = {"tamis": prepared.home} | ({"tamis, floats": prepared.floats} if prepared.floats else {})
    pipeline = [sys.executable, str(work / "pipeline.py"), str(plain), str(ports[1])]
    infinity = [
        *(str(INFINITY / "bin/infinity_emb"), "v2", "--model-id", str(plain), "--served-model-name", MODEL),
        *("--engine", "torch", "--device", "cpu", "--host", "127.0.0.1", "--port", str(ports[2])),
        *("--no-bettertransformer", "--no-model-warmup"),
    ]
    with ExitStack() as stack:
        found = []
        for (name, home), port in zip(homes.items(), (ports[0], ports[3]), strict=False):
            server = running(name, serving(home, port), port, "/v1/classifications", work / f"{name}.log")
            found.append(stack.enter_context(server))
        server = running("pipeline", pipeline, ports[1], "/classify", work / "pipeline.log")
        found.append(stack.enter_context(server))
        if (INFINITY / "bin/infinity_emb").exists():
            found.append(
                stack.enter_context(running("infinity", infinity, ports[2], "/classify", work / "infinity.log"))
            )
        yield found


def measure(given: argparse.Namespace, work: Path) -> dict[str, Any]:
    prepared = prepare(given, work)
    texts = prepared.texts[: given.texts]
    kinds = {"texts_per_second": calls_of_64, "p50_ms": one_by_one, "requests_per_second": sixteen_clients}
    sizes = {"texts_per_second": len(texts), "p50_ms": given.texts // 8, "requests_per_second": given.texts // 2}
    with servers(prepared, work) as asked:
        for server in asked:  # warm
            server.labels(texts[:CALL])
        rounds: dict[str, dict[str, list[float]]] = {server.name: {} for server in asked}
        for _ in range(given.rounds):
            for kind, ask in kinds.items():
                for server in asked:
                    begin = cpu_seconds(server.pid)
                    rounds[server.name].setdefault(kind, []).append(ask(server, texts[: sizes[kind]]))
                    taken = (cpu_seconds(server.pid) - begin) / sizes[kind] * 1e3
                    rounds[server.name].setdefault(f"cpu_ms_a_text.{kind}", []).append(taken)
        found = {name: {kind: statistics.median(each) for kind, each in of.items()} for name, of in rounds.items()}
        for server in asked:
            found[server.name]["peak_mb"] = peak_mb(server.pid)
        speeds = None
        if not given.rounds:
            speeds, found = written(given.out)
        found = {name: of | judged for (name, of), judged in zip(found.items(), judge(asked, prepared), strict=True)}
    return {"form": prepared.form, "labelled": len(prepared.wanted), "servers": found, "speeds": speeds}


def written(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run before this one was made with, and what it found of each server."""
    run = json.loads((folder / "encoder_serving.json").read_text(encoding="utf-8"))
    found = run["found"]
    return found.get("speeds") or run["about"], found.get("servers", found)


def judge(asked: list[Server], prepared: Prepared) -> list[dict[str, float]]:
    """Return of each server the share of labelled rows that it gets right, and that it answers as Tamis does."""
    answers = [server.labels(prepared.texts) for server in asked]
    count = len(prepared.wanted)
    return [
        {
            "accuracy": sum(map(str.__eq__, each, prepared.wanted)) / count,
            "same_answers": sum(map(str.__eq__, each, answers[0])) / count,
        }
        for each in answers
    ]


def markdown(about: dict[str, Any], found: dict[str, Any]) -> str:
    of = found["servers"]
    titles = {
        "tamis": f"Tamis ({FORMS[found['form']]})",
        "tamis, floats": "Tamis (float32)",
        "pipeline": "FastAPI + pipeline",
        "infinity": "infinity 0.0.78, torch engine",
    }
    mine = of["tamis"]
    rows = [
        [
            titles[name],
            f"{each['texts_per_second']:,.0f}",
            f"{each['p50_ms']:.1f}",
            f"{each['requests_per_second']:,.0f}",
            f"{each['cpu_ms_a_text.texts_per_second']:.1f}",
            f"{each['peak_mb']:,.0f}",
            f"{each['accuracy']:.2%}",
            f"{each['same_answers']:.1%}",
            f"{mine['texts_per_second'] / each['texts_per_second']:.1f}",
        ]
        for name, each in of.items()
    ]
    head = [
        *("served by", "texts/s, calls of 64", "p50 ms, one text", "requests/s, 16 clients"),
        *("processor ms a text, calls of 64", "peak MB"),
        *(f"right, of {found['labelled']:,} rows", "answers as Tamis", "Tamis's texts/s by its own"),
    ]
    made = record.preamble(about)
    if found["speeds"]:
        made = f"Speeds and memory: {record.preamble(found['speeds'])}\nRight answers, of the same model: {made}"
    return "\n".join(["# Serving an encoder\n", made, record.table(head, rows, left=1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled sets")
    parser.add_argument("--set", default="banking77")
    parser.add_argument("--model", type=Path, help="a model of the encoder tier; without it one is trained")
    parser.add_argument("--rows", type=int, default=8000, help="to train on")
    parser.add_argument("--epochs", type=float, help="passes over them; usual: what the trainer picks")
    parser.add_argument("--texts", type=int, default=640, help="to ask about")
    parser.add_argument("--judged", type=int, default=1990, help="labelled rows to count right answers on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gathering", action="store_true", help="Tamis alone: with and without gathering requests")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    name, measured, paged = "encoder_serving", measure, markdown
    if given.gathering:
        name, measured, paged = "encoder_gathering", gathering, gathering_page
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given, Path(folder))
    about = record.surroundings()
    page = paged(about, found)
    print(page)
    record.write(given.out, name, page, {"about": about, "found": found})


if __name__ == "__main__":
    main()
