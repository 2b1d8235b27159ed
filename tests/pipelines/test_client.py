import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from pipelines.api.answers import next_page_query
from pipelines.api.client import Client
from pipelines.api.errors import BrokenAnswerError, NotFoundError, OutageError, ServiceError
from pipelines.api.pacing import RequestBudget
from pipelines.settings import Settings
from tests.pipelines.conftest import Notes, settings_for
from tests.pipelines.service import Reply, Service, running_service

PAGE = Reply({"items": [{"id": 1}], "metadata": {"nextCursor": "a|b"}})
SENTINEL = "sk-sentinel-5fd8"


class Clock:
    """Time that passes when somebody waits, however busy the machine is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one that the client goes by."""
    clock = Clock()
    monkeypatch.setattr("pipelines.api.pacing.time", clock)
    return clock


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.02)


@pytest.fixture
def client(settings: Settings) -> Client:
    return Client(settings)


def test_a_page_has_its_items_as_they_were_sent(service: Service, client: Client) -> None:
    service.replies("/models", Reply(b' {"items": [ {"id":1 ,"x":1.0}, "text"], "metadata":{"nextCursor":5}, "new":1}'))
    page = client.list_page("/models", (("limit", "2"), ("sort", "Most Liked")))
    assert [bytes(item) for item in page.items] == [b'{"id":1 ,"x":1.0}', b'"text"']
    assert page.metadata == {"nextCursor": 5}
    assert page.request == "/models?limit=2&sort=Most+Liked"
    assert service.asked("/models") == [{"limit": "2", "sort": "Most Liked"}]
    assert (client.requests, client.retries, client.bytes_received) == (1, 0, 78)


def test_the_time_of_a_page_is_the_clock_of_the_service(service: Service, client: Client) -> None:
    service.date = "Mon, 05 Jan 2026 23:59:58 GMT"
    assert client.list_page("/models", ()).answered_at == datetime(2026, 1, 5, 23, 59, 58, tzinfo=UTC)


@pytest.mark.parametrize("shown", ["Fri, 31 Dec 9999 23:59:59 -0100", "Thu, 99 Foo 2026 99:99:99 GMT", "tomorrow"])
def test_a_clock_that_shows_no_moment_is_passed_over(service: Service, client: Client, shown: str) -> None:
    service.date = shown
    assert abs(client.list_page("/models", ()).answered_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_project_and_the_key_are_named_in_headers_only(service: Service, tmp_path: Path) -> None:
    Client(settings_for(service.api_url, tmp_path, api_key=SENTINEL)).list_page("/models", ())
    (request,) = service.requests
    assert request.headers["User-Agent"].startswith("civitai-etl/")
    assert request.headers["Authorization"] == f"Bearer {SENTINEL}"
    assert SENTINEL not in str(request.query)


@pytest.mark.parametrize(
    "fault",
    [
        Reply({"error": "busy"}, 503),
        Reply(b"<html>Bad gateway</html>", 502),
        Reply(b"slow down", 429),
        Reply(b"<html>We'll be back</html>"),
        Reply({"error": "no items here"}),
        Reply({"items": "none"}),
        Reply(b'{"items": [{"id": 1}'),
        Reply(b'{"items": [', promised=500),
    ],
    ids=["503", "502 HTML", "429", "200 HTML", "200 without items", "items no list", "broken JSON", "cut off"],
)
def test_what_may_pass_is_asked_for_again(service: Service, client: Client, fault: Reply) -> None:
    service.replies("/models", fault, fault, PAGE)
    assert len(client.list_page("/models", ()).items) == 1
    assert (client.requests, client.retries) == (3, 2)


def test_a_service_that_is_too_busy_is_tried_for_the_set_time_and_then_told(service: Service, tmp_path: Path) -> None:
    service.replies("/models", Reply({"error": "Server busy"}, 503))
    client = Client(settings_for(service.api_url, tmp_path, max_attempts=2), patience_seconds=1)
    began = time.monotonic()
    with pytest.raises(
        OutageError, match=r"/models\?limit=5: it answered 503 .*Server busy.*tried for \d+ s.*"
    ) as error:
        client.list_page("/models", (("limit", "5"),))
    assert 1 <= time.monotonic() - began < 20
    assert len(service.requests) > 3, "however few attempts a broken page has"
    assert "\n" not in str(error.value)


def test_without_patience_there_is_one_attempt(service: Service, settings: Settings) -> None:
    for fault in (Reply(b"", 503), Reply(b"", 502)):
        service.replies("/models", fault)
        with pytest.raises(ServiceError, match=str(fault.status)):
            Client(settings, patience_seconds=0).list_page("/models", ())
    assert len(service.requests) == 2


def test_the_set_time_begins_anew_with_each_good_answer_and_not_while_nothing_is_asked(
    service: Service, settings: Settings, clock: Clock
) -> None:
    service.replies("/models", PAGE, Reply(b"", 503), Reply(b"", 503), PAGE, Reply(b"", 503), Reply(b"", 503), PAGE)
    client = Client(settings, patience_seconds=0.4)
    for _ in range(3):
        client.list_page("/models", ())
        clock.sleep(0.5)


def test_each_pause_is_told_and_grows(service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.api.pacing._TRIVIAL_PAUSE", 0.1)
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 0.06)
    monkeypatch.setattr("pipelines.api.pacing._LONGEST_WAIT", 0.3)
    service.replies("/models", *6 * [Reply(b"busy", 503)], PAGE)
    notes, pauses, sleep = Notes(), list[float](), time.sleep
    monkeypatch.setattr("pipelines.api.pacing.time.sleep", lambda seconds: (pauses.append(seconds), sleep(seconds)))
    Client(settings, patience_seconds=60, progress=notes).list_page("/models", ())
    pattern = r"/models: it answered 503 busy; trying again in \d s, until \d\d:\d\d UTC"
    assert [note for note in notes.lines if not re.fullmatch(pattern, note)] == []
    assert 3 <= len(notes.lines) < 6, "not the first one"
    # As they were asked for, and not as long as they took: that is for the machine to say.
    assert pauses[0] <= 0.06
    assert 0.1 < pauses[-1] <= 0.3


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Reply({"error": "You've requested too many pages, please use cursors instead"}, 429), "too many pages"),
        (Reply({"error": "bad"}, 400), "400"),
        (Reply(b"", 404), "404"),
        (Reply({"code": "REGION_BLOCKED"}, 451), "region"),
        (
            Reply(b"", 301, {"Location": "https://www.example.org/x?token=abc"}),
            "www.example.org: set CIVITAI_ETL_API_URL",
        ),
        (Reply(b"", 302, {"Location": "http://[::1"}), "redirects to another address"),
        (Reply({"error": "Unauthorized"}, 401), "set CIVITAI_API_KEY"),
    ],
)
def test_a_refusal_is_not_repeated_and_says_what_to_do(
    service: Service, client: Client, fault: Reply, told: str
) -> None:
    service.replies("/models", fault)
    with pytest.raises(ServiceError, match=told):
        client.list_page("/models", ())
    assert len(service.requests) == 1


