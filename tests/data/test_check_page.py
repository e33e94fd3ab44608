import json
import re

import pytest

from tamis.data import check_page as module
from tamis.data.check_page import check_page
from tamis.data.checks.survey import BaseFacts, CheckOptions, check

BASE = BaseFacts("words", lambda texts: [len(text.split()) for text in texts], languages=("en",))


def report_of(folder, train, test=()):
    sources = {}
    for split, rows in (("train", train), ("test", test)):
        if rows:
            path = folder / f"{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            sources[split] = [path]
    return check(sources, CheckOptions(max_bad_share=1.0), base=BASE)


@pytest.fixture
def report(tmp_path):
    train = [
        {"text": f"message {i} about my order", "labels": {"y": "ab"[i % 2], "m": ["p", "q"][: i % 3]}}
        for i in range(60)
    ]
    train += [{"text": "message 0 about my order", "labels": {"y": "b"}}, {"text": "", "labels": {"y": "b"}}]
    return report_of(tmp_path, train, [{"text": "Message 1 about my order", "labels": {"y": "new"}}])


def figures(html):
    return [json.loads(spec) for spec in re.findall(r'<script type="application/json">(.*?)</script>', html)]


def test_the_page_shows_every_part_of_the_report(report):
    html = check_page(report).render()
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles == [
        "Summary",
        "Findings",
        "Target y",
        "Target m",
        "Texts",
        "Equal and similar texts",
        "Rejected rows",
    ]
    assert report.verdict in html
    assert html.count('class="note') == len(report.findings) + 1
    assert "train.jsonl:62" in html  # the rejected row


def test_charts_hold_the_figures(report):
    specs = figures(check_page(report).render())
    distribution, _, per_row, said, heat, lengths = specs
    assert [trace["name"] for trace in distribution["data"]] == ["train", "test"]
    assert distribution["data"][0]["y"] == ["b", "a", "new"]
    assert distribution["data"][0]["customdata"] == [31, 30, 0]
    assert per_row["data"][0]["x"] == [0, 1, 2]
    assert [trace["name"] for trace in said["data"]] == ["with labels", "no label", "unknown"]
    assert [trace["customdata"] for trace in said["data"]] == [[40, 0], [20, 0], [1, 1]]
    assert sum(trace["x"][0] for trace in said["data"]) == pytest.approx(100)
    assert heat["data"][0]["customdata"] == [[40, 20], [20, 20]]
    assert heat["data"][0]["z"] == [[None, 50], [100, None]]
    assert sum(lengths["data"][0]["y"]) == pytest.approx(100)


def test_hostile_labels_and_texts_stay_texts(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>"
    rows = [{"text": f"{evil} {i}", "labels": {evil: [f"{evil}{i % 3}", "z"]}} for i in range(6)] * 2
    html = check_page(report_of(tmp_path, rows)).render()
    assert "<img" not in html
    assert "&lt;img" in html


def test_labels_cut_to_the_same_name_keep_bars_of_their_own(tmp_path):
    rows = [{"text": f"text {i}", "labels": {"y": "x" * 60 + str(i % 4)}} for i in range(8)]
    names = figures(check_page(report_of(tmp_path, rows)).render())[0]["data"][0]["y"]
    assert len(set(names)) == 4


def test_a_report_of_nothing_is_a_page_too(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    html = check_page(check({"train": [tmp_path / "empty.jsonl"]})).render()
    assert "Not ready" in html
    assert figures(html) == []


def test_many_targets_and_labels_stay_readable(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TABLE_LABELS", 5)
    rows = [{"text": f"text {i}", "labels": {f"target {n}": "abcdefgh"[i] for n in range(25)}} for i in range(8)]
    html = check_page(report_of(tmp_path, rows)).render()
    assert len(figures(html)) == 20 + 1
    assert "The 5 most frequent of 8 labels" in html
    assert "<h2>Further targets</h2>" in html
    assert "target 24" in html


def test_many_labels_make_a_chart_of_the_most_frequent(tmp_path):
    rows = [{"text": f"text {i}", "labels": {"y": f"label {i % 100}"}} for i in range(150)]
    html = check_page(report_of(tmp_path, rows)).render()
    assert len(figures(html)[0]["data"][0]["y"]) == 30
    assert "All 100 labels" in html
