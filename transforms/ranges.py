"""Ranges of ids, the unit of work of a build: the id of a model or image decides its range, for ever.

So a range's rows, and the memory that its day takes, do not depend on the size of the catalogue. Everything of a model,
also its versions and their files, is in the model's range. A table that is not cut has one range, `WHOLE`.
"""

from typing import Literal

import polars as pl

#: Whose ids cut a table into ranges.
Axis = Literal["model", "image"]

#: Ids per range. The service has 350 models in 1,000 ids of models, and in showcases 120 images in 1,000 ids of images.
WIDTH: dict[Axis, int] = {"model": 100_000, "image": 1_048_576}

#: The payload kinds whose records are cut into ranges.
AXIS_OF_KIND: dict[str, Axis] = {"model": "model", "image": "image"}

#: The range of a table that is not cut.
WHOLE = 0


def range_of(axis: Axis | None, ids: pl.Expr) -> pl.Expr:
    """The range of each id, a number or a text; what is no id is in the first one, whose rules refuse it."""
    if axis is None:
        return pl.lit(WHOLE, pl.Int64)
    return (ids.cast(pl.Int64, strict=False) // WIDTH[axis]).fill_null(WHOLE)
