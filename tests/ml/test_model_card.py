import html
import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tamis.ml.artifact import open_artifact
from tamis.ml.manifest import FORMAT, DataFile, TargetManifest
from tamis.ml.model_card import MAX_LABELS, model_card
from tamis.schema import Kind

MANIFEST = open_artifact(Path(__file__).parent / "fixtures" / f"format-{FORMAT}").manifest


def card(**changes) -> str:
    return model_card(MANIFEST.model_copy(update=changes))


def test_the_card_says_what_a_stranger_asks():
    text = card()
    for fact in (
        "# support",
        "tamis.load(",
        "tamis classify",
        "`change`, `refund`, `thanks`, `where`",
        f"| `delivery` | {MANIFEST.target('topics').thresholds[2]:.4g} |",
        "nothing applies: `none`",
        f"Below a confidence of {MANIFEST.target('intent').abstain.threshold:.4g} it abstains",
        "| held\\_out.intent.accuracy | 1 |",
        "| held\\_out.intent.accuracy\\_ci | 0.9431 – 1 |",
        "72 rows for training, 0 for validation",
        MANIFEST.data.sha256,
        "| `rows.jsonl` | train | 72 |",
        "Licence: unknown",
        "No text of the data is in this folder",
        "The 8 inputs in `manifest.json`",
        "2 threads",
    ):
        assert fact in text, fact


def test_the_front_matter_is_yaml_whatever_the_name():
    head = card(name='a: "b"\n---\n# c')[4:].split("\n---\n")[0]
    entries = dict(line.split(": ", 1) for line in head.splitlines())
    assert json.loads(entries["model_name"]) == 'a: "b"\n---\n# c'
    assert json.loads(entries["pipeline_tag"]) == "text-classification"


HOSTILE = [
    "a|b",
    "`",
    "``` x",
    "line\nbreak\r\n# head",
    "<script>alert(1)</script>",
    "[x](javascript:y)",
    "*_~",
    "",
    " ",
]


def test_names_of_strangers_stay_names():
    labels = tuple(HOSTILE)
    targets = (
        TargetManifest(name="<b>`|\n# x", kind=Kind.MULTI_LABEL, labels=labels, thresholds=(0.5,) * len(labels)),
        TargetManifest(name="two", kind=Kind.SINGLE_LABEL, labels=labels),
    )
    data = MANIFEST.data.model_copy(update={"files": (DataFile(name="x|\n`.csv", split="<i>", rows=1),)})
    text = card(name="<img src=x>\n# head", targets=targets, data=data, golden=(), metrics={"<b>|\n": "<i>"})
    page = MarkdownIt("commonmark").enable("table").render(text.split("\n---\n", 1)[1])  # raw HTML would pass
    assert not re.search(r"<(script|img|b|i|a|em)\b", page)
    assert page.count("<h1>") == 1
    codes = [html.unescape(code) for code in re.findall("<code>(.*?)</code>", page)]
    flat = [" ".join(label.split()) or "(empty)" for label in labels]
    for name in ("<b>`| # x", "x| `.csv", *flat):
        assert name in codes, name
    rows = re.findall("<tr>(.*?)</tr>", page, re.DOTALL)
    assert len(rows) == (1 + len(labels)) + (1 + 1) + (1 + 1)
    assert all(len(re.findall("<t[dh]>", row)) in (2, 3) for row in rows)


@pytest.mark.parametrize("kind", list(Kind))
def test_thousands_of_labels_are_cut_and_counted(kind):
    labels = tuple(f"label {number}" for number in range(5000))
    thresholds = (0.5,) * 5000 if kind is Kind.MULTI_LABEL else None
    text = card(targets=(TargetManifest(name="t", kind=kind, labels=labels, thresholds=thresholds),), golden=())
    assert f"`label {MAX_LABELS - 1}`" in text
    assert f"`label {MAX_LABELS}`" not in text
    assert f"and {5000 - MAX_LABELS:,} more" in text


def test_long_lists_in_the_metrics_are_left_to_the_manifest():
    text = card(metrics={"curve": list(range(50)), "rows": [{"a": 1}], "note": "fine", "nothing": None})
    assert "curve" not in text
    assert "| note | fine |" in text
    assert "None were measured" in card(metrics={})


def test_an_encoder_says_what_it_takes_and_what_it_computes_in():
    facts = {"served": "int8", "max_length": 128}
    served = "Served by ONNX Runtime in 8-bit integers."
    changes = {"tier": "encoder", "architecture": facts, "training": {"served": served}}
    text = card(**changes)
    assert "pip install 'tamis[onnx]'" in text
    assert f"{served} On a GPU torch serves it, in half precision." in text
    assert "n-grams" not in text
    pushed = model_card(MANIFEST.model_copy(update=changes | {"architecture": {"served": "torch"}}), "me/shop")
    assert "pip install 'tamis[encoder,hub]'" in pushed
