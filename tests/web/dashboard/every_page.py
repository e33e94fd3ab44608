"""Every page in every state worth seeing: its address, and what tells that it is that page, and that it is full."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tamis.web.dashboard import SECTIONS
from web.dashboard.furnished import (
    FAILED_JOB,
    FAILED_WAIT,
    LIVE_COMPARISON,
    LIVE_LABELS,
    LIVE_WAIT,
    LONG_TEXT,
    RUNNING_JOB,
    Furnished,
)

NO_PAGES = ("/download", "/result", "/answers", ".html", ".json", ".zip", "/stream")
"""How addresses end behind which is no page but something to take along, or to listen to."""

LINES = "\n".join(f"word{n} word80" for n in range(9))
CHAT = {"as": "chat", "role": ["user", "assistant"], "content": ["word1 word80", LONG_TEXT], "explain": "yes"}

Fields = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A page in one of its states.

    Attributes:
        path: its address.
        tells: a piece of HTML that this page has in this state alone.
        sent: the form by which one gets there; None: one goes to the address.
        stranger: whether somebody without a key opens it.
        status: what is answered.
        complains: whether it is meant to say that something went wrong.
    """

    path: str
    tells: str
    sent: Fields | None = None
    stranger: bool = False
    status: int = 200
    complains: bool = False

    def __str__(self) -> str:
        """How tests and figures call it."""
        return f"{'POST ' if self.sent is not None else ''}{self.path}"

    def wrong(self, status: int, html: str) -> str:
        """Return why an answer is not this page; "" where it is."""
        if status != self.status:
            return f"{self}: {status} instead of {self.status}"
        if self.tells not in html:
            return f"{self}: without {self.tells}"
        content = html.partition("<main")[2]
        shown = re.findall(r'class="note error"[^>]*>.{0,300}', content, re.S)
        said = [each for each in shown if " hidden" not in each.partition(">")[0]]
        return f"{self}: {said[0]}" if said and not self.complains else ""


def every_page(found: Furnished) -> list[Place]:
    """Return them, for a workspace that is furnished."""
    return [*_lists(found), *_new(found), *_model(found), *_asked(found), *_queue(found), *_apart(found)]


def not_opened(places: Sequence[Place]) -> list[str]:
    """Return the addresses of pages that none of these opens."""
    opened = {place.path.partition("?")[0] for place in places if place.sent is None}
    missing = []
    for section in SECTIONS:
        for method, path in section.pages.scopes:
            fits = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
            if method == "GET" and not path.endswith(NO_PAGES) and not any(map(fits.fullmatch, opened)):
                missing.append(path)
    return missing


def _lists(found: Furnished) -> Iterator[Place]:
    yield Place("/ui", 'class="upright"')
    yield Place("/ui/models", 'data-label="Model"')
    yield Place("/ui/models?state=archived", 'data-label="Model"')
    yield Place("/ui/jobs", 'data-label="Job"')
    yield Place("/ui/jobs?search=nothing+like+it", "Nothing found")
    yield Place("/ui/files", 'data-opens="')
    yield Place("/ui/batches", "/answers")
    yield Place("/ui/compare", found.made["comparison"])
    yield Place("/ui/keys", 'data-label="Last used"')
    yield Place("/ui/settings", 'class="meters"')
    yield Place("/ui/components", 'id="c-code"', complains=True)
    yield Place(f"/ui/jobs/{RUNNING_JOB}", 'class="curves"')
    yield Place(f"/ui/jobs/{FAILED_JOB}", 'class="note error"', complains=True)


def _new(found: Furnished) -> Iterator[Place]:
    training, test = found.files["training.jsonl"], found.files["test.jsonl"]
    data = f"/ui/new/data/{found.made['prepared']}"
    yield Place("/ui/new", 'id="upload"')
    yield Place(f"/ui/new/columns?training={found.files['table.csv']}", 'id="rows-title"')
    yield Place(f"/ui/new/columns?training={found.files['few.csv']}", 'id="rows-title"')
    yield Place(data, 'class="finding of-')
    yield Place(f"{data}/finding?{urlencode({'finding': found.made['finding']})}", 'class="item')
    yield Place(f"/ui/new/data/{LIVE_WAIT}", "data-live=")
    yield Place(f"/ui/new/data/{FAILED_WAIT}", 'class="note error"', complains=True)
    yield Place("/ui/new/train", 'id="choose-training"')
    yield Place(f"/ui/new/train?training={training}&test={test}", 'id="training"')
    wrong = {"training": training, "base": "static-en", "length": "epochs", "epochs": "many", "seed": "x"}
    yield Place("/ui/new/train", 'class="field wrong"', wrong, status=422, complains=True)


