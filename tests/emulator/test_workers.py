"""Worker processes: the same answers as without them, one state for all, and no process that is left behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from emulator.launch import Emulator, launch
from tests.emulator.conftest import FIRST_DAY, Client

PAGES = {
    "spec": (
        "/models?limit=200",
        "/models?limit=200&page=2",
        "/models?limit=7&page=3&sort=Newest",
        "/models?limit=1",
        "/models?limit=50&page=99",
        "/models?sort=Most%20Downloaded&nsfw=false&types=LORA",
    ),
    "live": (
        "/models?limit=100&sort=Oldest&nsfw=true",
        "/models?limit=100&sort=Oldest&cursor=2025-06-01%2000:00:00.000%7C1",
        "/models?limit=7&sort=Newest&cursor=2025-06-01%2000:00:00.000%7C1",
        "/models?limit=1",
        "/models?limit=0",
        "/models?limit=60&baseModels=Pony",
    ),
}


@pytest.fixture(scope="module", params=PAGES)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def alone(dialect: str) -> Iterator[Client]:
    with launch(models=300, on=FIRST_DAY, dialect=dialect, workers=0) as emulator:
        yield Client(emulator)


@pytest.fixture(scope="module")
def shared(dialect: str) -> Iterator[Client]:
    with launch(models=300, on=FIRST_DAY, dialect=dialect, workers=3) as emulator:
        yield Client(emulator)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it did not come to pass in ten seconds")


def runs(pid: int) -> bool:
    """Whether a process is there and not only waits for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_answer_byte_for_byte_like_one_process(alone: Client, shared: Client, dialect: str) -> None:
    def answers(client: Client) -> list[object]:
        host = client.emulator.api_url.encode()
        found = []
        for on in (FIRST_DAY, date(2027, 3, 1), FIRST_DAY):
            client.emulator.set_date(on)
            for path in (*PAGES[dialect], "/creators", "/models/1000"):
                status, headers, body = client.get(path)
                headers.pop("content-length")  # the address in it has a port of another length
                found.append((path, status, headers, body.replace(host, b"")))
        return found

    assert answers(shared) == answers(alone)


def test_the_clock_has_moved_for_every_worker_when_it_is_set(shared: Client, dialect: str) -> None:
    seen = set()
    for on in (date(2024, 6, 1), date(2026, 6, 1), FIRST_DAY):
        shared.emulator.set_date(on)
        with ThreadPoolExecutor(4) as threads:
            answers = set(threads.map(lambda _: shared.get(PAGES[dialect][0])[2], range(8)))
        assert len(answers) == 1
        seen |= answers
    assert len(seen) == 3


def test_faults_are_counted_and_requests_numbered_once_for_all(shared: Client, dialect: str) -> None:
    last = max((one["number"] for one in shared.emulator.requests()), default=0)
    shared.emulator.order_faults("429 every=5 path=/models")
    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(lambda _: shared.get(PAGES[dialect][1])[0], range(60)))
    shared.emulator.order_faults("")
    assert sorted(statuses) == [200] * 48 + [429] * 12
    logged = shared.emulator.requests(last)
    assert [one["number"] for one in logged] == list(range(last + 1, last + 61))
    assert sum(one["status"] == 429 for one in logged) == 12


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_server(ending: signal.Signals) -> None:
    with launch(models=60, workers=2) as emulator:
        Client(emulator).get("/models")
        workers = children(emulator.pid)
        assert len(workers) == 2
        os.kill(emulator.pid, ending)
        wait_until(lambda: not any(map(runs, workers)))


def test_workers_follow_the_clock_and_none_is_left_of_another_day() -> None:
    with launch(models=60, workers=2) as emulator:
        client = Client(emulator)
        for month in range(1, 6):
            emulator.set_date(date(2026, month, 1))
            client.get("/models")
        assert len(children(emulator.pid)) == 2


def test_a_killed_worker_costs_one_answer() -> None:
    with launch(models=60, workers=2) as emulator:
        client = Client(emulator)
        expected = client.get("/models")
        kill_one_worker(emulator)
        assert client.get("/models")[0] == 500
        assert client.get("/models") == expected
        assert len(children(emulator.pid)) == 2


def kill_one_worker(emulator: Emulator) -> None:
    worker = children(emulator.pid)[0]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not runs(worker))
