"""A comparison as a page and its charts: everything on it, readable with many contenders, nothing of it run."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from evaluation.comparisons import HOSTILE, comparison_of, multi_contest, single_contest
from tamis.data.truth import SingleTruth
from tamis.errors import InvalidSetting
from tamis.evaluation import comparison_charts as charts
from tamis.evaluation.comparison import TargetContest
from tamis.evaluation.comparison_page import breakable, build_page, write_page
from tamis.evaluation.said import Said
from tamis.schema import Kind, Target

TRIO = {"shop": 0.05, f"old {HOSTILE}": 0.3, "llm:x": 0.1}


@pytest.fixture(scope="module")
def html() -> str:
    return build_page(comparison_of(single_contest(TRIO), multi_contest(TRIO))).render()


def test_it_has_a_section_for_each_part(html: str) -> None:
    for heading in (
        "Summary",
        "intent",
        "intent: Differences",
        "topics: Labels",
        "Cost and speed",
        "How it was measured",
    ):
        assert f"<h2>{heading}</h2>" in html
    assert (
        html.count('<script type="application/json">') == 8
    )  # averages, differences, labels, and speed, of two targets
    assert "sample of the 300 rows" in html
    assert "3 of the 200 texts are in the training data too." in html


def test_names_are_only_text(html: str) -> None:
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\x1b" not in html
    assert "rather not &lt;b&gt;" in html
    charted = "".join(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html))
    assert "<" not in charted


def test_dashes_stand_for_what_an_llm_does_not_have(html: str) -> None:
    row = next(part for part in html.split("<tr>") if ">llm:" in part and "%" in part and "–" in part)
    assert ">0.000<" not in row
    assert "3 refused, 1 over budget" in html


def test_one_target_is_headlined_once() -> None:
    found = build_page(comparison_of(single_contest(TRIO))).render()
    assert found.count("shop is best") == 1
    assert "<h2>Differences</h2>" in found


def test_few_labels_are_bars_and_many_a_map() -> None:
    small, large = single_contest(TRIO), single_contest({f"m{at}": 0.1 for at in range(10)}, labels=77, rows=400)
    assert charts.few(small)
    assert not charts.few(large)
    bars = json.loads(charts.label_bars(small).to_json() or "")
    assert len(bars["data"]) == 3
    assert len(bars["layout"]["yaxis"]["ticktext"]) == 5
    grid = json.loads(charts.label_map(large).to_json() or "")
    assert len(grid["layout"]["yaxis"]["ticktext"]) == 78
    assert len(grid["layout"]["xaxis"]["ticktext"]) == 10
    assert charts.label_map_width(large) > 640


def test_of_very_many_labels_those_that_differ_are_shown() -> None:
    made = single_contest({"one": 0.05, "other": 0.4}, labels=300, rows=600)
    order = charts.label_order(made)
    assert len(order) == charts.MOST_LABELS
    tables = [made.contenders[name].per_label for name in made.contenders]
    apart = [abs((tables[0][at].f1 or 0) - (tables[1][at].f1 or 0)) for at in range(300)]
    assert min(apart[at] for at in order) >= np.median(apart)


def test_the_best_of_a_label_is_marked_unless_all_are() -> None:
    told = json.loads(charts.label_bars(single_contest({"one": 0.0, "other": 0.5})).to_json() or "")["data"]
    assert all(charts.BEST in text for text in told[0]["text"])
    assert not any(charts.BEST in text for text in told[1]["text"])
    same = json.loads(charts.label_bars(single_contest({"one": 0.0, "other": 0.0})).to_json() or "")["data"]
    assert not any(charts.BEST in text for trace in same for text in trace["text"])


def test_the_matrix_colours_what_is_more_than_chance() -> None:
    made = single_contest({"one": 0.2, "twin": 0.2, "worst": 0.8})
    cells = json.loads(charts.differences(made, "accuracy").to_json() or "")["data"][0]["z"]
    places = [made.ranked().index(name) for name in ("one", "twin", "worst")]
    assert cells[places[0]][places[0]] is None
    assert cells[places[0]][places[1]] == 0
    assert cells[places[0]][places[2]] == 1
    assert cells[places[2]][places[0]] == -1


def test_contenders_that_are_cut_alike_stay_apart() -> None:
    names = {f"{'x' * 60} {at}": 0.1 * at for at in range(3)}
    made = single_contest(names)
    axis = json.loads(charts.averages(made).to_json() or "")["layout"]["yaxis"]
    assert axis["tickvals"] == [1, 2, 3]
    assert all(len(text) <= charts.NAME for text in axis["ticktext"])


def test_many_contenders_have_colours_or_marks_of_their_own() -> None:
    assert len({(charts.color(at), charts.symbol(at)) for at in range(20)}) == 20


def test_a_target_without_rows_has_a_page() -> None:
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    contest = TargetContest(target, SingleTruth(np.full(3, -1, np.int32), 2))
    for name in ("one", "other"):
        contest.add(name, Said(np.zeros((3, 2), bool), None, np.zeros(3, bool)), target.labels)
    assert "nothing was compared" in build_page(comparison_of(contest.finish())).render()


def test_names_break_behind_marks() -> None:
    assert breakable("llm:a/b") == "llm:\u200ba/\u200bb"
    assert breakable("support@3") == "support@3"  # a version stays with its name


def test_on_a_narrow_screen_numbers_stand_for_names() -> None:
    names = {"first-model@1": 0.1, "second-model@2": 0.3}
    html = build_page(comparison_of(single_contest(names, labels=40))).render()
    assert html.count('<figcaption class="narrow">1: first-model@1; 2: second-model@2</figcaption>') == 2


def test_it_is_written_where_asked(tmp_path) -> None:
    made = comparison_of(single_contest({"one": 0.1, "other": 0.2}))
    place = write_page(made, tmp_path / "new" / "page.html")
    assert place.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(InvalidSetting):
        write_page(made, tmp_path)
