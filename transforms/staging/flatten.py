"""From decoded documents to rows: pure functions, frame to frame.

A column that is read from the payload says so in its table class (`source`, `tracked`, `latest`), and the select lists
here derive from that; what is computed stands in the functions below. The rows are candidates: they have the natural
key and the attributes, history adds the periods (`transforms.star.scd2`).
"""

import hashlib
from collections.abc import Callable

import polars as pl

from transforms.tables import (
    BridgeModelTag,
    DimCreator,
    DimFile,
    DimImage,
    DimModel,
    DimModelVersion,
    DimTag,
    DimUser,
    FileHash,
    HashMatch,
    ModelText,
    ModelVersionDetail,
    ModelVersionMini,
    Table,
)
from transforms.tables.dimensions import HASH_ALGORITHMS

#: From decoded documents of a kind to candidate rows, by table name. Documents of look-ups also have `entity_id`, the
#: date of the answer as `snapshot_date`, and `unknown_since`.
Flatten = Callable[[pl.DataFrame], dict[str, pl.DataFrame]]

UNKNOWN = "(unknown)"

VERSION = "$.modelVersions[]."
FILE = "$.modelVersions[].files[]."


def columns_from(table: type[Table], prefix: str) -> list[pl.Expr]:
    """The columns of `table` whose source path lies directly under `prefix`, read from a frame of that level."""
    found = []
    for name, column in table.columns().items():
        path = (column.metadata or {}).get("source", "")
        rest = path.removeprefix(prefix)
        if not path.startswith(prefix) or "[]" in rest:
            continue
        first, *inner = rest.split(".")
        expression = pl.col(first)
        for field in inner:
            expression = expression.struct.field(field)
        found.append(typed(expression, column.dtype).alias(name))
    return found


