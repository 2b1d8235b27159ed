"""Two data directories side by side, by DuckDB alone: raw and star tables by `EXCEPT ALL` both ways."""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import duckdb

#: Times, and what is spent, are another one's in every run; what a killed process received and lost is in no table.
RUN_DEPENDENT = {"fetched_at", "observed_at", "started_at", "finished_at", "seconds", "bytes", "retries"}


def differences(calm: Path, disturbed: Path, ignored: Collection[str] = RUN_DEPENDENT) -> list[str]:
    """How two data directories differ in raw and in the star, but for `ignored` columns; empty if they do not."""
    found: list[str] = []
    with duckdb.connect() as connection:
        for name, file in (("warehouse", "warehouse.duckdb"), ("analytics", "analytics.duckdb")):
            for side, directory in (("calm", calm), ("disturbed", disturbed)):
                connection.execute(f"attach '{directory / file}' as {side}_{name} (read_only)")
        for name, schema in (("warehouse", "raw"), ("analytics", "star")):
            columns = [
                connection.execute(
                    "select table_name, column_name from information_schema.columns where table_catalog = ? "
                    "and table_schema = ? order by all",
                    [f"{side}_{name}", schema],
                ).fetchall()
                for side in ("calm", "disturbed")
            ]
            if columns[0] != columns[1]:
                found.append(f"{schema} has other tables or columns: {set(columns[0]) ^ set(columns[1])}")
            compared = defaultdict(list)
            for table, column in columns[0]:
                if not table.startswith(("_dlt_", "ops_", "manifest")) and column not in ignored:
                    compared[table].append(f'"{column}"')
            for table, names in compared.items():
                for one, other in (("calm", "disturbed"), ("disturbed", "calm")):
                    sides = [f"select {', '.join(names)} from {x}_{name}.{schema}.{table}" for x in (one, other)]
                    ((rows,),) = connection.execute(f"select count(*) from ({' except all '.join(sides)})").fetchall()
                    if rows:
                        found.append(f"{schema}.{table}: {rows} rows are in the {one} run and not in the {other} one")
        files = [
            {
                path[path.rindex("/star/") :]
                for (path,) in connection.execute(
                    f"select path from {side}_analytics.star.manifest where not starts_with(table_name, 'ops_')"
                ).fetchall()
            }
            for side in ("calm", "disturbed")
        ]
    return [*found, *(f"the star's files differ: {name}" for name in sorted(files[0] ^ files[1]))]
