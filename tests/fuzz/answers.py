"""What the table macros have to answer, worked out in plain Python from the oracle's tables."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from tests.fuzz.oracle import OF_MODELS, UNKNOWN, Oracle, Row, Table

DOWNLOADS = "download_count"
#: Fewer downloads in the window are no trend, and fewer a day before it count as so many.
TREND_AT_LEAST, PER_DAY_AT_LEAST = 10, 1


@dataclass(frozen=True)
class Window:
    """The days after `since` until `until`; and before them those after `before`, if there are any."""

    since: date
    until: date
    before: date | None

    @property
    def days(self) -> int:
        return (self.until - self.since).days

    def has(self, on: date) -> bool:
        return self.since < on <= self.until


def counted_days(oracle: Oracle) -> list[date]:
    """Complete snapshots whose downloads are believed."""
    facts = ("fact_model_daily", "fact_model_version_daily")
    return [
        day.on
        for day in oracle.days
        if day.is_complete and not any(oracle.is_withheld(fact, DOWNLOADS, day.on) for fact in facts)
    ]


def window(oracle: Oracle, days: int) -> Window | None:
    """From one complete snapshot to another: of so many days, of more after gaps, of fewer where there is no older."""
    counted = counted_days(oracle)
    if not counted:
        return None
    until = counted[-1]
    since = max((on for on in counted if (until - on).days >= days), default=counted[0])
    before = max((on for on in counted if (since - on).days >= days), default=None)
    return Window(since, until, before)


@dataclass
class Gained:
    """Downloads gained in a window and in that before it, each flow by its share of days, and these days."""

    downloads: Fraction | None = None
    days: int = 0
    downloads_before: Fraction | None = None
    days_before: int = 0

    def add(self, row: Row, on: date, of: Window) -> None:
        flow, length = row["downloads_delta"], row["downloads_days"]
        if flow is None or on > of.until:
            return
        ends = on.toordinal()
        begins = ends - length
        inside = ends - max(begins, of.since.toordinal())
        if inside > 0:
            self.downloads = (self.downloads or 0) + Fraction(flow * inside, length)
            self.days += inside
        if of.before is not None:
            inside = min(ends, of.since.toordinal()) - max(begins, of.before.toordinal())
            if inside > 0:
                self.downloads_before = (self.downloads_before or 0) + Fraction(flow * inside, length)
                self.days_before += inside


def row_on(oracle: Oracle, dimension: str, entity: int, on: date) -> Row:
    """The row of a type 2 table that held on a date."""
    rows = getattr(oracle, dimension).rows
    return next(row for key, row in rows.items() if key[0] == entity and holds(row, on))


def holds(row: Row, on: date) -> bool:
    return row["valid_from"] <= on and (row["valid_to"] is None or on < row["valid_to"])


def gains(oracle: Oracle, fact: str, of: Window, group: str | None) -> dict[Any, Gained]:
    """What was gained by an attribute of the row that held on the day of the flow, or else by entity."""
    dimension = "dim_model" if fact == "fact_model_daily" else "dim_model_version"
    found: dict[Any, Gained] = defaultdict(Gained)
    for (on, entity), row in oracle.tables[fact].items():
        name = row_on(oracle, dimension, entity, on)[group] if group else entity
        found[name].add(row, on, of)
    return found


def trend_base_model(oracle: Oracle, days: int) -> Table:
    of = window(oracle, days)
    if of is None:
        return {}
    start = of.before or of.since
    mart = oracle.tables["mart_base_model_daily"]
    gained = gains(oracle, "fact_model_version_daily", of, "base_model")
    found: Table = {}
    for base in {base for on, base in mart if start < on <= of.until}:
        published = [row["versions_published"] for (on, other), row in mart.items() if other == base and of.has(on)]
        at_end = mart.get((of.until, base), {})
        downloads, before = whole(gained[base].downloads), whole(gained[base].downloads_before)
        found[base,] = {
            "since": of.since,
            "until": of.until,
            "days_spanned": of.days,
            "version_count": at_end.get("version_count", 0),
            "versions_published": known_sum(published),
            "download_count": at_end.get(DOWNLOADS, 0),
            "downloads": downloads,
            "downloads_per_day": ratio(downloads, of.days),
            "downloads_per_day_before": ratio(before, (of.since - of.before).days if of.before else 0),
        }
    add_shares(found)
    for row in found.values():
        row["growth"] = ratio(row["downloads_per_day"], row["downloads_per_day_before"])
    return found


def first_rows(oracle: Oracle, fact: str) -> dict[int, tuple[date, Row]]:
    """The first row of each entity, and its date."""
    found: dict[int, tuple[date, Row]] = {}
    for (on, entity), row in sorted(oracle.tables[fact].items(), key=lambda each: each[0]):
        found.setdefault(entity, (on, row))
    return found


def published_in(oracle: Oracle, of: Window) -> set[int]:
    """The models that were seen first in the window, and published since they could have been listed."""
    first = first_rows(oracle, "fact_model_daily")
    return {key for key, (on, row) in first.items() if of.has(on) and row["days_since_previous"] is not None}


def trending_models(oracle: Oracle, days: int) -> Table:
    of = window(oracle, days)
    if of is None:
        return {}
    births = published_in(oracle, of)
    found: Table = {}
    for model_id, gained in gains(oracle, "fact_model_daily", of, None).items():
        held = oracle.dim_model.held.get((model_id,))
        is_known = gained.downloads_before is not None
        if held is None or (gained.downloads or 0) < TREND_AT_LEAST or not (is_known or model_id in births):
            continue
        per_day = gained.downloads / gained.days
        before = gained.downloads_before / gained.days_before if is_known else None
        found[model_id,] = {
            "name": held["name"],
            "type": held["type"],
            "username": held["username"],
            "is_new": model_id in births,
            "downloads": whole(gained.downloads),
            "days_spanned": gained.days,
            "downloads_per_day": float(per_day),
            "downloads_per_day_before": None if before is None else float(before),
            "growth": None if model_id in births else float(per_day / max(before or 0, PER_DAY_AT_LEAST)),
        }
    return found


def creator_leaderboard(oracle: Oracle, days: int) -> Table:
    of = window(oracle, days)
    if of is None:
        return {}
    births = published_in(oracle, of)
    gained = gains(oracle, "fact_model_daily", of, "username")
    observed: dict[str, set[int]] = defaultdict(set)
    for on, model_id in oracle.tables["fact_model_daily"]:
        if of.has(on):
            observed[row_on(oracle, "dim_model", model_id, on)["username"]].add(model_id)
    found: Table = {
        (name,): {
            "since": of.since,
            "until": of.until,
            "days_spanned": of.days,
            "models": len(models),
            "models_published": len(models & births),
            "downloads": whole(gained[name].downloads),
        }
        for name, models in observed.items()
    }
    add_shares(found)
    found.pop((UNKNOWN,), None)
    for row in found.values():
        better = [each for each in found.values() if each["downloads"] is not None]
        if row["downloads"] is not None:
            better = [each for each in better if each["downloads"] > row["downloads"]]
        row["rank"] = 1 + len(better)
    return found


def release_curves(oracle: Oracle, base: str) -> Table:
    periods: dict[int, list[Row]] = defaultdict(list)
    for (version_id, _), row in sorted(oracle.dim_model_version.rows.items()):
        periods[version_id].append(row)
    at_age: dict[int, list[int]] = defaultdict(list)
    first = first_rows(oracle, "fact_model_version_daily")
    for version_id, rows in periods.items():
        seen_on, first_row = first[version_id]
        if rows[-1]["base_model"] != base or first_row["days_since_previous"] is None:
            continue
        stated = min(each["published_at"] for each in rows if each["published_at"] is not None)
        published_on = min(date.fromordinal(date(1970, 1, 1).toordinal() + stated // 86_400_000_000), seen_on)
        for (on, entity), row in oracle.tables["fact_model_version_daily"].items():
            if entity == version_id and row[DOWNLOADS] is not None:
                at_age[(on - published_on).days].append(row[DOWNLOADS])
    return {
        (age,): {
            "versions": len(downloads),
            "downloads_lower_quartile": quantile(downloads, 0.25),
            "downloads_median": quantile(downloads, 0.5),
            "downloads_upper_quartile": quantile(downloads, 0.75),
        }
        for age, downloads in at_age.items()
    }


def models_as_of(oracle: Oracle, as_of: date) -> Table:
    """The models that were there, each with its newest row by then, but for counters that are withheld on its date."""
    fact = "fact_model_daily"
    seen: dict[int, list[tuple[date, Row]]] = defaultdict(list)
    for (on, model_id), counters in sorted(oracle.tables[fact].items(), key=lambda each: each[0]):
        if on <= as_of:
            seen[model_id].append((on, counters))
    found: Table = {}
    for (model_id, valid_from), row in oracle.dim_model.rows.items():
        if holds(row, as_of):
            rows = seen[model_id]
            found[model_id,] = {
                "valid_from": valid_from,
                "name": row["name"],
                "published_at": row["published_at"],
                "counted_on": rows[-1][0] if rows else None,
                **{
                    name: next(
                        (each[name] for on, each in reversed(rows) if not oracle.is_withheld(fact, name, on)), None
                    )
                    for _, name, *_ in OF_MODELS
                },
            }
    return found


def removed_models(oracle: Oracle, since: date) -> Table:
    found: Table = {}
    for (model_id, _), row in oracle.dim_model.rows.items():
        removed_on = row["removed_on"]
        if removed_on is None or removed_on < since:
            continue
        returns = [start for key, start in oracle.dim_model.rows if key == model_id and start > removed_on]
        facts = oracle.tables["fact_model_daily"]
        seen = {on: each[DOWNLOADS] for (on, key), each in facts.items() if key == model_id and on < removed_on}
        known = [on for on, downloads in seen.items() if downloads is not None]
        found[model_id, removed_on] = {
            "name": row["name"],
            "type": row["type"],
            "username": row["username"],
            "returned_on": min(returns, default=None),
            "last_seen_on": max(seen, default=None),
            DOWNLOADS: seen[max(known)] if known else None,
        }
    return found


def licence_mix(oracle: Oracle, as_of: date) -> Table:
    counted_on = max((on for on in counted_days(oracle) if on <= as_of), default=None)
    if counted_on is None:
        return {}
    groups: dict[tuple[str, ...], list[int | None]] = defaultdict(list)
    for (model_id, _), row in oracle.dim_model.rows.items():
        if holds(row, counted_on):
            counters = oracle.tables["fact_model_daily"].get((counted_on, model_id), {})
            groups[tuple(row["allow_commercial_use"])].append(counters.get(DOWNLOADS))
    models = sum(map(len, groups.values()))
    downloads = sum(sum(each or 0 for each in group) for group in groups.values())
    return {
        (",".join(uses),): {
            "counted_on": counted_on,
            "models": len(group),
            "models_share": len(group) / models,
            DOWNLOADS: known_sum(group),
            "downloads_share": ratio(known_sum(group), downloads),
        }
        for uses, group in groups.items()
    }


def add_shares(rows: Table) -> None:
    total = sum(row["downloads"] or 0 for row in rows.values())
    for row in rows.values():
        row["downloads_share"] = ratio(row["downloads"], total)


def ratio(part: float | None, total: float | None) -> float | None:
    """Part / whole; None where one is unknown or the whole is not positive."""
    return part / total if part is not None and total is not None and total > 0 else None


def known_sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def whole(amount: Fraction | None) -> int | None:
    """The nearest whole number; a half goes away from zero."""
    if amount is None:
        return None
    size = int(abs(amount) + Fraction(1, 2))
    return size if amount >= 0 else -size


def quantile(values: list[int], share: float) -> float:
    """By linear interpolation."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
