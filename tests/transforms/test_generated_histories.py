"""Properties over generated histories: gaps, partial crawls, take-downs, hidden counters, moved versions, late re-runs.

The oracle is the generated history itself, walked with plain dictionaries, and SQL identities on the published star.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transforms.conftest import DAYS, Workshop, model, version

MODEL_IDS = (1, 2, 3)
count = st.one_of(st.none(), st.integers(0, 50))


@dataclass(frozen=True)
class Day:
    """A generated crawl: what each model looked like, None where it was not listed."""

    on: date
    status: str
    models: dict[int, dict[str, Any] | None]
    buried: tuple[int, ...]
    build: bool


@st.composite
def model_states(draw: st.DrawFn, model_id: int) -> dict[str, Any] | None:
    if draw(st.integers(0, 4)) == 0:
        return None
    versions = [
        version(
            model_id * 10 + number,
            base_model=draw(st.sampled_from(["SD 1.5", "Pony"])),
            publishedAt=f"2026-01-{draw(st.integers(1, 9)):02}T12:00:00.000Z",
            images=[{"id": number, "url": "u"} for number in draw(st.sets(st.integers(1, 3), max_size=2))],
            stats={"downloadCount": draw(count), "thumbsUpCount": draw(count), "thumbsDownCount": 1},
        )
        for number in draw(st.sets(st.integers(0, 2), max_size=3))
    ]
    return model(
        model_id,
        name=draw(st.sampled_from(["a", "b"])),
        description=draw(st.sampled_from([None, "one", "two"])),
        tags=draw(st.lists(st.sampled_from(["x", "y", " y"]), max_size=2)),
        stats={"downloadCount": draw(count)},
    ) | {"modelVersions": versions}


@st.composite
def histories(draw: st.DrawFn) -> list[Day]:
    days = sorted(draw(st.sets(st.sampled_from(DAYS[:9]), min_size=2, max_size=5)))
    history: list[Day] = []
    for on in days:
        models = {model_id: draw(model_states(model_id)) for model_id in MODEL_IDS}
        if not any(models.values()):
            models[1] = model(1)
        complete = draw(st.integers(0, 3)) > 0
        absent = [model_id for model_id, state in models.items() if state is None]
        buried = tuple(draw(st.sets(st.sampled_from(absent)))) if complete and absent else ()
        history.append(Day(on, "complete" if complete else "partial", models, buried, draw(st.booleans())))
    return history


def write(workshop: Workshop, day: Day) -> None:
    listed = [state for state in day.models.values() if state is not None]
    tags = [{"name": tag} for state in listed for tag in state["tags"]]
    workshop.raw.crawl(day.on, status=day.status, buried=day.buried, model=listed, tag=tags)


def expected_flows(history: list[Day]) -> dict[tuple[date, int], tuple[int | None, int | None]]:
    """Download counter and flow of every version and date, by walking the history."""
    flows: dict[tuple[date, int], tuple[int | None, int | None]] = {}
    known: dict[int, int | None] = {}
    last_complete: date | None = None
    for day in history:
        for state in day.models.values():
            for each in (state or {}).get("modelVersions", []):
                version_id, now = each["id"], each["stats"]["downloadCount"]
                if version_id in known:
                    before = known[version_id]
                    flow = None if now is None or before is None else now - before
                elif last_complete is not None and each["publishedAt"] > f"{last_complete}T03:00:00.000Z":
                    flow = now
                else:
                    flow = None
                flows[day.on, version_id] = (now, flow)
                known[version_id] = now if now is not None else known.get(version_id)
        if day.status == "complete":
            last_complete = day.on
    return flows


def assert_mart_balances(workshop: Workshop) -> None:
    """A stock is the stock before + flow + entered - left + reclassified + hidden, for every base model and date; and
    the last stock is what the versions that are served were last known to have."""
    uneven = workshop.sql("""
        WITH dates AS (SELECT DISTINCT snapshot_date, lag(snapshot_date) OVER (ORDER BY snapshot_date) AS previous
                       FROM (SELECT DISTINCT snapshot_date FROM star.mart_base_model_daily))
        SELECT now.snapshot_date, now.base_model FROM star.mart_base_model_daily now JOIN dates USING (snapshot_date)
        LEFT JOIN star.mart_base_model_daily before
               ON before.snapshot_date = dates.previous AND before.base_model = now.base_model
        WHERE now.download_count != coalesce(before.download_count, 0) + coalesce(now.downloads_delta, 0)
              + now.downloads_entered - now.downloads_left + now.downloads_reclassified + now.downloads_hidden
           OR now.version_count != coalesce(before.version_count, 0) + now.versions_entered - now.versions_left
              + now.versions_reclassified""")
    assert uneven == []
    wrong = workshop.sql("""
        WITH known AS (SELECT version_id, arg_max(download_count, snapshot_date) AS downloads,
                              arg_max(download_count IS NULL, snapshot_date) AS is_hidden
                       FROM star.fact_model_version_daily GROUP BY version_id),
             served AS (SELECT base_model, sum(downloads) FILTER (NOT is_hidden) AS stock, count(*) AS versions
                        FROM star.model_version LEFT JOIN known USING (version_id) GROUP BY base_model),
             mart AS (SELECT * FROM star.mart_base_model_daily
                      WHERE snapshot_date = (SELECT max(snapshot_date) FROM star.fact_model_daily))
        SELECT mart.base_model, mart.download_count, served.stock FROM mart LEFT JOIN served USING (base_model)
        WHERE mart.download_count != coalesce(served.stock, 0) OR mart.version_count != coalesce(served.versions, 0)""")
    assert wrong == []


def assert_flows_are_carried(workshop: Workshop) -> None:
    """What the mart calls flow on a date is what the versions' facts say, of versions that are served."""
    assert (
        workshop.sql("""
        SELECT snapshot_date, sum(downloads_delta) FROM star.fact_model_version_daily GROUP BY 1
        EXCEPT SELECT snapshot_date, sum(downloads_delta) FROM star.mart_base_model_daily GROUP BY 1""")
        == []
    )


