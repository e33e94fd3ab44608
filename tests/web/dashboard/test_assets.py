"""Files are found under the address of their content only, and plotly.js is the installed package's."""

import re
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from tamis.web.dashboard.assets import address_of


def test_every_file_that_a_page_names_is_kept_for_long(visitor: Any) -> None:
    addresses = set(re.findall(r'"(/ui/static/[^"]+)"', visitor.get("/ui").text))
    assert len(addresses) == 3
    for address in addresses:
        answer = visitor.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        older = visitor.get(re.sub(r"static/\w+", "static/0000", address))
        assert older.headers["cache-control"] == "no-cache"


def test_plotly_is_served_as_it_is(visitor: Any) -> None:
    answer = visitor.get(address_of("plotly.js"))
    assert answer.text == get_plotlyjs()
    assert answer.headers["content-type"].startswith("text/javascript")


def test_nothing_else_is_served(visitor: Any) -> None:
    for name in ("..%2fpages.py", "layout.html", "nope.css", "%2e%2e"):
        assert visitor.get(f"/ui/static/0/{name}").status_code == 404


def test_nothing_that_is_read_fades() -> None:
    style = (files("tamis.web.dashboard") / "static" / "style.css").read_text(encoding="utf-8")
    faded = {selector for selector, share in re.findall(r"([^{}\n]+) \{[^{}]*opacity: (\.\d+)", style) if float(share)}
    assert faded == {"button:disabled"}
