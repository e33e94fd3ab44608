"""Templates: strict about what they name, and every text escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from tamis.web.dashboard import formats
from tamis.web.dashboard.assets import address_of
from tamis.web.dashboard.failures import failure_of, in_words

FILTERS = (
    *(formats.plain, formats.cut, formats.number, formats.percent, formats.size, formats.binary, formats.lines),
    *(formats.seconds, formats.exact, formats.iso, formats.ago, in_words, failure_of),
)


@cache
def environment() -> Environment:
    """Return where templates are found and what they know."""
    made = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update({function.__name__: function for function in FILTERS})
    made.globals["asset"] = address_of
    return made


def rendered(template: str, known: dict[str, object]) -> str:
    """Return a page: a template with what it is told."""
    return environment().get_template(template).render(known)
