"""Generated histories: what lists, answers by id and 404s told of a few models over some weeks, and what was decided.

A build costs the same for one model and for fifty. So a catalogue holds several histories side by side, which share the
calendar and nothing else. Each has four models and versions that several of them list; the last model is watched, and
lists hardly ever show it. Everything is drawn from one seed. A shrunk catalogue is the same thing with less in it.
"""

import json
import random
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

FIRST_DAY = date(2026, 1, 1)
#: Models that are always listed and hardly change, so many that a collapse of their counters is noticed.
CROWD = range(90_001, 90_056)
#: The counters of it that collapse, by their names in the service and in facts.
COLLAPSING = [("downloadCount", "download_count")] * 2 + [
    ("thumbsUpCount", "thumbs_up_count"),
    ("ratingCount", "rating_count"),
    ("rating", "rating"),
]
#: The models of a history by their last digit; the last one is watched.
MODELS, WATCHED = (1, 2, 3, 4), 4
SHARED = (8, 9)
BASE_MODELS = ("SD 1.5", "Pony", "Pony ", "New one", None, " ")
CREATORS = ({"username": "ada"}, {"username": " ada"}, {"username": "bob"}, {"username": " "}, None)
TAGS = ("x", "y", " y", "", "X", None)
LICENCES = (None, [], ["Sell", "Image"], ["Image", "Sell"], "{Image,Sell}", "Rent")
DESCRIPTIONS = (None, "", "one", "two")
#: What no counter can be, or is: its value is set aside.
IMPOSSIBLE = (-1, 10**18, 10**10 + 1, 2**64, "12", 4.5, {"all": 5}, [])
#: A version that cannot be told from another: its record is set aside.
NO_VERSION = {"id": "12", "stats": {}}
#: What becomes of a model on a date: `later` it is listed by the second crawl, if there is one.
FATES = ["listed"] * 9 + ["missed", "answered", "answered", "gone", "broken", "later", "later"]
FATES_OF_WATCHED = ["answered"] * 12 + ["missed", "missed", "gone", "broken answer", "listed"]


@dataclass(frozen=True)
class Crawl:
    """A crawl of a date, at an hour: the items that lists had, the answers by id, and the ids that answered 404."""

    on: date
    number: int
    hour: int
    is_complete: bool
    listed: dict[int, dict] = field(default_factory=dict)
    answered: dict[int, dict] = field(default_factory=dict)
    gone: tuple[int, ...] = ()

    @property
    def started_at(self) -> datetime:
        return datetime.combine(self.on, time(self.hour), tzinfo=UTC)


@dataclass(frozen=True)
class Decision:
    """A decision on a date: `excluded`, `included`, or `accepted` with the counter whose collapse is real."""

    on: date
    verdict: str
    counter: str = ""


Step = Crawl | Decision


@dataclass(frozen=True)
class Catalogue:
    """What happened, in the order in which raw got to know it. Where the star is `built` after some of the steps, by
    their places, a rebuild has to give the same files; else it is rebuilt only.
    """

    steps: tuple[Step, ...]
    built: tuple[int, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{place}: {type(step).__name__} {json.dumps(asdict(step), default=str)}"
            for place, step in enumerate(self.steps)
        ]
        return "\n".join([*lines, f"built after {self.built or 'none'}"])


def catalogue(seed: int, histories: int) -> Catalogue:
    """A catalogue of so many histories."""
    chance = random.Random(seed)
    crawls = calendar(chance)
    for number in range(1, histories + 1):
        tell(chance, crawls, number)
    has_crowd = chance.random() < 0.5
    accepted = add_crowd(chance, crawls) if has_crowd else []
    if chance.random() < 0.2:  # a date that comes late
        late = chance.choice(crawls).on
        crawls = [crawl for crawl in crawls if crawl.on != late] + [crawl for crawl in crawls if crawl.on == late]
    steps = [*crawls, *accepted, *decided(chance, crawls)]
    built = [place for place in range(len(steps)) if chance.random() < 0.5] if chance.random() < 0.25 else []
    return Catalogue(tuple(steps), tuple(built))


