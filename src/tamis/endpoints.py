"""The endpoints that answer with a model: what they take and what they answer, for HTTP and batch jobs alike.

Classifications and moderations of texts and of chats, as the hosted services' SDKs send and read them. It knows no
HTTP: a body is bytes or a JSON object, an answer is a JSON object. Every refusal names the place in the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from tamis.errors import InvalidRequest, LimitExceeded
from tamis.schema import Input, Kind, Message, Target

if TYPE_CHECKING:
    from tamis.settings import Settings

CLASSIFICATIONS = "/v1/classifications"
CHAT_CLASSIFICATIONS = "/v1/chat/classifications"
MODERATIONS = "/v1/moderations"
CHAT_MODERATIONS = "/v1/chat/moderations"
ENDPOINTS = (CLASSIFICATIONS, CHAT_CLASSIFICATIONS, MODERATIONS, CHAT_MODERATIONS)

MODERATING = (MODERATIONS, CHAT_MODERATIONS)

DIGITS = 8
"""Decimal places of scores in answers."""

FEW = 32
"""Scores for which plain arithmetic is quicker than arrays."""

EVIDENCE_DIGITS = 4

Floats = NDArray[np.float32]
Json = dict[str, Any]

Judge = Callable[[Mapping[str, Floats]], Mapping[str, tuple[Floats, NDArray[np.bool_]] | None]]
"""From scores to each target's (n,) evidence, and whether it is too little for an answer; None without a rule."""


@dataclass(frozen=True, slots=True)
class InputLimits:
    """How much one request may hold."""

    inputs: int = 2048
    input_chars: int = 200_000
    request_chars: int = 4_000_000
    messages: int = 1024
    explained: int = 8
    explained_chars: int = 20_000

    @classmethod
    def of(cls, settings: Settings) -> InputLimits:
        """Return what the operator's settings allow."""
        return cls(
            inputs=settings.max_inputs,
            input_chars=settings.max_input_chars,
            request_chars=settings.max_request_chars,
            messages=settings.max_messages,
            explained=settings.max_explained_inputs,
            explained_chars=settings.max_explained_chars,
        )


LARGE = 100_000
"""Bytes of a body from which it is looked at before it is validated, since that would take seconds."""

HEAVY = 2**18
"""Bytes of a body from which it is read in a thread: reading what is smaller takes a millisecond or two."""

MOST_VALUES = 2_000_000
"""Values in any body: as objects they take a few hundred megabytes, and a tenth of a second to make."""

VALUES_A_MESSAGE = 20
"""Values that a message, or a part of one, may have on average."""

LEAST_VALUES = 500_000
"""So many are no trouble, however little may be asked."""

_MARK = re.compile(rb'(?:[^"\[{,]++|"(?:[^"\\]++|\\.)*+"?){0,99}+[\[{,]?', re.DOTALL)
"""Up to the next character that begins a value of a JSON document, outside of its strings; not far at a time."""

LEAST_CHARS = 100
"""Characters that each message, or part of one, of a large body counts as at least: so much do small ones cost."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks: a model's name, where it gives one, the inputs, and how many words to explain each with."""

    model: str | None
    inputs: list[Input]
    explain: int | None = None


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str | None = None


def _only_text(kind: object) -> object:
    if kind != "text":
        raise ValueError("only parts of the type text can be read here: leave out images and the like")
    return kind


class Part(BaseModel):
    """A part of an input, or of a message."""

    model_config = ConfigDict(extra="ignore")

    type: Annotated[Literal["text"], BeforeValidator(_only_text)] = "text"
    text: str


def _joined(content: object) -> object:
    """A message's content as a string: null is what tool calls leave, text parts are joined by line breaks."""
    if content is None:
        return ""
    if isinstance(content, list):
        return "\n".join(part if isinstance(part, str) else Part.model_validate(part).text for part in content)
    return content


_Each = Field(fail_fast=True)
"""A list of which the first fault is told: millions would take minutes."""


