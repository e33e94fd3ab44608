"""Calls to copy: how other programs ask a model of this server, in the languages and SDKs that they have already.

Every snippet is run by the tests as it stands, the SDKs' by the SDKs. It does not know pages.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from tamis.schema import Kind
from tamis.store.records import ModelRecord

TEXT = "Where is my parcel?"
"""What snippets ask where the visitor has nothing of their own."""

MOST_TEXT = 500
KEY = "TAMIS_API_KEY"
"""The environment variable that snippets take the key from: a key in a program's text is soon in a repository."""


ABSTAINED = [
    "# Where the model gives no answer, this SDK tells its best label all the same, as it knows no other way.",
    '# The call for curl does tell it: "abstained": true.',
]


@dataclass(frozen=True, slots=True)
class Name:
    """One of the names by which a model is asked, and what it stands for tomorrow."""

    reference: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What snippets are to ask.

    Attributes:
        url: of the server, without a path.
        model: to ask.
        name: one of its names; empty: its own id, as each SDK writes it.
        text: to classify.
        chat: whether the text is asked as a chat of one message.
        keys: whether the server asks for a key.
    """

    url: str
    model: ModelRecord
    name: str = ""
    text: str = TEXT
    chat: bool = False
    keys: bool = True

    @property
    def own(self) -> str:
        """How this version is called, whatever comes later."""
        return self.name or f"{self.model.name}@{self.model.version}"

    @property
    def messages(self) -> list[dict[str, str]]:
        """The text as a chat."""
        return [{"role": "user", "content": self.text}]

    @property
    def moderates(self) -> bool:
        """Whether a target of the model takes several labels."""
        return any(target.get("kind") == Kind.MULTI_LABEL for target in self.model.targets)

    @property
    def remarks(self) -> list[str]:
        """What a program is to know where the SDK's answers have no place for "no answer"."""
        if all(target.get("kind") == Kind.MULTI_LABEL for target in self.model.targets):
            return []
        return ABSTAINED


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A call to copy.

    Attributes:
        id: for links.
        title: the language, or the SDK.
        about: half a sentence on who needs it.
        install: the command before; empty where there is none.
        code: the call; empty where this model cannot be asked so.
        instead: why not, and what to do.
    """

    id: str
    title: str
    about: str
    install: str = ""
    code: str = ""
    instead: str = ""


def names_of(model: ModelRecord, aliases: Sequence[str] = ()) -> list[Name]:
    """Return the names of a model, those first that a program in use should have."""
    return [
        *(Name(alias, "an alias: stays when you promote another version to it") for alias in aliases),
        *([Name(model.ft, "this version, named as Mistral does")] if model.ft else []),
        Name(f"{model.name}@{model.version}", "this version, for good"),
        Name(model.name, "the newest version, whichever that is"),
        Name(f"{model.id}-ft", "this version, named as Cohere does"),
    ]


def snippets(asking: Asking) -> list[Snippet]:
    """Return the calls."""
    return [_curl(asking), *_mistral(asking), _cohere(asking), _openai(asking), _tamis(asking)]


def is_local(url: str) -> bool:
    """Return whether programs on other machines cannot reach that address."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _curl(asking: Asking) -> Snippet:
    path = "/v1/chat/classifications" if asking.chat else "/v1/classifications"
    given: object = [{"messages": asking.messages}] if asking.chat else [asking.text]
    body = json.dumps({"model": asking.own, "input": given}, ensure_ascii=False)
    key = [f'  -H "Authorization: Bearer ${KEY}" \\'] if asking.keys else []
    lines = [
        f"curl {shlex.quote(asking.url + path)} \\",
        *key,
        '  -H "Content-Type: application/json" \\',
        f"  -d {shlex.quote(body)}",
    ]
    return Snippet(id="curl", title="curl", about="for a terminal, or any language that speaks HTTP", code=_text(lines))


