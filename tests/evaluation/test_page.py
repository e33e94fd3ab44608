import re

import numpy as np
import pytest

from tamis.data.truth import SingleTruth
from tamis.errors import InvalidSetting
from tamis.evaluation.page import build_page, excerpt, write_page
from tamis.evaluation.report import EvaluationReport, evaluate_target
from tamis.schema import Kind, Target


@pytest.fixture(scope="module")
def html(mixed):
    report, rows = mixed
    return build_page(report, rows, title="Support <model>").render()


def test_page_has_a_section_for_each_part_of_each_target(html):
    for target in ("intent", "topics"):
        assert f"<h2>{target}</h2>" in html
        for part in ("Labels", "Confusions", "Scores", "Worst mistakes"):
            assert f"<h2>{target}: {part}</h2>" in html
    assert html.count('<script type="application/json">') == 8  # matrix, reliability, curve; and two of thresholds


def test_hostile_texts_and_labels_are_only_text(html):
    assert "Support &lt;model&gt;" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert(1)" not in html
    assert "\x1b" not in html


def test_mistakes_show_line_text_labels_and_scores(mixed, html):
    report, rows = mixed
    mistake = report.targets["intent"].mistakes[0]
    assert f">{int(rows.lines[mistake.row]):,}</td>" in html
    assert f">text {mistake.row} " in html
    label, score = next((label, score) for label, score in mistake.scores.items() if label.startswith("label"))
    assert f"{label} {100 * score:.1f}%" in html


def test_without_rows_mistakes_have_row_numbers_and_no_text(mixed):
    report, _ = mixed
    found = build_page(report).render()
    assert ">Row</th>" in found
    assert f">{report.targets['intent'].mistakes[0].row + 1:,}</td>" in found


def test_calibration_error_before_is_shown_if_given(mixed):
    report, _ = mixed
    target = report.targets["intent"].model_copy(update={"ece_before": 0.1234})
    found = build_page(report.model_copy(update={"targets": {"intent": target}})).render()
    assert "before calibration" in found
    assert "12.3%" in found
    assert "12.3%" not in build_page(report.model_copy(update={"targets": {}})).render()


def test_a_perfect_model_and_an_unmeasured_target_have_a_page():
    target = Target(name="t", kind=Kind.SINGLE_LABEL, labels=("a", "b"))
    codes = np.array([0, 1] * 10, dtype=np.int32)
    perfect = evaluate_target(target, SingleTruth(codes, 2), np.eye(2, dtype=np.float32)[codes], resamples=20)
    nothing = evaluate_target(target, SingleTruth(np.full(20, -1, np.int32), 2), np.ones((20, 2), np.float32) / 2)
    found = build_page(EvaluationReport(n=20, targets={"perfect": perfect, "nothing": nothing})).render()
    assert "No confusion at all." in found
    assert "Every answer is right." in found
    assert "nothing was measured" in found
    assert "nothing: Labels" not in found


def test_page_is_written_where_asked(mixed, tmp_path):
    report, rows = mixed
    place = write_page(report, tmp_path / "new" / "page.html", rows)
    assert re.match(r"<!doctype html>", place.read_text(encoding="utf-8"))
    with pytest.raises(InvalidSetting):
        write_page(report, tmp_path, rows)


def test_excerpt_is_one_line_that_says_when_it_was_cut():
    assert excerpt("a\n\n  b\t") == "a b"
    assert excerpt("x" * 400) == "x" * 300 + " …"
    assert len(excerpt("word " * 10**6)) <= 302
    assert excerpt(" " * 5000 + "late") == " …"
