"""Lists over many pages: what was asked for, and the links to the other pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from tamis.web.dashboard.visits import Visit

ON_A_PAGE = 25
MOST_PAGES = 1_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of a list a visitor asks for: a page, from 1, and what to look for."""

    place: str
    page: int
    search: str
    state: str = ""

    @classmethod
    def of(cls, visit: Visit, states: Sequence[str] = ()) -> Asked:
        """Read it from the address; what is no page is the first, and what is no state is none."""
        said, state = visit.asked("page"), visit.asked("state")
        page = int(said) if said.isascii() and said.isdigit() and len(said) < 8 else 1
        search = visit.asked("search").strip()[:200]
        return cls(visit.request.url.path, min(max(1, page), MOST_PAGES), search, state if state in states else "")

    @property
    def narrowed(self) -> bool:
        """Whether only a part is looked for."""
        return bool(self.search or self.state)

    def link(self, page: int) -> str:
        """Return the address of a page of the same search."""
        asked = {"search": self.search, "state": self.state, "page": str(page) if page > 1 else ""}
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"{self.place}?{query}" if query else self.place


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A page of a list, and how long the whole list is."""

    asked: Asked
    rows: Sequence[T]
    total: int

    @classmethod
    def of(cls, asked: Asked, whole: Sequence[T]) -> Listing[T]:
        """Return the page that is asked for of a list that is here whole."""
        begin = (asked.page - 1) * ON_A_PAGE
        return cls(asked, whole[begin : begin + ON_A_PAGE], len(whole))

    @property
    def pages(self) -> int:
        """How many pages there are, 1 at least."""
        return max(1, -(-self.total // ON_A_PAGE))

    @property
    def first(self) -> int:
        """The number of the first row on this page, from 1."""
        return (self.asked.page - 1) * ON_A_PAGE + 1

    @property
    def last(self) -> int:
        """The number of the last one."""
        return self.first + len(self.rows) - 1
