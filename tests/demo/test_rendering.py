"""Verdicts as HTML: what is said in words, and that nothing hostile gets through."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tamis.demo.panels import Panel, panels_of
from tamis.demo.rendering import about, answer, figure, heading, note, waiting
from tamis.ml.manifest import Abstain, TargetManifest
from tamis.schema import Kind

HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x00"


def read(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<wbr>|</?bdi>|</?b>", "", html)).split())


def single(*scores: float, abstain: float | None = None, **more: object) -> str:
    rule = None if abstain is None else Abstain(threshold=abstain, coverage=0.97)
    labels = tuple(f"label_{n}" for n in range(len(scores)))
    panel = Panel(TargetManifest(name="topic", kind=Kind.SINGLE_LABEL, labels=labels, abstain=rule))
    return answer(panel, panel.verdict(np.array(scores, dtype=np.float32)), more["manifest"])  # type: ignore[arg-type]


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("wbr",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class TestWords:
    def test_an_answer(self, model) -> None:
        said = read(single(0.1, 0.85, 0.05, manifest=model.manifest))
        assert "label_1 label_1 85.0 % given label_0 10.0 % not given" in said

    def test_abstaining(self, model) -> None:
        html = single(0.4996, 0.3, 0.2004, abstain=0.49961, manifest=model.manifest)
        assert "No answer: label_0 comes first, but 49.9 % is below the 50.0 % from which it answers." in read(html)
        assert "tm-given" not in html
        usual = single(0.4706, 0.3, 0.2294, abstain=0.479, manifest=model.manifest)
        assert "but 47.1 % is below the 47.9 % from" in read(usual)

    def test_several_labels_and_none(self, model) -> None:
        panel = Panel(TargetManifest(name="m", kind=Kind.MULTI_LABEL, labels=("a", "b"), thresholds=(0.2, 0.5)))
        html = answer(panel, panel.verdict(np.array([0.3, 0.9], dtype=np.float32)), model.manifest)
        assert "b a b 90.0 % given, given from 0.500 a 30.0 % given, given from 0.200" in read(html)
        none = answer(panel, panel.verdict(np.array([0.1, 0.1], dtype=np.float32)), model.manifest)
        assert "None: no label reaches its threshold." in read(none)

    @pytest.mark.parametrize(
        ("score", "shown"),
        [(1.0, "100.0 %"), (0.9999, "&gt;99.9 %"), (0.0001, "&lt;0.1 %"), (0.0, "0.0 %"), (0.5, "50.0 %")],
    )
    def test_neither_certain_nor_impossible(self, model, score: float, shown: str) -> None:
        assert shown in single(score, 0.0, manifest=model.manifest)

    def test_many_labels_unfold(self, model) -> None:
        html = single(*[1 / 600] * 600, manifest=model.manifest)
        assert "592 more labels" in html
        assert "and 100 more with lower scores" in html
        assert html.count("<li") == 500
        assert "1 more label<" in single(*[1 / 9] * 9, manifest=model.manifest)

    def test_figures(self, model) -> None:
        manifest = model.manifest
        assert re.match(r"accuracy \d+\.\d % \(.* to .*\) on 60 rows of held-out data", figure(manifest, "topic"))
        assert figure(manifest, "all").startswith("micro-F1")
        for odd in ({}, {"test": 3}, {"test": {"topic": []}}, {"test": {"topic": {"accuracy": "x"}}}):
            assert figure(manifest.model_copy(update={"metrics": odd}), "topic") == ""
        test = {"test": {"topic": {"accuracy": 0.5, "accuracy_ci": [0, "x"]}}}
        assert figure(manifest.model_copy(update={"metrics": test}), "topic") == "accuracy 50.0 % on test data"


class TestHostile:
    def test_nothing_hostile_gets_through(self, model) -> None:
        entries = (
            TargetManifest(name=HOSTILE, kind=Kind.SINGLE_LABEL, labels=(HOSTILE, '" onmouseover="x', "&lt;b&gt;")),
            TargetManifest(name="m", kind=Kind.MULTI_LABEL, labels=(HOSTILE, "b" * 300), thresholds=(0.1, 0.9)),
        )
        card = model.manifest.base_model.model_copy(update={"title": HOSTILE, "licence": HOSTILE})
        manifest = model.manifest.model_copy(update={"name": HOSTILE, "targets": entries, "base_model": card})
        shown = [heading(manifest), about(manifest), note(HOSTILE)]
        for panel in panels_of(manifest):
            shown += [waiting(panel, manifest)]
            scores = np.linspace(0.2, 0.5, len(panel.entry.labels), dtype=np.float32)
            shown += [answer(panel, panel.verdict(scores), manifest)]
        for html in shown:
            found = Elements(html)
            assert not found.names & {"script", "img"}
            assert not [name for name in found.attributes if name.startswith("on")]
            assert not found.open
            assert "\x00" not in html
            assert "\u202e" not in html

    def test_no_remark_is_nothing(self) -> None:
        assert note("") == ""
