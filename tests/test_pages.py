import base64
import hashlib
import json
import re
import shutil
from math import inf

import pytest
from plotly import graph_objects

from tamis.errors import InvalidSetting
from tamis.pages import Cell, Marked, Narrow, Page

FIGURE = re.compile(r'<script type="application/json">(.*?)</script>')
HOSTILE = "</script><img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"


def bar(**given):
    return graph_objects.Figure(graph_objects.Bar(x=[1, 2], y=["a", "b"], orientation="h", **given))


def hostile_page():
    page = Page(HOSTILE, HOSTILE).section(HOSTILE, HOSTILE).facts([(HOSTILE, HOSTILE)]).note(HOSTILE, "error")
    page.paragraph(HOSTILE).table([HOSTILE], [[HOSTILE], [Cell(HOSTILE, 1)]], caption=HOSTILE)
    figure = graph_objects.Figure(graph_objects.Bar(x=[1], y=[HOSTILE], name=HOSTILE, customdata=[HOSTILE]))
    page.figure(figure.update_layout(title=HOSTILE, xaxis_title=HOSTILE), HOSTILE)
    with page.details(HOSTILE):
        page.note(HOSTILE)
    return page


def without_plotly(html):
    """The page but for the script that plotly ships."""
    start = html.index("<script>/**") + len("<script>")
    return html[:start] + html[html.index("</script>", start) :]


def test_a_page_has_its_parts_in_order():
    html = (
        Page("Title", "Sub").section("One").note("careful", "warning").section("Two").table(["h"], [["cell"]]).render()
    )
    places = [html.index(part) for part in ("<h1>Title", "Sub", "<h2>One", "careful", "<h2>Two", "cell")]
    assert places == sorted(places)
    assert html.count("<section") == html.count("</section>") == 2
    assert '<a href="#section-2">Two</a>' in html


def test_hostile_texts_stay_texts():
    html = without_plotly(hostile_page().render())
    assert "<img" not in html
    assert html.count("<script") == html.count("</script>") == 4
    payload = FIGURE.search(html)[1]
    assert not set("<>&") & set(payload)
    figure = json.loads(payload)
    shown = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # plotly turns these back
    assert figure["data"][0]["y"] == figure["data"][0]["customdata"] == [shown]
    assert figure["layout"]["title"]["text"] == figure["data"][0]["name"] == shown


def test_names_on_an_axis_and_in_a_menu_stay_what_they_are():
    """A tick that was escaped otherwise than its category would not be drawn."""
    menu = {"buttons": [{"label": HOSTILE, "method": "restyle", "args": [{"y": [[HOSTILE]]}]}]}
    figure = bar().update_layout(yaxis={"tickvals": [HOSTILE], "ticktext": [HOSTILE]}, updatemenus=[menu])
    html = Page("t").section("s").figure(figure).render()
    layout = json.loads(FIGURE.search(html)[1])["layout"]
    (shown,) = layout["yaxis"]["tickvals"]
    assert "<" not in shown
    button = layout["updatemenus"][0]["buttons"][0]
    assert [shown] == layout["yaxis"]["ticktext"] == button["args"][0]["y"][0] == [button["label"]]


def test_only_the_scripts_of_the_page_may_run():
    html = hostile_page().render()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    allowed = set(re.findall(r"sha256-([A-Za-z0-9+/=]+)", policy))
    scripts = re.findall(r'<script(?: type="module")?>(.*?)</script>', html, re.DOTALL)
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts} == allowed
    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


def test_a_page_fetches_nothing():
    html = without_plotly(hostile_page().render())
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", html)
    assert "url(" not in html
    assert "@import" not in html


def test_plotly_is_inlined_once_and_only_for_figures():
    assert len(Page("t").section("s").render()) < 20_000
    assert Page("t").figure(bar()).figure(bar()).render().count("plotly.js v") == 1


def test_numbers_are_shown_for_people_and_kept_for_sorting():
    html = (
        Page("t")
        .table(["n"], [[1234567], [0.5], [Cell("12 %", 0.12)], [None], [float("nan")], [Cell("∞", inf)]], numeric={0})
        .render()
    )
    assert '<td dir="auto" class="number" data-key="1234567">1,234,567</td>' in html
    assert 'data-key="0.5">0.500</td>' in html
    assert 'data-key="0.12">12 %</td>' in html
    assert '<td dir="auto" class="number"></td>' in html
    assert '<td dir="auto" class="number">–</td>' in html
    assert '<td dir="auto" class="number">∞</td>' in html