def typed(expression: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Canonical JSON as column values: ISO text to UTC (naive means UTC, docs/api-notes.md, 0.9), no list to empty."""
    if isinstance(dtype, pl.Datetime):
        zoned = expression.str.replace(r"(T[\d:.]+)$", "${1}Z")
        return zoned.str.to_datetime("%+", time_unit="us", time_zone="UTC")
    if isinstance(dtype, pl.List):
        return expression.fill_null(pl.lit([], dtype=dtype))
    return expression


def named(text: pl.Expr) -> pl.Expr:
    """A name of a tag, creator or base model, from the text that has it.

    Two names are one if they differ only in white space around them. Case, accents and white space inside make them
    two, as they do for the service. A blank text is no name: null.
    """
    trimmed = text.str.strip_chars()
    return pl.when(trimmed != "").then(trimmed)


def text_hash(text: str) -> str:
    """BLAKE2b-128 in hex."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def flatten_models(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The candidate rows that a batch of decoded model documents (`payloads.Model`) holds, by table name.

    The keys are those of the tables dim_model, model_text, dim_model_version, dim_file, file_hash, bridge_model_tag and
    dim_image. Rows of a nested list whose id could not be read have a null there; the tables' rules set them aside.
    Rows of files and hashes have the model_id that listed them, too: only the owner of a version says what it has.
    """
    model_id = pl.col("id").alias("model_id")
    description = pl.when(pl.col("description").str.len_chars() > 0).then("description")
    documents = documents.with_columns(
        description,
        description_hash=pl.Series(
            [text_hash(text) if text else None for text in documents["description"]], dtype=pl.String
        ),
    )
    version_level = nested(documents.select(model_id, "modelVersions"), "modelVersions")
    versions = version_level.select(
        *columns_from(DimModelVersion, VERSION),
        "model_id",
    ).with_columns(
        named(pl.col("base_model")).fill_null(UNKNOWN),
        pl.coalesce("published_at", "created_at").alias("published_at"),
    )
    version_id = pl.col("id").alias("version_id")
    image_level = nested(version_level.select(version_id, "images"), "images")
    # The files of a second version of the same id are not the first one's, nor are the hashes of a second file.
    version_level = version_level.filter(is_first(["model_id", "id"]))
    file_level = nested(version_level.select("model_id", version_id, "files"), "files")
    published = versions.group_by("model_id").agg(pl.col("published_at").min())
    models = (
        documents.select(*columns_from(DimModel, "$."), "description_hash")
        .with_columns(named(pl.col("username")).fill_null(UNKNOWN))
        .join(published, on="model_id", how="left", maintain_order="left")
    )
    return {
        DimModel.table_name(): models,
        ModelText.table_name(): documents.filter(pl.col("description_hash").is_not_null()).select(
            model_id, "description_hash", "description"
        ),
        DimModelVersion.table_name(): versions,
        DimFile.table_name(): file_level.select("model_id", "version_id", *columns_from(DimFile, FILE)),
        FileHash.table_name(): flatten_hashes(file_level.filter(is_first(["model_id", "version_id", "id"]))),
        BridgeModelTag.table_name(): flatten_tags(documents.select(model_id, "tags")),
        DimImage.table_name(): flatten_images(image_level),
    }


def nested(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row per element of a list of structs, with the struct's fields as columns beside the other columns."""
    return frame.explode(column).filter(pl.col(column).is_not_null()).unnest(column)


def is_first(key: list[str]) -> pl.Expr:
    """Whether a row is the first with its key; one without an id is no other one's."""
    return pl.struct(key).is_first_distinct() | pl.col(key[-1]).is_null()


def flatten_hashes(files: pl.DataFrame) -> pl.DataFrame:
    """model_id, version_id, file_id, algorithm, hash: one row per hash.

    A hash is trimmed and in upper case here; a few are not (docs/api-notes.md, 2).
    """
    wide = files.select("model_id", "version_id", pl.col("id").alias("file_id"), pl.col("hashes").struct.unnest())
    algorithms = [name for name in wide.columns if name.upper() in HASH_ALGORITHMS]
    return (
        wide.unpivot(
            algorithms, index=["model_id", "version_id", "file_id"], variable_name="algorithm", value_name="hash"
        )
        .drop_nulls("hash")
        .with_columns(pl.col("algorithm").str.to_uppercase(), named(pl.col("hash")).str.to_uppercase())
        .unique(maintain_order=True)
    )


def flatten_tags(models: pl.DataFrame) -> pl.DataFrame:
    """model_id, tag: one row per distinct tag of a model, trimmed; a blank tag is none."""
    tags = models.explode("tags").select("model_id", tag=named(pl.col("tags")))
    return tags.drop_nulls("tag").unique(maintain_order=True)


def flatten_images(images: pl.DataFrame) -> pl.DataFrame:
    """dim_image rows from a frame of `payloads.Image` columns, with `version_id` for showcase images."""
    if "version_id" not in images.columns:
        images = images.with_columns(version_id=pl.lit(None, pl.Int64))
    return images.select("version_id", *columns_from(DimImage, "$.")).with_columns(named(pl.col("username")))


def flatten_gallery(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """dim_image rows from decoded /images documents."""
    return {DimImage.table_name(): flatten_images(documents)}


def flatten_creators(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """dim_creator rows from decoded /creators documents, and the `spelling` of the name in each."""
    rows = documents.select(*columns_from(DimCreator, "$."), spelling="username")
    return {DimCreator.table_name(): rows.with_columns(named(pl.col("username")))}


def flatten_tag_list(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """dim_tag rows from decoded /tags documents, and the `spelling` of the name in each."""
    rows = documents.select(*columns_from(DimTag, "$."), tag=named(pl.col("name")), spelling="name")
    return {DimTag.table_name(): rows}


OBSERVED_ON = pl.col("snapshot_date").alias("observed_on")


def flatten_users(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """dim_user rows from answers to look-ups of users."""
    rows = documents.select(*columns_from(DimUser, "$."), OBSERVED_ON)
    return {DimUser.table_name(): rows.with_columns(named(pl.col("username")))}


def flatten_versions(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """model_version_detail rows from answers to look-ups of versions."""
    rows = documents.select(*columns_from(ModelVersionDetail, "$."), OBSERVED_ON, "unknown_since")
    return {ModelVersionDetail.table_name(): rows.with_columns(named(pl.col("base_model")))}


def flatten_minis(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """model_version_mini rows from answers to look-ups of the short form of versions."""
    version_id = pl.col("entity_id").cast(pl.Int64).alias("version_id")
    rows = documents.select(version_id, *columns_from(ModelVersionMini, "$."), OBSERVED_ON, "unknown_since")
    return {ModelVersionMini.table_name(): rows.with_columns(named(pl.col("base_model")))}


def flatten_hash_matches(documents: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """hash_match rows of hashes that the service knows, each with the `entity_id` of its record."""
    of_versions = documents.explode("matches").unnest("matches").sort("entity_id", "modelVersionId")
    rows = of_versions.group_by("entity_id", maintain_order=True).agg(
        pl.col("hash").first(),
        pl.col("modelVersionId").first().alias("version_id"),
        pl.col("modelId").first().alias("model_id"),
        pl.col("modelVersionId").n_unique().cast(pl.Int64).alias("version_count"),
        OBSERVED_ON.first(),
    )
    return {HashMatch.table_name(): rows}
