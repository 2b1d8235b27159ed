"""A data directory: the place of each thing that a run writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class DataDirectory:
    """The paths of a data directory. `lake` has the files of the star and may be outside of `root`. `warehouse` is the
    DuckDB file of the raw layer; it is another directory's if tables are built from there.
    """

    root: Path
    lake: Path
    warehouse: Path

    @classmethod
    def at(cls, root: Path, *, lake: Path | None = None, warehouse: Path | None = None) -> Self:
        """The data directory `root`, with everything in its usual place that is not given."""
        return cls(root, lake or root / "lake", warehouse or root / "warehouse.duckdb")

    @property
    def analytics(self) -> Path:
        """The DuckDB file that analysts open."""
        return self.root / "analytics.duckdb"

    @property
    def account(self) -> Path:
        """The directory of the key's member: `account_*` tables, plan and journal of the vault."""
        return self.root / "account"

    @property
    def dlt(self) -> Path:
        """Dlt's working folder."""
        return self.root / "dlt"

    @property
    def prefect(self) -> Path:
        """The home of the Prefect server that `serve` starts."""
        return self.root / "prefect"

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.root / "logs"
