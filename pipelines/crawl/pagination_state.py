"""How far a list crawl has come: all that a stopped crawl needs to continue a list."""

from dataclasses import dataclass

from pipelines.api.dialects import Arguments
from pipelines.raw.row_buffer import Counts


@dataclass
class PaginationState(Counts):
    """The progress and the counts of one list crawl; plain values, stored in dlt's state.

    `rank` is the pass index. `attempt` counts the starts of the pass: page numbers shift, so a pass may be read again.
    `query` has the arguments of the next request, None for the first. `total` is the length of the list as the service
    reports it; `total_changed` says whether it changed meanwhile. `items_before` and `rejected_before` are the counts
    at the start of the attempt, plus what came since and does not count for it. `broken_within` is None while whole
    pages are requested; otherwise one of so many next records breaks its page. `down_to` is the high-water mark of an
    incremental list crawl.
    """

    rank: int = 0
    attempt: int = 1
    query: list[list[str]] | None = None
    total: int | None = None
    total_changed: bool = False
    items_before: int = 0
    rejected_before: int = 0
    broken_within: int | None = None
    down_to: int | None = None
    done: bool = False
    problem: str | None = None

    @property
    def read_in_this_attempt(self) -> int:
        """The number of items of the pass, since it was last begun."""
        return self.items - self.items_before

    @property
    def met_in_all_attempts(self) -> int:
        """The number of records of the list, each once, however often it was begun."""
        return self.distinct_ids + self.rejected - self.rejected_before

    def from_the_start(self) -> "PaginationState":
        """The same counts, at the beginning of the list."""
        counts = (self.pages, self.items, self.distinct_ids, self.duplicates, self.rejected)
        return PaginationState(*counts, items_before=self.items, rejected_before=self.rejected)

    def begin(self, pass_index: int, attempt: int) -> None:
        """Begin a pass."""
        self.rank, self.attempt = pass_index, attempt
        self.query = self.total = self.broken_within = None
        self.total_changed = False
        self.items_before, self.rejected_before = self.items, self.rejected

    def go_to(self, query: Arguments) -> None:
        """Send this query next."""
        self.query = [list(argument) for argument in query]

    def note_total(self, total: int) -> None:
        """The service reports the length of the list."""
        self.total_changed |= self.total is not None and self.total != total
        self.total = total
