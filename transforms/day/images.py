"""The images of a snapshot date."""

import polars as pl

from transforms.day.changes import Changes, accepted, newly_appended
from transforms.day.inputs import DayInputs
from transforms.tables import DimImage


def build_images(inputs: DayInputs) -> Changes:
    """Images of showcases and of the gallery. An image in both has its version and the gallery's attributes."""
    showcase = inputs.models.rows[DimImage.table_name()]
    showcase = showcase.filter(pl.col("image_id").is_null() | pl.col("image_id").is_first_distinct())
    gallery = inputs.staged["image"].rows[DimImage.table_name()]
    in_both = showcase.join(gallery, on="image_id", how="semi", maintain_order="left")
    shown = showcase.join(gallery, on="image_id", how="anti", maintain_order="left")
    attributes = [name for name in gallery.columns if name != "image_id"]
    met = (
        pl.concat([gallery, in_both])
        .group_by("image_id", maintain_order=True)
        .agg(pl.col(name).drop_nulls().first() for name in attributes)
        .select(gallery.columns)
    )
    rows, refusals = accepted(DimImage, inputs, pl.concat([met, shown]))
    return refusals | newly_appended(DimImage, inputs, rows)
