"""The servers that benchmarks/serving.py asks: Tamis with a constant answer beside it, and what users write themselves.

    python benchmarks/serving_apps.py tamis HOME          # Tamis as `tamis serve` runs it, and two constant answers
    python benchmarks/serving_apps.py usual TRAIN.jsonl   # FastAPI and a scikit-learn pipeline in a route

Prints its URL once it listens; ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

ANSWER = "constant.json"
"""File in the home with the bytes of the constant answer: those of a real one."""


class Question(BaseModel):
    model: str = ""
    input: list[str] | str


def tamis_app(home: Path) -> FastAPI:
    """Return the application of `tamis serve`, with two routes that answer the same each time.

    `/constant` is an ordinary route of FastAPI; `/constant-hot` stands where the busiest routes of Tamis do.
    """
    os.environ["TAMIS_HOME"] = str(home)
    from tamis.logs import set_up_logs
    from tamis.settings import load_settings
    from tamis.web.app import create_app
    from tamis.web.inference import Shortcut
    from tamis.web.routing import HotRoute
    from tamis.workspace.workspace import open_workspace

    settings = load_settings()
    set_up_logs(settings.log_format, settings.log_level)
    app = create_app(open_workspace(settings), settings)
    answer = (home / ANSWER).read_bytes()

    content = json.loads(answer)

    @app.post("/constant")
    async def constant(question: Question) -> dict[str, Any]:
        return content

    async def hot(request: Request) -> Response:
        await request.body()
        return Response(answer, media_type="application/json")

    app.router.routes.insert(0, app.router.routes.pop())
    shortcut = next(each for each in app.user_middleware if each.cls is Shortcut)
    shortcut.args[0]["/constant-hot"] = HotRoute("/constant-hot", hot, methods=["POST"])
    return app


def usual_app(train: Path) -> FastAPI:
    """Return FastAPI with a scikit-learn pipeline in a route."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    rows = [json.loads(line) for line in train.read_text(encoding="utf-8").splitlines()]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    pipeline = make_pipeline(make_union(words, characters), LogisticRegression(C=10, max_iter=1000))
    pipeline.fit([row["text"] for row in rows], [row["labels"]["label"] for row in rows])
    labels = [str(label) for label in pipeline.classes_]
    app = FastAPI()

    @app.post("/classify")
    def classify(question: Question) -> dict[str, list[dict[str, float]]]:
        texts = [question.input] if isinstance(question.input, str) else question.input
        scores = pipeline.predict_proba(texts).tolist()
        return {"results": [dict(zip(labels, row, strict=True)) for row in scores]}

    return app


def main() -> None:
    from tamis.listening import bound_socket, url_of
    from tamis.web.process import serve_here

    kind, place = sys.argv[1], Path(sys.argv[2])
    app = tamis_app(place) if kind == "tamis" else usual_app(place)
    listening = bound_socket("127.0.0.1", 0)
    print(url_of(listening), flush=True)

    def end_with_parent() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    if kind == "tamis":
        serve_here(listening, app)
    else:
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, ws="none")
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
