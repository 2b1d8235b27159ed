"""A model that the lists miss, from the crawl into the star: it was seen, and no history moves."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from pipelines.crawl.snapshot import take_snapshot
from pipelines.settings import Settings
from tests.pipelines.service import Reply, running_service
from tests.transforms.conftest import model, version
from transforms.build import build

DAY = date(2026, 1, 1)


def test_models_that_slip_through_the_lists_keep_their_rows_and_those_that_are_gone_are_closed(tmp_path: Path) -> None:
    listed: dict[int, dict[str, Any]] = {n: model(n, stats={"downloadCount": 100}) for n in range(1, 6)}
    with running_service() as service:
        settings = Settings(data_dir=tmp_path, api_url=service.api_url, requests_per_second=0)
        service.pages("/models", lambda: list(listed.values()), size=200)

        def snapshot(days: int) -> None:
            assert take_snapshot(settings, DAY + timedelta(days)).status == "complete"
            build(settings.directory)

        snapshot(0)
        missed, _ = listed.pop(3), listed.pop(4)
        # As details are: nulls and empty lists dropped, and a version that no list shows.
        detail = model(3, version(30, stats={"downloadCount": 107}), version(31), stats={"downloadCount": 107})
        del detail["modelVersions"][0]["images"], detail["modelVersions"][0]["name"]
        service.routes["/models/3"] = lambda _: Reply(detail)
        service.routes["/models/4"] = lambda _: Reply({"error": "No model with id 4"}, 404)
        snapshot(1)
        listed[3] = missed | {"stats": {"downloadCount": 110}}
        snapshot(2)

    with duckdb.connect(settings.directory.analytics, read_only=True) as connection:

        def sql(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        periods = "day(valid_from), day(valid_to), day(removed_on)"
        assert sql(f"select {periods} from star.dim_model where model_id = 3") == [(1, None, None)]
        assert sql(f"select version_id, {periods} from star.dim_model_version where model_id = 3") == [
            (30, 1, None, None)
        ]
        assert sql(f"select {periods} from star.dim_model where model_id = 4") == [(1, 2, 2)]
        flows = "select day(snapshot_date), download_count, downloads_delta, days_since_previous"
        assert sql(f"{flows} from star.fact_model_daily where model_id = 3 order by 1") == [
            (1, 100, None, None), (2, 107, 7, 1), (3, 110, 3, 1),
        ]  # fmt: skip
        assert sql("select day(snapshot_date), reconciled_ids from star.ops_snapshot order by 1") == [
            (1, 0), (2, 2), (3, 0),
        ]  # fmt: skip
