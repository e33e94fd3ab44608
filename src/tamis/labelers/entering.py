"""From references to contenders: `baseline:NAME`, `llm:MODEL@URL`, and models by folder, name or repository.

Owns what each contender is told before the comparison: which labels there are, which rows it may learn from. It knows
neither the rows that are measured nor what any contender says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from tamis.data.dataset import Dataset
from tamis.data.loading import Check
from tamis.data.recoding import only
from tamis.errors import DataError, InvalidSetting
from tamis.labelers.asking import Asking
from tamis.labelers.budget import Budget, Price
from tamis.labelers.contenders import BaselineContender, LlmContender
from tamis.labelers.endpoint import Endpoint, is_llm, parse_llm
from tamis.ml.baselines import BASELINES, PREFIX, fit_baseline
from tamis.schema import Kind, Target

if TYPE_CHECKING:
    from tamis.labelers.shots import Shots

THRESHOLD_ROWS = 200
"""Rows that an LLM is asked about more, to choose a share of votes on."""

LEAST_COST = 1e-12
"""What is left of a budget that is used up: enough for nothing."""


@dataclass(frozen=True, slots=True)
class Llms:
    """How the LLMs of a comparison are asked, and what they cost.

    Attributes:
        asking: how; its `shots` are made of the training rows when there are any.
        shots: examples a label that are shown, drawn once; with `nearest`, examples in all, the nearest to each text.
        nearest: whether examples are the nearest ones.
        prices: of a million tokens, by model.
        price: of a million tokens of any other model.
        most_cost: what all LLMs together may cost; nothing is asked that could exceed it.
        cache: folder of answers from earlier runs; None keeps none.
        key: for the endpoint; never shown. Where LLMs of several hosts are asked, it goes to that of `default_url`.
        default_url: of `llm:MODEL` without a URL.
    """

    asking: Asking = field(default_factory=Asking)
    shots: int = 0
    nearest: bool = False
    prices: Mapping[str, Price] = field(default_factory=dict)
    price: Price | None = None
    most_cost: float | None = None
    cache: Path | None = None
    key: str = field(default="", repr=False)
    default_url: str = ""

    def keyless(self, references: Iterable[str]) -> frozenset[str]:
        """Return the hosts among those of LLMs that the key is not for: nobody's key is shown to somebody else."""
        hosts = {host_of(parse_llm(reference, default_url=self.default_url)) for reference in references}
        if not self.key or len(hosts) < 2:
            return frozenset()
        return frozenset(hosts - {host_of(Endpoint("", self.default_url))})

    def price_of(self, model: str) -> Price | None:
        """What a million tokens of a model cost, where known."""
        return self.prices.get(model, self.price)


@dataclass(frozen=True, slots=True)
class Learning:
    """Rows that contenders may learn from, and choose thresholds on."""

    train: Dataset | None = None
    validation: Dataset | None = None
    train_name: str = "the training file"