def _mistral(asking: Asking) -> list[Snippet]:
    model = _python(asking.name or asking.model.ft or asking.own)
    found = []
    for versions, module, keyword in (("", "mistralai.client", "input"), (" 1.x", "mistralai", "inputs")):
        if asking.chat:
            call = f'classify_chat(model=MODEL, {keyword}=[{{"messages": {_python(asking.messages)}}}])'
        else:
            call = f"classify(model=MODEL, inputs=[{_python(asking.text)}])"
        lines = [
            *_imports(asking, f"from {module} import Mistral"),
            f"MODEL = {model}",
            f"client = Mistral(api_key={_key(asking)}, server_url={_python(asking.url)})",
            f"answer = client.classifiers.{call}",
            *asking.remarks,
            "for target, said in answer.results[0].items():",
            "    label = max(said.scores, key=said.scores.get)",
            "    print(target, label, said.scores[label])",
        ]
        pin = "'mistralai<2'" if versions else "mistralai"
        about = "for programs that are pinned to its older versions" if versions else "Mistral's SDK, from version 2 on"
        found.append(
            Snippet(
                id=f"mistralai{'-1' if versions else ''}",
                title=f"mistralai{versions}",
                about=about,
                install=f"pip install {pin}",
                code=_text(lines),
            )
        )
    return found


def _cohere(asking: Asking) -> Snippet:
    about = "Cohere's SDK"
    if asking.chat:
        why = "Cohere's SDK asks about texts only: use one of the others for chats."
        return Snippet(id="cohere", title="cohere", about=about, instead=why)
    model = _python(asking.name or f"{asking.model.id}-ft")
    lines = [
        *_imports(asking, "import cohere"),
        f"co = cohere.Client({_key(asking)}, base_url={_python(asking.url)})",
        f"answer = co.classify(model={model}, inputs=[{_python(asking.text)}])",
        *asking.remarks,
        "for found in answer.classifications:",
        "    print(found.predictions, found.confidences)",
    ]
    return Snippet(id="cohere", title="cohere", about=about, install="pip install cohere", code=_text(lines))


def _openai(asking: Asking) -> Snippet:
    about = "OpenAI's SDK: a yes or no for each label"
    if asking.chat or not asking.moderates:
        why = (
            "OpenAI's SDK asks about texts only: use one of the others for chats."
            if asking.chat
            else "OpenAI's SDK knows moderation only: a yes or no for each of several labels. Each question of this "
            "classifier has one label as its answer: use one of the others."
        )
        return Snippet(id="openai", title="openai", about=about, instead=why)
    lines = [
        *_imports(asking, "from openai import OpenAI"),
        f"client = OpenAI(api_key={_key(asking)}, base_url={_python(asking.url + '/v1')})",
        f"answer = client.moderations.create(model={_python(asking.own)}, input=[{_python(asking.text)}])",
        "for found in answer.results:",
        "    print(found.flagged, found.category_scores.to_dict())",
    ]
    return Snippet(id="openai", title="openai", about=about, install="pip install openai", code=_text(lines))


def _tamis(asking: Asking) -> Snippet:
    given = _python(asking.messages) if asking.chat else _python(asking.text)
    lines = [
        "# Needs Tamis itself, installed as its README says.",
        "import tamis",
        "",
        f"model = tamis.load({_python(folder_name(asking.model))})",
        f"answer = model.classify({given})",
        "for target, said in answer.answers.items():",
        "    print(target, said.labels, said.confidence)" + ("  # no labels: no answer" if asking.remarks else ""),
    ]
    return Snippet(
        id="python",
        title="Python, without a server",
        about="the model in your own program: download its folder first",
        code=_text(lines),
    )


def folder_name(model: ModelRecord) -> str:
    """Return what the folder of a downloaded model is called."""
    return f"{model.name}-{model.version}"


def _imports(asking: Asking, line: str) -> list[str]:
    return [*(["import os", ""] if asking.keys else []), line, ""]


def _key(asking: Asking) -> str:
    return f'os.environ["{KEY}"]' if asking.keys else '"anything"'


def _python(value: object) -> str:
    """A value as Python writes it, which for texts and lists of them is as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines)
