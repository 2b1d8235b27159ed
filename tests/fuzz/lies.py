"""Pages that can be read and are not true: what a service shows that is overloaded, or has a fault of its own.

No lie is perfect: a list ends too early twice at most for one request, and never with a length that agrees.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

ODD_TOTALS = (None, "many", -1, True, 1.5, [], "1e3")
#: Cursors that the service did not make.
ODD_CURSORS = ("2025-13-45 99:99:99.999|1", "0000-00-00 00:00:00.000|0", "x12|", "twelve", "\u00e9|\u2713")
ASKED_TO_END, ASKED_TO_END_FULL = 2, 1


@dataclass(frozen=True)
class Row:
    """A record as it stands in a list; one whose id cannot be read has none."""

    entity_id: str | None
    body: bytes
    order: Any = None


@dataclass(frozen=True)
class Page:
    """The page that a request is to get. `ends` says whether it is the last one, `told` what of it is not true."""

    request: str
    path: str
    dialect: str
    limit: int
    rows: list[Row]
    metadata: dict[str, Any]
    is_first: bool
    ends: bool
    told: str = ""

    @property
    def has_total(self) -> bool:
        return "totalItems" in self.metadata and (self.path != "/tags" or self.dialect == "spec")

    @property
    def totals(self) -> dict[str, Any]:
        return {name: value for name, value in self.metadata.items() if name.startswith("total")}


@dataclass
class Liar:
    """Tells the lies of a run; knows the true page that it showed last of each list, and how often it said what."""

    chance: random.Random
    limit: int
    shown: dict[str, Page] = field(default_factory=dict)
    said: Counter[str] = field(default_factory=Counter)

    def tell(self, lie: str, page: Page) -> Page:
        """The page with a lie; as it is where it would be none, or one that nobody could see through."""
        if page.told:
            return page
        untrue = LIES[lie](self, page)
        if untrue is None:
            self.shown[page.path] = page
            return page
        return untrue if untrue.told else replace(untrue, told=lie)

    def _may_end(self, page: Page, *, full: bool) -> bool:
        if self.said[f"end {page.request}"] >= ASKED_TO_END or (full and self.said[f"full {page.request}"]):
            return False
        self.said[f"end {page.request}"] += 1
        self.said[f"full {page.request}"] += full
        return True

    def empty_end(self, page: Page) -> Page | None:
        # Behind the last page of tags, nothing is what is to be expected.
        if page.is_first or page.ends or not page.rows or not self._may_end(page, full=False):
            return None
        return replace(page, rows=[], metadata=page.totals)

    def full_end(self, page: Page) -> Page | None:
        says_next = {"nextPage", "nextCursor"} & page.metadata.keys()
        if page.is_first or not says_next or len(page.rows) < page.limit or not self._may_end(page, full=True):
            return None
        return replace(page, metadata=page.totals)

    def _before(self, page: Page) -> Page | None:
        """The page before, if rows that are not shown are missed: a gallery tells nobody how many it has."""
        before = self.shown.get(page.path)
        unseen = page.path == "/images" and page.dialect == "spec"
        if page.is_first or unseen or before is None or page.limit != self.limit or before.rows == page.rows:
            return None
        if page.ends and not page.has_total and not self._may_end(page, full=True):
            return None
        return before

    def repeated(self, page: Page) -> Page | None:
        before = self._before(page)
        return before and replace(page, rows=before.rows, metadata=before.metadata)

    def duplicated(self, page: Page) -> Page | None:
        before = self._before(page)
        return before and replace(page, rows=before.rows)

    def leads_back(self, page: Page) -> Page | None:
        query = urlsplit(page.request).query
        own = dict(parse_qsl(query))
        if not page.is_first and "nextCursor" in page.metadata:
            return replace(page, metadata=page.metadata | {"nextCursor": own["cursor"]})
        if not page.is_first and "nextPage" in page.metadata:
            return replace(page, metadata=page.metadata | {"nextPage": f"http://x.invalid/?{query}"})
        return None

    def odd_cursor(self, page: Page) -> Page | None:
        if "nextCursor" not in page.metadata or self.said["odd-cursor"]:
            return None
        self.said["odd-cursor"] += 1
        # Of models, this is the cursor of one without a date, and says where the rest is.
        odd = (*ODD_CURSORS, "|12") if page.path == "/images" else ODD_CURSORS
        return replace(page, metadata=page.metadata | {"nextCursor": self.chance.choice(odd)})

    def _other_total(self, page: Page, total: Callable[[int], Any]) -> Page | None:
        if not page.has_total or page.path == "/images":
            return None
        return replace(page, metadata=page.metadata | {"totalItems": total(page.metadata["totalItems"])})

    def total_more(self, page: Page) -> Page | None:
        return self._other_total(page, lambda total: total + 2)

    def total_less(self, page: Page) -> Page | None:
        return self._other_total(page, lambda total: total - 2)

    def odd_total(self, page: Page) -> Page | None:
        return self._other_total(page, lambda _: self.chance.choice(ODD_TOTALS))

    def short(self, page: Page) -> Page | None:
        if not page.has_total or page.path == "/images" or len(page.rows) < 3:
            return None
        gap = self.chance.randrange(len(page.rows))
        return replace(page, rows=[*page.rows[:gap], *page.rows[gap + 1 :]])


LIES: dict[str, Callable[[Liar, Page], Page | None]] = {
    "empty-end": Liar.empty_end,
    "full-end": Liar.full_end,
    "repeated": Liar.repeated,
    "duplicated": Liar.duplicated,
    "leads-back": Liar.leads_back,
    "odd-cursor": Liar.odd_cursor,
    "total-more": Liar.total_more,
    "total-less": Liar.total_less,
    "odd-total": Liar.odd_total,
    "short": Liar.short,
}