def host_of(endpoint: Endpoint) -> str:
    """Return where an endpoint is: scheme, host and port."""
    parts = urlsplit(endpoint.base_url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def names_of(given: Mapping[str, object] | Sequence[object]) -> dict[str, object]:
    """Return the contenders by the names they have in the comparison: each name once, as short as can be.

    Raises:
        InvalidSetting: there are fewer than two, or more than `MOST`.
    """
    if isinstance(given, Mapping):
        found = {str(name): what for name, what in given.items()}
    else:
        found = {}
        short = [_name(what) for what in given]
        for what, name in zip(given, short, strict=True):
            full = str(what) if isinstance(what, str | Path) and short.count(name) > 1 else name
            number, unique = 2, full
            while unique in found:
                unique, number = f"{full} ({number})", number + 1
            found[unique] = what
    if not 2 <= len(found) <= MOST:
        raise InvalidSetting(
            f"{len(found)} contender(s): give 2 to {MOST}, such as a model and baseline:tfidf.", setting="contenders"
        )
    return found


MOST = 20
"""Contenders of one comparison."""


def _name(given: object) -> str:
    if not isinstance(given, str | Path):
        return str(getattr(given, "name", given))
    reference = str(given)
    if is_llm(reference):
        model, at, _ = reference.rpartition("@http")
        return model if at else reference
    return reference.rstrip("/") or reference


def is_baseline(given: object) -> bool:
    """Whether this names a baseline.

    Raises:
        InvalidSetting: it begins like one, and there is no such baseline.
    """
    if not isinstance(given, str) or not given.startswith(PREFIX):
        return False
    if given.removeprefix(PREFIX) not in BASELINES:
        raise InvalidSetting(
            f"There is no {given!r}: take {', '.join(PREFIX + name for name in BASELINES)}.", setting="contenders"
        )
    return True


def common_targets(named: Mapping[str, Sequence[Target]]) -> tuple[Target, ...]:
    """Return the targets that all have, each with the labels of all together.

    Args:
        named: targets by contender (or file), in an order that decides that of the labels.

    Raises:
        DataError: there is none, or one is single-label for one and multi-label for another.
    """
    first, *others = named.values()
    names = [target.name for target in first if all(target.name in {t.name for t in other} for other in others)]
    if not names:
        told = "; ".join(f"{who} has {', '.join(t.name for t in targets)}" for who, targets in named.items())
        raise DataError(f"The contenders have no target in common: {told}. Name the same target alike.")
    return tuple(_together(name, named) for name in names)


def all_targets(named: Mapping[str, Sequence[Target]]) -> tuple[Target, ...]:
    """Return every target that anybody has, each with the labels of all who have it."""
    names = dict.fromkeys(target.name for targets in named.values() for target in targets)
    return tuple(_together(name, named) for name in names)


def outside_of_all(named: Mapping[str, Sequence[Target]]) -> str | None:
    """Return the one label of rows out of scope that some have and that is a label for none."""
    targets = [target for each in named.values() for target in each]
    outside = {target.oos_label for target in targets if target.oos_label is not None}
    outside -= {label for target in targets for label in target.labels}
    return outside.pop() if len(outside) == 1 else None


def _together(name: str, named: Mapping[str, Sequence[Target]]) -> Target:
    there = [(who, target) for who, targets in named.items() for target in targets if target.name == name]
    by_kind: dict[Kind, str] = {}
    for who, target in there:
        by_kind.setdefault(target.kind, who)
    if len(by_kind) > 1:
        raise DataError(
            f"Target {name!r} is single-label for {by_kind[Kind.SINGLE_LABEL]} and multi-label for "
            f"{by_kind[Kind.MULTI_LABEL]}: they answer different questions, and cannot be compared. Give the labels of "
            "multi-label rows as lists everywhere.",
            target=name,
        )
    return Target(
        name=name,
        kind=there[0][1].kind,
        labels=tuple(dict.fromkeys(label for _, target in there for label in target.labels)),
        none_labels=tuple(dict.fromkeys(label for _, target in there for label in target.none_labels)),
        oos_label=next((target.oos_label for _, target in there if target.oos_label), None),
    )


def enter_baseline(
    name: str, reference: str, learning: Learning, targets: Sequence[Target], seed: int, check: Check
) -> BaselineContender:
    """Return a baseline that has learnt from the training rows.

    Raises:
        InvalidSetting: there are none.
    """
    if learning.train is None:
        raise InvalidSetting(
            f"{reference} has to learn from something: give the rows that your model learnt from with --train FILE "
            "(in Python train=...).",
            setting="train",
        )
    mine = [target.name for target in targets]
    train = only(learning.train, mine)
    validation = None if learning.validation is None else only(learning.validation, mine)
    baseline = fit_baseline(reference.removeprefix(PREFIX), train, validation, seed=seed, check=check)
    return BaselineContender(name, baseline, f"{_ABOUT[baseline.kind]}, from {len(train):,} rows")


_ABOUT = {
    "majority": "the most frequent labels, always",
    "random": "labels drawn by how frequent they are",
    "tfidf": "TF-IDF of words and characters with logistic regression",
}


def enter_llm(
    name: str, endpoint: Endpoint, llms: Llms, learning: Learning, targets: Sequence[Target], spent: float
) -> LlmContender:
    """Return an LLM that is told the labels of all contenders, and shown examples where that is asked for.

    Raises:
        InvalidSetting: examples are asked for and there are no training rows, or a budget and there is no price.
    """
    from tamis.labelers.cache import Cache
    from tamis.labelers.labeler import Labeler

    asking = replace(llms.asking, shots=llms.asking.shots or _shots(llms, learning, targets))
    price = llms.price_of(endpoint.model)
    budget = _budget(llms, price, endpoint, spent)
    cache = None if llms.cache is None else Cache.of(llms.cache, endpoint)
    return LlmContender(
        name,
        Labeler(endpoint, targets, asking=asking, cache=cache, budget=budget),
        tuple(targets),
        _about(endpoint, llms),
        samples=asking.samples,
        price=price,
        budget=budget,
        cache=cache,
    )


def _about(endpoint: Endpoint, llms: Llms) -> str:
    shown = ""
    if llms.shots:
        shown = f", shown {llms.shots} {'nearest examples' if llms.nearest else 'examples a label'}"
    asked = "" if llms.asking.samples == 1 else f", asked {llms.asking.samples} times about each text"
    return f"{endpoint.model} at {endpoint.shown}{shown}{asked}"


def _budget(llms: Llms, price: Price | None, endpoint: Endpoint, spent: float) -> Budget:
    if llms.most_cost is None:
        return Budget(price=price)
    if price is None:
        raise InvalidSetting(
            f"A budget needs the price of {endpoint.model}: give --price {endpoint.model}=IN,OUT (of a million tokens "
            "each; in Python prices).",
            setting="price",
        )
    return Budget(price=price, most_cost=max(llms.most_cost - spent, LEAST_COST))


def _shots(llms: Llms, learning: Learning, targets: Sequence[Target]) -> Shots | None:
    if not llms.shots:
        return None
    if learning.train is None:
        raise InvalidSetting(
            "Examples for an LLM come from training rows: give them with --train FILE (in Python train=...).",
            setting="train",
        )
    from tamis.labelers.shots import DrawnShots, NearestShots

    rows = only(learning.train, [target.name for target in targets])
    if not llms.nearest:
        return DrawnShots(rows, llms.shots)
    from tamis.ml.cards import CARDS
    from tamis.ml.static.base_model import load_packaged

    return NearestShots(rows, llms.shots, load_packaged(CARDS["static-en"]))


def threshold_rows(learning: Learning, targets: Sequence[Target], seed: int) -> Dataset | None:
    """Return validation rows to choose shares of votes on; None where there are none, or nothing to choose."""
    multi = [target.name for target in targets if target.is_multi]
    if learning.validation is None or not multi:
        return None
    rows = only(learning.validation, [target.name for target in targets])
    known = np.flatnonzero(np.any([rows.truth[name].known for name in multi], axis=0))
    chosen = np.random.default_rng(seed).permutation(known)[:THRESHOLD_ROWS]
    return rows.select(np.sort(chosen)) if len(chosen) else None
