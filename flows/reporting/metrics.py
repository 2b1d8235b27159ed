"""The condition of a data directory in the text format of Prometheus.

One declaration per metric: name, help, labels, and how its samples follow from the condition. All are gauges in base
units (seconds, bytes, ratios from 0 to 1), times are Unix seconds. A value that is not known has no sample, because
zero would be a value. Ages are not given: `time() - civitai_etl_newest_complete_timestamp_seconds` is one that also
grows while nothing is scraped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, get_args

from flows.reporting.condition import PROBLEMS, Condition
from pipelines.run_record import Result

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

#: The values of the labels, and the value.
Sample = tuple[tuple[str, ...], float | None]
DAY = 86_400
#: The content type of the text.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Metric:
    """A gauge: its name, what it says, the names of its labels, and its samples. A sample of None is left out."""

    name: str
    help: str
    samples: Callable[[Condition], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def _value(number: Callable[[Condition], float | None]) -> Callable[[Condition], Iterable[Sample]]:
    return lambda condition: [((), number(condition))]


def _published(number: Callable[[Condition], float]) -> Callable[[Condition], Iterable[Sample]]:
    """A number that is known once something is published."""
    return _value(lambda condition: number(condition) if condition.is_published else None)


def _each(numbers: Callable[[Condition], Mapping[str, float | None] | None]) -> Callable[[Condition], Iterable[Sample]]:
    return lambda condition: [((label,), number) for label, number in (numbers(condition) or {}).items()]


def _moment(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _midnight(on: date | None) -> float | None:
    return None if on is None else datetime.combine(on, time(), UTC).timestamp()


def _length(things: tuple[object, ...] | None) -> int | None:
    return None if things is None else len(things)


def _days(count: float | None) -> float | None:
    return None if count is None else count * DAY


def _newest_partial(condition: Condition) -> Iterator[Sample]:
    if day := condition.newest_partial:
        yield (str(day.date), day.reason), 1


def _result(condition: Condition) -> Iterator[Sample]:
    if run := condition.last_run:
        yield from (((result,), run.result == result) for result in get_args(Result))


METRICS = (
    Metric(
        "civitai_etl_problem",
        "Whether the condition has this problem, as `status --fail-on` names it: 1 or 0.",
        _each(lambda condition: {name: name in condition.problems for name in PROBLEMS}),
        ("problem",),
    ),
    Metric(
        "civitai_etl_max_age_seconds",
        "How old the newest complete snapshot may be.",
        _value(lambda condition: condition.max_age_seconds),
    ),
    Metric(
        "civitai_etl_newest_complete_timestamp_seconds",
        "When the newest complete snapshot began, by the service's clock.",
        _value(lambda condition: _moment(condition.newest_complete_at)),
    ),
    Metric(
        "civitai_etl_newest_timestamp_seconds",
        "The newest snapshot date, complete or partial, at 00:00 UTC.",
        _value(lambda condition: _midnight(condition.newest)),
    ),
    Metric(
        "civitai_etl_newest_is_complete",
        "Whether the newest snapshot date is complete: 1 or 0.",
        _value(lambda condition: condition.newest_is_complete),
    ),
    Metric(
        "civitai_etl_newest_partial_timestamp_seconds",
        "The newest partial snapshot date at 00:00 UTC.",
        _value(lambda condition: _midnight(condition.newest_partial.date) if condition.newest_partial else None),
    ),
    Metric(
        "civitai_etl_newest_partial_info",
        "The newest partial snapshot date and why it is partial; always 1.",
        _newest_partial,
        ("snapshot_date", "reason"),
    ),
    Metric(
        "civitai_etl_newest_met_ratio",
        "Share of the items announced by the service's lists that the newest crawl met.",
        _value(lambda condition: condition.met_share),
    ),
    Metric(
        "civitai_etl_snapshot_dates",
        "Dates with a snapshot, complete or partial.",
        _published(lambda condition: len(condition.dates)),
    ),
    Metric(
        "civitai_etl_partial_dates",
        "Dates whose snapshot is partial.",
        _published(lambda condition: len(condition.partial)),
    ),
    Metric(
        "civitai_etl_missing_dates",
        "Days between the first and the newest snapshot without one.",
        _published(lambda condition: len(condition.missing)),
    ),
    Metric(
        "civitai_etl_excluded_dates",
        "Dates that a person excluded.",
        _published(lambda condition: len(condition.excluded)),
    ),
    Metric(
        "civitai_etl_refused_dates",
        "Dates that the checks refused and that await a decision.",
        _published(lambda condition: len(condition.refused)),
    ),
    Metric(
        "civitai_etl_newest_quarantined_rows",
        "Rows of ops_quarantine of the newest snapshot date, by level.",
        _each(lambda condition: condition.quarantined),
        ("level",),
    ),
    Metric(
        "civitai_etl_quarantined_rows",
        "Rows of ops_quarantine of all dates, by level.",
        _each(lambda condition: condition.quarantined_in_total),
        ("level",),
    ),
    Metric(
        "civitai_etl_newest_withheld_counters",
        "Counters that are withheld on the newest snapshot date.",
        _value(lambda condition: _length(condition.withheld)),
    ),
    Metric(
        "civitai_etl_withheld_counters",
        "Counters that are withheld, on all dates.",
        _value(lambda condition: condition.withheld_in_total),
    ),
    Metric(
        "civitai_etl_newest_warnings",
        "Warnings of the data-quality checks on the newest snapshot date.",
        _value(lambda condition: _length(condition.warnings)),
    ),
    Metric(
        "civitai_etl_table_rows",
        "Rows of a published table.",
        _each(lambda condition: condition.rows),
        ("table",),
    ),
    Metric(
        "civitai_etl_used_bytes",
        "Bytes on disk, by part: the published star, the warehouse, the archive.",
        _each(lambda condition: condition.bytes),
        ("part",),
    ),
    Metric(
        "civitai_etl_disk_free_bytes",
        "Free bytes of a disk that the data directory uses.",
        _each(lambda condition: {disk.path: disk.free_bytes for disk in condition.disks}),
        ("path",),
    ),
    Metric(
        "civitai_etl_disk_left_seconds",
        "Time until the disk is full at the pace of an open month.",
        _each(lambda condition: {disk.path: _days(disk.days_left) for disk in condition.disks}),
        ("path",),
    ),
    Metric(
        "civitai_etl_disk_left_compacted_seconds",
        "Time until the disk is full if `compact` runs every month.",
        _each(lambda condition: {disk.path: _days(disk.compacted_days_left) for disk in condition.disks}),
        ("path",),
    ),
    Metric(
        "civitai_etl_last_run_result",
        "How the last daily run ended: 1 for its result, 0 for the others.",
        _result,
        ("result",),
    ),
    Metric(
        "civitai_etl_last_run_duration_seconds",
        "How long the last daily run took.",
        _value(lambda condition: condition.last_run.seconds if condition.last_run else None),
    ),
    Metric(
        "civitai_etl_last_run_end_timestamp_seconds",
        "When the last daily run ended, by this machine's clock.",
        _value(lambda condition: _moment(condition.last_run.ended_at) if condition.last_run else None),
    ),
)


class _Collector:
    """The metrics of one condition, as the library collects them."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def collect(self) -> "Iterator[Family]":
        from prometheus_client.core import GaugeMetricFamily

        for metric in METRICS:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in metric.samples(self._condition):
                if value is not None:
                    family.add_metric(labels, float(value))
            if family.samples:
                yield family


def exposition(condition: Condition) -> str:
    """The condition as Prometheus reads it. A metric without a known value is left out."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(condition))
    return generate_latest(registry).decode()
