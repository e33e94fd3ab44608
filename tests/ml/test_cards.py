"""Cards say what was measured, and nothing of what was not."""

import json
from pathlib import Path

import pytest

from tamis.ml.cards import CARDS, SPEEDS
from tamis.ml.offered import offered

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def measured(name: str) -> float:
    """What the benchmark that a speed names found."""
    if name == "static-en":
        found = json.loads((RESULTS / "speed.json").read_bytes())
        return float(found["methods"]["tamis"]["median"]["texts_per_second"])
    found = json.loads((RESULTS / "encoder_serving.json").read_bytes())
    return float(found["found"]["servers"]["tamis"]["texts_per_second"])


@pytest.mark.parametrize("name", CARDS)
def test_speeds_are_those_of_the_benchmarks(name: str) -> None:
    speed = SPEEDS[name]
    assert speed.texts_per_second == pytest.approx(measured(name), rel=0.02)
    place = speed.source.partition(":")[0]
    assert (Path(__file__).parents[2] / place).is_file()
    (offer,) = offered([("mine", name)])
    assert offer.speed == speed


def test_what_nobody_measured_has_no_speed(tmp_path: Path) -> None:
    (offer,) = offered([("mine", str(tmp_path))])
    assert offer.speed is None
