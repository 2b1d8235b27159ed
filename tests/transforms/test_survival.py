"""The macros that estimate lifetimes, against lifelines: a simulated month with old and new models, removals, hidden
numbers, gaps and partial crawls.

lifelines is given lives that are worked out from what the crawls saw, one by one, and not from any table.
"""

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from tests.transforms.conftest import Workshop, model, version

FIRST = date(2026, 3, 1)
GAPS, PARTIAL, DAYS = {6, 7, 20}, {4, 15, 16, 33}, 40
COMPLETE = [day for day in range(DAYS) if day not in GAPS | PARTIAL]
BASES, TYPES = ("Illustrious", "Flux.1 D", "SD 1.5"), ("LORA", "Checkpoint")


@dataclass
class Simulated:
    """A model with one version. Days count from the first crawl, which is at 3 o'clock; it is published at noon."""

    number: int
    published: int
    removed: int | None
    base_model: str
    type: str
    counts: list[int]
    hidden: range
    #: The days on which a crawl saw it; what it read; and the complete crawl that found it gone.
    seen: list[int]
    gone: int | None = None

    @property
    def known(self) -> list[tuple[int, int]]:
        """Age and downloads of each day on which they were known."""
        return [(day - self.published, self.counts[day]) for day in self.seen if day not in self.hidden]

    @property
    def is_watched(self) -> bool:
        """Whether it was published since the complete crawl before the one that saw it first, which knew its number."""
        complete = max((day for day in COMPLETE if day < self.seen[0]), default=None)
        return complete is not None and complete <= self.published and self.seen[0] not in self.hidden

    def item(self, day: int) -> dict:
        stats = {"downloadCount": None if day in self.hidden else self.counts[day]}
        stated = f"{FIRST + timedelta(self.published)}T12:00:00.000Z"
        only = version(self.number * 10, self.base_model, stats=stats, publishedAt=stated)
        return model(self.number, only, stats=stats, type=self.type)


def simulated() -> list[Simulated]:
    chance = random.Random(7)
    found = []
    for number in range(1, 241):
        published = chance.choice([-400, -90, -20, -9, -6, -3, *range(-1, DAYS - 4)])
        removed = max(published, 0) + chance.randint(2, 50) if chance.random() < 0.5 else None
        start, fade = chance.randint(1, 40), chance.uniform(0.01, 0.3)
        total, counts = 0.0, []
        for age in range(-published if published < 0 else 0):
            total += start * np.exp(-fade * age)
        for day in range(DAYS):
            total += start * np.exp(-fade * (day - published)) * chance.uniform(0.3, 1.7) if day > published else 0
            counts.append(int(total))
        first_hidden = chance.randrange(DAYS) if chance.random() < 0.3 else DAYS
        hidden = range(first_hidden, first_hidden + chance.randint(1, 12))
        each = Simulated(number, published, removed, chance.choice(BASES), chance.choice(TYPES), counts, hidden, [])
        for day in sorted({*COMPLETE, *PARTIAL}):
            is_there = published < day and (removed is None or day < removed)
            if is_there and (day in COMPLETE or chance.random() < 0.5):
                each.seen.append(day)
            elif each.seen and each.gone is None and not is_there and day in COMPLETE:
                each.gone = day
        found += [each] if each.seen else []
    return found


MODELS = simulated()


@pytest.fixture(scope="module")
def month(tmp_path_factory) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("month"))
    for day in sorted({*COMPLETE, *PARTIAL}):
        workshop.raw.crawl(
            FIRST + timedelta(day),
            status="complete" if day in COMPLETE else "partial",
            model=[each.item(day) for each in MODELS if day in each.seen],
            buried=tuple(each.number for each in MODELS if each.gone == day),
        )
    workshop.build()
    return workshop


def fitted(lives: list[tuple[int, int, bool]]) -> KaplanMeierFitter:
    """Of lives (entered, left, has ended). lifelines lets no one enter below zero, so all ages are one more."""
    entered, left, ended = zip(*[life for life in lives if life[0] < life[1]], strict=True)
    return KaplanMeierFitter().fit([age + 1 for age in left], event_observed=ended, entry=[age + 1 for age in entered])


