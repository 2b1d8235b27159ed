"""The images of a snapshot date in a range: those of the gallery, and those that the showcases of models have."""

from dataclasses import dataclass

import polars as pl

from transforms.day.changes import Changes, accepted, newly_appended
from transforms.day.facts import FactDay, fact_day, observed_records, of_records
from transforms.day.inputs import DayInputs
from transforms.star.facts import stats_columns
from transforms.tables import DimImage, FactImageDaily


@dataclass(frozen=True)
class Showcases:
    """Of the images in showcases: candidate rows of dim_image, and counters (`StagedKind.images`)."""

    rows: pl.DataFrame
    metrics: pl.DataFrame


def build_images(inputs: DayInputs, showcases: Showcases) -> Changes:
    """Images of showcases and of the gallery. An image in both has its version and the gallery's attributes."""
    showcase = showcases.rows
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


def fact_of_images(inputs: DayInputs, showcases: Showcases) -> FactDay:
    """fact_image_daily: the counters of the gallery, and those of showcases where the gallery has not shown them."""
    gallery = observed_records(inputs, "image", FactImageDaily)
    observed = pl.concat([gallery, _showcase_counters(showcases, gallery)])
    images = pl.concat([inputs.staged["image"].rows[DimImage.table_name()], showcases.rows])
    published = images.select("image_id", published_at="created_at").drop_nulls()
    return of_records(fact_day(inputs, FactImageDaily, observed, published), gallery)


def _showcase_counters(showcases: Showcases, gallery: pl.DataFrame) -> pl.DataFrame:
    """Counters of showcase images that have any and that the gallery did not show on this date."""
    images = showcases.metrics.select("image_id", *stats_columns(FactImageDaily))
    images = images.filter(pl.col("image_id").is_first_distinct())
    return images.filter(~images["image_id"].is_in(gallery["image_id"].implode()))
