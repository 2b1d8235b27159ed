"""A snapshot date: its crawls that count, and what came before it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from transforms.star.facts import CompleteCrawl


@dataclass(frozen=True)
class Before:
    """What came before a snapshot date: the date before it, and the last complete crawl."""

    date: date | None
    complete: CompleteCrawl | None


#: Before the first snapshot.
NOTHING = Before(None, None)


@dataclass(frozen=True)
class SnapshotDay:
    """A snapshot date: its crawls that count (rows of raw.snapshots), and what came before it.

    `accepted` are counters of facts whose collapse on the date is real. `is_included` says that a person included the
    date, although the checks find it implausible.
    """

    on: date
    crawls: pl.DataFrame
    before: Before
    accepted: frozenset[str] = frozenset()
    is_included: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.crawls["observations"].sum()

    @property
    def is_complete(self) -> bool:
        return "complete" in self.crawls["status"].to_list()

    @property
    def crawl_id(self) -> str:
        return str(self.crawls["crawl_id"][-1])

    @property
    def crawled(self) -> tuple[datetime, datetime] | None:
        """When its crawls began and ended. None: one was cut off."""
        if self.crawls["finished_at"].null_count():
            return None
        began, ended = self.crawls.select(pl.col("started_at").min(), pl.col("finished_at").max()).row(0)
        return began, ended

    @property
    def is_after_complete(self) -> bool:
        """Whether the date before is complete."""
        return self.before.complete is not None and self.before.complete.snapshot_date == self.before.date

    @property
    def as_before(self) -> Before:
        """What came before the next date."""
        complete = self.crawls.filter(pl.col("status") == "complete")
        if complete.is_empty():
            return Before(self.on, self.before.complete)
        return Before(self.on, CompleteCrawl(self.on, complete["started_at"][-1]))

    def without(self, crawl_ids: Collection[str]) -> "SnapshotDay":
        """The date without some of its crawls."""
        return replace(self, crawls=self.crawls.filter(~pl.col("crawl_id").is_in(list(crawl_ids))))
