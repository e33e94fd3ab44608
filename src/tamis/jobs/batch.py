"""A batch job: read requests, answer them with a model, write the answers to a file and the failures to another.

A batch that is taken up again begins anew: its files appear only when it has ended, and it is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any
from uuid import uuid4

import orjson

from tamis.endpoints import Answering, Question, read_question
from tamis.errors import Cancelled, DataError, InvalidRequest, LimitExceeded, TamisError
from tamis.jobs.sentences import sentence_of
from tamis.jobs.states import Move, Status, before
from tamis.jobs.tools import Tools
from tamis.ml.predictor import Predictor
from tamis.schema import Input
from tamis.store.records import BatchRecord, FileRecord
from tamis.store.writers import Writer

AT_ONCE = 512
CHARACTERS_AT_ONCE = 2_000_000
TELL_S = 0.5
MOST_LINE = 64 * 2**20

Find = Callable[[str], tuple[Predictor, str]]
"""Returns the predictor of a model's name, or raises what is wrong with it."""


class TimeIsUp(Exception):
    """The batch job took longer than it was given: a state of the batch, no error of Tamis."""

    code = "time_is_up"


@dataclass(frozen=True, slots=True)
class _Request:
    """One line: its question, or what is wrong with it."""

    number: int
    custom_id: str | None
    model: str | None = None
    question: Question | None = None
    error: TamisError | None = None


@dataclass(slots=True)
class _Counts:
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        worst = sorted(self.errors.items(), key=lambda item: -item[1])[:20]
        return {
            "total": self.total,
            "completed": self.succeeded + self.failed,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "errors": tuple({"message": message, "count": count} for message, count in worst),
        }


def run_batch(tools: Tools, batch: BatchRecord, find: Find, stop: Callable[[], bool]) -> None:
    """Answer all requests and end the batch.

    Raises:
        TamisError: nothing could be answered: a file is gone, say.
        Cancelled: `stop` said so.
        TimeIsUp: it took longer than its hours.
    """
    _Run(tools, batch, find, stop).run()