def test_a_refused_key_is_named_by_its_variable_and_never_shown(service: Service, tmp_path: Path) -> None:
    service.replies("/models", Reply({"error": f"no such key {SENTINEL}"}, 401))
    service.replies("/tags", Reply({"error": f"no such key {SENTINEL}"}, 400))
    client = Client(settings_for(service.api_url, tmp_path, api_key=SENTINEL))
    with pytest.raises(ServiceError, match="CIVITAI_API_KEY"):
        client.list_page("/models", ())
    with pytest.raises(ServiceError) as error:
        client.list_page("/tags", ())
    assert SENTINEL not in str(error.value)


@pytest.mark.parametrize("retry_after", ["1", "Thu, 01 Jan 2026 12:00:01 GMT"], ids=["seconds", "date of their clock"])
def test_a_retry_after_is_never_undercut(service: Service, client: Client, retry_after: str) -> None:
    service.replies("/models", Reply(b"", 429, {"Retry-After": retry_after}), PAGE)
    client.list_page("/models", ())
    first, second = service.requests
    assert 1 <= second.at - first.at < 2


@pytest.mark.parametrize(
    ("retry_after", "first"), [("0", 0.4), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.4), ("-5", 0.4), ("1", 2.8)]
)
def test_a_retry_after_never_takes_the_back_off_away(
    service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch, retry_after: str, first: float
) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", first)
    service.replies("/models", Reply(b"", 502, {"Retry-After": retry_after}), PAGE)
    Client(settings).list_page("/models", ())
    one, other = service.requests
    assert other.at - one.at >= first / 2


def test_a_retry_after_that_is_longer_than_what_is_left_ends_the_run(service: Service, settings: Settings) -> None:
    service.replies("/models", Reply(b"", 503, {"Retry-After": "31"}))
    began = time.monotonic()
    with pytest.raises(OutageError, match="answered 503 and asks for a pause of 31 s"):
        Client(settings, patience_seconds=30).list_page("/models", ())
    assert time.monotonic() - began < 20


def test_requests_keep_to_the_budget(service: Service, tmp_path: Path, clock: Clock) -> None:
    times = asked_at(service, clock)
    client = Client(settings_for(service.api_url, tmp_path, requests_per_second=10))
    for _ in range(4):
        client.list_page("/models", ())
    assert [later - earlier for earlier, later in pairwise(times)] == 3 * [pytest.approx(0.1)]


