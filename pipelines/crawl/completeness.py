"""Whether a pass over a list was complete, judged by the length of the list that the service reports."""

from pipelines.api.answers import Page
from pipelines.crawl.pagination_state import PaginationState

#: A pass that may have missed something is read so many times before the crawl gives up.
MOST_ATTEMPTS = 3

#: A list in no order counts records that it does not show, so this share of its announced total is enough.
UNORDERED_SHARE = 0.99


def lack(state: PaginationState, *, unordered: bool) -> str | None:
    """What a finished pass may have missed; None if nothing."""
    if unordered:
        # In no order, changes mean nothing; only the number of records met in all attempts counts.
        if state.total is not None and (met := state.met_in_all_attempts) < state.total:
            return f"{met} of the {state.total} records of the list were met in {MOST_ATTEMPTS} walks"
    elif state.total_changed:
        return f"the list changed while it was read, {MOST_ATTEMPTS} times over"
    elif state.total is not None and (read := state.read_in_this_attempt) < state.total:
        return f"the list ended after {read} of its {state.total} records, {MOST_ATTEMPTS} times over"
    return None


def is_tolerable(state: PaginationState, *, unordered: bool) -> bool:
    """Whether a pass that lacks something after the last attempt is good enough."""
    return unordered and state.met_in_all_attempts >= UNORDERED_SHARE * (state.total or 0)


def announced(page: Page) -> int | None:
    """The length of the list that a page reports: an integer, a float without a fraction, or a text of digits."""
    match page.metadata.get("totalItems"):
        case bool():
            return None
        case int(total):
            return total
        case float(total) if total.is_integer():
            return int(total)
        case str(text) if text.isascii() and text.isdigit():
            return int(text)
        case _:
            return None
