"""How a star table is declared: a dataframely class per table, and what each column's metadata can say.

A table's docstring starts with its grain in one sentence. A column says its type, nullability and description to
dataframely and the rest through `metadata=`, made with `source`, `tracked`, `latest`, `counter` and `made` below.
Select lists, history, flows, Parquet files, views and documents derive from these classes and from nothing else.
"""

from datetime import date
from functools import cache
from typing import ClassVar, Literal, TypedDict, Unpack, cast

import dataframely as dy
import polars as pl

from transforms.ranges import Axis

History = Literal["tracked", "latest"]


class About(TypedDict, total=False):
    """What any column can say, beside its type and its description.

    * example: a value as the demo has it, in the column's own type; the examples of a table make one valid row.
    * unit: of a number, where it is not a plain count.
    * null: what it means that there is no value; exactly the nullable columns say it.
    * references: the column of another table that it points to, as `dim_model.model_id`.
    """

    example: object
    unit: str
    null: str
    references: str


class Metadata(About, total=False):
    """All that the functions below say of a column: where it is read from, or else what it is made of, its part in
    the history of a type 2 table, and the flow and the bounds of a counter.
    """

    source: str
    origin: str
    history: History
    counter: bool
    flow: str | None
    least: int
    most: int


def about(column: dy.Column) -> Metadata:
    """The metadata of a column; none is an empty one."""
    # dataframely takes any metadata; those of a declared column are of the functions below.
    return cast("Metadata", column.metadata or {})


def source(path: str, **about: Unpack[About]) -> dict[str, object]:
    """A column that is read from `path` of the table's payload."""
    return {"source": path, **about}


def tracked(path: str, **about: Unpack[About]) -> dict[str, object]:
    """A column of a type 2 table whose change opens a new row."""
    return {"source": path, "history": "tracked", **about}


def latest(path: str, **about: Unpack[About]) -> dict[str, object]:
    """A column that is corrected in place on the current row."""
    return {"source": path, "history": "latest", **about}


def counter(path: str, flow: str | None, *, most: int, least: int = 0, **about: Unpack[About]) -> dict[str, object]:
    """A cumulative counter as observed, and the column that holds its flow (None: a figure without a flow). A value
    below `least` or above `most` is not plausible: it is set aside where it enters, so that no sum can overflow.
    """
    return {"source": path, "flow": flow, "counter": True, "least": least, "most": most, **about}


def made(origin: str, *, history: History | None = None, **about: Unpack[About]) -> dict[str, object]:
    """A column that is not read from a payload as it stands, and what it is made of, in a few words."""
    return {"origin": origin, **({"history": history} if history else {}), **about}


def timestamp(*, description: str, nullable: bool = False, metadata: dict[str, object] | None = None) -> dy.Datetime:
    """A column of instants: microseconds, UTC."""
    return dy.Datetime(time_unit="us", time_zone="UTC", nullable=nullable, description=description, metadata=metadata)


class Table(dy.Schema):
    """A declared table. `storage` says how its rows are laid out in files:

    * whole: a few files (`transforms.lake.release.FILES_AT_MOST`), written again when a row of theirs changed.
    * daily: one immutable file per snapshot date.
    * type2: a few files of open rows, and one immutable file of closed rows per date on which rows were closed.
    * appended: one immutable file per date on which rows were added.
    """

    storage: ClassVar[Literal["whole", "daily", "type2", "appended"]] = "whole"
    #: Whose ids cut the rows into ranges (`transforms.ranges`); None if the table is not cut.
    axis: ClassVar[Axis | None] = None
    #: What `$` is in the source paths: the endpoint and the part of its answer.
    read_from: ClassVar[str | None] = None
    #: The integer key of a type 2 row and the id that it is made of.
    surrogate_key: ClassVar[tuple[str, str] | None] = None

    @classmethod
    @cache
    def table_name(cls) -> str:
        """`DimModelVersion` is `dim_model_version`."""
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")

    @classmethod
    def grain(cls) -> str:
        return (cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")

    @classmethod
    def polars_schema(cls) -> dict[str, pl.DataType]:
        return {name: column.dtype for name, column in cls.columns().items()}

    @classmethod
    @cache
    def empty(cls) -> pl.DataFrame:
        return pl.DataFrame(schema=cls.polars_schema())

    @classmethod
    @cache
    def with_metadata(cls, **wanted: object) -> dict[str, Metadata]:
        """The columns whose metadata has all of `wanted`, with that metadata."""
        found = {}
        for name, column in cls.columns().items():
            metadata = about(column)
            if all(metadata.get(key) == value for key, value in wanted.items()):
                found[name] = metadata
        return found


class HistoryTable(Table):
    """A type 2 table: a row holds on day d when `valid_from <= d` and (`valid_to` is null or `d < valid_to`)."""

    storage = "type2"

    @dy.rule()
    def period_is_half_open_and_not_empty(cls) -> pl.Expr:  # noqa: N805 (dataframely passes the class)
        ends_later = pl.col("valid_to").is_null() | (pl.col("valid_from") < pl.col("valid_to"))
        return ends_later & (pl.col("is_current") == pl.col("valid_to").is_null())


def surrogate_key(entity_id: pl.Expr, valid_from: pl.Expr | date) -> pl.Expr:
    """The key of a type 2 row: the id, then the day number of `valid_from` (days since 1970-01-01) in five digits."""
    day = valid_from if isinstance(valid_from, pl.Expr) else pl.lit(valid_from)
    return entity_id * 100_000 + day.to_physical().cast(pl.Int64)