def test_ctrl_c_ends_a_pause_at_once(service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.api.pacing._FIRST_WAIT", 60)

    def interrupt(_: dict[str, str]) -> Reply:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        return Reply(b"", 503)

    service.routes["/models"] = interrupt
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Client(settings, patience_seconds=1800).list_page("/models", ())
    assert time.monotonic() - began < 10


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/api/v1"


def test_no_server_is_tried_for_the_set_time_and_its_address_doubted(nobody: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(OutageError, match=f"No server answers at {nobody} .*refused.*CIVITAI_ETL_API_URL"):
        Client(settings_for(nobody, tmp_path), patience_seconds=1).list_page("/models", ())
    assert 1 <= time.monotonic() - began < 20


def test_of_a_server_that_has_answered_nobody_doubts_the_address(nobody: str, tmp_path: Path) -> None:
    with running_service() as service:
        service.replies("/models", Reply(PAGE.body, headers={"Connection": "close"}))
        client = Client(settings_for(service.api_url, tmp_path), patience_seconds=0.5)
        client.list_page("/models", ())
    with pytest.raises(OutageError, match=r"/models: .*refused.*run again later") as error:
        client.list_page("/models", ())
    assert "CIVITAI_ETL_API_URL" not in str(error.value)


def test_only_the_query_of_a_next_page_counts_and_its_token_is_dropped() -> None:
    url = "https://else.where/api/v1/models?limit=100&query=a%20b&token=abc&tag=&page=2"
    assert next_page_query(url) == (("limit", "100"), ("query", "a b"), ("tag", ""), ("page", "2"))


def asked_at(service: Service, clock: Clock) -> list[float]:
    """When models were asked for, as they are."""
    times: list[float] = []

    def route(_: dict[str, str]) -> Reply:
        times.append(clock.now)
        return PAGE

    service.routes["/models"] = route
    return times


def busiest_second(times: list[float]) -> int:
    """The most requests in any window of one second."""
    return max(sum(first <= at < first + 1 for at in times) for first in times)


def test_no_window_of_one_second_has_more_requests_than_the_budget(
    service: Service, tmp_path: Path, clock: Clock
) -> None:
    times = asked_at(service, clock)
    client = Client(settings_for(service.api_url, tmp_path, requests_per_second=4))
    for _ in range(10):
        client.list_page("/models", ())
    assert busiest_second(times) <= 4
    assert times[-1] - times[0] < 2.5


def test_after_too_much_the_rate_is_halved_and_comes_back_step_by_step(clock: Clock) -> None:
    budget, times = RequestBudget(40), list[float]()
    for number in range(77):
        with budget:
            times.append(clock.now)
            clock.now += 0.001
            if number < 2:
                budget.slow_down()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    # At half the budget, at a quarter, then an eighth more with every ten answers.
    assert gaps[0] == pytest.approx(0.05)
    spans = [median(gaps[first : first + 10]) for first in range(1, 61, 10)]
    assert spans == pytest.approx([0.1, 0.0667, 0.05, 0.04, 0.0333, 0.0286], rel=0.01)
    assert max(gaps[66:]) == pytest.approx(0.025, rel=0.01)


@pytest.mark.parametrize("status", [429, 503])
def test_what_says_that_it_is_too_much_slows_the_requests_down(service: Service, tmp_path: Path, status: int) -> None:
    service.replies("/models", Reply(b"", status, {"Retry-After": "0"}), Reply(b"", status, {"Retry-After": "0"}), PAGE)
    client = Client(settings_for(service.api_url, tmp_path, requests_per_second=40))
    for _ in range(10):
        client.list_page("/models", ())
    times = [request.at for request in service.requests]
    assert times[11] - times[2] > 0.8, "a tenth of a second each, a busy machine takes longer"
    assert busiest_second(times) <= 40


def test_a_retry_after_holds_for_whatever_is_asked_next(service: Service, tmp_path: Path) -> None:
    service.replies("/models", Reply(b"", 502, {"Retry-After": "1"}))
    client = Client(settings_for(service.api_url, tmp_path, max_attempts=1))
    with pytest.raises(ServiceError):
        client.list_page("/models", ())
    client.list_page("/tags", ())
    first, second = service.requests
    assert second.at - first.at >= 1


def test_what_could_be_read_of_an_answer_that_is_always_broken_is_kept(service: Service, tmp_path: Path) -> None:
    service.replies("/models", Reply(b'{"items": [', promised=500))
    service.replies("/tags", Reply(b'{"items": [nonsense'))
    service.replies("/images", Reply(b"oh no", 500))
    client = Client(settings_for(service.api_url, tmp_path, max_attempts=2))
    for path, fault, body in (
        ("/models", "broke off", b'{"items": ['),
        ("/tags", "no page of items", b'{"items": [nonsense'),
        ("/images", "it answered 500 oh no", b"oh no"),
    ):
        with pytest.raises(BrokenAnswerError, match="2 attempts") as error:
            client.list_page(path, ())
        assert fault in error.value.fault
        assert error.value.body == body
    assert client.requests == 6


def test_a_service_that_is_too_busy_is_not_broken(service: Service, tmp_path: Path) -> None:
    service.replies("/models", Reply(b"", 503))
    with pytest.raises(OutageError):
        Client(settings_for(service.api_url, tmp_path, max_attempts=2), patience_seconds=0.1).list_page("/models", ())


def test_all_clients_of_a_process_keep_to_one_budget_and_ask_one_at_a_time(service: Service, tmp_path: Path) -> None:
    settings = settings_for(service.api_url, tmp_path, requests_per_second=5)
    under_way, most = 0, 0

    def route(_: dict[str, str]) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.02)
        under_way -= 1
        return PAGE

    service.routes["/models"] = route
    threads = [
        threading.Thread(target=lambda: [Client(settings).list_page("/models", ()) for _ in range(4)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(service.requests) == 12
    assert busiest_second([request.at for request in service.requests]) <= 5
    assert most == 1


def test_a_retry_after_holds_for_every_client_of_the_process(service: Service, settings: Settings) -> None:
    service.replies("/models", Reply(b"", 502, {"Retry-After": "1"}))
    with pytest.raises(BrokenAnswerError):
        Client(settings).list_page("/models", (), attempts=1)
    Client(settings).list_page("/tags", ())
    first, second = service.requests
    assert second.at - first.at >= 1


DRIPS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "it had not come as a whole after 1 s"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "it had not come as a whole after 1 s"),
    (b"HTTP/1.1 200 OK\r\nX-Slow: ", "it had not come as a whole after 1 s"),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "it had not come as a whole after 1 s"),
]


@pytest.mark.parametrize(("begin", "why"), DRIPS, ids=["body", "chunk", "header", "until the end"])
def test_an_answer_that_drips_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, why: str) -> None:
    # No silence of a busy machine is as long as the time-out; the whole answer has a second.
    monkeypatch.setattr("pipelines.api.transport._WHOLE_ANSWER", 1 / 60)

    def drip() -> None:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(begin)
        with suppress(OSError):
            while True:
                connection.sendall(b" ")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/api/v1"
        client = Client(settings_for(url, tmp_path, timeout_seconds=60), patience_seconds=0)
        began = time.monotonic()
        with pytest.raises(ServiceError, match=why):
            client.list_page("/models", ())
    assert 1 <= time.monotonic() - began < 30


