"""What the macros about lives have to answer: how long models stay, how soon versions come to a number or fade.

Worked out in plain Python from the oracle's tables, life by life.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import exp, log, sqrt
from typing import Any

from tests.fuzz.oracle import Oracle, Row, Table

DOWNLOADS = "download_count"
VERSION_FACT = "fact_model_version_daily"
FIRST_WEEK, ENOUGH = 7, 10
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Life:
    """What is watched after the age `entered` and until the age `left`, at which it ends or is last seen."""

    group: Any
    entered: int
    left: int
    has_ended: bool


@dataclass(frozen=True)
class Version:
    """A version as it was stated last: its base model, its model, the first date that saw it, its publication."""

    base_model: str
    model_id: int
    first_seen_on: date
    published_on: date | None


def day_of_publication(rows: list[Row]) -> date | None:
    """The earliest that any row states, but not after the first row."""
    stated = [row["published_at"] for row in rows if row["published_at"] is not None]
    first_seen_on = min(row["valid_from"] for row in rows)
    return min(date.fromordinal(EPOCH + min(stated) // 86_400_000_000), first_seen_on) if stated else None


def periods(table: Table) -> dict[int, list[Row]]:
    """The rows of each entity of a type 2 table, oldest first."""
    found: dict[int, list[Row]] = defaultdict(list)
    for (entity, _), row in sorted(table.items(), key=lambda each: each[0]):
        found[entity].append(row)
    return found


def versions_of(oracle: Oracle) -> dict[int, Version]:
    return {
        version_id: Version(
            rows[-1]["base_model"], rows[-1]["model_id"], rows[0]["valid_from"], day_of_publication(rows)
        )
        for version_id, rows in periods(oracle.dim_model_version.rows).items()
    }


def known_downloads(oracle: Oracle) -> dict[int, list[tuple[date, int, Row]]]:
    """The dates on which the downloads of each version are known, with them and their row."""
    found: dict[int, list[tuple[date, int, Row]]] = defaultdict(list)
    for (on, version_id), row in sorted(oracle.tables[VERSION_FACT].items(), key=lambda each: each[0]):
        if row[DOWNLOADS] is not None:
            found[version_id].append((on, row[DOWNLOADS], row))
    return found


def kaplan_meier(lives: list[Life]) -> list[tuple[int, int, int, float, float]]:
    """Age, lives at risk, those that end, the share that lasts longer, and Greenwood's sum, of each age of an end."""
    share, spread, found = Fraction(1), 0.0, []
    for age in sorted({life.left for life in lives if life.has_ended and life.entered < life.left}):
        at_risk = sum(life.entered < age <= life.left for life in lives)
        ended = sum(life.entered < age == life.left and life.has_ended for life in lives)
        share *= 1 - Fraction(ended, at_risk)
        spread += ended / (at_risk * (at_risk - ended)) if at_risk > ended else 0
        found.append((age, at_risk, ended, float(share), spread))
    return found


def quartiles(lives: list[Life], ended: str) -> Table:
    """The answer of a macro that tells quartiles by base model, and for all together (None)."""
    groups: dict[Any, list[Life]] = defaultdict(list)
    for life in lives:
        if life.entered < life.left:
            groups[life.group].append(life)
    return {
        (group,): {
            "versions": len(of_group),
            ended: sum(life.has_ended for life in of_group),
            **{
                f"{column}_{name}": next((step[place] for step in kaplan_meier(of_group) if step[3] <= 1 - part), None)
                for name, part in (("lower_quartile", 0.25), ("median", 0.5), ("upper_quartile", 0.75))
                for place, column in enumerate(("days", "at_risk"))
            },
        }
        for group, of_group in groups.items()
    }


