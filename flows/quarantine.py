"""What was set aside: listed, shown, and taken in once the declarations can read it."""

import json
from typing import TYPE_CHECKING

from flows.report import open_analytics
from pipelines.errors import CivitaiEtlError

if TYPE_CHECKING:
    from pipelines.progress import Progress
    from pipelines.settings import Settings

#: Times that a record was set aside that are shown; its other dates say the same.
SHOWN = 3


class NotSetAsideError(CivitaiEtlError):
    """No record of that kind and id is in quarantine."""


def group_lines(settings: "Settings") -> list[str]:
    """Per kind and reason: how many records, from when to when, and the id of one."""
    with open_analytics(settings.analytics) as connection:
        groups = connection.execute(
            """
            select kind, reason, count(*), min(snapshot_date), max(snapshot_date), min(entity_id)
            from star.ops_quarantine
            group by kind, reason
            order by count(*) desc, kind, reason
            """
        ).fetchall()
    if not groups:
        return ["Nothing is set aside."]
    lines = [f"{sum(group[2] for group in groups):,} records are set aside:"]
    for kind, reason, count, first, last, example in groups:
        dates = str(first) if first == last else f"{first} to {last}"
        lines.append(f"{count:>8,}  {kind}, {dates}: {reason}" + (f" (such as {example})" if example else ""))
    return [*lines, "`civitai-etl quarantine show KIND ID` shows one as it was received."]


def record_lines(settings: "Settings", kind: str, entity_id: str) -> list[str]:
    """A record as it was received, newest first, with its reason; JSON is laid out.

    Raises:
        NotSetAsideError: it is not there.
    """
    with open_analytics(settings.analytics) as connection:
        records = connection.execute(
            "select snapshot_date, crawl_id, reason, payload from star.ops_quarantine where kind = ? and entity_id = ? "
            "order by snapshot_date desc, crawl_id desc",
            [kind, entity_id],
        ).fetchall()
    if not records:
        raise NotSetAsideError(f"No {kind} {entity_id} is set aside: `civitai-etl quarantine` lists what is.")
    lines = []
    for snapshot_date, crawl_id, reason, payload in records[:SHOWN]:
        lines.append(f"{kind} {entity_id} of {snapshot_date} (crawl {crawl_id}): {reason}")
        lines += _laid_out(payload).splitlines()
    if len(records) > SHOWN:
        lines.append(f"... and {len(records) - SHOWN:,} earlier ones.")
    return lines


def replay(settings: "Settings", progress: "Progress") -> str:
    """Make the star anew if today's declarations read any record that is set aside; tells what came of it.

    Raises:
        CivitaiEtlError: nothing is published, or the rebuild fails.
    """
    from flows.steps import rebuild_star
    from transforms.payloads import PAYLOADS
    from transforms.quarantine import reason_now

    with open_analytics(settings.analytics) as connection:
        records = connection.execute("select kind, entity_id, payload from star.ops_quarantine").fetchall()
    # What has no id never became a document; a row that a table refused is judged again by any rebuild.
    documents = [
        (kind, text.encode(), entity_id) for kind, entity_id, text in records if kind in PAYLOADS and entity_id
    ]
    mended = sum(reason_now(*document) is None for document in documents)
    if not mended:
        return f"None of the {len(records):,} records that are set aside can be read by today's declarations."
    rebuild_star(settings, progress=progress)
    with open_analytics(settings.analytics) as connection:
        left = connection.execute("select count(*) from star.ops_quarantine").fetchall()[0][0]
    return f"{len(records) - left:,} of {len(records):,} records were taken in at their dates; {left:,} stay set aside."


def _laid_out(payload: str) -> str:
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except ValueError:
        return payload