def test_an_answer_that_is_too_large_is_broken_and_not_read_to_its_end(
    service: Service, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.api.transport._LARGEST_ANSWER", 10**6)
    monkeypatch.setattr("pipelines.api.transport._KEPT_OF_LARGER", 100)
    service.replies("/models", Reply(b" " * 20_000_000 + b'{"items": [], "metadata": {}}'))
    client = Client(settings)
    with pytest.raises(BrokenAnswerError, match="it has more than 1,000,000 bytes") as error:
        client.list_page("/models", (), attempts=1)
    assert client.bytes_received < 2_000_000
    assert error.value.body == b" " * 100


def test_no_memory_is_taken_for_what_an_answer_only_announces(service: Service, tmp_path: Path) -> None:
    service.replies("/models", Reply(b"{}", 200, {"Content-Length": str(10**14)}))
    with pytest.raises(BrokenAnswerError, match="its answer broke off"):
        Client(settings_for(service.api_url, tmp_path, timeout_seconds=0.5)).list_page("/models", (), attempts=1)


def test_a_slow_answer_that_comes_in_time_is_taken(service: Service, tmp_path: Path) -> None:
    service.replies("/models", PAGE)
    client = Client(settings_for(service.api_url, tmp_path, timeout_seconds=0.2))
    client.list_page("/models", ())
    time.sleep(1.2)
    client.list_page("/models", ())
    assert client.requests == 2, "the deadline of an answer ends with it"


@pytest.mark.parametrize("body", [b"<html>Not found</html>", b"", b'"x"', b"[]"], ids=["HTML", "empty", "text", "list"])
def test_a_404_that_is_not_the_services_own_says_nothing_of_a_document(
    service: Service, settings: Settings, body: bytes
) -> None:
    service.replies("/models/1", Reply(body, 404), Reply({"id": 1}))
    assert len(Client(settings).document("/models/1", ()).items) == 1
    service.replies("/models/2", Reply(body, 404))
    with pytest.raises(BrokenAnswerError, match="404"):
        Client(settings).document("/models/2", (), attempts=1)
    service.replies("/models/3", Reply({"error": "No model with id 3"}, 404))
    with pytest.raises(NotFoundError):
        Client(settings).document("/models/3", ())
