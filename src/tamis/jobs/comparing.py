"""Comparisons that the dashboard asked for: models, baselines and LLMs of the configured endpoint on the same file.

What may be asked is decided by `workspace.comparisons`; how contenders are measured by `labelers.comparing`. The key of
the endpoint is a setting, and stands neither in what was asked nor in what comes of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tamis.data.dataset import Dataset
from tamis.data.loading import MOST_BAD_SHARE
from tamis.errors import InvalidSetting, UnknownModel, UnknownOperation
from tamis.evaluation.comparison import Comparison
from tamis.evaluation.comparison_page import build_page
from tamis.evaluation.comparison_verdict import value_text, verdict
from tamis.jobs.operating import Acting, Done
from tamis.jobs.tools import Tools, files_here
from tamis.labelers.asking import Asking
from tamis.labelers.budget import Price
from tamis.labelers.comparing import Told, compare
from tamis.labelers.contenders import Contender, LlmContender, Spoken
from tamis.labelers.earlier import EarlierAnswers, EarlierContender
from tamis.labelers.entering import Llms
from tamis.ml.model import Model, load
from tamis.store.artifacts import CACHE, folder_of

KEPT_ANSWERS = "llm-answers"
"""The folder of the home where answers of LLMs are kept, so that none is paid for twice."""

BASELINES = {
    "tfidf": "TF-IDF baseline",
    "majority": "Most frequent label",
    "random": "Guessing",
}
"""What baselines are called in a report."""

ANSWERS = "answers"
"""Where the result has what LLMs said row by row, and its summary whose answers these are."""

CURES = {
    "limit": "The file and the labels are too many for one comparison: ask about fewer rows.",
    "train": "A training file is needed here: the baselines learn from it, and examples for LLMs come from it.",
}
"""What is said in place of the names of options, by setting."""


def act(acting: Acting) -> Done:
    """Compare, and return the comparison with its page, both as JSON."""
    told, tools = acting.told, acting.tools
    contenders = entered(tools, told)
    files = [told["file"], *([told["train"]] if told.get("train") else [])]
    answers: list[EarlierAnswers] = []

    def keep(contender: Contender, spoken: Spoken, rows: Dataset) -> None:
        if isinstance(contender, LlmContender):
            answers.append(EarlierAnswers.of(contender, spoken, rows))

    with files_here(tools.store, files, acting.work) as paths:
        try:
            comparison = compare(
                contenders,
                paths[told["file"]],
                train=paths[told["train"]] if told.get("train") else None,
                limit=told.get("limit"),
                llms=asked_llms(tools, told),
                options=tools.choices.reading,
                max_bad_share=MOST_BAD_SHARE,
                oos_label=told.get("oos_label"),
                told=teller(acting, list(contenders)),
                heard=keep,
            )
        except InvalidSetting as error:
            cure = CURES.get(str(error.context.get("setting")))
            raise InvalidSetting(cure, **error.context) if cure else error from None
    content = {
        "comparison": comparison.model_dump(mode="json"),
        "outline": build_page(comparison).outline(),
        ANSWERS: [each.model_dump(mode="json") for each in answers],
    }
    kept = [{"name": each.name, "rows": len(each.rows)} for each in answers]
    summary = {**summary_of(comparison), ANSWERS: kept}
    return Done(json.dumps(content).encode(), "comparison.json", "application/json", summary)


def entered(tools: Tools, told: Mapping[str, Any]) -> dict[str, str | Model | Contender]:
    """Return the contenders by the names that they have in the report."""
    found: dict[str, str | Model | Contender] = {model["name"]: _loaded(tools, model["id"]) for model in told["models"]}
    found |= {BASELINES[name]: f"baseline:{name}" for name in told["baselines"]}
    base_url = tools.choices.llm_base_url
    found |= {llm["name"]: f"llm:{llm['model']}@{base_url}" for llm in told["llms"]}
    return found | {each["name"]: _earlier(tools, each) for each in told.get("earlier", ())}


def asked_llms(tools: Tools, told: Mapping[str, Any]) -> Llms:
    """Return how LLMs are asked; what they may cost all together."""
    prices = {
        llm["model"]: Price(llm["price_in"] or 0.0, llm["price_out"] or 0.0)
        for llm in told["llms"]
        if llm.get("price_in") is not None or llm.get("price_out") is not None
    }
    return Llms(
        asking=Asking(context=told.get("context", "")),
        shots=told.get("shots", 0),
        prices=prices,
        most_cost=told.get("budget"),
        cache=tools.choices.home / KEPT_ANSWERS,
        key=tools.choices.llm_key,
        default_url=tools.choices.llm_base_url,
    )


def teller(acting: Acting, names: Sequence[str]) -> Told:
    """Return what tells how far a comparison is: each contender is an equal part of it."""

    def told(what: str, done: int, rows: int) -> None:
        name = next((name for name in names if what == name or what.startswith(f"{name}: ")), None)
        if name is None:
            acting.tell(0.97, "working out the differences")
            return
        within = done / rows if rows and what == name else 0.0
        stage = f"{name}: {done:,} of {rows:,} rows" if what == name else what
        acting.tell(0.95 * (names.index(name) + within) / len(names), stage)

    acting.tell(0.0, "reading the rows")
    return told


def summary_of(comparison: Comparison) -> dict[str, Any]:
    """Return what lists show of a comparison."""
    targets = []
    for name, target in comparison.targets.items():
        shown = []
        for contender in target.ranked() if target.n else ():
            figures = target.contenders[contender]
            measured = figures.figures.get(target.main_figure)
            value = None if measured is None else measured.value
            shown.append({"name": contender, "value": value, "text": value_text(target.main_figure, figures)})
        told = verdict(target, comparison)[0].text
        targets.append({"name": name, "figure": target.main_figure, "contenders": shown, "verdict": told})
    return {"n": comparison.n, "rows": comparison.rows, "targets": targets, "warnings": len(comparison.warnings)}


def _earlier(tools: Tools, told: Mapping[str, Any]) -> EarlierContender:
    """Return the LLM of an earlier comparison, with what it said there."""
    record = tools.store.operations.find(told["comparison"])
    if record is None or record.result_key is None:
        raise UnknownOperation("An earlier comparison was deleted meanwhile: choose again.", id=told["comparison"])
    content = json.loads(b"".join(tools.store.objects.read(record.result_key)))
    return EarlierContender(told["name"], EarlierAnswers.model_validate(content[ANSWERS][told["number"]]), told["when"])


def _loaded(tools: Tools, model_id: str) -> Model:
    record = tools.store.models.find(model_id)
    if record is None:
        raise UnknownModel("A model was deleted meanwhile: choose the models again.", model=model_id)
    return load(folder_of(tools.store.objects, record, tools.choices.home / CACHE))
