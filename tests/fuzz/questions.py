"""The questions that generated histories are asked, each with its answer."""

from collections.abc import Iterator
from datetime import date
from itertools import permutations

from tests.fuzz.answers import (
    creator_leaderboard,
    licence_mix,
    models_as_of,
    release_curves,
    removed_models,
    trend_base_model,
    trending_models,
)
from tests.fuzz.lives import half_life, survival, time_to_downloads
from tests.fuzz.markets import (
    adoption,
    concentration,
    creator_migration,
    licence_changes,
    trending_tags,
    version_wide,
    weekday_pattern,
)
from tests.fuzz.oracle import Oracle, Table

#: Lengths of windows that are asked for.
WINDOWS = (1, 3, 7, 30)
#: The key of a change of a licence.
CHANGE = ("changed_on", "model_id", "attribute")


def questions(oracle: Oracle) -> Iterator[tuple[str, str | None, Table, tuple[str, ...]]]:
    """Calls of macros: name, arguments (None: it is a view), the answer, and the columns of its key."""
    last = oracle.days[-1].on if oracle.days else date(2026, 1, 1)
    for days in WINDOWS:
        yield "trend_base_model", f"{days}", trend_base_model(oracle, days), ("base_model",)
        yield "trending_models", f"{days}, 100000", trending_models(oracle, days), ("model_id",)
        yield "creator_leaderboard", f"{days}", creator_leaderboard(oracle, days), ("username",)
        yield "trending_tags", f"{days}, 100000", trending_tags(oracle, days), ("tag",)
        yield "concentration", f"{days}", concentration(oracle, days), ("base_model",)
        yield "weekday_pattern", f"{days}", weekday_pattern(oracle, days), ("weekday",)
    for (base,) in sorted(oracle.tables["dim_base_model"]):
        yield "release_curves", f"'{base}'", release_curves(oracle, base), ("age_days",)
        yield "adoption", f"'{base}'", adoption(oracle, base), ("weeks_since_first",)
        yield "half_life", f"'{base}', null", half_life(oracle, base, None), ("base_model",)
    yield "half_life", "null, 'LORA'", half_life(oracle, None, "LORA"), ("base_model",)
    for n in (10, 400, 3000):
        yield "time_to_downloads", f"{n}", time_to_downloads(oracle, n), ("base_model",)
    for dimension in (None, "base_model", "type", "username", "nsfw"):
        named = "null" if dimension is None else f"'{dimension}'"
        yield "survival", named, survival(oracle, dimension), ("value", "age_days")
    for on in sorted({day.on for day in oracle.days[1::2]} | {last}):
        yield "models_as_of", f"'{on}'", models_as_of(oracle, on), ("model_id",)
    for base, other in permutations(sorted(name for (name,) in oracle.tables["dim_base_model"]), 2):
        arguments = f"'{base}', '{other}', '2026-01-02'"
        yield "creator_migration", arguments, creator_migration(oracle, base, other, date(2026, 1, 2)), ("username",)
    yield "licence_changes", "'2026-01-03'", licence_changes(oracle, date(2026, 1, 3)), CHANGE
    yield "version_wide", None, version_wide(oracle), ("version_id",)
    yield "removed_models", "'2026-01-01'", removed_models(oracle, date(2026, 1, 1)), ("model_id", "removed_on")
    yield "licence_mix", f"'{last}'", licence_mix(oracle, last), ("array_to_string(allow_commercial_use, ',')",)