def calendar(chance: random.Random) -> list[Crawl]:
    """Empty crawls of five to seven dates of a month, some of them crawled twice."""
    crawls = []
    for day in sorted(chance.sample(range(chance.choice([9, 20, 31])), chance.randint(5, 7))):
        on, is_complete = FIRST_DAY + timedelta(day), chance.random() < 0.7
        crawls.append(Crawl(on, 1, chance.choice([0, 3, 11]), is_complete))
        if chance.random() < 0.3:
            crawls.append(Crawl(on, 2, chance.choice([12, 21]), is_complete or chance.random() < 0.8))
    return crawls


def tell(chance: random.Random, crawls: list[Crawl], number: int) -> None:
    """Adds one history to the crawls."""
    items = {100 * number + digit: new_model(chance, 100 * number + digit) for digit in MODELS}
    for place, crawl in enumerate(crawls):
        first = next(each for each in crawls if each.on == crawl.on)
        gone = []
        for model_id, item in items.items():
            fate = chance.choice(FATES_OF_WATCHED if model_id % 10 == WATCHED else FATES)
            if crawl.number == 2 and (model_id in first.listed or model_id in first.answered):
                fate = "listed" if chance.random() < 0.3 else "missed"
            if crawl.number == 2 and model_id in first.gone:
                fate = chance.choice(["listed", "answered", "broken", "gone"])
            if fate == "missed" or (fate == "later" and crawl.number == 1):
                continue
            if fate == "gone":
                gone.append(model_id)
                continue
            move_on(chance, item)
            told = deepcopy(item)
            if fate in {"broken", "broken answer"}:
                told["modelVersions"].append(NO_VERSION)
            (crawl.answered if fate in {"answered", "broken answer"} else crawl.listed)[model_id] = told
        crawls[place] = replace(crawl, gone=(*crawl.gone, *gone))


def moment(chance: random.Random) -> str:
    """A time of publication: around the crawls, and just at the beginning of one."""
    day = FIRST_DAY + timedelta(chance.randint(-4, 30))
    return f"{day}T{chance.choice(['00:00:00.000', '03:00:00.000', '03:00:00.001', '12:30:00.000', '23:59:59.999'])}Z"


def new_model(chance: random.Random, model_id: int) -> dict:
    model = {
        "id": model_id,
        "name": f"Model {model_id}",
        "type": "LORA",
        "creator": chance.choice(CREATORS),
        "nsfw": False,
        "nsfwLevel": (None, 1, 12)[model_id % 3],
        "tags": [],
        "description": None,
        "allowCommercialUse": None,
        "mode": None,
        "userId": model_id,
        "stats": {"downloadCount": chance.randint(0, 3000), "thumbsUpCount": 4, "commentCount": 0},
        "modelVersions": [],
    }
    change_versions(chance, model)
    return model


def new_version(chance: random.Random, version_id: int) -> dict:
    version = {
        "id": version_id,
        "name": f"v{version_id}",
        "baseModel": chance.choice(BASE_MODELS),
        "trainedWords": chance.choice([None, [], ["w"]]),
        "nsfwLevel": chance.choice([None, 0, 1, 3, 28, 31]),
        "createdAt": moment(chance),
        "publishedAt": moment(chance),
        "files": [new_file(chance, number) for number in chance.sample((1, 2), chance.randint(0, 2))],
        "images": [],
        "stats": {"downloadCount": chance.randint(0, 3000), "thumbsUpCount": 3, "thumbsDownCount": 1},
    }
    if chance.random() < 0.15:
        del version["publishedAt"]
    return version


def new_file(chance: random.Random, number: int) -> dict:
    hashes = {"SHA256": chance.choice(["aa", "AA", "BB", "cc", " cc", " ", 7]), "CRC32": chance.choice(["01", None])}
    return {"id": number, "name": f"{number}.bin", "sizeKB": chance.choice([1.5, 2]), "hashes": hashes}


