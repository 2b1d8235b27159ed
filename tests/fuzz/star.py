"""Holds a published star against the oracle: every row and every column that the oracle knows, read with plain SQL."""

from collections.abc import Iterator
from math import isclose
from typing import Any

from tests.fuzz.oracle import FACTS, History, Oracle, Table
from tests.fuzz.questions import questions
from tests.transforms.conftest import Workshop

PERIOD = ("valid_to", "removed_on")
#: The columns of each table: those of its key, and those that the oracle knows beside. What is no column is SQL.
COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "dim_model": (
        ("model_id", "valid_from"),
        (
            *("name", "type", "username", "nsfw", "mode", "allow_commercial_use", "description_hash", "user_id"),
            *("published_at", "model_key", "is_current", *PERIOD),
        ),
    ),
    "dim_model_version": (
        ("version_id", "valid_from"),
        (
            *("model_id", "name", "base_model", "trained_words", "created_at", "published_at"),
            *("version_key", "is_current", *PERIOD),
        ),
    ),
    "bridge_model_tag": (("model_id", "tag", "valid_from"), ("is_current", "valid_to")),
    "file_hash": (("version_id", "file_id", "algorithm", "hash", "valid_from"), ("is_current", "valid_to")),
    "dim_file": (("version_id", "file_id"), ("name", "size_kb", "first_seen_on", "removed_on")),
    "model_text": (("model_id", "description_hash"), ("description", "first_seen_on")),
    "dim_creator": (("username",), ("first_seen_on",)),
    "dim_tag": (("tag",), ("first_seen_on",)),
    "dim_base_model": (("base_model",), ("first_seen_on",)),
    "ops_withheld": (("snapshot_date", "counter"), ("known_count", "fallen_count", "fallen_share", "is_accepted")),
    "mart_daily": (
        ("snapshot_date", "base_model", "type", "browsing_level"),
        (
            *("days_since_previous", "downloads_days", "version_count", "versions_published", "versions_entered"),
            *("versions_left", "versions_reclassified", "download_count", "downloads_delta", "downloads_entered"),
            *("downloads_left", "downloads_reclassified", "downloads_hidden", "thumbs_up_count", "thumbs_down_count"),
            *("reviews_up", "reviews_down", "rating_count", "rating_points", "rating_points_count"),
        ),
    ),
    "mart_base_model_daily": (
        ("snapshot_date", "base_model"),
        (
            *("days_since_previous", "downloads_days", "version_count", "versions_published", "versions_entered"),
            *("versions_left", "versions_reclassified", "download_count", "downloads_delta", "downloads_entered"),
            *("downloads_left", "downloads_reclassified", "downloads_hidden", "downloads_share", "thumbs_up_count"),
            *("thumbs_down_count", "rating_count", "rating", "approval_rate", "approval_lower_bound"),
        ),
    ),
    **{
        fact: (
            ("snapshot_date", f"{entity}_id"),
            (
                *(f"{entity}_key", "days_since_previous", "downloads_days"),
                *(("model_id",) if entity == "version" else ()),
                *(column for _, *both, _ in counters for column in both if column),
            ),
        )
        for (fact, counters), entity in zip(FACTS.items(), ("model", "version"), strict=True)
    },
}
TIMES = ("created_at", "published_at")


def differences(workshop: Workshop, oracle: Oracle) -> Iterator[str]:
    """What the star says otherwise than the oracle."""
    for name, (key, columns) in COLUMNS.items():
        selected = ", ".join(f"epoch_us({each})" if each in TIMES else f'"{each}"' for each in (*key, *columns))
        rows = workshop.sql(f"SELECT {selected} FROM star.{name}")
        found = {row[: len(key)]: dict(zip(columns, row[len(key) :], strict=True)) for row in rows}
        if len(found) != len(rows):
            yield f"{name}: a key is there twice"
        yield from compare(name, expected(oracle, name), found)
    for macro, arguments, answer, key in questions(oracle):
        columns = tuple(next(iter(answer.values()), {}))
        selected = ", ".join(f"epoch_us({each})" if each in TIMES else each for each in (*key, *columns))
        source = macro if arguments is None else f"{macro}({arguments})"
        rows = workshop.sql(f"SELECT {selected} FROM star.{source}")
        found = {row[: len(key)]: dict(zip(columns, row[len(key) :], strict=True)) for row in rows}
        yield from compare(source, answer, found)
    yield from compare("ops_quarantine", oracle.tables["ops_quarantine"], quarantined(workshop))


def expected(oracle: Oracle, name: str) -> Table:
    table = getattr(oracle, name, None)
    if not isinstance(table, History):
        return oracle.tables[name]
    keys = {"dim_model": "model_key", "dim_model_version": "version_key"}
    days_from_1970 = {key: (key[-1] - key[-1].fromordinal(719_163)).days for key in table.rows}
    return {
        key: row
        | {"is_current": row["valid_to"] is None}
        | ({keys[name]: key[0] * 100_000 + days_from_1970[key]} if name in keys else {})
        for key, row in table.rows.items()
    }


def quarantined(workshop: Workshop) -> Table:
    """Records and single values that were set aside; a value stands as it was received, a record as the word."""
    rows = workshop.sql("""
        SELECT snapshot_date, entity_id, if(level = 'value', payload, level), count(*)
        FROM star.ops_quarantine GROUP BY ALL""")
    return {key: {"records": records} for *key_, records in rows for key in [tuple(key_)]}


def compare(name: str, wanted: Table, found: Table) -> Iterator[str]:
    for key in sorted(wanted.keys() - found.keys(), key=repr):
        yield f"{name} {words(key)} is missing: {words(wanted[key].values())}"
    for key in sorted(found.keys() - wanted.keys(), key=repr):
        yield f"{name} {words(key)} should not be there: {words(found[key].values())}"
    for key in sorted(wanted.keys() & found.keys(), key=repr):
        yield from (
            f"{name} {words(key)}: {column} is {value!s} and should be {wanted[key][column]!s}"
            for column, value in found[key].items()
            if not same(value, wanted[key][column])
        )


def same(one: Any, other: Any) -> bool:
    """Equal, floats but for their rounding; rows of several values one by one."""
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def words(values: Any) -> str:
    return ", ".join(map(str, values))
