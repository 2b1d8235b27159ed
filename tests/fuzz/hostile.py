"""A Site API on loopback that answers wrong by seeded chance, and knows the truth of what it has and what it did.

It shares no code with the emulator, nor with what asks it. What it serves is a function of the id and the date, so that
the bytes of every document are known. Each request is logged with what hit it:

* its answer is unusable (`UNUSABLE`): that passes, for a request is not hit more often than `most_hits` in a run;
* everything is down for some requests (`Drawn.outages`);
* its page is not true (`tests.fuzz.lies`), or the whole list is odd all day (`LASTING`);
* a record is bad for ever: it breaks its page, has no id, is refused, gone, or hidden from the list.
"""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.fuzz.lies import LIES, Liar, Page, Row
from tests.fuzz.wire import BROKEN_WAYS, SOUND_WAYS, Reply, listening

BASE_PATH = "/api/v1"
EPOCH = datetime(2025, 6, 1, tzinfo=UTC)
HTML = b"<!DOCTYPE html><html><body>Just a moment...</body></html>"

#: Answers that nobody can use.
STATUSES = ("500", "502", "503", "504", "520", "408", "425", "429")
BODIES = {"html": HTML, "no-items": b'{"things":[]}', "no-json": b'{"items":[{"id":01}]}'}
SPOILED = ("cut", "odd-metadata")
UNUSABLE = (*STATUSES, *BODIES, *SPOILED, *BROKEN_WAYS)
#: They take a second or more each: so often in a run.
COSTLY = {"silence": 1, "drip-on": 1, "restart": 3}

#: What a list is like for a whole day.
LASTING = (
    "endless-empty", "endless-again", "too-long", "shifting", "ids-ignored", "moment-alone", "empty-pages", "shuffled",
)  # fmt: skip
#: Sound answers in another form.
FORMS = (*SOUND_WAYS, "odd-date")
#: Answers to the question for one id.
BY_ID = ("400", "403", "410", "proxy-404", "odd-document")
#: Refusals of everybody.
REFUSALS = ("400", "401", "403", "404", "410", "451", "302")

ODD_DATES = (
    "", "yesterday", "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -0100", "Thu, 99 Foo 2026 99:99:99 GMT", "Thu, 01 Jan 2026 12:00:00 +9999",
)  # fmt: skip
ODD_METADATA = (
    None, [], "none", 7, {"nextPage": "http://[::1/api"}, {"nextPage": "https://x.invalid/?page=two"}, {"nextPage": 2},
    {"nextPage": "https://x.invalid/?limit=0&page=2"}, {"nextCursor": ["a"]}, {"nextCursor": {"id": 7}},
)  # fmt: skip
UNREADABLE = (
    b'{"title":"no id"}', b'{"id":"twelve","username":7,"name":[]}', b'{"id":null,"username":null,"name":null}',
    b"null", b'"text"', b"[]", b'{"id":1e3,"username":"","name":""}', b'{"id":7,"username":"x","name":"\xff\xfe"}',
)  # fmt: skip

KINDS = {"/models": "model", "/creators": "creator", "/tags": "tag", "/images": "image", "/enums": "enum"}


@dataclass(frozen=True)
class Broken:
    """A record that breaks its page: with a 500 or with half the JSON, alone or not, and asked for by id or not."""

    how: str
    alone: bool
    by_id: bool


@dataclass
class Drawn:
    """What goes wrong: chances of answers; from which request on how many are down; which one is refused and how.

    `liars` are the lists whose pages are not true; `retry_after` is what an overloaded service may ask for.
    """

    chances: dict[str, float] = field(default_factory=dict)
    lasting: frozenset[str] = frozenset()
    outages: tuple[tuple[int, int], ...] = ()
    liars: frozenset[str] = frozenset()
    refused_at: tuple[int, str] | None = None
    retry_after: tuple[str | None, ...] = (None,)


@dataclass(frozen=True)
class Logged:
    """A request, what its answer was (nothing if it was sound), what of it was not true, and whose record it was."""

    number: int
    request: str
    fault: str
    lie: str = ""
    record: str | None = None

    @property
    def path(self) -> str:
        return self.request.partition("?")[0]

    @property
    def is_usable(self) -> bool:
        """Whether it could be taken in, true or not."""
        return self.fault in {"", *FORMS, "gone", "odd-document"}

    def __str__(self) -> str:
        return f"{self.number:5} {' '.join(filter(None, (self.request, self.fault, self.lie, self.record)))}"


