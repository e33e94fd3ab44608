"""Inputs labelled by an LLM: predictions with how each came about and what it took.

Owns what is asked of an input (samples, a second time after an unusable answer) and what becomes of it. How a request
gets to the endpoint and back is in `asker`, what is said in `prompts`, how answers are read in `parsing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tamis.errors import InvalidSetting, UpstreamFailed
from tamis.labelers.asker import Asker, Reply
from tamis.labelers.asking import Asking
from tamis.labelers.budget import Budget
from tamis.labelers.cache import Cache
from tamis.labelers.completions import Completion
from tamis.labelers.endpoint import Endpoint
from tamis.labelers.exchange import open_client
from tamis.labelers.parsing import Parser, Reading, is_apology
from tamis.labelers.prompts import Messages, Prompts, asked_again
from tamis.labelers.votes import Labels, vote
from tamis.ml.progress import Check, nothing
from tamis.schema import Input, Prediction, Target

Told = Callable[[int, int], None]
"""Told how many inputs are done, and how many there are."""

CHECKED_S = 0.1
"""Seconds between two checks whether to go on."""

GRACE_S = 3.0
"""How long answers are waited for that are under way, and paid for, when a run is ended."""

MOST_IN_A_ROW = 20
"""Inputs in a row that the endpoint fails to answer before the run is ended."""

TURNS_AT_ONCE = 64
"""Known answers after which others get a turn."""


class Outcome(StrEnum):
    """What became of one input."""

    ANSWERED = "answered"  # every target has an answer
    REFUSED = "refused"  # the LLM, or a filter before it, declined to answer
    INVALID = "invalid"  # it answered, and for some target not with one of its labels
    FAILED = "failed"  # the endpoint did not answer, or cannot answer this input
    OVER_BUDGET = "over_budget"  # not asked: it could have exceeded the budget


@dataclass(frozen=True, slots=True)
class Labelled:
    """One input as an LLM labelled it.

    Attributes:
        prediction: the answers; None where there is none. After INVALID it may have the answers of some of the targets:
            those that are missing are unknown.
        outcome: what became of the input.
        why: for people, where the outcome is not ANSWERED, or where some of several samples had none.
        seconds: how long the endpoint took, without waits for limits; of several samples the sum.
        prompt_tokens: as the endpoint counted them, or an estimate where it does not; of all samples and repetitions.
        completion_tokens: the same of the answers.
        cached: whether nothing was asked: all of it was known from an earlier run, or from the same input in this one.
        samples: usable answers that the prediction is made of. Scores are shares of their votes where more than one was
            asked for, and no probabilities where one was (1 for what is given, 0 for what is not).
    """

    prediction: Prediction | None
    outcome: Outcome
    why: str = ""
    seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached: bool = False
    samples: int = 0


class Labeler:
    """Labels inputs with an LLM."""

    def __init__(
        self,
        endpoint: Endpoint,
        targets: Sequence[Target],
        *,
        asking: Asking | None = None,
        cache: Cache | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Take where the LLM is, what it is to choose from, and how it is to be asked.

        Args:
            endpoint: the LLM; see `tamis.labelers.endpoint.parse_llm`.
            targets: the targets with their labels.
            asking: how to ask.
            cache: where answers are kept; the same questions are not asked again in a later run.
            budget: counts what is used, and limits it; its limits hold for all that is labelled with it.

        Raises:
            InvalidSetting: there is no target, or one without labels.
        """
        if not targets or not all(target.labels for target in targets):
            raise InvalidSetting("An LLM needs targets to label, each with its labels.", setting="targets")
        self.endpoint, self.targets = endpoint, tuple(targets)
        self.asking, self.cache, self.budget = asking or Asking(), cache, budget or Budget()

    def label(
        self, inputs: Sequence[Input], *, told: Told = lambda done, total: None, check: Check = nothing
    ) -> list[Labelled]:
        """Return the inputs labelled, in their order; equal inputs are asked about once.

        Args:
            inputs: texts or chats.
            told: called with how many are done.
            check: called ten times a second; what it raises ends the run. Answers that are under way are waited for
                a moment, and kept like all others.

        Raises:
            UpstreamFailed: the endpoint answers nothing: a wrong key, no such model, no connection, no money, or
                many inputs in a row that it failed to answer.
            TamisError: answers cannot be kept.
        """
        unique = list(dict.fromkeys(inputs))
        found = dict(zip(unique, _run(lambda: self._all(unique, told, check)), strict=True))
        seen: set[Input] = set()
        labelled = []
        for given in inputs:
            labelled.append(replace(found[given], cached=True) if given in seen else found[given])
            seen.add(given)
        return labelled

    async def _all(self, inputs: Sequence[Input], told: Told, check: Check) -> list[Labelled]:
        async with open_client(self.asking.concurrency, self.asking.timeout_s) as client:
            asker = Asker(self.endpoint, self.targets, self.asking, self.cache, self.budget, client)
            run = _Run(self, asker, inputs, told)
            workers = [asyncio.create_task(run.work()) for _ in range(min(self.asking.concurrency, len(inputs)))]
            watcher = asyncio.create_task(_watch(check))
            try:
                await _all_or_first_failure(workers, watcher)
            finally:
                for task in (*workers, watcher):
                    task.cancel()
                await asyncio.gather(*workers, watcher, return_exceptions=True)
                if asker.in_flight:
                    await asyncio.wait(asker.in_flight, timeout=GRACE_S)
                late = list(asker.in_flight)
                for request in late:
                    request.cancel()
                await asyncio.gather(*late, return_exceptions=True)
        return run.labelled()


