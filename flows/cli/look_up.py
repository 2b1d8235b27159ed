"""Prints what look-ups by hand found, as a short table, and what they did not find."""

from typing import TYPE_CHECKING

import msgspec

from flows.reporting import report
from flows.reporting.console import say
from flows.reporting.text import plain
from pipelines.errors import CivitaiEtlError

if TYPE_CHECKING:
    from pipelines.crawl.lookups import LookupReport

#: The fields of a document that a line shows, if it has them: the service's names.
SHOWN = (
    *("id", "modelVersionId", "modelId", "username", "versionName", "name", "modelName", "baseModel", "status"),
    *("availability", "publishedAt", "fileName", "air"),
)


class NotFoundError(CivitaiEtlError):
    """Something was not found, or there was no answer."""


def render_lookups(looked_up: "LookupReport") -> None:
    """Print a line for each document that was found.

    Raises:
        NotFoundError: something is missing.
    """
    for found in looked_up.found.values():
        if found:
            say(*lines(found))
    say(report.lookup_line(looked_up))
    lacking = [f"{asked} is not known to the service" for unknown in looked_up.unknown.values() for asked in unknown]
    for unanswered in looked_up.unanswered.values():
        lacking += [f"{asked}: {why}" for asked, why in unanswered.items()]
    if looked_up.problem:
        raise NotFoundError(looked_up.problem)
    if lacking:
        more = f"; and {len(lacking) - 3:,} more" if len(lacking) > 3 else ""
        raise NotFoundError(f"Not found: {'; '.join(lacking[:3])}{more}.")


def lines(found: dict[str, list[bytes]]) -> list[str]:
    """A table of keys and the documents found, with a heading. Long values are cut."""
    documents = [(asked, msgspec.json.decode(item)) for asked, items in found.items() for item in items]
    shown = [name for name in SHOWN if any(_cell(document, name) for _, document in documents)]
    table = [["asked for", *shown]]
    table += [[_cut(asked), *(_cell(document, name) for name in shown)] for asked, document in documents]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _cell(document: dict[str, object], name: str) -> str:
    value = document.get(name)
    return "" if value is None or isinstance(value, dict | list) else _cut(str(value))


def _cut(text: str) -> str:
    text = plain(" ".join(text.split()))
    return text if len(text) <= 40 else text[:39] + "…"
