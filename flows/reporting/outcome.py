"""What a run did, as records of its log: the same sentences that a command prints and that Prefect's pages show."""

import logging
from typing import TYPE_CHECKING

from flows.reporting import report
from flows.reporting.logs import LOG, SHOWN

if TYPE_CHECKING:
    from pipelines.crawl.discovery import RefreshReport
    from pipelines.crawl.lookups import LookupReport
    from pipelines.crawl.snapshot import SnapshotReport
    from transforms.build import BuildReport


def log_crawl(crawled: "SnapshotReport") -> None:
    """A partial crawl is a problem."""
    LOG.log(_level(crawled.status != "complete"), "%s", report.crawl_line(crawled), extra=SHOWN)
    if not crawled.already_complete:
        LOG.info("%s", report.coverage_line(crawled), extra=SHOWN)


def log_look_up(looked_up: "LookupReport") -> None:
    LOG.log(_level(bool(looked_up.problem)), "%s", report.lookup_line(looked_up), extra=SHOWN)


def log_build(built: "BuildReport") -> None:
    """The record counts, and each warning as a warning."""
    for line in report.record_count_lines(built.record_counts):
        LOG.info("%s", line, extra=SHOWN)
    for warning in built.warnings:
        LOG.warning("%s", warning, extra=SHOWN)


def log_refresh(refreshed: "RefreshReport") -> None:
    LOG.info("%s", report.refresh_line(refreshed), extra=SHOWN)


def _level(is_problem: bool) -> int:
    return logging.WARNING if is_problem else logging.INFO