class ChatMessage(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(extra="ignore")

    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: Annotated[str, BeforeValidator(_joined)] = ""


class Chat(BaseModel):
    """A chat."""

    model_config = ConfigDict(extra="ignore")

    messages: Annotated[list[ChatMessage], Field(min_length=1, fail_fast=True)]


MOST_EXPLAINED = 1_000
"""Pieces of an input that an answer explains a label with at most."""


class Explain(BaseModel):
    """How far to explain: so many pieces of an input for each label, the strongest."""

    model_config = ConfigDict(extra="forbid")  # an option of our own: a misspelt one must not be passed over

    top: Annotated[int, Field(ge=1, le=MOST_EXPLAINED)] = 10


class _Explained(_Body):
    explain: bool | Explain | None = None

    @property
    def top(self) -> int | None:
        """How many pieces are asked for; None: no explanation."""
        if isinstance(self.explain, Explain):
            return self.explain.top
        return Explain().top if self.explain else None


class TextBody(_Explained):
    """Body of the classification endpoint for texts."""

    input: str | Annotated[list[str], _Each]


class ModerationBody(_Body):
    """Body of the moderation endpoint for texts: a text, several, or the parts of one."""

    input: str | Annotated[list[str], _Each] | Annotated[list[Part], _Each]


class ChatBody(_Explained):
    """Body of the chat classification endpoint."""

    input: Chat | Annotated[list[Chat], _Each]


class MessagesBody(_Body):
    """Body of the chat moderation endpoint: a chat is a list of messages."""

    input: Annotated[list[ChatMessage], _Each] | Annotated[list[Annotated[list[ChatMessage], _Each]], _Each]


def _texts(body: _Body) -> list[Input]:
    given = cast("TextBody", body).input
    return [given] if isinstance(given, str) else cast("list[Input]", given)


def _moderated(body: _Body) -> list[Input]:
    given = cast("ModerationBody", body).input
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], Part):
        return ["\n".join(part.text for part in given if isinstance(part, Part))]
    return cast("list[Input]", given)


def _chats(body: _Body) -> list[Input]:
    given = cast("ChatBody", body).input
    return [_chat(chat.messages) for chat in (given if isinstance(given, list) else [given])]


def _conversations(body: _Body) -> list[Input]:
    given = cast("MessagesBody", body).input
    several = not given or isinstance(given[0], list)
    return [_chat(cast("list[ChatMessage]", chat)) for chat in (given if several else [given])]


def _chat(messages: Sequence[ChatMessage]) -> Input:
    return tuple(Message(message.role, message.content) for message in messages)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    body: type[_Body]
    inputs: Callable[[_Body], list[Input]]
    moderates: bool


_KINDS: dict[str, _Endpoint] = {
    CLASSIFICATIONS: _Endpoint(TextBody, _texts, moderates=False),
    CHAT_CLASSIFICATIONS: _Endpoint(ChatBody, _chats, moderates=False),
    MODERATIONS: _Endpoint(ModerationBody, _moderated, moderates=True),
    CHAT_MODERATIONS: _Endpoint(MessagesBody, _conversations, moderates=True),
}


def read_question(endpoint: str, body: bytes | Mapping[str, object], limits: InputLimits) -> Question:
    """Read a request's body.

    Raises:
        InvalidRequest: it is not what the endpoint takes; the context's `details` has an entry for each fault.
        LimitExceeded: it holds more than a limit allows.
    """
    kind = _KINDS[endpoint]
    if isinstance(body, bytes) and len(body) > LARGE:
        _refuse_many(body, limits)
    try:
        read = kind.body.model_validate_json(body) if isinstance(body, bytes) else kind.body.model_validate(body)
    except ValidationError as error:
        raise _invalid(error) from None
    inputs = kind.inputs(read)
    refuse_beyond(inputs, limits)
    top = read.top if isinstance(read, _Explained) else None
    if top is not None:
        _refuse_explaining(inputs, limits)
    return Question(read.model, inputs, top)


def _refuse_explaining(inputs: Sequence[Input], limits: InputLimits) -> None:
    """Refuse to explain so much at once: each word of it takes work of its own."""
    place: list[str | int] = ["body", "explain"]
    if len(inputs) > limits.explained:
        raise _beyond("max_explained_inputs", limits.explained, len(inputs), "inputs to explain", place)
    size = sum(len(given) if isinstance(given, str) else sum(len(each.content) for each in given) for given in inputs)
    if size > limits.explained_chars:
        raise _beyond("max_explained_chars", limits.explained_chars, size, "characters to explain", place)