def survival(oracle: Oracle, dimension: str | None) -> Table:
    complete = [day.on for day in oracle.days if day.is_complete]
    if not complete:
        return {}
    lives = []
    for model_id, rows in periods(oracle.dim_model.rows).items():
        born, seen = day_of_publication(rows), rows[0]["valid_from"]
        if born is None:
            continue
        bases = {
            version_id: row["base_model"]
            for (version_id, _), row in oracle.dim_model_version.rows.items()
            if row["model_id"] == model_id
            and row["valid_from"] <= seen
            and (row["valid_to"] is None or seen < row["valid_to"])
        }
        value: Any = None
        if dimension == "base_model":
            value = bases[max(bases)] if bases else None
        elif dimension is not None:
            value = rows[0][dimension]
        value = str(value).lower() if isinstance(value, bool) else value
        removed = min((row["removed_on"] for row in rows if row["removed_on"]), default=None)
        lives.append(Life(value, (seen - born).days, ((removed or complete[-1]) - born).days, removed is not None))
    found: Table = {}
    for value in {life.group for life in lives}:
        for age, at_risk, ended, share, spread in kaplan_meier([life for life in lives if life.group == value]):
            power = exp(1.959963984540054 * sqrt(spread) / -log(share)) if share > 0 else None
            found[value, age] = {
                "at_risk": at_risk,
                "removed": ended,
                "survival": share,
                "survival_lower_bound": power and share**power,
                "survival_upper_bound": power and share ** (1 / power),
            }
    return found


def time_to_downloads(oracle: Oracle, n: int) -> Table:
    versions, lives = versions_of(oracle), []
    first_facts = {}
    for (on, version_id), row in sorted(oracle.tables[VERSION_FACT].items(), key=lambda each: each[0]):
        first_facts.setdefault(version_id, (on, row))
    for version_id, known in known_downloads(oracle).items():
        version, (first_on, first_count, first_row) = versions[version_id], known[0]
        if version.published_on is None:
            continue
        # The first known number is one of a version that is watched from its beginning if its flow is the whole of it.
        is_watched = first_row["downloads_delta"] is not None
        if not is_watched and first_count >= n:
            continue
        reached = next((on for on, count, _ in known if count >= n), None)
        lives += [
            Life(
                group,
                -1 if is_watched else (first_on - version.published_on).days,
                ((reached or known[-1][0]) - version.published_on).days,
                reached is not None,
            )
            for group in (version.base_model, None)
        ]
    return quartiles(lives, "reached")


def half_life(oracle: Oracle, base_model: str | None, of_type: str | None) -> Table:
    versions, lives = versions_of(oracle), []
    types = {model_id: rows[-1]["type"] for model_id, rows in periods(oracle.dim_model.rows).items()}
    for version_id, known in known_downloads(oracle).items():
        version = versions[version_id]
        if version.published_on is None or base_model not in {None, version.base_model}:
            continue
        if of_type not in {None, types.get(version.model_id)}:
            continue
        points = [((on - version.published_on).days, count) for on, count, _ in known]
        ages = [age for age, _ in points]
        if ages[0] > FIRST_WEEK or ages[-1] < FIRST_WEEK:
            continue
        first_week = at_age(points, FIRST_WEEK)
        if first_week < ENOUGH:
            continue
        fallen = (
            age for age, count in points if age > FIRST_WEEK and count - at_age(points, age - 7) <= first_week / 2
        )
        halved = next(fallen, None)
        groups = (version.base_model, None) if base_model is None else (version.base_model,)
        end = ages[-1] if halved is None else halved
        lives += [Life(group, FIRST_WEEK, end, halved is not None) for group in groups]
    return quartiles(lives, "halved")


def at_age(points: list[tuple[int, int]], age: int) -> Fraction:
    """The number at an age, on the straight line between the known ones beside it; at the publication it is zero."""
    before_age, before = max((each for each in points if each[0] <= age), default=(0, 0))
    after_age, after = min(each for each in points if each[0] >= age)
    if after_age == before_age:
        return Fraction(after)
    return before + Fraction((after - before) * (age - before_age), after_age - before_age)