class _Run:
    """One batch on its way."""

    def __init__(self, tools: Tools, batch: BatchRecord, find: Find, stop: Callable[[], bool]) -> None:
        self._tools, self._batch, self._find, self._stop = tools, batch, find, stop
        self._counts = _Counts()
        self._begin = batch.created_at
        self._next = monotonic()
        self._answering: dict[str, Answering] = {}

    def run(self) -> None:
        self._counts.total = sum(1 for _ in self._lines())
        if self._counts.total > self._tools.choices.max_batch_requests:
            most = self._tools.choices.max_batch_requests
            raise LimitExceeded(
                f"The batch has {self._counts.total:,} requests, and {most:,} are allowed (max_batch_requests).",
                setting="max_batch_requests",
            )
        self._tell()
        store = self._tools.store
        out_id, bad_id = str(uuid4()), str(uuid4())
        with ExitStack() as stack:
            out = stack.enter_context(store.objects.writer(f"files/{out_id}"))
            bad = stack.enter_context(store.objects.writer(f"files/{bad_id}"))
            for group in _groups(self._requests()):
                self._look()
                self._answer(group, out, bad)
            written = self._commit(out, out_id, "batch_result") if self._counts.succeeded else None
            failed = self._commit(bad, bad_id, "batch_error") if self._counts.failed else None
        files = [record for record in (written, failed) if record is not None]
        kept = store.batches.finish(
            self._batch.id,
            self._batch.attempt,
            Status.SUCCESS.value,
            files,
            when=before(Move.SUCCEED),
            output_file=written.id if written else None,
            error_file=failed.id if failed else None,
            **self._counts.columns(),
        )
        if not kept:
            for record in files:
                store.objects.delete(record.key)

    def _look(self) -> None:
        """Stop where it is time to, and tell how far it is."""
        if self._stop():
            raise Cancelled("The batch was cancelled.")
        if time() > self._begin + 3600 * self._batch.timeout_hours:
            raise TimeIsUp(f"The batch took longer than its {self._batch.timeout_hours} hours.")
        if monotonic() >= self._next:
            self._tell()

    def _tell(self) -> None:
        self._next = monotonic() + TELL_S
        columns = self._counts.columns()
        if self._batch.started_at is None:
            columns["started_at"] = int(time())
        if not self._tools.store.batches.progress(self._batch.id, self._batch.attempt, **columns):
            raise Cancelled("Another attempt has the batch.")

    def _lines(self) -> Iterator[bytes]:
        """Yield the requests' lines, of all files."""
        store = self._tools.store
        keys = [self._batch.inline_key] if self._batch.inline_key else []
        for file_id in self._batch.input_files:
            record = store.files.find(file_id)
            if record is None:
                raise DataError(f"The file {file_id} is gone.")
            keys.append(record.key)
        for key in keys:
            yield from lines_of(store.objects.read(key))

    def _requests(self) -> Iterator[_Request]:
        for number, line in enumerate(self._lines()):
            yield self._read(number, line)

    def _read(self, number: int, line: bytes) -> _Request:
        custom_id = None
        try:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise InvalidRequest(f"Line {number + 1} is not JSON: {error}.") from None
            if isinstance(row, dict) and row.get("custom_id") is not None:
                custom_id = str(row["custom_id"])
            if not isinstance(row, dict) or not isinstance(row.get("body"), dict):
                raise InvalidRequest(f'Line {number + 1} is not an object with a "body".')
            question = read_question(self._batch.endpoint, row["body"], self._tools.choices.limits)
            if question.explain is not None:
                raise InvalidRequest("Batch jobs explain nothing: leave `explain` out, or send the request by itself.")
            model = question.model or self._batch.model
            if model is None:
                raise InvalidRequest(f"Line {number + 1} names no model, and neither does the batch.")
            return _Request(number, custom_id, model, question)
        except TamisError as error:
            return _Request(number, custom_id, error=error)

    def _answer(self, group: list[_Request], out: Writer, bad: Writer) -> None:
        """Answer some requests: those of one model together, in the order in which they came."""
        answers: dict[int, dict[str, Any]] = {}
        errors = {request.number: request.error for request in group if request.error is not None}
        for model in dict.fromkeys(request.model for request in group if request.question is not None):
            mine = [request for request in group if request.question is not None and request.model == model]
            try:
                answers |= self._ask(str(model), mine)
            except TamisError as refused:
                errors |= {request.number: refused for request in mine}
        for request in group:
            if (error := errors.get(request.number)) is not None:
                self._counts.failed += 1
                said = self._said(error)
                self._counts.errors[said] = self._counts.errors.get(said, 0) + 1
                bad.write(orjson.dumps(self._envelope(request, None, error)) + b"\n")
            else:
                self._counts.succeeded += 1
                out.write(orjson.dumps(self._envelope(request, answers[request.number], None)) + b"\n")

    def _ask(self, model: str, requests: list[_Request]) -> dict[int, dict[str, Any]]:
        predictor, name = self._find(model)
        if name not in self._answering:
            thresholds = {target.name: predictor.thresholds(target.name) for target in predictor.targets}
            self._answering[name] = Answering(predictor.targets, thresholds, predictor.judged)
        inputs: list[Input] = [given for request in requests if request.question for given in request.question.inputs]
        scores = predictor.checked_scores(inputs)
        answers, at = {}, 0
        for request in requests:
            n = len(request.question.inputs) if request.question else 0
            mine = {target: rows[at : at + n] for target, rows in scores.items()}
            answers[request.number] = self._answering[name].answer(self._batch.endpoint, model, mine)
            at += n
        return answers

    def _envelope(
        self, request: _Request, answer: Mapping[str, Any] | None, error: TamisError | None
    ) -> dict[str, Any]:
        response = {"status_code": 200, "body": answer}
        if error is not None:
            said = self._said(error)
            message = {"object": "error", "message": said, "type": "invalid_request_error", "code": error.code}
            response = {
                "status_code": 422 if isinstance(error, InvalidRequest | LimitExceeded) else 400,
                "body": message,
            }
        return {
            "id": f"batch-{self._batch.id[:8]}-{request.number}-{uuid4()}",
            "custom_id": request.custom_id,
            "response": response,
            "error": None if error is None else {"message": self._said(error), "code": error.code},
        }

    def _said(self, error: TamisError) -> str:
        return sentence_of(error, self._tools.choices.home)[1]

    def _commit(self, writer: Writer, file_id: str, sample_type: str) -> FileRecord:
        """Store the file's bytes; it is there once the batch has ended with it."""
        done = writer.commit()
        return FileRecord(
            id=file_id,
            name=f"{self._batch.id}_{'results' if sample_type == 'batch_result' else 'errors'}.jsonl",
            purpose="batch",
            source="mistral",
            sample_type=sample_type,
            bytes=done.bytes,
            sha256=done.sha256,
            key=f"files/{file_id}",
            created_at=int(time()),
            num_lines=self._counts.succeeded if sample_type == "batch_result" else self._counts.failed,
            mimetype="application/jsonl",
            created_by=self._batch.created_by,
        )


def _groups(requests: Iterator[_Request]) -> Iterator[list[_Request]]:
    """Yield requests together that are asked together: bounded in number and characters."""
    group: list[_Request] = []
    size = 0
    for request in requests:
        group.append(request)
        for given in request.question.inputs if request.question else ():
            size += len(given) if isinstance(given, str) else sum(len(message.content) for message in given)
        if len(group) >= AT_ONCE or size >= CHARACTERS_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def lines_of(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines that hold something, however the bytes were cut.

    Raises:
        DataError: a line is longer than memory should hold.
    """
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > MOST_LINE:
            raise DataError(f"A line of the batch is longer than {MOST_LINE:,} bytes.")
    if rest.strip():
        yield rest