def _invalid(error: ValidationError) -> InvalidRequest:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    details = [{"type": each["type"], "loc": _place(each["loc"]), "msg": each["msg"]} for each in found[:10]]
    details.sort(key=lambda detail: -len(cast("list[object]", detail["loc"])))  # of alternatives, what came furthest
    loc = cast("list[str | int]", details[0]["loc"])
    return InvalidRequest(f"{'.'.join(map(str, loc))}: {details[0]['msg']}.", details=details, loc=loc)


def _place(loc: tuple[str | int, ...]) -> list[str | int]:
    """Where in the body, without pydantic's names of the alternatives of `input`."""
    known = [part for at, part in enumerate(loc) if at != 1 or isinstance(part, int)]
    return ["body", *known]


def refuse_crowded(body: bytes, most: int = MOST_VALUES, setting: str = "") -> None:
    """Do nothing where a JSON document has no more values than that; it need not be a good one.

    They are counted where other threads get their turns, which they do not while a document is parsed.

    Raises:
        LimitExceeded: it has more.
    """
    at = seen = 0
    while at < len(body) and (found := _MARK.match(body, at)):
        if seen > most:
            which = f" ({setting})" if setting else ""
            message = f"body: more than {most:,} values{which}: send less at a time."
            raise LimitExceeded(message, loc=["body"], setting=setting, limit=most)
        at, seen = found.end(), seen + 1