def _model(found: Furnished) -> Iterator[Place]:
    model = f"/ui/models/{found.model}"
    yield Place(model, 'class="big"')
    yield Place(f"{model}/quality", 'class="matrix"')
    yield Place(f"{model}/quality?target=1&cell=0", 'class="text"')
    yield Place(f"{model}/thresholds", 'name="t-76"')
    yield Place(f"{model}/thresholds?target=1&optimise=precision%3E%3D0.95", 'name="t-76"')
    yield Place(f"{model}/versions", 'class="alias"')
    yield Place(f"{model}/details", 'id="manifest"')
    yield Place(f"{model}/label", 'data-label="State"')
    yield Place(f"{model}/label/{found.made['labelled']}", "/result")
    yield Place(f"{model}/label/{LIVE_LABELS}", "data-live=")
    yield Place(f"{model}/use", 'id="python"')
    yield Place(f"{model}/share", 'data-label="Works until"')
    yield Place(f"{model}/share", 'class="copyable"', {"title": "One more", "days": "7", "per_minute": "30"})
    yield Place(f"{model}/share", 'class="field wrong"', {"days": "7", "per_minute": "none"}, status=422)


def _asked(found: Furnished) -> Iterator[Place]:
    model = f"/ui/models/{found.model}"
    asked = {"as": "text", "text": LONG_TEXT, "explain": "yes"}
    yield Place(f"{model}/try", 'class="said waiting"')
    yield Place(f"{model}/try?as=chat", 'class="turns"')
    yield Place(f"{model}/try", 'class="scores"', asked)
    yield Place(f"{model}/try", 'class="scores"', CHAT)
    yield Place(f"{model}/try", 'class="look"', {"as": "text", "text": LINES, "lines": "yes"})
    yield Place(f"{model}/try", 'class="why-not"', {"as": "text", "text": ""}, status=422)
    yield Place(f"{model}/correct", '<details class="correction" open>', asked, status=422)


def _queue(found: Furnished) -> Iterator[Place]:
    yield Place("/ui/queue", "/ui/queue/shop")
    yield Place("/ui/queue/shop", 'class="looked"')
    yield Place("/ui/queue/shop?reason=disagreement", 'class="lines some"')
    yield Place("/ui/queue/shop/rows", 'data-label="In the file"')
    yield Place("/ui/queue/shop/rows?state=answered", 'data-label="Answer"')
    yield Place("/ui/queue/gone", "gone")
    test, training = found.files["test.jsonl"], found.files["training.jsonl"]
    yield Place("/ui/compare/new", 'class="picks"')
    wrong = {"act": "compare", "file": test, "train": training, "limit": "many", "model": found.model}
    yield Place("/ui/compare/new", 'class="why" id="wrong-limit"', wrong, status=422, complains=True)
    yield Place(f"/ui/compare/{found.made['comparison']}", 'class="report"')
    yield Place(f"/ui/compare/{LIVE_COMPARISON}", "data-live=")


def _apart(found: Furnished) -> Iterator[Place]:
    """What stands at the ends of ways: keys that are shown once, errors, and what somebody without a key sees."""
    yield Place("/ui/keys", "Copy the key", {"name": "shown once", "scopes": "infer", "days": ""})
    yield Place("/ui/keys", 'class="field wrong"', {"name": "x", "scopes": "infer", "days": "x"}, status=422)
    yield Place("/ui/nothing-here", "not_found", status=404)
    shared = f"/ui/shared/{found.token}"
    yield Place("/ui/login", 'id="field-key"', stranger=True)
    yield Place("/ui/login", 'class="field wrong"', {"key": "wrong"}, stranger=True, status=401)
    yield Place(shared, 'class="said waiting"', stranger=True)
    yield Place(shared, 'class="scores"', {"as": "text", "text": "word1 word80"}, stranger=True)
    yield Place("/ui/shared/over", "has expired", stranger=True, status=404)
    yield Place("/ui/shared/never", "never good", stranger=True, status=404)