def quartiles(lives: list[tuple[int, int, bool]]) -> tuple[int, int, *tuple[int | None, ...]]:
    """Lives, those that end, the quartiles of lifelines, and how many it has at risk at them."""
    # Rounded, because lifelines' product of fractions that should be a half may be a little more.
    fit = fitted(lives)
    shares = fit.survival_function_.KM_estimate.round(9)
    ages = [min(shares.index[shares <= 1 - part], default=None) for part in (0.25, 0.5, 0.75)]
    at_risk = fit.event_table.at_risk - fit.event_table.entrance
    watched = [life for life in lives if life[0] < life[1]]
    return (
        len(watched),
        sum(life[2] for life in watched),
        *(None if age is None else int(age) - 1 for age in ages),
        *(None if age is None else at_risk[age] for age in ages),
    )


def groups_of(pairs) -> dict[str | None, list]:
    """The lives of each base model, and of all together."""
    found = defaultdict(list)
    for base_model, life in pairs:
        found[base_model].append(life)
        found[None].append(life)
    return found


def removals(of: list[Simulated]) -> list[tuple[int, int, bool]]:
    return [
        (each.seen[0] - each.published, (each.gone or COMPLETE[-1]) - each.published, each.gone is not None)
        for each in of
    ]


@pytest.mark.parametrize("dimension", [None, "type", "base_model"])
def test_survival_is_what_lifelines_estimates_with_delayed_entry(month, dimension):
    values = {None: [None], "type": TYPES, "base_model": BASES}[dimension]
    named = "null" if dimension is None else f"'{dimension}'"
    rows = month.sql(f"from star.survival({named})")
    assert {row[0] for row in rows} == set(values)
    for value in values:
        fit = fitted(removals([each for each in MODELS if dimension is None or getattr(each, dimension) == value]))
        events = fit.event_table[fit.event_table.observed > 0]
        answer = [row[1:] for row in rows if row[0] == value]
        assert [age for age, *_ in answer] == [int(age) - 1 for age in events.index]
        assert [at_risk for _, at_risk, *_ in answer] == list(events.at_risk - events.entrance)
        assert [removed for _, _, removed, *_ in answer] == list(events.observed)
        found = np.array([row[3:] for row in answer], dtype=float)
        wanted = fit.survival_function_.join(fit.confidence_interval_).loc[events.index]
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_models_that_were_there_at_the_first_snapshot_were_not_watched_before(month):
    """Without delayed entry the estimate is another one, so the data tell the two apart."""
    everybody = fitted([(-1, left, ended) for _, left, ended in removals(MODELS)])
    assert abs(fitted(removals(MODELS)).predict(110) - everybody.predict(110)) > 0.05


@pytest.mark.parametrize("n", [20, 100, 300, 500])
def test_time_to_downloads_is_what_lifelines_estimates_with_delayed_entry(month, n):
    pairs = []
    for each in MODELS:
        if not each.known or (not each.is_watched and each.known[0][1] >= n):
            continue
        reached = next((age for age, count in each.known if count >= n), None)
        entered = -1 if each.is_watched else each.known[0][0]
        pairs.append(
            (each.base_model, (entered, each.known[-1][0] if reached is None else reached, reached is not None))
        )
    expected = {base_model: quartiles(lives) for base_model, lives in groups_of(pairs).items()}
    rows = month.sql(f"from star.time_to_downloads({n})")
    assert {row[0]: row[1:] for row in rows} == expected
    assert rows[0][0] is None


#: What macros read instead of all rows of the facts, and the same from these rows.
CARRIED = {
    "last known": (
        "SELECT version_id, downloads_on FROM build.known_versions WHERE downloads_on IS NOT NULL",
        """SELECT version_id, max(snapshot_date) FROM star.fact_model_version_daily
        WHERE download_count IS NOT NULL GROUP BY version_id""",
    ),
    "entered": (
        "SELECT version_id, entered_on, entered_with FROM build.known_versions WHERE entered_on IS NOT NULL",
        """SELECT version_id, snapshot_date, download_count FROM star.fact_model_version_daily
        WHERE download_count IS NOT NULL AND downloads_delta IS NULL""",
    ),
    **{
        f"born {kind}s": (
            f"SELECT {kind}_id, born_on FROM build.known_{kind}s WHERE born_on IS NOT NULL",
            f"""SELECT {kind}_id, min(snapshot_date) FROM star.{fact} GROUP BY {kind}_id
            HAVING arg_min_null(days_since_previous, snapshot_date) IS NOT NULL""",
        )
        for kind, fact in (("model", "fact_model_daily"), ("version", "fact_model_version_daily"))
    },
    "milestones": (
        "FROM build.milestones",
        """SELECT version_id, n, snapshot_date
        FROM star.fact_model_version_daily,
            (SELECT d * (10::BIGINT ** z)::BIGINT AS n FROM unnest([1, 2, 5]) AS a(d), range(1, 11) AS b(z))
        WHERE download_count >= n AND download_count - downloads_delta < n""",
    ),
    "longer flows": (
        "FROM build.longer_flows",
        """SELECT base_model, snapshot_date, downloads_days, sum(downloads_delta)::BIGINT
        FROM star.fact_model_version_daily JOIN star.dim_model_version USING (version_key)
        WHERE downloads_days > 1 GROUP BY ALL""",
    ),
    "watched": (
        "FROM build.watched",
        """SELECT version_id, snapshot_date, download_count, downloads_days
        FROM star.fact_model_version_daily JOIN build.fading USING (version_id)
        WHERE download_count IS NOT NULL AND (fell_on IS NULL OR snapshot_date <= fell_on)""",
    ),
}