def _refuse_many(body: bytes, limits: InputLimits) -> None:
    """Refuse a large body of very many small things before each is validated, which would hold up everybody."""
    fitting = VALUES_A_MESSAGE * (limits.inputs + limits.request_chars // LEAST_CHARS)
    refuse_crowded(body, max(fitting, LEAST_VALUES), "max_request_chars")
    try:
        given = from_json(body)
    except ValueError:
        return  # the validation says where
    inputs = given.get("input") if isinstance(given, dict) else None
    if not isinstance(inputs, list):
        inputs = [inputs]
    first = inputs[0] if inputs else None
    one = isinstance(first, dict) and "messages" not in first  # a chat to moderate
    most, setting, what = (
        (limits.messages, "max_messages", "messages") if one else (limits.inputs, "max_inputs", "inputs")
    )
    if len(inputs) > most:
        raise _beyond(setting, most, len(inputs), what, ["body", "input"])
    chats = [inputs] if one else [_messages(each) for each in inputs]
    for index, chat in enumerate(chats):
        if len(chat) > limits.messages:
            raise _beyond("max_messages", limits.messages, len(chat), "messages", ["body", "input", index])
    small = LEAST_CHARS * sum(_parts(message) for chat in chats for message in chat)
    if small > limits.request_chars:
        what_counts = f"characters in all, where a message counts as {LEAST_CHARS} at least"
        raise _beyond("max_request_chars", limits.request_chars, small, what_counts, ["body", "input"])


def _messages(given: object) -> list[object]:
    """The messages of a chat, however the endpoint takes it; of anything else, none."""
    found = given.get("messages") if isinstance(given, dict) else given
    return found if isinstance(found, list) else []


def _parts(message: object) -> int:
    content = message.get("content") if isinstance(message, dict) else None
    return max(len(content), 1) if isinstance(content, list) else 1


def refuse_beyond(inputs: Sequence[Input], limits: InputLimits, field: str = "input") -> None:
    """Do nothing where there are inputs, no more and no longer than is allowed; `field` is where they are in the body.

    Raises:
        InvalidRequest: there is none.
        LimitExceeded: there is too much.
    """
    place: list[str | int] = ["body", field]
    if not inputs:
        raise InvalidRequest(f"body.{field}: the list is empty: give at least one input.", loc=place)
    if len(inputs) > limits.inputs:
        raise _beyond("max_inputs", limits.inputs, len(inputs), "inputs", place)
    total = 0
    for index, given in enumerate(inputs):
        if isinstance(given, str):
            size = len(given)
        else:
            size = sum(len(message.content) for message in given)
            if len(given) > limits.messages:
                raise _beyond("max_messages", limits.messages, len(given), "messages", [*place, index])
        if size > limits.input_chars:
            raise _beyond("max_input_chars", limits.input_chars, size, "characters", [*place, index])
        total += size
    if total > limits.request_chars:
        raise _beyond("max_request_chars", limits.request_chars, total, "characters in all", place)


def _beyond(setting: str, limit: int, value: int, what: str, loc: list[str | int]) -> LimitExceeded:
    place = ".".join(map(str, loc))
    return LimitExceeded(
        f"{place}: {value:,} {what}, and {limit:,} are allowed ({setting}): send less at a time.",
        setting=setting,
        limit=limit,
        value=value,
        loc=loc,
    )


class Answering:
    """Turns the scores of one model into answers; made once a model, since it prepares what all answers share."""

    def __init__(
        self, targets: Sequence[Target], thresholds: Mapping[str, Floats | None], judge: Judge = lambda _: {}
    ) -> None:
        """Take the targets, from which score each label of a multi-label one is given, and who says what is silent."""
        self._targets, self._judge = tuple(targets), judge
        several = sum(target.kind is Kind.MULTI_LABEL for target in targets) > 1
        self._categories = [
            _Categories.of(target, cast("Floats", thresholds[target.name]), several)
            for target in targets
            if target.kind is Kind.MULTI_LABEL
        ]

    def answer(self, endpoint: str, model: str, scores: Mapping[str, Floats]) -> Json:
        """Return the body of the answer; `model` is the name that was asked for, `scores` (n, labels) by target.

        Raises:
            InvalidRequest: the endpoint moderates, and no target of the model is multi-label.
        """
        moderates = _KINDS[endpoint].moderates
        if moderates and not self._categories:
            raise InvalidRequest(
                f"body.model: {model} cannot moderate, since none of its targets is multi-label. Train one with lists "
                f"of labels, or use {CLASSIFICATIONS}.",
                loc=["body", "model"],
            )
        results = self._moderations(scores) if moderates else self._classifications(scores)
        name = token_hex(16)
        return {"id": f"mod-{name}" if moderates else name, "model": model, "results": results}

    def _classifications(self, scores: Mapping[str, Floats]) -> list[Json]:
        columns, judged = [], self._judge(scores)
        for target in self._targets:
            labels, rule = target.labels, judged.get(target.name)
            answers: list[Json] = [
                {"scores": dict(zip(labels, row, strict=True))} for row in _rows(scores[target.name])
            ]
            if rule is not None:
                for answer, silent, evidence in zip(answers, rule[1].tolist(), rule[0].tolist(), strict=True):
                    answer["abstained"], answer["evidence"] = silent, round(evidence, EVIDENCE_DIGITS)
            columns.append(answers)
        names = [target.name for target in self._targets]
        if len(names) == 1:
            return [{names[0]: answer} for answer in columns[0]]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _moderations(self, scores: Mapping[str, Floats]) -> list[Json]:
        n = len(next(iter(scores.values())))
        results: list[Json] = [{"flagged": False, "categories": {}, "category_scores": {}} for _ in range(n)]
        for target in self._categories:
            given = (scores[target.name] >= target.thresholds) & ~target.nothing
            rows = zip(results, given.tolist(), _rows(scores[target.name]), strict=True)
            for result, flags, row in rows:
                result["flagged"] = result["flagged"] or any(flags)
                result["categories"].update(zip(target.names, flags, strict=True))
                result["category_scores"].update(zip(target.names, row, strict=True))
        for result in results:
            result["category_applied_input_types"] = {name: ["text"] for name in result["categories"]}
        return results


@dataclass(frozen=True, slots=True, eq=False)
class _Categories:
    """A multi-label target as moderation sees it: `names` of its categories, and which labels mean nothing applies."""

    name: str
    names: tuple[str, ...]
    thresholds: Floats
    nothing: NDArray[np.bool_]

    @classmethod
    def of(cls, target: Target, thresholds: Floats, several: bool) -> _Categories:
        names = tuple(f"{target.name}/{label}" if several else label for label in target.labels)
        nothing = np.array([label in target.none_labels for label in target.labels], dtype=bool)
        return cls(target.name, names, thresholds, nothing)


def _rows(scores: Floats) -> list[list[float]]:
    if scores.size <= FEW:
        return [[round(score * 10**DIGITS) / 10**DIGITS for score in row] for row in scores.tolist()]
    rounded = scores.astype(np.float64)
    rounded *= 10**DIGITS
    np.rint(rounded, out=rounded)
    rounded /= 10**DIGITS
    rows: list[list[float]] = rounded.tolist()
    return rows