def change_versions(chance: random.Random, model: dict) -> None:
    """Another choice of versions: of the model's own, and of those that other models of the history list, too. Of one
    that it has the model thinks what it thought.
    """
    own = [model["id"] * 10 + digit for digit in range(2)]
    shared = [model["id"] // 100 * 1000 + digit for digit in SHARED]
    wanted = [each for each in own if chance.random() < 0.7] + [each for each in shared if chance.random() < 0.5]
    had = {each["id"]: each for each in model["modelVersions"]}
    model["modelVersions"] = [had.get(each) or new_version(chance, each) for each in wanted]


def move_on(chance: random.Random, model: dict) -> None:
    """What may change of a model until it is met again; often nothing but its counters does."""
    if chance.random() < 0.6:
        change(chance, model)
    count_on(chance, model)
    for version in model["modelVersions"]:
        count_on(chance, version)


def change(chance: random.Random, model: dict) -> None:
    changes = {
        "name": lambda: f"Model {chance.choice('ab')}",
        "type": lambda: chance.choice(["LORA", "Checkpoint"]),
        "creator": lambda: chance.choice(CREATORS),
        "nsfw": lambda: chance.choice([True, False, None, "yes"]),
        "tags": lambda: chance.choice([None, chance.sample(TAGS, chance.randint(0, 3))]),
        "description": lambda: chance.choice(DESCRIPTIONS),
        "allowCommercialUse": lambda: chance.choice(LICENCES),
        "mode": lambda: chance.choice([None, "Archived"]),
        "userId": lambda: chance.randint(1, 3),
    }
    if chance.random() < 0.5:
        for name in chance.sample(sorted(changes), chance.randint(1, 3)):
            model[name] = changes[name]()
    if chance.random() < 0.35:
        change_versions(chance, model)
    for version in model["modelVersions"]:
        if chance.random() < 0.25:
            anew = new_version(chance, version["id"])
            for name in chance.sample(["name", "baseModel", "trainedWords", "files", "createdAt", "nsfwLevel"], 2):
                version[name] = anew[name]
            version["publishedAt"] = chance.choice([version, anew]).get("publishedAt")


def count_on(chance: random.Random, owner: dict) -> None:
    """Moves counters; hides one for long, or says what cannot be true."""
    stats = owner["stats"] = dict(owner.get("stats") or {})
    names = ["downloadCount", "thumbsUpCount", "thumbsDownCount", "ratingCount"]
    names += ["commentCount", "favoriteCount", "tippedAmountCount"] if "modelVersions" in owner else []
    for name in names:
        known = stats.get(name)
        luck = chance.random()
        if name != "downloadCount" and luck < 0.5:
            continue
        if isinstance(known, int) and known >= 0 and known not in IMPOSSIBLE and luck < 0.8:
            stats[name] = known + chance.choice([0, 1, 7, 300, 3000])
        elif known is None and luck < 0.7:  # hidden, and stays so
            continue
        else:
            stats[name] = chance.choice([None, None, 0, 5, 400, 9000, *IMPOSSIBLE])
    if chance.random() < 0.3:
        stats["rating"] = chance.choice([None, 0, 3, 4.5, 4.51, 5.0, -1, 7.5, "4.5"])
    if chance.random() < 0.05:
        owner["stats"] = {}


def add_crowd(chance: random.Random, crawls: list[Crawl]) -> list[Decision]:
    """Adds the crowd to every crawl. On some dates one of its counters falls to nothing, to half or just below half.
    Gives the collapses that are real.
    """
    accepted = []
    stats: dict[str, float] = {}
    for place, crawl in enumerate(crawls):
        before = stats
        if crawl.number == 1:
            stats = {"downloadCount": 1000 + 50 * place, "thumbsUpCount": 10 + 2 * place, "ratingCount": 2, "rating": 4}
            if before and chance.random() < 0.4:
                counter, column = chance.choice(COLLAPSING)
                half = before[counter] // 2
                stats[counter] = chance.choice([0, 0, half, max(0, half - 1)])
                if chance.random() < 0.3:
                    facts = ("fact_model_daily", "fact_model_version_daily")
                    accepted += [Decision(crawl.on, "accepted", f"{fact}.{column}") for fact in facts]
        for model_id in CROWD:
            version = {"id": model_id * 10, "baseModel": "SD 1.5", "createdAt": "2025-06-01T12:00:00Z", "stats": stats}
            crawl.listed[model_id] = {"id": model_id, "stats": stats, "modelVersions": [version]}
    return accepted


def decided(chance: random.Random, crawls: list[Crawl]) -> list[Step]:
    """Perhaps a date is excluded, and included again or crawled again."""
    if chance.random() < 0.5:
        return []
    on = chance.choice(crawls).on
    of_date = [crawl for crawl in crawls if crawl.on == on]
    again = replace(of_date[-1], number=of_date[-1].number + 1, hour=22, is_complete=True)
    then: list[Step] = chance.choice([[], [Decision(on, "included")], [again], [again, Decision(on, "included")]])
    return [Decision(on, "excluded"), *then]
