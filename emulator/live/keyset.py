"""The order of live /models and its cursors (docs/api-notes.md, 1 and 0.2).

A page reads one row more than its limit. The cursor has the sort columns of that extra row, and the next page starts
there: with `>=`, so that it has the row. Only `Newest` has a strict `<` and loses the row.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from emulator.simulation.dice import Ints

#: Sort -> its counters, the highest first.
COUNTERS = {
    "Highest Rated": ("thumbs", "downloads"),
    "Most Liked": ("thumbs", "downloads"),
    "Most Downloaded": ("downloads", "thumbs"),
    "Most Discussed": ("comments", "thumbs"),
    "Most Collected": ("collected", "thumbs"),
    "Most Images": ("images", "thumbs"),
}
SORTS = (*COUNTERS, "Newest", "Oldest")


class BadCursorError(Exception):
    """A cursor of another sort, or made by hand."""


@dataclass(frozen=True)
class Keyset:
    """Rows in the order of a sort.

    `rows` are the catalogue's handles; `columns` are the sort columns in the order of the rows, the last one the id.
    Times are milliseconds since 1970.
    """

    sort: str
    rows: Ints
    columns: tuple[Ints, ...]

    def page(self, cursor: str | None, limit: int) -> tuple[Ints, str | None]:
        """The rows of a page, and the cursor of the next one if there is any.

        Raises:
            BadCursorError: the cursor is not of this sort.
        """
        start = 0 if cursor is None else self._start(self._values(cursor))
        following = start + limit
        return self.rows[start:following], self._cursor(following) if following < len(self.rows) else None

    def _start(self, values: list[int]) -> int:
        return bisect_left(range(len(self.rows)), x=True, key=lambda row: self._reaches(row, values))

    def _reaches(self, row: int, values: list[int]) -> bool:
        """Whether a row is on the page of a cursor or after it; once true, it is true for all later rows."""
        found = [int(column[row]) for column in self.columns]
        if self.sort == "Oldest":
            # Inclusive by time alone: rows of the same time come again.
            return found[0] >= values[0]
        if self.sort == "Newest":
            return found < values
        return found[:-1] < values[:-1] or (found[:-1] == values[:-1] and found[-1] >= values[-1])

    def _cursor(self, row: int) -> str:
        values = [int(column[row]) for column in self.columns]
        if self.sort in COUNTERS:
            return "|".join(map(str, values))
        moment = datetime.fromtimestamp(values[0] / 1000, UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S}.{values[0] % 1000:03}|{values[1]}"

    def _values(self, cursor: str) -> list[int]:
        parts = cursor.split("|")
        wanted = len(self.columns)
        if len(parts) != wanted:
            raise BadCursorError(f"Invalid cursor: expected {wanted} value(s) for this sort, received {len(parts)}")
        return [
            _milliseconds(part) if place == 0 and self.sort not in COUNTERS else _integer(part)
            for place, part in enumerate(parts)
        ]


def order_by(sort: str, rows: Ints, counters: dict[str, Ints], latest: Ints, ids: Ints) -> Keyset:
    """Puts rows in the order of a sort.

    Args:
        sort: one of `SORTS`.
        rows: the chosen handles, which are indices into the columns.
        counters: the columns of `COUNTERS`.
        latest: the time of the latest version, in milliseconds since 1970.
        ids: unique per row.
    """
    columns = [counters[name][rows] for name in COUNTERS[sort]] if sort in COUNTERS else [latest[rows]]
    columns.append(ids[rows])
    ascending = [column if sort == "Oldest" else -column for column in columns]
    if sort in COUNTERS:
        ascending[-1] = columns[-1]
    order = np.lexsort(ascending[::-1])
    return Keyset(sort, rows[order], tuple(column[order] for column in columns))


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise BadCursorError(f"Invalid cursor: unparseable value {text[:40]!r}")
    return int(text)


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise BadCursorError(f"Invalid cursor: unparseable value {text[:40]!r}") from None
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