class _Run:
    """The inputs of one run, shared out to workers."""

    def __init__(self, labeler: Labeler, asker: Asker, inputs: Sequence[Input], told: Told) -> None:
        self._asker, self._inputs, self._told = asker, inputs, told
        self._asking, self._targets = labeler.asking, labeler.targets
        self._prompts = Prompts(labeler.targets, labeler.asking)
        self._parser = Parser(labeler.targets)
        self._todo: Iterator[tuple[int, Input]] = iter(enumerate(inputs))
        self._found: list[Labelled | None] = [None] * len(inputs)
        self._done = self._unanswered = self._known = 0

    def labelled(self) -> list[Labelled]:
        """All of them, once all workers have ended."""
        return [found for found in self._found if found is not None]

    async def work(self) -> None:
        """Label inputs until there are no more."""
        for at, given in self._todo:
            self._found[at] = found = await self._one(given)
            self._done += 1
            self._told(self._done, len(self._inputs))
            self._known += found.cached
            if found.cached and self._known % TURNS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _heed(self, samples: Sequence[_Sample]) -> None:
        """End a run in which nothing is answered any more."""
        unanswered = [sample.why for sample in samples if sample.unanswered]
        if unanswered:
            self._unanswered += 1
        elif any(sample.asked and sample.completions for sample in samples):
            self._unanswered = 0
        if self._unanswered >= MOST_IN_A_ROW:
            raise UpstreamFailed(
                f"{MOST_IN_A_ROW} inputs in a row were not answered, the last since: {unanswered[-1]}. Answers so far "
                "are kept: see to the endpoint, and give the same command again."
            )

    async def _one(self, given: Input) -> Labelled:
        """Ask about one input as often as is wanted, and let the answers vote."""
        messages = self._prompts.messages(given)
        samples = [await self._sample(messages, number) for number in range(self._asking.samples)]
        self._heed(samples)
        used = [sample for sample in samples if sample.usable]
        partly = [sample.labels for sample in samples if sample.labels]
        completions = [completion for sample in samples for completion in sample.completions]
        return Labelled(
            prediction=vote(self._targets, [sample.labels for sample in used] or partly),
            outcome=Outcome.ANSWERED if used else _shared([sample.outcome for sample in samples]),
            why=_why(samples),
            seconds=round(sum(completion.seconds for completion in completions), 4),
            prompt_tokens=sum(completion.prompt_tokens or 0 for completion in completions),
            completion_tokens=sum(completion.completion_tokens or 0 for completion in completions),
            cached=bool(completions) and not any(sample.asked for sample in samples),
            samples=len(used),
        )

    async def _sample(self, messages: Messages, number: int) -> _Sample:
        """Ask once; where the answer cannot be used, once more, saying why; where it was cut off, with more room."""
        sample, again = _Sample(), False
        while True:
            reply = await self._asker.ask(messages, number)
            sample.note(reply)
            completion = reply.completion
            if completion is None or completion.refusal or completion.was_filtered:
                return sample.ended(reply)
            reading = self._parser.read(completion.content)
            if not reading.faults:
                self._asker.worked(reply.dialect)
                return sample.ended(reply, reading)
            if completion.was_cut and self._asker.give_room(reply.dialect):
                continue
            self._asker.did_not_work(reply.dialect)
            if again or is_apology(completion.content):
                return sample.ended(reply, reading)
            again = True
            messages = asked_again(messages, completion.content, reading.why)


