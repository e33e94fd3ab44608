"""Examples that are shown: drawn for each label, or the nearest."""

from collections import Counter
from pathlib import Path

import pytest

from tamis.data.dataset import Dataset, build
from tamis.errors import InvalidSetting
from tamis.labelers.shots import DrawnShots, NearestShots
from tamis.ml.base_models import load_base
from tamis.ml.static.base_model import StaticBase
from tamis.schema import Example, Kind, Target
from tamis.testing import tiny_base

INTENT = Target.of("intent", Kind.SINGLE_LABEL, ("refund", "delivery"))
TOPICS = Target.of("topics", Kind.MULTI_LABEL, ("billing", "damage"))


def rows(count: int = 12) -> list[Example]:
    made = []
    for at in range(count):
        topics = [(), ("billing",), ("billing", "damage")][at % 3]
        labels = {"intent": (INTENT.labels[at % 2],), "topics": topics}
        made.append(Example(f"text {at}", labels, at, frozenset({"topics"})))
    return made


def dataset(examples: list[Example], targets: tuple[Target, ...] = (INTENT, TOPICS)) -> Dataset:
    return build(examples, targets)


def test_some_rows_of_each_label_are_drawn_and_some_of_none() -> None:
    shots = DrawnShots(dataset(rows()), 2).of("another")
    counts = Counter(label for shot in shots for name in shot.labels for label in shot.labels[name] or (f"no {name}",))
    assert counts.keys() == {"refund", "delivery", "billing", "damage", "no topics"}
    assert min(counts.values()) >= 2
    assert len({shot.input for shot in shots}) == len(shots)


def test_the_same_seed_draws_the_same_rows() -> None:
    data = dataset(rows(40))
    assert DrawnShots(data, 1, seed=3).of("x") == DrawnShots(data, 1, seed=3).of("x")
    assert DrawnShots(data, 1, seed=3).of("x") != DrawnShots(data, 1, seed=4).of("x")


def test_the_input_itself_is_never_shown() -> None:
    shots = DrawnShots(dataset(rows(4)), 4)
    assert "text 1" in {shot.input for shot in shots.of("another")}
    assert "text 1" not in {shot.input for shot in shots.of("text 1")}


def test_rows_of_which_not_all_is_known_are_not_shown() -> None:
    partly = [
        Example("partly", {"intent": ("refund",)}),
        Example("odd", {"intent": ("fraud",), "topics": ()}, listed=frozenset({"topics"})),
    ]
    shown = {shot.input for shot in DrawnShots(dataset([*rows(4), *partly]), 4).of("x")}
    assert not shown & {"partly", "odd"}
    with pytest.raises(InvalidSetting, match="labels of all targets"):
        DrawnShots(dataset(partly), 1)


def test_too_many_examples_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="1 or more"):
        DrawnShots(dataset(rows()), 0)
    labels = tuple(f"label {at}" for at in range(401))
    many = [Example(f"text {at}", {"t": (label,)}) for at, label in enumerate(labels)]
    with pytest.raises(InvalidSetting, match="nearest"):
        DrawnShots(dataset(many, (Target.of("t", Kind.SINGLE_LABEL, labels),)), 1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> StaticBase:
    loaded = load_base(str(tiny_base(tmp_path_factory.mktemp("base") / "tiny")))
    assert isinstance(loaded, StaticBase)
    return loaded


def test_the_nearest_rows_are_shown_the_nearest_last(base: StaticBase, tmp_path: Path) -> None:
    texts = ["parcel van", "invoice bank", "password login", "parcel courier box", "parcel van"]
    data = dataset([Example(text, {"intent": ("refund",)}) for text in texts], (INTENT,))
    shots = NearestShots(data, 2, base)
    assert [shot.input for shot in shots.of("van parcel")][-1] == "parcel van"
    assert len(shots.of("van parcel")) == 2
    assert "parcel van" not in [shot.input for shot in shots.of("parcel van")]
    assert {shot.input for shot in NearestShots(data, 10, base).of("x")} == set(texts)


def test_how_many_are_near_is_bounded(base: StaticBase) -> None:
    with pytest.raises(InvalidSetting, match="nearest"):
        NearestShots(dataset(rows()), 0, base)
