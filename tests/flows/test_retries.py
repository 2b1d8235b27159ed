"""When a failed run is tried again, and after which failures."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.retries import may_pass, next_attempt
from pipelines.api.answers import Answer
from pipelines.api.errors import BarredError, RefusedError, ServiceError
from pipelines.crawl.snapshot import OtherDateError
from pipelines.network import NetworkError
from pipelines.settings import SettingsError
from pipelines.storage.directory import StorageError
from pipelines.storage.lock import ForeignLakeError

THREE = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


def test_pauses_double_up_to_the_longest_and_end_with_the_date_on_which_the_run_began():
    now, pauses = THREE, []
    while begins := next_attempt(THREE, len(pauses) + 1, now):
        pauses.append((begins - now) / timedelta(minutes=1))
        now = begins
    assert pauses[:7] == [5, 10, 20, 40, 80, 80, 80]
    assert set(pauses[7:]) == {80}
    assert now.date() == THREE.date()
    assert now > datetime(2026, 11, 25, 22, 40, tzinfo=UTC)


def test_nothing_is_tried_again_on_another_date():
    last = datetime(2026, 11, 25, 23, 55, tzinfo=UTC)
    assert next_attempt(last, 1, last - timedelta(seconds=1)) == last.replace(hour=23, minute=59, second=59)
    assert next_attempt(last, 1, last) is None
    assert next_attempt(THREE, 1, THREE + timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ServiceError("No server answers"), True),
        (RefusedError("403", 403, Answer(b"", THREE)), True),
        (RefusedError("401", 401, Answer(b"", THREE)), False),
        (RefusedError("451", 451, Answer(b"", THREE)), False),
        (BarredError("the certificate is not trusted"), False),
        (NetworkError("HTTPS_PROXY"), False),
        (StorageError("The disk is full"), True),
        (MemoryError(), True),
        (SettingsError("CIVITAI_ETL_API_URL"), False),
        (OtherDateError("A snapshot of yesterday"), False),
        (ForeignLakeError("the lake of another"), False),
    ],
)
def test_what_a_person_has_to_mend_does_not_pass(error, passes):
    assert may_pass(error) is passes