@dataclass(slots=True)
class _Sample:
    """One of several answers to the same question, with all that it took to get it."""

    outcome: Outcome = Outcome.FAILED
    why: str = ""
    labels: Labels = field(default_factory=dict)
    completions: list[Completion] = field(default_factory=list)
    asked: bool = False  # whether anything was not known before
    unanswered: bool = False  # whether the endpoint gave nothing, however often it was tried

    @property
    def usable(self) -> bool:
        """Whether every target has an answer."""
        return self.outcome is Outcome.ANSWERED

    def note(self, reply: Reply) -> None:
        """Count what was said, usable or not."""
        self.asked |= not reply.cached
        self.unanswered = reply.unanswered
        if reply.completion:
            self.completions.append(reply.completion)

    def ended(self, reply: Reply, reading: Reading | None = None) -> _Sample:
        """Tell how it ended, by the last reply."""
        completion = reply.completion
        if completion is None:
            kind = Outcome.REFUSED if reply.refused else Outcome.OVER_BUDGET if reply.over_budget else Outcome.FAILED
            self.outcome, self.why = kind, reply.why
        elif completion.was_filtered:
            self.outcome, self.why = Outcome.REFUSED, "a filter took the answer away"
        elif reading is None or (not reading.labels and is_apology(completion.content)):
            said = " ".join((completion.refusal or completion.content).split())
            self.outcome, self.why = Outcome.REFUSED, f"the LLM declined: {said[:200]}"
        elif reading.faults:
            cut = "; it was cut off at the longest that an answer may be" if completion.was_cut else ""
            self.outcome, self.why, self.labels = Outcome.INVALID, reading.why + cut, reading.labels
        else:
            self.outcome, self.labels = Outcome.ANSWERED, reading.labels
        return self


def _shared(outcomes: Sequence[Outcome]) -> Outcome:
    """What became of an input without a usable answer: what became of most samples; of as many, of the first."""
    return max(outcomes, key=outcomes.count)


def _why(samples: Sequence[_Sample]) -> str:
    unusable = [sample.why for sample in samples if not sample.usable]
    if not unusable or len(samples) == 1:
        return "".join(unusable)
    return f"{len(unusable)} of {len(samples)} samples: {'; '.join(dict.fromkeys(unusable))}"


async def _watch(check: Check) -> None:
    while True:
        check()
        await asyncio.sleep(CHECKED_S)


async def _all_or_first_failure(workers: Sequence[asyncio.Task[None]], watcher: asyncio.Task[None]) -> None:
    """Wait for all workers; raise what ends one of them, or the watcher, at once."""
    waiting: set[asyncio.Task[None]] = set(workers)
    while waiting:
        done, _ = await asyncio.wait({*waiting, watcher}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        waiting -= done


def _run(work: Callable[[], Coroutine[None, None, list[Labelled]]]) -> list[Labelled]:
    """Run it to its end, in a thread of its own where this one runs a loop already, as notebooks do."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:  # an interrupt here cancels what goes on there
        return portal.call(work)