def test_what_cannot_be_shown_is_replaced(tmp_path):
    path = Page("a\ud800b\x00c").section("s").write(tmp_path / "new" / "page.html")
    assert "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c" in path.read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match="Name another place"):
        Page("t").write(tmp_path / "file" / "page.html")


def test_figures_keep_hover_templates_and_lose_templates():
    html = Page("t").figure(bar(hovertemplate="%{y}<br>%{x}<extra></extra>"), min_width=300).render()
    spec = json.loads(FIGURE.search(html)[1])
    assert spec["data"][0]["hovertemplate"] == "%{y}<br>%{x}<extra></extra>"
    assert "template" not in spec["layout"]
    assert spec["min_width"] == 300


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_in_a_browser_nothing_hostile_runs_and_tables_sort(tmp_path):
    from playwright.sync_api import sync_playwright

    page = hostile_page().section("numbers").table(["n"], [[2], [None], [10], [1]], numeric={0})
    path = page.write(tmp_path / "page.html")
    said = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        view = browser.new_page(viewport={"width": 390, "height": 800})
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.goto(path.as_uri())
        view.wait_for_selector(".plot svg")
        assert view.title() == HOSTILE
        assert view.evaluate("document.images.length") == 0
        assert view.evaluate("document.documentElement.scrollWidth") == 390
        for order in (["10", "2", "1", ""], ["1", "2", "10", ""]):
            view.locator("th button").last.click()
            assert view.locator("table").last.locator("td").all_inner_texts() == order
        browser.close()
    assert said == []


def test_marked_words_are_told_by_more_than_colour_and_are_only_text():
    parts = [("<b>where</b>", 1.5), (" is ", 0.0), ("parcel", -0.2), ("now", 0.8)]
    html = Page("t").table(["Text"], [[Marked(parts, "a & b")]]).render()
    assert '<mark class="for s3" title="+1.50">&lt;b&gt;where&lt;/b&gt;</mark> is ' in html
    assert '<mark class="against s1" title="-0.20">parcel</mark><mark class="for s2"' in html
    assert "<small>a &amp; b</small>" in html
    assert "text-decoration:underline" in html


def test_the_outline_holds_the_same_as_plain_json():
    page = Page(HOSTILE, "sub").section("s", "intro").note("careful", "warning").paragraph("p").facts([("rows", 1234)])
    rows = [["a<b", Cell("50 %", 0.5), 3], ["c", None, float("nan")], [Marked([("x", 1.0)], "below"), 1, 2]]
    page.table(["one", "two", "three"], rows, numeric={2, 1}, caption="c")
    with page.details("more", opened=True):
        page.figure(bar(), "a chart", min_width=300)
    page.paragraph("after")
    told = json.loads(json.dumps(page.outline(), allow_nan=False))
    assert (told["title"], told["subtitle"]) == (json.loads(json.dumps(HOSTILE)), "sub")
    section, note, paragraph, facts, table, details, after = told["blocks"]
    assert section == {"kind": "section", "anchor": "section-1", "title": "s", "intro": "intro"}
    assert note == {"kind": "note", "text": "careful", "severity": "warning"}
    assert (paragraph["text"], after["text"]) == ("p", "after")
    assert facts["facts"] == [["rows", "1,234"]]
    assert table["numeric"] == [1, 2]
    assert table["rows"][0] == [{"text": "a<b"}, {"text": "50 %", "key": 0.5}, {"text": "3", "key": 3.0}]
    assert table["rows"][1] == [{"text": "c"}, {"text": ""}, {"text": "–"}]
    assert table["rows"][2][0] == {"text": "x", "parts": [["x", 1.0]], "caption": "below"}
    assert (details["kind"], details["opened"], details["summary"]) == ("details", True, "more")
    (figure,) = details["blocks"]
    assert (figure["caption"], figure["min_width"], figure["spec"]["data"][0]["type"]) == ("a chart", 300, "bar")


def test_a_figure_may_be_another_on_a_narrow_screen():
    narrow = Narrow({"xaxis": {"ticktext": ["<b>", "2"]}}, 200, "1: <i>a</i>")
    html = Page("t").figure(bar(), "all", min_width=300, narrow=narrow).render()
    assert '<figcaption class="narrow">1: &lt;i&gt;a&lt;/i&gt;</figcaption>' in html
    spec = json.loads(FIGURE.search(html)[1])
    assert (spec["min_width"], spec["narrow"]["min_width"]) == (300, 200)
    assert spec["narrow"]["layout"]["xaxis"]["ticktext"] == ["&lt;b&gt;", "2"]
    assert "narrow" not in Page("t").figure(bar(), narrow=narrow).outline()["blocks"][0]["spec"]["layout"]