@pytest.mark.parametrize("carried", CARRIED)
def test_what_the_build_carries_for_macros_is_what_the_facts_have(month, carried):
    rows, facts = (month.sql(each) for each in CARRIED[carried])
    assert sorted(rows, key=str) == sorted(facts, key=str)
    assert len(rows) > 10


def halvings(of: list[Simulated]) -> list[tuple[str, tuple[int, int, bool]]]:
    pairs = []
    for each in of:
        ages = [age for age, _ in each.known]
        if not ages or ages[0] > 7 or ages[-1] < 7:
            continue
        line = ([0, *ages], [0, *(count for _, count in each.known)])
        first_week = np.interp(7, *line)
        fallen = [
            age for age in ages if age > 7 and np.interp(age, *line) - np.interp(age - 7, *line) <= first_week / 2
        ]
        if first_week >= 10:
            pairs.append((each.base_model, (7, min(fallen, default=ages[-1]), bool(fallen))))
    return pairs


def test_half_lives_are_what_lifelines_estimates(month):
    expected = {base_model: quartiles(lives) for base_model, lives in groups_of(halvings(MODELS)).items()}
    rows = month.sql("from star.half_life(null, null)")
    assert {row[0]: row[1:] for row in rows} == expected
    assert expected[None][0] > expected[None][1] > 0


def test_the_falls_that_the_build_notes_are_those_that_whole_fortnights_show(month):
    """A note that is no fall would end the search of `half_life` too early."""
    expected = {}
    for each in MODELS:
        counts = dict(each.known)
        falls = [age for age in range(14, DAYS + 8, 14) if {7, age - 7, age} <= counts.keys()]
        falls = [age for age in falls if 2 * (counts[age] - counts[age - 7]) <= counts[7]]
        if falls and each.seen[0] - each.published <= 7:
            expected[each.number * 10] = FIRST + timedelta(each.published + falls[0])
    assert dict(month.sql("SELECT version_id, fell_on FROM build.fading WHERE fell_on IS NOT NULL")) == expected
    assert len(expected) > 10


def test_no_fall_is_noted_from_a_number_of_three_weeks_ago(workshop: Workshop):
    """In a gap the number may have fallen and risen again."""
    for age, count in {0: 0, 7: 100, 20: 20, 28: 140}.items():
        only = version(10, "Illustrious", stats={"downloadCount": count}, publishedAt=f"{FIRST}T01:00:00.000Z")
        workshop.raw.crawl(FIRST + timedelta(age), model=[model(1, only)])
    workshop.build()
    assert workshop.sql("SELECT version_id, fell_on FROM build.fading") == [(10, None)]


def test_a_fall_that_was_noted_for_another_date_of_publication_does_not_count(workshop: Workshop):
    """It is a fall from the day that was stated first, and none from the earlier one that is stated later."""
    counts = [0, *[10] * 8, 60, 100, 110, 115, 120, 125, 130, 135, *[140] * 12]
    for day, count in list(enumerate(counts))[3:]:
        stated = FIRST + timedelta(3 if day < 20 else 1)
        only = version(10, "Illustrious", stats={"downloadCount": count}, publishedAt=f"{stated}T12:00:00.000Z")
        workshop.raw.crawl(FIRST + timedelta(day), model=[model(1, only)])
    workshop.build()
    assert workshop.sql("SELECT fell_on FROM build.fading") == [(FIRST + timedelta(17),)]
    fallen = next(day for day in range(9, len(counts)) if 2 * (counts[day] - counts[day - 7]) <= counts[8])
    assert workshop.sql("FROM star.half_life()")[0][1:5] == (1, 1, fallen - 1, fallen - 1)


