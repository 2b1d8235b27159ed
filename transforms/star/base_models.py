"""Family, ecosystem and modality of a base model, from `base_models.csv` (docs/api-notes.md, 12; 2026-08-08).

The service adds names several times a month. One that is not listed yet is Unclassified until the file knows it; it is
never dropped.

The file also has what a chart needs to colour the name (flows/reporting/charts/colours.py): a hue per ecosystem, in
degrees of OKLCH, and a shade, 0 to 2, that tells it from the others of its ecosystem.
"""

from functools import cache
from pathlib import Path

import polars as pl

UNCLASSIFIED = "Unclassified"


def listed() -> pl.DataFrame:
    """base_model, family, ecosystem, modality of every listed name."""
    return _file().select("base_model", "family", "ecosystem", "modality")


def colours() -> pl.DataFrame:
    """base_model, hue, shade of every listed name."""
    return _file().select("base_model", "hue", "shade")


@cache
def _file() -> pl.DataFrame:
    return pl.read_csv(Path(__file__).with_name("base_models.csv"))


def describe(names: pl.DataFrame) -> pl.DataFrame:
    """Adds family, ecosystem and modality to a frame of `base_model` names."""
    return names.join(listed(), on="base_model", how="left", maintain_order="left").with_columns(
        pl.col("family").fill_null(UNCLASSIFIED)
    )
