"""How the server and its jobs log: one line an event, as text or as JSON; never a text, a key or a query string."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from datetime import datetime
from functools import lru_cache
from types import TracebackType
from typing import Literal

FIELDS = ("request_id", "method", "path", "status", "ms", "bytes", "key_id", "job")
"""What a line may carry beside its message: of a request, or of the process of a job."""

SHOWN = {"uvicorn.error": "uvicorn"}
"""Names of loggers that say what is not so: that one's lines are no errors."""


class _Lines(logging.Formatter):
    """Formats a record; `_line` decides how."""

    def format(self, record: logging.LogRecord) -> str:
        said = record.__dict__
        fields = {name: said[name] for name in FIELDS if said.get(name) not in (None, "")}
        moment = f"{_second(int(record.created))}.{int(record.msecs):03d}Z"
        trace = self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
        return self._line(moment, record, fields, trace)

    def _line(self, moment: str, record: logging.LogRecord, fields: dict[str, object], trace: str) -> str:
        raise NotImplementedError


class TextLines(_Lines):
    """`2026-01-31T12:00:00.000Z info tamis.web request method=POST path=/v1/files status=200 ms=3.1`."""

    def _line(self, moment: str, record: logging.LogRecord, fields: dict[str, object], trace: str) -> str:
        pairs = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
        message = _one_line(record.getMessage())
        line = f"{moment} {record.levelname.lower()} {shown_name(record)} {message}{pairs}"
        return f"{line}\n{trace}" if trace else line


class JsonLines(_Lines):
    """One JSON object a line."""

    def _line(self, moment: str, record: logging.LogRecord, fields: dict[str, object], trace: str) -> str:
        event = {"time": moment, "level": record.levelname.lower(), "logger": shown_name(record)}
        return json.dumps(
            event | {"message": record.getMessage()} | fields | ({"traceback": trace} if trace else {}), default=str
        )


def shown_name(record: logging.LogRecord) -> str:
    """Return the name of a record's logger as lines have it."""
    return SHOWN.get(record.name, record.name)


def read_record(line: str) -> logging.LogRecord | None:
    """Return the record that another process wrote as a line of JSON; None where the line is something else."""
    try:
        event = json.loads(line)
        level = logging.getLevelNamesMapping()[str(event["level"]).upper()]
        moment = datetime.fromisoformat(event["time"])
        told: dict[str, object] = {"name": str(event["logger"]), "msg": str(event["message"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    told |= {"levelno": level, "levelname": logging.getLevelName(level)}
    told |= {"created": moment.timestamp(), "msecs": moment.microsecond / 1000}
    fields = {name: event[name] for name in FIELDS if name in event}
    return logging.makeLogRecord({**told, **fields, "exc_text": event.get("traceback")})


def log_what_is_raised() -> None:
    """Have this process log what nothing catches, and what Python warns of, rather than print it between the lines."""

    def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logging.getLogger("tamis").critical("The process ends.", exc_info=(kind, error, trace))

    def told_of_thread(caught: threading.ExceptHookArgs) -> None:
        if caught.exc_value is not None and not isinstance(caught.exc_value, SystemExit):
            info = (caught.exc_type, caught.exc_value, caught.exc_traceback)
            logging.getLogger("tamis").error("A thread ends.", exc_info=info)

    sys.excepthook, threading.excepthook = told, told_of_thread
    logging.captureWarnings(capture=True)


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def set_up_logs(form: Literal["text", "json"], level: str) -> None:
    """Send what this process logs to stderr, one line an event."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in ("httpx", "httpcore", "alembic"):  # their lines hold addresses, and are many
        logging.getLogger(name).setLevel(logging.WARNING)


def _plain(value: object) -> str:
    text = _one_line(str(value))
    return json.dumps(text) if not text or " " in text or '"' in text or "=" in text else text


def _one_line(text: str) -> str:
    """Return the text with what would start a new line, or steer a terminal, escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