def test_a_number_that_was_withheld_for_the_first_week_says_nothing_of_that_week(workshop: Workshop):
    """It is all gained since the publication, but nobody saw when."""
    for day in range(16):
        is_withheld = 1 <= day < 11
        stats = {"downloadCount": 0 if is_withheld else 100 + day}
        crowd = [model(number, version(number * 10, stats=stats), stats=stats) for number in range(2, 62)]
        new = version(10, "Illustrious", stats=stats, publishedAt=f"{FIRST + timedelta(1)}T12:00:00.000Z")
        workshop.raw.crawl(FIRST + timedelta(day), model=[*crowd, *([model(1, new)] if day >= 2 else [])])
    workshop.build()
    first = "SELECT day(snapshot_date), downloads_delta FROM star.fact_model_version_daily WHERE version_id = 10"
    assert workshop.sql(f"{first} AND download_count IS NOT NULL ORDER BY 1 LIMIT 1") == [(12, 111)]
    assert workshop.sql("FROM star.half_life('Illustrious')") == []


def test_a_version_whose_publication_was_stated_late_has_all_its_numbers(workshop: Workshop):
    """It is watched from its first day on, because it may be published then."""
    counts = [10 * min(day, 4) for day in range(20)]
    for day, count in enumerate(counts):
        stated = f"{FIRST}T01:00:00.000Z" if day >= 5 else None
        only = version(10, "Illustrious", stats={"downloadCount": count}, publishedAt=stated)
        workshop.raw.crawl(FIRST + timedelta(day), model=[model(1, only)])
    workshop.build()
    fallen = next(day for day in range(8, 20) if 2 * (counts[day] - counts[day - 7]) <= counts[7])
    assert fallen < 12  # which the days from the fifth on do not show
    assert workshop.sql("FROM star.half_life()")[0][1:5] == (1, 1, fallen, fallen)


@pytest.mark.parametrize("of_type", TYPES)
@pytest.mark.parametrize("base_model", BASES)
def test_the_half_life_of_a_base_model_and_type_is_one_row(month, base_model, of_type):
    lives = [life for _, life in halvings([m for m in MODELS if (m.base_model, m.type) == (base_model, of_type)])]
    assert month.sql(f"from star.half_life('{base_model}', '{of_type}')") == [(base_model, *quartiles(lives))]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("half_life('illustrious')", "no base_model is called 'illustrious'; the nearest are Illustrious,"),
        ("half_life(of_type := 'LoRA')", "no type is called 'LoRA'; the nearest are LORA, Checkpoint"),
        ("release_curves('Flux')", "no base_model is called 'Flux'; the nearest are Flux.1 D,"),
        ("adoption('SD1.5')", "no base_model is called 'SD1.5'; the nearest are SD 1.5,"),
        ("adoption(null)", "no base_model is called 'null'"),
        ("creator_migration('Flux', 'SD 1.5')", "no base_model is called 'Flux'; the nearest are Flux.1 D,"),
        ("creator_migration('SD 1.5', 'Flux')", "no base_model is called 'Flux'; the nearest are Flux.1 D,"),
        ("creator_migration('SD 1.5', null)", "no base_model is called 'null'"),
    ],
)
def test_an_unknown_name_is_an_error_that_tells_the_nearest_ones(month, call, said):
    with pytest.raises(duckdb.Error, match=re.escape(said)):
        month.sql(f"from star.{call}")


def test_what_is_not_asked_for_is_all(month):
    assert month.sql("from star.half_life(of_type := 'LORA')") == month.sql("from star.half_life(null, 'LORA')")
    columns = "sum(versions)::bigint, min(age_days), max(age_days)"
    (of_all,) = month.sql(f"select {columns} from star.release_curves()")
    calls = " union all ".join(f"from star.release_curves('{base_model}')" for base_model in BASES)
    assert [of_all] == month.sql(f"select {columns} from ({calls})")
    assert len(month.sql("from star.removed_models()")) == sum(each.gone is not None for each in MODELS)


def test_an_unknown_dimension_of_survival_is_an_error_that_names_the_known_ones(month):
    with pytest.raises(duckdb.Error, match=r"survival takes base_model, .* or null, not colour"):
        month.sql("from star.survival('colour')")
