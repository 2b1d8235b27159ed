"""What the macros about base models, creators, tags and licences have to answer, in plain Python from the oracle."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Any

from tests.fuzz.answers import (
    DOWNLOADS,
    PER_DAY_AT_LEAST,
    TREND_AT_LEAST,
    Gained,
    counted_days,
    first_rows,
    gains,
    holds,
    published_in,
    ratio,
    whole,
    window,
)
from tests.fuzz.lives import Version, periods, versions_of
from tests.fuzz.oracle import OF_MODELS, OF_VERSIONS, UNKNOWN, Oracle, Row, Table

#: Who published nothing more for a base model has left it after so many days.
SETTLING_DAYS = 90


def owners(oracle: Oracle) -> dict[int, str]:
    """The creator that each model had last."""
    return {model_id: rows[-1]["username"] for model_id, rows in periods(oracle.dim_model.rows).items()}


def adoption(oracle: Oracle, base_model: str) -> Table:
    counted = counted_days(oracle)
    versions = [each for each in versions_of(oracle).values() if each.published_on is not None]
    versions = [each for each in versions if counted and each.published_on <= counted[-1]]
    its = [each for each in versions if each.base_model == base_model]
    if not its:
        return {}
    owner = owners(oracle)
    origin, since, until = min(each.published_on for each in its), counted[0], counted[-1]
    downloads, of_all = flows_by_day(oracle, base_model, until), flows_by_day(oracle, None, until)
    found: Table = {}
    for number in range((until - origin).days // 7 + 1):
        begin = origin + timedelta(7 * number)
        days = [begin + timedelta(place) for place in range(7)]
        so_far = [each for each in its if each.published_on <= days[-1]]
        new, joined = ([each for each in group if each.published_on in days] for group in (its, so_far))
        creators = creators_of(so_far, owner)
        before = creators_of([each for each in so_far if each.published_on < begin], owner)
        observed = [on for on in days if since < on <= until]
        gained = known_total(downloads.get(on) for on in observed)
        whole_gained = known_total(of_all.get(on) for on in observed)
        stocks = [
            row[DOWNLOADS]
            for (on, base), row in sorted(oracle.tables["mart_base_model_daily"].items(), key=lambda each: each[0])
            if base == base_model and on in days and on in counted
        ]
        others = [each for each in versions if each.published_on in days]
        found[number,] = {
            "week_from": begin,
            "versions_published": len(new),
            "versions_share": len(joined) / len(others) if others else None,
            "versions_total": len(so_far),
            "creators_joined": len(creators - before),
            "creators_total": len(creators),
            "days_observed": len(observed),
            "downloads": whole(gained),
            "downloads_share": ratio(whole(gained), whole(whole_gained)),
            "download_count": stocks[-1] if stocks else None,
        }
    return found


def creators_of(versions: list[Version], owner: dict[int, str]) -> set[str]:
    return {owner[each.model_id] for each in versions if each.model_id in owner} - {UNKNOWN}


def flows_by_day(oracle: Oracle, base_model: str | None, until: date) -> dict[date, Fraction]:
    """The downloads of each day, of versions that had the base model then: each flow in equal parts over its days."""
    found: dict[date, Fraction] = defaultdict(Fraction)
    for (on, version_id), row in oracle.tables["fact_model_version_daily"].items():
        if row["downloads_delta"] is None or on > until:
            continue
        if base_model not in {None, held_on(oracle, version_id, on)["base_model"]}:
            continue
        for back in range(row["downloads_days"]):
            found[on - timedelta(back)] += Fraction(row["downloads_delta"], row["downloads_days"])
    return found


def held_on(oracle: Oracle, version_id: int, on: date) -> Row:
    rows = oracle.dim_model_version.rows
    return next(row for key, row in rows.items() if key[0] == version_id and holds(row, on))


def known_total(values: Iterator[Fraction | None]) -> Fraction | None:
    known = [value for value in values if value is not None]
    return sum(known, Fraction()) if known else None


def creator_migration(oracle: Oracle, from_base: str, to_base: str, since: date) -> Table:
    owner = owners(oracle)
    days: dict[tuple[str, str], list[date]] = defaultdict(list)
    for version in versions_of(oracle).values():
        username = owner.get(version.model_id, UNKNOWN)
        if version.published_on is not None and username != UNKNOWN:
            days[username, version.base_model].append(version.published_on)
    found: Table = {}
    for username in {username for username, _ in days}:
        from_days, to_days = days.get((username, from_base), []), days.get((username, to_base), [])
        if not to_days or min(to_days) < since or not any(on < min(to_days) for on in from_days):
            continue
        before = sum(on < min(to_days) for on in from_days)
        complete = [day.on for day in oracle.days if day.is_complete]
        is_settled = bool(complete) and (complete[-1] - min(to_days)).days >= SETTLING_DAYS
        found[username,] = {
            "took_up_on": min(to_days),
            "has_left": False if before < len(from_days) else is_settled or None,
            "from_versions_before": before,
            "from_versions_after": len(from_days) - before,
            "to_versions": len(to_days),
            "last_from_on": max(from_days),
            "days_since_from": min((min(to_days) - on).days for on in from_days if on < min(to_days)),
        }
    return found


def trending_tags(oracle: Oracle, days: int) -> Table:
    of = window(oracle, days)
    if of is None:
        return {}
    births = published_in(oracle, of)
    tags: dict[str, list[tuple[Any, bool]]] = defaultdict(list)
    for model_id, gained in gains(oracle, "fact_model_daily", of, None).items():
        is_new = model_id in births
        if gained.downloads is None or (gained.downloads_before is None and not is_new):
            continue
        for (other, tag, _), row in oracle.bridge_model_tag.rows.items():
            if other == model_id and holds(row, of.until):
                tags[tag].append((gained, is_new))
    found: Table = {}
    for tag, members in tags.items():
        downloads = whole(sum((gained.downloads for gained, _ in members), Fraction()))
        if downloads < TREND_AT_LEAST:
            continue
        per_day = sum((each.downloads / (of.days if is_new else each.days) for each, is_new in members), Fraction())
        rises = [max(each.downloads, Fraction()) for each, _ in members]
        befores = [each.downloads_before / each.days_before for each, _ in members if each.downloads_before is not None]
        before = sum(befores, Fraction()) if befores else None
        published = sum(is_new for _, is_new in members)
        growth = float(per_day / max(before or 0, PER_DAY_AT_LEAST))
        found[tag,] = {
            "models": len(members),
            "models_published": published,
            "downloads": downloads,
            "round(largest_model_share, 4)": round(float(max(rises) / sum(rises)), 4),
            "round(downloads_per_day, 4)": round(float(per_day), 4),
            "round(downloads_per_day_before, 4)": None if before is None else round(float(before), 4),
            "round(growth, 4)": None if published == len(members) else round(growth, 4),
        }
    return found


def licence_changes(oracle: Oracle, since: date) -> Table:
    found: Table = {}
    for model_id, rows in periods(oracle.dim_model.rows).items():
        for before, after in pairwise(rows):
            had, has = (set(row["allow_commercial_use"]) - {"None"} for row in (before, after))
            if had == has or after["valid_from"] < since:
                continue
            found[after["valid_from"], model_id, "allow_commercial_use"] = {
                "name": after["name"],
                "username": after["username"],
                "before": f"[{', '.join(sorted(had))}]",
                "after": f"[{', '.join(sorted(has))}]",
                "direction": "looser" if has > had else "stricter" if has < had else "mixed",
            }
    return found


def concentration(oracle: Oracle, days: int) -> Table:
    of = window(oracle, days)
    if of is None:
        return {}
    owner = owners(oracle)
    shares: dict[Any, dict[str, Gained]] = defaultdict(lambda: defaultdict(Gained))
    models: dict[Any, dict[int, Gained]] = defaultdict(lambda: defaultdict(Gained))
    for (on, version_id), fact in oracle.tables["fact_model_version_daily"].items():
        row = held_on(oracle, version_id, on)
        username = owner.get(row["model_id"], UNKNOWN)
        if username != UNKNOWN:
            for group in (row["base_model"], None):
                shares[group][username].add(fact, on, of)
                models[group][row["model_id"]].add(fact, on, of)
    found: Table = {}
    for group, creators in shares.items():
        amounts = sorted(max(each.downloads, Fraction()) for each in creators.values() if each.downloads is not None)
        total, n = sum(amounts), len(amounts)
        if round(total, 3) <= 0:
            continue
        top = ceil(n / 100)
        rises = {key: max(each.downloads or Fraction(), Fraction()) for key, each in models[group].items()}
        largest = max(rises.values())
        differences = sum(abs(one - other) for one in amounts for other in amounts)
        found[group,] = {
            "since": of.since,
            "until": of.until,
            "days_spanned": of.days,
            "creators": n,
            "downloads": whole(total),
            "round(gini, 4)": round(float(differences / (2 * n * total)), 4),
            "top_creators": top,
            "round(top_share, 4)": round(float(sum(amounts[-top:]) / total), 4),
            "round(hhi, 4)": round(float(sum((amount / total) ** 2 for amount in amounts)), 4),
            "largest_model_id": min(key for key, rise in rises.items() if rise == largest),
            "round(largest_model_share, 4)": round(float(largest / sum(rises.values())), 4),
        }
    return found


def weekday_pattern(oracle: Oracle, days: int) -> Table:
    of = window(oracle, days)
    if of is None:
        return {}
    counted = counted_days(oracle)
    pairs = [on for on in counted if of.has(on) and on - timedelta(1) in counted]
    first = first_rows(oracle, "fact_model_daily")
    births = published_in(oracle, of)
    downloads = {
        on: [
            row["downloads_delta"]
            for (date_, _), row in oracle.tables["fact_model_daily"].items()
            if date_ == on and row["downloads_days"] == 1
        ]
        for on in pairs
    }
    sums = {on: sum(flows) for on, flows in downloads.items() if flows}
    middle = median(sums.values()) if sums else None
    found: Table = {}
    for weekday in {on.isoweekday() for on in pairs}:
        its = [on for on in pairs if on.isoweekday() == weekday]
        known = [sums[on] for on in its if on in sums]
        found[weekday,] = {
            "weekday_name": its[0].strftime("%A"),
            "days_counted": len(its),
            "downloads_median": float(median(known)) if known else None,
            "downloads_min": min(known, default=None),
            "downloads_max": max(known, default=None),
            "downloads_index": ratio(median(known), middle) if known else None,
            "models_median": float(median(sum(first[key][0] == on for key in births) for on in its)),
        }
    return found


def version_wide(oracle: Oracle) -> Table:
    found: Table = {}
    for (version_id,), version in oracle.dim_model_version.held.items():
        model = oracle.dim_model.held.get((version["model_id"],))
        found[version_id,] = {
            "version_name": version["name"],
            "model_id": version["model_id"],
            "model_name": model and model["name"],
            "base_model": version["base_model"],
            "username": model and model["username"],
            "type": model and model["type"],
            **last_seen(oracle, "version", "fact_model_version_daily", version_id, OF_VERSIONS),
            **(last_seen(oracle, "model", "fact_model_daily", version["model_id"], OF_MODELS)),
        }
    return found


def last_seen(oracle: Oracle, prefix: str, fact: str, entity: int, counters: tuple[Any, ...]) -> Row:
    """The newest row of an entity; a counter that is withheld on its date is that of the row before."""
    rows = sorted((on, row) for (on, key), row in oracle.tables[fact].items() if key == entity)
    return {f"{prefix}_counted_on": rows[-1][0] if rows else None} | {
        f"{prefix}_{name}": next(
            (row[name] for on, row in reversed(rows) if not oracle.is_withheld(fact, name, on)), None
        )
        for _, name, *_ in counters
    }
