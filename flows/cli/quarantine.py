"""Lists, shows and replays quarantined records and values."""

import json
from collections import Counter
from typing import TYPE_CHECKING

from flows.reporting.report import open_analytics
from pipelines.errors import CivitaiEtlError

if TYPE_CHECKING:
    from pipelines.progress import Progress
    from pipelines.settings import Settings

#: The number of rows shown of a record. Its other dates say the same.
SHOWN = 3

_COUNT = "select count(*) from star.ops_quarantine"


class NotQuarantinedError(CivitaiEtlError):
    """No record of that kind and id is in quarantine."""


def group_lines(settings: "Settings") -> list[str]:
    """Per kind, level and reason (without the index in a list): the count, the first and last date, and one id."""
    with open_analytics(settings.directory.analytics) as connection:
        groups = connection.execute(
            r"""
            select
                kind, level, regexp_replace(reason, '\[[^]]*\]', '[]', 'g') as reason_of_all,
                count(*), min(snapshot_date), max(snapshot_date), min(entity_id)
            from star.ops_quarantine
            group by kind, level, reason_of_all
            order by count(*) desc, kind, level, reason_of_all
            """
        ).fetchall()
    if not groups:
        return ["Nothing is quarantined."]
    counts: Counter[str] = Counter()
    lines = []
    for kind, level, reason, count, first, last, example in groups:
        counts[level] += count
        dates = str(first) if first == last else f"{first} to {last}"
        such_as = f" (such as {example})" if example else ""
        lines.append(f"{count:>8,}  {kind}, {_of(level, count)}, {dates}: {reason}{such_as}")
    what = ", ".join(f"{count:,} {_of(level, count)}" for level, count in sorted(counts.items()))
    return [
        f"Set aside: {what}.",
        *lines,
        "`civitai-etl quarantine show KIND ID` shows one as it was received. The record of a row or a value counts.",
    ]


def _of(level: str, count: int) -> str:
    return level if count == 1 else f"{level}s"


def record_lines(settings: "Settings", kind: str, entity_id: str) -> list[str]:
    """A record as received, or its quarantined values, newest first, with the reason. JSON is indented.

    Raises:
        NotQuarantinedError: it is not in quarantine.
    """
    with open_analytics(settings.directory.analytics) as connection:
        records = connection.execute(
            "select snapshot_date, crawl_id, level, reason, payload from star.ops_quarantine "
            "where kind = ? and entity_id = ? order by snapshot_date desc, crawl_id desc, reason",
            [kind, entity_id],
        ).fetchall()
    if not records:
        raise NotQuarantinedError(f"No {kind} {entity_id} is quarantined: `civitai-etl quarantine` lists what is.")
    lines = []
    for snapshot_date, crawl_id, level, reason, payload in records[:SHOWN]:
        what = f"a {level} of {kind}" if level in ("row", "value") else kind
        lines.append(f"{what} {entity_id} of {snapshot_date} (crawl {crawl_id}): {reason}")
        lines += _laid_out(payload).splitlines()
    if len(records) > SHOWN:
        lines.append(f"... and {len(records) - SHOWN:,} more or earlier ones.")
    return lines


def replay(settings: "Settings", progress: "Progress", *, wait: bool = False) -> str:
    """Make the star again if today's declarations can read a quarantined record or value; reports the result.

    Raises:
        CivitaiEtlError: nothing is published, or the rebuild fails.
    """
    from flows.steps import rebuild_star
    from transforms.staging.payloads import STAGED_KINDS
    from transforms.staging.quarantine import reason_now

    with open_analytics(settings.directory.analytics) as connection:
        rows = connection.execute(
            "select distinct kind, level, entity_id, reason, payload from star.ops_quarantine"
        ).fetchall()
        before = connection.execute(_COUNT).fetchall()[0][0]
    # An item never became a document. Every rebuild checks a row again that a table rejected.
    is_readable = any(
        reason_now(kind, level, entity_id, reason, text.encode()) is None
        for kind, level, entity_id, reason, text in rows
        if level in ("record", "value") and kind in STAGED_KINDS
    )
    if not is_readable:
        return f"Today's declarations can read none of the {before:,} quarantined records and values."
    rebuild_star(settings, progress=progress, wait=wait)
    with open_analytics(settings.directory.analytics) as connection:
        left = connection.execute(_COUNT).fetchall()[0][0]
    return f"Of {before:,} in quarantine, {before - left:,} were added to their dates; {left:,} stay in quarantine."


def _laid_out(payload: str) -> str:
    try:
        text = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
        text.encode()
    except (ValueError, RecursionError):  # not JSON, half a surrogate pair, nested too deeply
        return payload
    return text