def assert_periods_are_sound(workshop: Workshop) -> None:
    """Periods of one key neither overlap nor are empty, and every fact hangs on the row that held."""
    for table, key in {
        "dim_model": "model_id",
        "dim_model_version": "version_id",
        "bridge_model_tag": "model_id, tag",
        "file_hash": "version_id, file_id, algorithm, hash",
    }.items():
        overlaps = workshop.sql(
            f"SELECT * FROM (SELECT *, lead(valid_from) OVER (PARTITION BY {key} ORDER BY valid_from) AS next "
            f"FROM star.{table}) WHERE next < coalesce(valid_to, DATE '9999-01-01')"
        )
        assert overlaps == [], table
    for fact, dimension, name in (
        ("fact_model_daily", "dim_model", "model"),
        ("fact_model_version_daily", "dim_model_version", "version"),
    ):
        astray = workshop.sql(
            f"SELECT * FROM star.{fact} f LEFT JOIN star.{dimension} d USING ({name}_key) WHERE d.{name}_id IS NULL "
            f"OR d.{name}_id != f.{name}_id OR NOT (d.valid_from <= f.snapshot_date "
            "AND (d.valid_to IS NULL OR f.snapshot_date < d.valid_to))"
        )
        assert astray == [], fact


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(history=histories(), late=st.booleans())
def test_any_history_gives_true_flows_a_balanced_mart_and_the_same_files_by_day_and_by_rebuild(
    history: list[Day], late: bool
) -> None:
    with TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        order = [*history[1:], history[0]] if late else history
        for day in order:
            write(workshop, day)
            if day.build:
                workshop.build()
        workshop.build()
        flows = workshop.sql(
            "SELECT snapshot_date, version_id, download_count, downloads_delta FROM star.fact_model_version_daily"
        )
        assert {(on, version_id): (now, flow) for on, version_id, now, flow in flows} == expected_flows(history)
        assert_mart_balances(workshop)
        assert_flows_are_carried(workshop)
        assert_periods_are_sound(workshop)
        assert workshop.files() == workshop.rebuild_into("again").files()
