"""A program that uses one SDK as it is told to: a JSON object a line in, a JSON object a line out.

A command names a method and its arguments: {"call": "files.list", "arguments": {"page_size": 2}}; a name that ends in
`_async` is awaited. Arguments may hold what JSON cannot say: {"$open": path}, {"$bytes": text}, {"$time": iso}. The
answer is {"type": class, "value": what its model_dump() gives, through json.dumps as the notebooks do it}, or
{"error": {"type", "status", "body", "message", "detail"}}.

    python remote_control.py SDK URL [KEY]
"""

import asyncio
import datetime
import inspect
import json
import sys
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

CONNECT = {"mistralai": "connect", "cohere": "connect_cohere", "openai": "connect_openai"}


def decode(value: Any) -> Any:
    """Turn the marked objects of a command into handles, bytes and times."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$open": path}:
            return Path(path).open("rb")
        case {"$bytes": text}:
            return text.encode()
        case {"$time": text}:
            return datetime.datetime.fromisoformat(text)
    return {key: decode(item) for key, item in value.items()}


async def encode(answer: Any) -> Any:
    """Return what can be written of an answer: models dumped, streams and downloads read to their end."""
    if hasattr(answer, "model_dump"):
        dumped = json.loads(json.dumps(answer.model_dump(), default=str))
        if hasattr(answer, "size_bytes"):  # model_dump() of 1.x loses it
            dumped["size_bytes"] = answer.size_bytes
        return dumped
    if hasattr(answer, "status_code"):  # the HTTP response that a download is
        content = await answer.aread() if hasattr(answer.stream, "__aiter__") else answer.read()
        return {"text": content.decode(), "content_type": answer.headers["content-type"]}
    if hasattr(answer, "__aiter__"):
        return [await encode(event) async for event in answer]
    if hasattr(answer, "__iter__") and not isinstance(answer, str | list | dict):
        return [await encode(event) for event in answer]
    return answer


def failure(error: Exception) -> dict[str, Any]:
    """Return what a user sees of an exception."""
    detail = getattr(getattr(error, "data", None), "detail", None)
    return {
        "type": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "body": getattr(error, "body", None),
        "message": str(error),
        "detail": [item.model_dump(mode="json") for item in detail] if isinstance(detail, list) else detail,
    }


async def obey(client: Any, command: dict[str, Any]) -> dict[str, Any]:
    """Do one call and return its answer or its error."""
    method = reduce(getattr, command["call"].split("."), client)
    try:
        answer = method(**decode(command["arguments"]))
        if inspect.isawaitable(answer):
            answer = await answer
        return {"type": type(answer).__name__, "value": await encode(answer)}
    except Exception as error:  # noqa: BLE001  (whatever it is, the test wants to see it)
        return {"error": failure(error)}


async def main() -> None:
    """Obey commands until there are no more."""
    sdk, *where = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # some methods print
    client = import_module(CONNECT[sdk]).connect(*where)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await obey(client, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