@dataclass
class Model:
    """When it was published last, in which passes it is listed, and whether the list hides it."""

    moment: datetime
    passes: frozenset[int]
    hidden: bool = False


@dataclass(frozen=True)
class _Body:
    """An answer before it is sent: `fault` and `record` as in the log."""

    body: bytes
    status: int = 200
    fault: str = ""
    lie: str = ""
    record: str | None = None


class Site:
    """The catalogue and what is wrong with it. `served` are the bytes of each record that were sent on the date."""

    def __init__(self, chance: random.Random, dialect: str, limit: int, most_hits: int) -> None:
        self.chance = chance
        self.dialect, self.limit, self.most_hits = dialect, limit, most_hits
        self.drawn = Drawn()
        self.on = date(2026, 1, 1)
        self.models: dict[int, Model] = {}
        self.gone: set[int] = set()
        self.names = {"creator": list[str](), "tag": list[str]()}
        self.images: list[int] = []
        self.broken: dict[tuple[str, str], Broken] = {}
        self.unreadable: dict[str, list[tuple[int, bytes]]] = {}
        self.refused: dict[int, str] = {}
        self.denies_all = False
        #: Ids of models that came, went or moved since the date began.
        self.moved: set[str] = set()
        self.served: dict[tuple[str, str], set[bytes]] = {}
        self.log: list[Logged] = []
        #: Set once the log is so long.
        self.asked, self.watch_for = threading.Event(), 0
        self.address = ""
        self._turn = threading.Lock()
        self.begin_run()

    def begin_run(self) -> None:
        """A run of the crawl begins: chance hits its requests anew."""
        self._hits: Counter[str] = Counter()
        self._liar = Liar(self.chance, self.limit)
        self._shuffled: dict[str, list[Row]] = {}
        self._run_began = len(self.log)

    # What there is.

    def rows(self, path: str, pass_index: int = 0) -> list[Row]:
        """A list as it is, in its order, with the records that have no id."""
        kind, day = KINDS[path], self.on.toordinal()
        if kind == "model":
            rows = [
                Row(str(number), document(kind, str(number), day), (model.moment, number))
                for number, model in self.models.items()
                if number not in self.gone and not model.hidden and pass_index in model.passes
            ]
            for place, body in self.unreadable.get(kind, []):
                rows.append(Row(None, body, (EPOCH + timedelta(hours=20 * place, seconds=1), 0)))
            return sorted(rows, key=lambda row: row.order, reverse=self.dialect == "spec")
        ids = [str(number) for number in reversed(self.images)] if kind == "image" else self.names[kind]
        rows = [Row(entity_id, document(kind, entity_id, day)) for entity_id in ids]
        for place, body in self.unreadable.get(kind, []):
            rows.insert(min(place, len(rows)), Row(None, body))
        return rows

    def answers_by_id(self, number: int) -> bool:
        """Whether a model is to be had by id."""
        broken = self.broken.get(("model", str(number)))
        is_there = number in self.models and number not in self.gone | self.refused.keys()
        return is_there and not self.denies_all and not (broken and broken.by_id)

    # How it answers.

    def answer(self, target: str) -> Reply:
        """The answer to a request, and how it is sent."""
        parts = urlsplit(target)
        request = target.removeprefix(BASE_PATH)
        path, query = parts.path.removeprefix(BASE_PATH), dict(parse_qsl(parts.query))
        with self._turn:
            number = len(self.log)
            fault = self._hit(request, path, number - self._run_began + 1)
            body = self._instead(fault) or self._body(request, path, query, fault)
            self.log.append(Logged(number, request, body.fault, body.lie, body.record))
            if self.watch_for and len(self.log) >= self.watch_for:
                self.asked.set()
            return Reply(body.body, body.status, self._headers(body), body.fault)

    def _headers(self, body: _Body) -> dict[str, str]:
        noon = datetime.combine(self.on, datetime.min.time(), UTC) + timedelta(hours=12, seconds=len(self.log) % 3600)
        headers = {"Date": format_datetime(noon, usegmt=True)}
        if body.fault == "odd-date":
            headers["Date"] = self.chance.choice(ODD_DATES)
        if body.fault in ("429", "503") and (wait := self.chance.choice(self.drawn.retry_after)) is not None:
            headers["Retry-After"] = wait
        if body.status == 302:
            headers["Location"] = "https://login.invalid/"
        return headers

    def _hit(self, request: str, path: str, number: int) -> str:
        """What goes wrong with the answer to this request, if anything does."""
        if any(begin <= number < begin + length for begin, length in self.drawn.outages):
            self._hits[request] += 1
            return "down"
        if self.drawn.refused_at and self.drawn.refused_at[0] == number:
            return f"refused-{self.drawn.refused_at[1]}"
        drawn = [fault for fault, chance in self.drawn.chances.items() if self.chance.random() < chance]
        fault = next((fault for fault in drawn if self._can_hit(fault, request, path)), "")
        if fault in (*UNUSABLE, "proxy-404"):
            self._hits[request] += 1
            self._hits[fault] += 1
        return fault

    def _can_hit(self, fault: str, request: str, path: str) -> bool:
        by_id, is_list = path.startswith("/models/"), path in KINDS and path != "/enums"
        if fault in LIES:
            return is_list and path in self.drawn.liars and "ids=" not in request
        if fault in BY_ID and not by_id:
            return False
        # What is asked for alone has no items; and the live list of tags never says what follows.
        if fault in ("no-items", "no-json", "odd-metadata") and not is_list:
            return False
        if fault == "odd-metadata" and ((path, self.dialect) == ("/tags", "live") or "ids=" in request):
            return False
        if fault in (*UNUSABLE, "proxy-404"):
            return self._hits[request] < self.most_hits and self._hits[fault] < COSTLY.get(fault, len(self.log) + 1)
        return True

    def _instead(self, fault: str) -> _Body | None:
        """What is answered whatever was asked for, if it is such a fault."""
        if fault in STATUSES:
            return _Body(HTML, int(fault), fault)
        if fault == "down":
            return _Body(HTML, 502, fault)
        if fault.startswith("refused-"):
            return _Body(b'{"error":"no"}', int(fault.removeprefix("refused-")), fault)
        return _Body(BODIES[fault], 200, fault) if fault in BODIES else None

    def _body(self, request: str, path: str, query: dict[str, str], fault: str) -> _Body:
        if path.startswith("/models/"):
            body = self._by_id(path.rpartition("/")[2], fault)
        elif path == "/enums":
            body = self._sound("enum", "enums")
        elif "ids" in query and "ids-ignored" not in self.drawn.lasting:
            body = self._by_ids(query["ids"].split(","))
        else:
            body = self._page(request, path, query, fault)
        if body.fault:
            return body
        if fault == "cut":
            return replace(body, body=body.body[: len(body.body) // 2], fault=fault)
        return body if fault in LIES else replace(body, fault=fault)

    def _sound(self, kind: str, entity_id: str, *, by_id: bool = False) -> _Body:
        body = document(kind, entity_id, self.on.toordinal(), by_id)
        self.served.setdefault((kind, entity_id), set()).add(body)
        return _Body(body)

    def _by_id(self, text: str, fault: str) -> _Body:
        number, broken = int(text), self.broken.get(("model", text))
        gone = number not in self.models or number in self.gone or self.denies_all
        if fault == "proxy-404":
            return _Body(HTML, 404, fault)
        if fault == "odd-document":
            return _Body(b'{"error":"busy"}', 200, fault, record=text)
        if fault in BY_ID or (number in self.refused and not gone):
            status = fault if fault in BY_ID else self.refused[number]
            return _Body(b'{"error":"not for you"}', int(status), f"refused-{status}", record=text)
        if gone:
            return _Body(b'{"error":"No model with id %d"}' % number, 404, "gone", record=text)
        if broken and broken.by_id:
            return _Body(b'{"message":"URI malformed"}', 500, "broken", record=text)
        return self._sound("model", text, by_id=True)

    def _by_ids(self, ids: list[str]) -> _Body:
        if broken := next((text for text in ids if ("model", text) in self.broken), None):
            return _Body(b'{"message":"boom"}', 500, "broken", record=broken)
        # Some are to be had alone only.
        found = [text for text in ids if self.answers_by_id(int(text)) and int(text) % 3]
        return _Body(page_bytes([Row(text, self._sound("model", text).body) for text in found], {}))

    def _page(self, request: str, path: str, query: dict[str, str], fault: str) -> _Body:
        kind, lasting = KINDS[path], self.drawn.lasting if path in self.drawn.liars else frozenset[str]()
        if "shifting" in lasting and path == "/models":
            self._shift()
        rows = self.rows(path, int(self.dialect == "live" and path == "/models" and "nsfw" not in query))
        if path == "/models" and "sort" not in query:  # what is liked most comes first
            rows = rows[::-1]
        limit = int(query.get("limit", 20))
        is_first = "cursor" not in query and query.get("page", "1") == "1"
        if self.is_shuffled(path):
            if (is_first and limit == self.limit) or path not in self._shuffled:
                self._shuffled[path] = self.chance.sample(rows, len(rows))
            rows = self._shuffled[path]
        start = self._start(path, query, rows, limit)
        if start is None:
            return _Body(b'{"message":"Invalid cursor"}', 400, "refused-400")
        chunk = rows[start : start + limit]
        if blocker := self._breaks(kind, chunk):
            half = page_bytes(chunk, {})[: 20 * len(chunk)]
            how = self.broken[kind, blocker].how
            return _Body(half if how == "json" else HTML, 200 if how == "json" else 500, "broken", record=blocker)
        if "empty-pages" in lasting and (cursor := self._before(query, rows, start)):
            return _Body(page_bytes([], {"nextCursor": cursor}), lie="empty-pages")
        page = self._shown(request, path, query, rows, start, limit, lasting)
        page = self._liar.tell(fault, page) if fault in LIES else self._true(page)
        for row in page.rows:
            if row.entity_id is not None:
                self.served.setdefault((kind, row.entity_id), set()).add(row.body)
        odd = fault == "odd-metadata"
        return _Body(page_bytes(page.rows, self.chance.choice(ODD_METADATA) if odd else page.metadata), lie=page.told)

    def _shown(
        self,
        request: str,
        path: str,
        query: dict[str, str],
        rows: list[Row],
        start: int,
        limit: int,
        lasting: frozenset[str],
    ) -> Page:
        """The page of a list, with what is odd of the list all day."""
        chunk, ends, told = rows[start : start + limit], start + limit >= len(rows), ""
        if ends and rows and lasting & {"endless-empty", "endless-again"}:
            ends, told = False, "endless-empty" if "endless-empty" in lasting else "endless-again"
            chunk = chunk or (rows[-limit:] if told == "endless-again" else [])
        metadata = {} if ends else self._next(path, query, rows, start + limit, limit)
        if not self._has_cursors(path):
            silent = path == "/tags" and self.dialect == "live"
            too_long = 3 if "too-long" in lasting and not silent else 0
            metadata["totalItems"] = 0 if silent else len(rows) + too_long
            told = told or ("too-long" if too_long else "")
        is_first = "cursor" not in query and query.get("page", "1") == "1"
        return Page(request, path, self.dialect, limit, chunk, metadata, is_first, ends, told)

    def _true(self, page: Page) -> Page:
        self._liar.shown[page.path] = page
        return page

    def is_shuffled(self, path: str) -> bool:
        """Whether a list has another order each time that it is read."""
        is_in_no_order = (path, self.dialect) == ("/creators", "live")
        return is_in_no_order and path in self.drawn.liars and "shuffled" in self.drawn.lasting

    def _has_cursors(self, path: str) -> bool:
        return self.dialect == "live" and path in ("/models", "/images")

    def _breaks(self, kind: str, chunk: list[Row]) -> str | None:
        """The record that breaks a page of these, if one does."""
        for row in chunk:
            broken = self.broken.get((kind, row.entity_id or ""))
            if broken and (len(chunk) > 1 or broken.alone):
                return row.entity_id
        return None

    def _start(self, path: str, query: dict[str, str], rows: list[Row], limit: int) -> int | None:
        """Where a page begins; None if nobody can know it."""
        if not self._has_cursors(path):
            return (int(query.get("page", 1)) - 1) * limit
        if "cursor" not in query:
            return 0
        try:
            if path == "/images":
                return int(query["cursor"].partition("|")[0])
            return self._start_of(rows, *_parsed(query["cursor"]))
        except ValueError:
            return None

    def _start_of(self, rows: list[Row], moment: datetime, number: int) -> int:
        if "moment-alone" in self.drawn.lasting:
            return sum(row.order[0] < moment for row in rows)
        return sum(row.order < (moment, number) for row in rows)

    def _before(self, query: dict[str, str], rows: list[Row], start: int) -> str | None:
        """Another cursor that leads to the same page, for an empty page with a cursor is not the end."""
        if (
            "cursor" not in query
            or not self._has_cursors("/models")
            or start >= len(rows)
            or self.chance.random() > 0.2
        ):
            return None
        try:
            moment, number = _parsed(query["cursor"])
        except ValueError:
            return None
        same = number > 0 and self._start_of(rows, moment, number - 1) == start
        return _cursor(moment, number - 1) if same and "moment-alone" not in self.drawn.lasting else None

    def _next(self, path: str, query: dict[str, str], rows: list[Row], following: int, limit: int) -> dict[str, Any]:
        """What a page says of the one that begins at `following`, which may lie behind the end."""
        if not self._has_cursors(path):
            if path == "/tags" and self.dialect == "live":
                return {}
            page = query | {"limit": str(limit), "page": str(following // limit + 1), "token": "secret"}
            return {"nextPage": f"https://civitai.invalid{BASE_PATH}{path}?{urlencode(page)}"}
        if path == "/images":
            return {"nextCursor": f"{following}|1744925337225"}
        if following < len(rows):
            return {"nextCursor": _cursor(*rows[following].order)}
        asked = _parsed(query["cursor"])[0] if "cursor" in query else EPOCH
        return {"nextCursor": _cursor(max(asked, rows[-1].order[0]) + timedelta(seconds=1), 1)}

    def _shift(self) -> None:
        """The list of models changes while it is read, now and then."""
        there = [number for number, model in self.models.items() if number not in self.gone and not model.hidden]
        if len(there) < 8 or self.chance.random() > 0.15:
            return
        newest = max(model.moment for model in self.models.values()) + timedelta(minutes=1)
        what, number = self.chance.choice(["publish", "delete", "update"]), self.chance.choice(there)
        if what == "publish":
            number = max(self.models) + 1
            self.models[number] = Model(newest, frozenset({0, 1}))
        elif what == "delete":
            self.gone.add(number)
        else:
            self.models[number].moment = newest
        self.moved.add(str(number))


def _parsed(cursor: str) -> tuple[datetime, int]:
    moment, _, number = cursor.rpartition("|")
    return datetime.fromisoformat(moment).replace(tzinfo=UTC), int(number)


def _cursor(moment: datetime, number: int) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'milliseconds')}|{number}"


def page_bytes(rows: list[Row], metadata: Any) -> bytes:
    return b'{"items":[' + b",".join(row.body for row in rows) + b'],"metadata":' + json.dumps(metadata).encode() + b"}"


@cache
def document(kind: str, entity_id: str, day: int, by_id: bool = False) -> bytes:
    """The bytes of a record on a day: its counters move every day, its name on some."""
    number = int(entity_id) if entity_id.isdecimal() else len(entity_id)
    edition = (day + number) // 5
    body: dict[str, Any]
    if kind == "model":
        published = (EPOCH + timedelta(hours=number)).isoformat().replace("+00:00", "Z")
        version = {"id": number * 10, "name": f"v{edition}", "publishedAt": published, "baseModel": "SD 1.5"}
        version |= {
            "stats": {"downloadCount": number + day},
            "images": [{"id": number * 9, "stats": {"likeCount": day}}],
        }
        body = {"id": number, "name": f"Modèle {number} ✓ “{edition}”", "type": "LORA", "nsfw": False}
        body |= {"creator": {"username": f"u{number % 7}"}, "stats": {"downloadCount": number + day, "rating": 4.5}}
        body |= {"description": '<p>"stats": {}</p>', "modelVersions": [version]}
        body |= {"mode": None} if by_id else {"tags": ["a", 'b "quoted"']}
    elif kind == "image":
        body = {
            "id": number,
            "url": f"http://x.invalid/{number}.png",
            "stats": {"likeCount": day},
            "meta": {"stats": {}},
        }
    elif kind == "creator":
        body = {"username": entity_id, "modelCount": day % 7, "link": f"edition {edition}"}
    elif kind == "tag":
        body = {"name": entity_id, "modelCount": day % 11, "link": f"edition {edition}"}
    else:
        body = {"ModelType": ["LORA", f"edition {day // 9}"]}
    separators = (",", ":") if number % 2 else (", ", " : ")
    return json.dumps(body, separators=separators, ensure_ascii=bool(number % 3)).encode()


@contextmanager
def serving(site: Site) -> Iterator[None]:
    """Serve a site on loopback for the length of the block; its `address` is that of its API."""
    with listening(site.answer) as address:
        site.address = f"{address}{BASE_PATH}"
        yield
