"""Rows in the order of a key. A join of two frames in the order of one id takes a tenth of the time of others."""

from collections.abc import Sequence

import polars as pl


def ordered(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The rows in the order of a key, nulls first and equal ones as they were. Polars knows that of a single column."""
    if len(key) == 1 and rows[key[0]].is_sorted():  # to see it takes a hundredth of the time to sort them
        return rows.with_columns(pl.col(key).set_sorted())
    return rows.sort(key, maintain_order=True)
