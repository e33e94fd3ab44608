"""A question on its way: looked up in the cache, paid for from the budget, sent in turn, and again where that may help.

What an endpoint refuses teaches its dialect, which all further questions use. An endpoint that can answer nothing (a
wrong key, no such model, no money, nobody there) ends the run. It does not know what answers mean.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from tamis.data.rows import printable
from tamis.errors import UpstreamFailed
from tamis.labelers.answer_schema import fits_strict_mode, largest_answer
from tamis.labelers.asking import Asking
from tamis.labelers.budget import Budget, Reserved
from tamis.labelers.cache import Cache, key_of
from tamis.labelers.completions import Completion, NoCompletion, complaint_of, read_completion
from tamis.labelers.dialect import Dialect, Form, is_filtered, is_too_long, is_unpaid
from tamis.labelers.endpoint import Endpoint
from tamis.labelers.exchange import Dropped, Received, post
from tamis.labelers.pace import LONGEST_WAIT_S, Pace, asked_wait
from tamis.labelers.prompts import Messages, without_system
from tamis.schema import Target

if TYPE_CHECKING:
    import httpx

LEAST_ANSWER = 256
"""Tokens that every answer may have: some LLMs say more than they need to."""

BYTES_A_TOKEN = 3
"""For counts of endpoints that count nothing: less than it is in English, so that costs are not told too low."""

BAD_ANSWERS = 3
"""Unusable answers in a row, before any usable one, after which the form of answers is asked for in a simpler way."""

AGAIN = frozenset({408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
WRONG_REQUEST = frozenset({400, 415, 422, 501})
MEANS = {
    401: "it does not accept the key: set TAMIS_LLM_API_KEY to one that it knows",
    402: "the account has no money left: top it up, and give the same command again",
    403: "the key may not use this model: choose another model, or another key",
    404: "there is no such model, or nothing at this address: check llm:MODEL@URL",
    405: "there is nothing that chats can be sent to at this address: check llm:MODEL@URL",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """How a question ended: with what the LLM said, or with why it said nothing.

    Attributes:
        completion: what was said; None where nothing was.
        why: why there is none.
        refused: whether that is because a filter took offence.
        over_budget: whether that is because the question could have exceeded the budget.
        unanswered: whether that is because the endpoint gave nothing, however often it was tried.
        dialect: how it was asked.
        cached: whether it was known from an earlier run.
    """

    completion: Completion | None
    why: str = ""
    refused: bool = False
    over_budget: bool = False
    unanswered: bool = False
    dialect: Dialect = field(default_factory=Dialect)
    cached: bool = False


class Asker:
    """Asks one LLM; made anew for each run."""

    def __init__(
        self,
        endpoint: Endpoint,
        targets: Sequence[Target],
        asking: Asking,
        cache: Cache | None,
        budget: Budget,
        client: httpx.AsyncClient,
    ) -> None:
        """Take what all questions share."""
        self._endpoint, self._targets, self._asking = endpoint, tuple(targets), asking
        self._cache, self._budget = cache, budget
        self._answer_tokens = asking.answer_tokens or max(LEAST_ANSWER, 64 + largest_answer(targets))
        first = Form.SCHEMA if fits_strict_mode(targets) else Form.OBJECT
        self._kept_as = key_of("dialect", endpoint.url, endpoint.model, str(first), self._facts())
        known = Dialect.of((cache.get(self._kept_as) or {}).get("dialect") or {}) if cache is not None else None
        self.dialect = known or Dialect(form=first)
        self._proven = known is not None
        self._bad_answers = 0
        self._ever_answered = False
        self._pace = Pace(asking.concurrency, asking.backoff_s)
        self._client = client
        self._settled = asyncio.Event()
        self._reserved = 0  # questions whose cost is not known yet
        self._over_budget = False
        self.in_flight: set[asyncio.Task[_Came]] = set()

    async def ask(self, messages: Messages, sample: int) -> Reply:
        """Return how a question ended; `sample` tells repetitions of the same question apart.

        Raises:
            UpstreamFailed: the endpoint answers nothing, so that no further question makes sense.
        """
        failed = 0
        while True:
            dialect = self.dialect
            body, tokens = self._body(messages, dialect)
            key = key_of(self._endpoint.url, body, sample)
            kept = self._cache.get(key) if self._cache is not None else None
            if kept and (known := Completion.of(kept)):
                return Reply(known, dialect=dialect, cached=True)
            reserved = await self._reserve(len(body), tokens)
            if reserved is None:
                return Reply(None, "it could have exceeded the budget", over_budget=True)
            step = await self._once(_Question(body, key, reserved, dialect), failed)
            if isinstance(step, Reply):
                return step
            failed += step

    def worked(self, dialect: Dialect) -> None:
        """Note that an answer to a question asked in this way was usable; later runs begin with it."""
        self._bad_answers = 0
        if not self._proven and dialect == self.dialect:
            self._proven = True
            if self._cache is not None:
                self._cache.put(self._kept_as, {"dialect": dialect.to_json()})

    def did_not_work(self, dialect: Dialect) -> None:
        """Note that one was not: some servers accept a schema and then answer nothing, or anything."""
        if self._proven or dialect != self.dialect or dialect.form is Form.TEXT:
            return
        self._bad_answers += 1
        if self._bad_answers >= BAD_ANSWERS:
            self._change(dialect, dialect.simpler())

    def give_room(self, dialect: Dialect) -> bool:
        """Allow longer answers after one that was cut off, and return whether to ask again."""
        if self._asking.answer_tokens is not None or not dialect.cap:
            return False
        if dialect.room < self.dialect.room:
            return True  # another question has seen to it
        roomier = dialect.roomier()
        self._change(dialect, roomier)
        return roomier is not None

    async def _reserve(self, prompt_bytes: int, tokens: int) -> Reserved | None:
        """Set aside what a question may cost; where that is too much, look again when those before it are settled.

        Once one has not fitted nothing is asked any more: short inputs alone would be a choice that nobody made.
        """
        while not self._over_budget:
            reserved = self._budget.reserve(prompt_bytes, tokens)
            if reserved is not None:
                self._reserved += 1
                return reserved
            if not self._reserved:
                self._over_budget = True
                break
            self._settled.clear()
            await self._settled.wait()
        return None

    def _settle(self) -> None:
        """Note that what a question cost is known."""
        self._reserved -= 1
        self._settled.set()

    def _facts(self) -> str:
        """What the dialect depends on beside the endpoint: the schema may be too much for it."""
        return f"{[target.model_dump_json() for target in self._targets]} {self._asking.answer_tokens}"

    def _change(self, seen: Dialect, new: Dialect | None) -> None:
        """Ask in another way from now on, unless another question has changed it already."""
        if new is not None and self.dialect == seen:
            self.dialect, self._proven, self._bad_answers = new, False, 0

    def _body(self, messages: Messages, dialect: Dialect) -> tuple[bytes, int]:
        tokens = self._answer_tokens * dialect.room
        sent = messages if dialect.system else without_system(messages)
        request: dict[str, Any] = {"model": self._endpoint.model, "messages": sent}
        request |= dialect.request(self._targets, tokens, self._asking.freedom)
        return json.dumps(request, ensure_ascii=False).encode("utf-8", "replace"), tokens

    async def _once(self, question: _Question, failed: int) -> Reply | int:
        """Send a question once; return how it ended, or what to add to the number of failures before the next time."""
        task: asyncio.Task[_Came] | None = None
        try:
            async with self._pace.turn() as epoch:
                task = asyncio.create_task(self._sent(question))
                self.in_flight.add(task)
                task.add_done_callback(self._landed)
                came = await asyncio.shield(task)
        except Dropped as dropped:
            return await self._failed(question, str(dropped), failed, never_sent=not dropped.was_sent)
        except BaseException:
            if task is None:
                self._budget.give_back(question.reserved)
                self._settle()
            raise
        return await self._judged(question, came, epoch, failed)

    def _landed(self, task: asyncio.Task[_Came]) -> None:
        self.in_flight.discard(task)
        self._settle()
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more

    async def _sent(self, question: _Question) -> _Came:
        """Send it and settle what it cost; an answer is kept at once, whether or not anybody still waits for it."""
        reserved = question.reserved
        try:
            received = await post(self._client, self._endpoint, question.body, self._asking.timeout_s)
        except BaseException as error:
            unsent = isinstance(error, Dropped) and not error.was_sent
            (self._budget.give_back if unsent else self._budget.lose)(reserved)
            raise
        came = _Came.of(received, question)
        if came.completion:
            prompt, said = came.completion.prompt_tokens or 0, came.completion.completion_tokens or 0
            self._budget.take(reserved, len(question.body), prompt, said)
            if self._cache is not None:
                self._cache.put(question.key, came.completion.to_json())
        elif came.was_refused:
            self._budget.give_back(reserved)
        else:
            self._budget.lose(reserved)
        return came

    async def _judged(self, question: _Question, came: _Came, epoch: int, failed: int) -> Reply | int:
        """What an answer means, by its status."""
        if came.completion:
            self._pace.answered()
            self._ever_answered = True
            return Reply(came.completion, dialect=question.dialect)
        status, complaint = came.status, self._masked(came.complaint)
        told = f"{status}{': ' if complaint else ''}{complaint}"
        if status == 429 and not is_unpaid(complaint):
            await self._limited(came.headers, epoch, told)
            return 0
        names_something = status in (404, 500) and question.dialect.after(complaint)
        if (status in WRONG_REQUEST and is_filtered(complaint)) or (status == 403 and is_filtered(complaint)):
            return Reply(None, f"a filter refused it ({told})", refused=True)
        if status in WRONG_REQUEST or names_something:
            return self._understood(question, complaint, told)
        if status in AGAIN:
            return await self._failed(question, told, failed, wait_s=asked_wait(came.headers))
        if status in (429, *MEANS) or 300 <= status < 400:
            raise self._hopeless(status, told)
        return Reply(None, f"the endpoint answered {told}", dialect=question.dialect)

    def _understood(self, question: _Question, complaint: str, told: str) -> Reply | int:
        """Learn from a request that was called wrong: ask in another way, or give this one up."""
        if self.dialect != question.dialect:
            return 0
        better = None
        if not is_too_long(complaint):
            untried = not (self._proven or self._ever_answered)
            better = question.dialect.after(complaint) or (question.dialect.simpler() if untried else None)
        if better is None:
            return Reply(None, f"the endpoint answered {told}", dialect=question.dialect)
        self._change(question.dialect, better)
        return 0

    async def _limited(self, headers: Mapping[str, str], epoch: int, told: str) -> None:
        """Wait as long as the endpoint's limits want it.

        Raises:
            UpstreamFailed: that is longer than there is patience for.
        """
        asked = asked_wait(headers)
        patience, waited = self._asking.patience_s, monotonic() - self._pace.since_answer
        if (asked or 0.0) > patience or waited > patience:
            wait = f"asks to wait {asked:,.0f} s" if (asked or 0.0) > patience else f"has refused for {waited:,.0f} s"
            raise UpstreamFailed(
                f"{self._endpoint.name} {wait} since too much was asked of it ({told}). Answers so far are kept: give "
                "the same command again later, with a lower --concurrency or more --patience.",
                endpoint=self._endpoint.name,
            )
        self._pace.refused(epoch, asked)

    async def _failed(
        self, question: _Question, told: str, failed: int, *, never_sent: bool = False, wait_s: float | None = None
    ) -> Reply | int:
        """Wait before the next attempt, or give up.

        Raises:
            UpstreamFailed: there is no connection, and never was.
        """
        if failed >= self._asking.retries:
            if never_sent and not self._ever_answered:
                raise UpstreamFailed(
                    f"{self._endpoint.name} cannot be reached: {self._masked(told)}. Check the URL, and whether the "
                    "server runs.",
                    endpoint=self._endpoint.name,
                )
            times = f", {failed + 1} times" if failed else ""
            return Reply(None, self._masked(told) + times, unanswered=True, dialect=question.dialect)
        wait = self._pace.backoff(failed + 1)
        await asyncio.sleep(max(wait, min(wait_s or 0.0, LONGEST_WAIT_S, self._asking.patience_s)))
        return 1

    def _hopeless(self, status: int, told: str) -> UpstreamFailed:
        if 300 <= status < 400:
            means = "it sends elsewhere, which is not followed, since the key would go along: give the right URL"
        else:
            means = MEANS[402 if status == 429 else status]
        return UpstreamFailed(
            f"{self._endpoint.name} answers {told}. That is: {means}.", endpoint=self._endpoint.name, status=status
        )

    def _masked(self, text: str) -> str:
        """A message of the endpoint without the key, which some repeat, and as one line."""
        shown = text.replace(self._endpoint.key, "***") if self._endpoint.key else text
        return printable(shown)


@dataclass(frozen=True, slots=True)
class _Question:
    """One request, ready to be sent."""

    body: bytes
    key: str
    reserved: Reserved
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class _Came:
    """What came back: a completion, or an error's status and complaint."""

    completion: Completion | None
    status: int
    complaint: str
    headers: Mapping[str, str]
    was_refused: bool = False  # so that it costs nothing

    @classmethod
    def of(cls, received: Received, question: _Question) -> _Came:
        """Read an answer; counts of tokens that the endpoint does not give are estimated."""
        status, headers = received.status, received.headers
        if not 200 <= status < 300:
            return cls(None, status, complaint_of(received.body), headers, was_refused=True)
        try:
            read = read_completion(received.body)
        except NoCompletion as none:
            return cls(None, none.status or 502, str(none), headers, was_refused=none.status is not None)
        prompt, said = read.prompt_tokens, read.completion_tokens
        if prompt is None:
            prompt = max(1, len(question.body) // BYTES_A_TOKEN)
        if said is None:
            said = max(1, len((read.content + read.refusal).encode("utf-8", "replace")) // BYTES_A_TOKEN)
        return cls(
            replace(read, prompt_tokens=prompt, completion_tokens=said, seconds=received.seconds), status, "", headers
        )
