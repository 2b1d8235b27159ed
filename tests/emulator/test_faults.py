"""Faults on order: the language, each kind as a client sees it, and the log of requests."""

import http.client
import json
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest

from emulator.faults import BadFaultsError, read_faults
from emulator.launch import launch
from tests.emulator.conftest import FIRST_DAY, Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["spec", "live"])
def emulator(request):
    with launch(models=150, dialect=request.param) as running:
        yield running


@pytest.fixture
def client(emulator):
    """A client of an emulator without faults; what the test orders ends with it."""
    yield Client(emulator)
    emulator.order_faults("")


@pytest.fixture(scope="module")
def is_live(emulator):
    return "metadata" in Client(emulator).json("/models") and "totalItems" not in json.dumps(
        Client(emulator).json("/models", limit=1)["metadata"]
    )


def ids(items):
    return [item["id"] for item in items]


def statuses(client, path, count, **query):
    return [client.get(path, query)[0] for _ in range(count)]


def walked(client, is_live, **query):
    """The ids of each page of a walk over /models."""
    query = {"limit": 20, "sort": "Most Downloaded"} | query
    if is_live:
        return [ids(page) for page in client.paginate("/models", **query, nsfw="true")]
    page = client.json("/models", **query)
    pages = [ids(page["items"])]
    while "nextPage" in page["metadata"]:
        page = client.json(page["metadata"]["nextPage"])
        pages.append(ids(page["items"]))
    return pages


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("42O", "'42O' in '42O' is no kind of fault; kinds are a status from 400 to 599, html, empty, cut"),
        ("200", "'200' in '200' is no kind of fault"),
        ("503 sometimes", "'sometimes' in '503 sometimes' is no condition; those are path=, nth=, every="),
        ("503 nth=x", "nth in '503 nth=x' must be like 3 or 2,5 or 4-6 or 7-, not 'x'"),
        ("503 nth=1,", "not ''"),
        ("503 chance=often", "chance in '503 chance=often' must be a number, not 'often'"),
        ("503 chance=1.5", "must be from 0 to 1, not 1.5"),
        ("503 path=[", "path in '503 path=[' is no regular expression"),
        ("503=soon", "503 in '503=soon' must be a number, not 'soon'"),
        ("html=1", "html in 'html=1' takes no argument"),
        ("poison", "must be like poison=ID"),
        ("poison=5:sweet", "must be like poison=ID"),
        ("shifted=1.5", "shifted in 'shifted=1.5' must be a whole number"),
        ("seed=x", "seed in 'seed=x' must be a whole number, not 'x'"),
    ],
)
def test_an_order_that_is_not_in_the_language_is_told_in_one_line(spec, message):
    with pytest.raises(BadFaultsError) as refused:
        read_faults(f"reset nth=1; {spec}")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_bad_order_on_the_command_line_or_later_changes_nothing(client, emulator):
    result = subprocess.run(
        [sys.executable, "-m", "emulator", "--port", "0", "--models", "5", "--faults", "nonsense"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith("emulator: 'nonsense' in 'nonsense' is no kind of fault")
    assert result.stderr.count("\n") == 1
    emulator.order_faults("503")
    with pytest.raises(RuntimeError, match="is no kind of fault"):
        emulator.order_faults("503; nonsense")
    assert client.get("/enums")[0] == 503


def test_faults_can_be_ordered_at_the_start():
    with launch(models=5, faults="500 nth=1; 429=3 nth=1") as emulator:
        client = Client(emulator)
        assert statuses(client, "/enums", 3) == [500, 429, 200]


def test_conditions_choose_the_requests(client, emulator):
    emulator.order_faults("503 nth=2,4-5,8-")
    assert statuses(client, "/enums", 9) == [200, 503, 200, 503, 503, 200, 200, 503, 503]
    emulator.order_faults("503 every=3 times=2")
    assert statuses(client, "/enums", 9) == [200, 200, 503, 200, 200, 503, 200, 200, 200]
    emulator.order_faults(r"503 path=/models\? nth=2; 500 path=/tags")
    assert statuses(client, "/enums", 2) == [200, 200]
    assert statuses(client, "/models", 3, limit=1) == [200, 503, 200]
    assert statuses(client, "/tags", 2) == [500, 500]
    emulator.order_faults("")
    assert statuses(client, "/tags", 2) == [200, 200]


def test_chance_is_the_same_for_the_same_seed(client, emulator):
    def drawn(spec):
        emulator.order_faults(spec)
        return statuses(client, "/models/1000000", 60)

    first = drawn("503 chance=0.3; seed=5")
    assert 8 <= first.count(503) <= 30
    assert drawn("503 chance=0.3; seed=5") == first
    assert drawn("503 chance=0.3; seed=6") != first
    assert drawn("503 chance=0") == [404] * 60
    assert drawn("503 chance=1") == [503] * 60


def test_statuses_come_with_the_errors_of_the_service_and_retry_after(client, emulator, is_live, validate):
    for status in (401, 404, 429, 451, 500, 502, 503, 504, 521):
        emulator.order_faults(f"{status}=7")
        answered, headers, body = client.get("/models")
        assert answered == status
        assert headers["retry-after"] == "7"
        assert headers["date"] == "Thu, 01 Jan 2026 12:00:00 GMT"
        if not is_live:
            validate("Error", json.loads(body))
        elif status in (429, 502, 504, 521):
            assert headers["content-type"].startswith("text/html")
    emulator.order_faults("429")
    assert "retry-after" not in client.get("/models")[1]
    emulator.order_faults("429=+90")
    assert client.get("/models")[1]["retry-after"] == "Thu, 01 Jan 2026 12:01:30 GMT"


def test_blocks_and_overload_look_as_the_dialect_has_them(client, emulator, is_live):
    """docs/api-notes.md, 1: live has 451 with a code, 503 with Retry-After 2 and no-store, and says what is
    overloaded."""
    emulator.order_faults("451")
    assert json.loads(client.get("/enums")[2])["code"] == ("REGION_BLOCKED" if is_live else "HTTP_451")
    emulator.order_faults("503")
    for path, text in (("/models", "Model search is temporarily overloaded"), ("/images", "Server busy")):
        _, headers, body = client.get(path)
        told = (headers.get("retry-after"), headers.get("cache-control"))
        assert told == (("2", "no-store") if is_live else (None, None))
        assert json.loads(body)["error"].startswith(text) is is_live


def test_html_is_a_success_that_is_no_json(client, emulator):
    emulator.order_faults("html")
    status, headers, body = client.get("/models")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert b"We're adjusting a few things" in body


def test_an_empty_page_ends_a_walk_silently(client, emulator, is_live):
    pages = walked(client, is_live)
    emulator.order_faults("empty nth=2 path=/models")
    assert walked(client, is_live) == [pages[0], []]


def test_a_cut_body_is_a_whole_answer_with_half_the_json(client, emulator):
    whole = client.get("/models", {"limit": 3})[2]
    emulator.order_faults("cut")
    status, headers, body = client.get("/models", {"limit": 3})
    assert status == 200
    assert 0 < len(body) < len(whole) * 0.6
    assert int(headers["content-length"]) == len(body)
    assert whole.startswith(body)
    assert client.get("/enums")[2] == client.get("/enums")[2]  # objects are cut, too
    with pytest.raises(json.JSONDecodeError):
        json.loads(client.get("/enums")[2])


def test_a_truncated_body_ends_before_its_length(client, emulator):
    whole = client.get("/models", {"limit": 30})[2]
    emulator.order_faults("truncated nth=1")
    with pytest.raises(http.client.IncompleteRead) as cut:
        client.get("/models", {"limit": 30})
    assert whole.startswith(cut.value.partial)
    assert client.get("/models", {"limit": 30})[2] == whole


def test_a_reset_connection_gives_no_answer(client, emulator):
    emulator.order_faults("reset nth=1-2")
    for _ in range(2):
        with pytest.raises(ConnectionError):
            client.get("/models")
    assert client.get("/models")[0] == 200


def test_slow_bytes_come_in_the_end(client, emulator):
    whole = client.get("/models", {"limit": 5})[2]
    emulator.order_faults("slow=0.4 nth=1")
    began = time.perf_counter()
    assert client.get("/models", {"limit": 5})[2] == whole
    assert 0.3 < time.perf_counter() - began < 5
    assert client.get("/models", {"limit": 5})[2] == whole


def test_a_repeated_cursor_leads_to_the_same_page_again(client, emulator, is_live):
    pages = walked(client, is_live)
    emulator.order_faults("repeated-cursor nth=2-4 path=/models")
    again = walked(client, is_live)
    assert again == [pages[0], pages[1], pages[1], pages[1], pages[1], *pages[2:]]


def test_a_duplicated_page_has_the_items_of_the_page_before(client, emulator, is_live):
    pages = walked(client, is_live)
    emulator.order_faults("duplicated nth=3 path=/models")
    assert walked(client, is_live) == [pages[0], pages[1], pages[1], *pages[3:]]


def test_shifted_rows_come_twice_if_some_were_born_and_never_if_some_went(client, emulator, is_live):
    pages = walked(client, is_live)
    everything = list(chain(*pages))
    emulator.order_faults("shifted=3 nth=2 path=/models")
    shifted = walked(client, is_live)
    assert shifted[1][:3] == pages[0][-3:]
    assert shifted[1][3:] == pages[1][:-3]
    assert list(chain(*shifted)) == everything[:20] + everything[17:]
    emulator.order_faults("shifted=-3 nth=2 path=/models")
    fewer = walked(client, is_live)
    assert list(chain(*fewer)) == everything[:20] + everything[23:]
    assert walked(client, is_live) == pages  # another walk begins anew
    if not is_live:
        emulator.order_faults("shifted=-3 nth=2 path=/models")
        totals = [client.json("/models", limit=20, page=page)["metadata"]["totalItems"] for page in (1, 2, 3, 1)]
        assert totals == [len(everything), len(everything) - 3, len(everything) - 3, len(everything)]


def test_the_catalogue_can_change_in_the_middle_of_a_walk(client, emulator, is_live):
    sort = "Oldest" if is_live else "Newest"
    before = list(chain(*walked(client, is_live, sort=sort)))
    emulator.order_faults("later=10 path=/models nth=3-5")
    try:
        during = list(chain(*walked(client, is_live, sort=sort)))
        assert client.get("/enums")[1]["date"] == "Sat, 31 Jan 2026 12:00:00 GMT"
        emulator.order_faults("")
        after = list(chain(*walked(client, is_live, sort=sort)))
        assert after != before
        assert during[:40] == before[:40]
        assert during[-20:] == after[-20:]
        if is_live:
            assert set(during) >= set(before) & set(after)
    finally:
        emulator.set_date(FIRST_DAY)


def test_a_poisoned_page_fails_until_the_record_is_alone(client, emulator, is_live):
    every = list(chain(*walked(client, is_live)))
    poison = every[5]

    def ask(limit, place):
        """The answer to a page of `limit` records that begins at a place of the order."""
        query = {"limit": limit, "sort": "Most Downloaded"} | ({"nsfw": "true"} if is_live else {})
        if not is_live:
            return client.get("/models", query | {"page": place // limit + 1})
        found = {"ids": ",".join(map(str, every[place : place + limit]))}
        return client.get("/models", query | found)

    emulator.order_faults(f"poison={poison}")
    assert ask(20, 0)[0] == ask(10, 0)[0] == 500
    assert ask(5, 0)[0] == ask(10, 10)[0] == 200
    alone = ask(1, 5)
    assert alone[0] == 200
    assert ids(json.loads(alone[2])["items"]) == [poison]
    assert client.get(f"/models/{poison}")[0] == 200

    emulator.order_faults(f"poison={poison}:broken:spoiled")
    status, _, body = ask(10, 0)
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    assert json.loads(ask(1, 5)[2])["items"][0]["name"] == {"spoiled": True}

    emulator.order_faults(f"poison={poison}:500:always")
    assert ask(1, 5)[0] == 500
    emulator.order_faults(f"poison={poison}:broken:always")
    assert ask(1, 5)[0] == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(ask(1, 5)[2])


def test_poison_works_on_creators_and_tags_by_name(client, emulator):
    name = client.json("/creators")["items"][3]["username"]
    emulator.order_faults(f"poison={name}; poison=style")
    assert client.get("/creators")[0] == client.get("/tags")[0] == 500
    assert client.get("/creators", {"limit": 1, "page": 4})[0] == 200


def test_the_log_tells_every_request_with_time_status_and_fault_and_no_secret(client, emulator):
    last = max((one["number"] for one in emulator.requests()), default=0)
    emulator.order_faults("503=1 path=/tags nth=1; reset path=/enums; slow=0.2 path=/creators")
    began = time.time()
    client.get("/models", {"limit": 2, "token": "secret-key", "sort": "Newest"})
    client.get("/tags")
    client.get("/tags")
    with pytest.raises(ConnectionError):
        client.get("/enums", headers={"Authorization": "Bearer secret-key"})
    client.get("/creators")
    logged = emulator.requests(since=last)
    assert [(one["method"], one["request"], one["status"]) for one in logged] == [
        ("GET", "/models?limit=2&token=***&sort=Newest", 200),
        ("GET", "/tags", 503),
        ("GET", "/tags", 200),
        ("GET", "/enums", None),
        ("GET", "/creators", 200),
    ]
    assert [one["number"] for one in logged] == list(range(last + 1, last + 6))
    assert [one["fault"] for one in logged] == [
        None, "503=1 path=/tags nth=1", None, "reset path=/enums", "slow=0.2 path=/creators",
    ]  # fmt: skip
    assert began <= logged[0]["at"] <= logged[1]["at"] <= time.time()
    assert logged[4]["until"] - logged[4]["at"] > 0.15
    assert "secret" not in json.dumps(emulator.requests())


def test_control_itself_is_never_faulty_nor_logged(client, emulator):
    emulator.order_faults("500; seed=2")
    before = len(emulator.requests())
    assert emulator.account(FIRST_DAY)["counts"]["models"] > 100
    assert len(emulator.requests()) == before
