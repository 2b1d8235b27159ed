"""What things did each day: cumulative counters as observed, and their flows since the entity's last known value."""

import dataframely as dy

from transforms.tables.declaration import Table, counter

SNAPSHOT_DATE = "UTC date on which the crawl began that observed the row."
DAYS_SINCE_PREVIOUS = (
    "Days since the entity's previous row; at a first row with a flow, days since the complete crawl before; else null."
)
DOWNLOADS_DAYS = "Days that downloads_delta spans: since download_count was last known; null without a flow."


def flow_of(what: str) -> str:
    """The description of a flow column."""
    return f"{what} since the last known value; may be negative; null if either end is not known."


class FactModelDaily(Table):
    """One row per model and snapshot date on which it was observed."""

    storage = "daily"

    snapshot_date = dy.Date(primary_key=True, description=SNAPSHOT_DATE)
    model_id = dy.Int64(primary_key=True, description="The model.")
    model_key = dy.Int64(description="The row of dim_model that held on that date.")
    download_count = dy.Int64(
        nullable=True,
        description="Downloads so far (approximate distinct users); null if its creator hides it.",
        metadata=counter("$.stats.downloadCount", flow="downloads_delta"),
    )
    thumbs_up_count = dy.Int64(
        nullable=True,
        description="Users who recommend it.",
        metadata=counter("$.stats.thumbsUpCount", flow="thumbs_up_delta"),
    )
    thumbs_down_count = dy.Int64(
        nullable=True,
        description="Users who do not recommend it.",
        metadata=counter("$.stats.thumbsDownCount", flow="thumbs_down_delta"),
    )
    rating_count = dy.Int64(
        nullable=True,
        description="Ratings so far (until 2025).",
        metadata=counter("$.stats.ratingCount", flow="ratings_delta"),
    )
    rating = dy.Float64(
        nullable=True,
        description="The service's mean rating, 0 to 5 (until 2025); 0 where nobody rated.",
        metadata=counter("$.stats.rating", flow=None, unit="stars"),
    )
    comment_count = dy.Int64(
        nullable=True,
        description="Comments so far.",
        metadata=counter("$.stats.commentCount", flow="comments_delta"),
    )
    favorite_count = dy.Int64(
        nullable=True,
        description="Favourites so far (until 2025).",
        metadata=counter("$.stats.favoriteCount", flow="favorites_delta"),
    )
    tipped_amount_count = dy.Int64(
        nullable=True,
        description="Tips so far; null if its creator hides them.",
        metadata=counter("$.stats.tippedAmountCount", flow="tipped_amount_delta", unit="Buzz"),
    )
    downloads_delta = dy.Int64(nullable=True, description=flow_of("Downloads"))
    thumbs_up_delta = dy.Int64(nullable=True, description=flow_of("Recommendations"))
    thumbs_down_delta = dy.Int64(nullable=True, description=flow_of("Dissuasions"))
    ratings_delta = dy.Int64(nullable=True, description=flow_of("Ratings"))
    comments_delta = dy.Int64(nullable=True, description=flow_of("Comments"))
    favorites_delta = dy.Int64(nullable=True, description=flow_of("Favourites"))
    tipped_amount_delta = dy.Int64(nullable=True, description=flow_of("Buzz tipped"))
    days_since_previous = dy.Int32(nullable=True, min=1, description=DAYS_SINCE_PREVIOUS)
    downloads_days = dy.Int32(nullable=True, min=1, description=DOWNLOADS_DAYS)


class FactModelVersionDaily(Table):
    """One row per version and snapshot date on which it was observed."""

    storage = "daily"

    snapshot_date = dy.Date(primary_key=True, description=SNAPSHOT_DATE)
    version_id = dy.Int64(primary_key=True, description="The version.")
    version_key = dy.Int64(description="The row of dim_model_version that held on that date.")
    model_id = dy.Int64(description="The model it belongs to.")
    download_count = dy.Int64(
        nullable=True,
        description="Downloads so far (approximate distinct users); null if its creator hides it.",
        metadata=counter("$.modelVersions[].stats.downloadCount", flow="downloads_delta"),
    )
    thumbs_up_count = dy.Int64(
        nullable=True,
        description="Users who recommend it.",
        metadata=counter("$.modelVersions[].stats.thumbsUpCount", flow="thumbs_up_delta"),
    )
    thumbs_down_count = dy.Int64(
        nullable=True,
        description="Users who do not recommend it.",
        metadata=counter("$.modelVersions[].stats.thumbsDownCount", flow="thumbs_down_delta"),
    )
    rating_count = dy.Int64(
        nullable=True,
        description="Ratings so far (until 2025).",
        metadata=counter("$.modelVersions[].stats.ratingCount", flow="ratings_delta"),
    )
    rating = dy.Float64(
        nullable=True,
        description="The service's mean rating, 0 to 5 (until 2025); 0 where nobody rated.",
        metadata=counter("$.modelVersions[].stats.rating", flow=None, unit="stars"),
    )
    downloads_delta = dy.Int64(nullable=True, description=flow_of("Downloads"))
    thumbs_up_delta = dy.Int64(nullable=True, description=flow_of("Recommendations"))
    thumbs_down_delta = dy.Int64(nullable=True, description=flow_of("Dissuasions"))
    ratings_delta = dy.Int64(nullable=True, description=flow_of("Ratings"))
    days_since_previous = dy.Int32(nullable=True, min=1, description=DAYS_SINCE_PREVIOUS)
    downloads_days = dy.Int32(nullable=True, min=1, description=DOWNLOADS_DAYS)


class FactImageDaily(Table):
    """One row per image and snapshot date on which it was met with its counters; most images are met once."""

    storage = "daily"

    snapshot_date = dy.Date(primary_key=True, description=SNAPSHOT_DATE)
    image_id = dy.Int64(primary_key=True, description="The image.")
    cry_count = dy.Int64(
        nullable=True, description="Reactions: cry.", metadata=counter("$.stats.cryCount", flow="cries_delta")
    )
    laugh_count = dy.Int64(
        nullable=True, description="Reactions: laugh.", metadata=counter("$.stats.laughCount", flow="laughs_delta")
    )
    like_count = dy.Int64(
        nullable=True, description="Reactions: like.", metadata=counter("$.stats.likeCount", flow="likes_delta")
    )
    dislike_count = dy.Int64(
        nullable=True,
        description="Reactions: dislike.",
        metadata=counter("$.stats.dislikeCount", flow="dislikes_delta"),
    )
    heart_count = dy.Int64(
        nullable=True, description="Reactions: heart.", metadata=counter("$.stats.heartCount", flow="hearts_delta")
    )
    comment_count = dy.Int64(
        nullable=True, description="Comments so far.", metadata=counter("$.stats.commentCount", flow="comments_delta")
    )
    cries_delta = dy.Int64(nullable=True, description=flow_of("Cries"))
    laughs_delta = dy.Int64(nullable=True, description=flow_of("Laughs"))
    likes_delta = dy.Int64(nullable=True, description=flow_of("Likes"))
    dislikes_delta = dy.Int64(nullable=True, description=flow_of("Dislikes"))
    hearts_delta = dy.Int64(nullable=True, description=flow_of("Hearts"))
    comments_delta = dy.Int64(nullable=True, description=flow_of("Comments"))
    days_since_previous = dy.Int32(nullable=True, min=1, description=DAYS_SINCE_PREVIOUS)


class FactCreatorDaily(Table):
    """One row per creator and snapshot date on which /creators listed it."""

    storage = "daily"

    snapshot_date = dy.Date(primary_key=True, description=SNAPSHOT_DATE)
    username = dy.String(primary_key=True, description="The creator.")
    model_count = dy.Int64(
        nullable=True,
        description="Published models, as the service counts them.",
        metadata=counter("$.modelCount", flow="models_delta"),
    )
    models_delta = dy.Int64(nullable=True, description=flow_of("Models"))
    days_since_previous = dy.Int32(nullable=True, min=1, description=DAYS_SINCE_PREVIOUS)


class FactTagDaily(Table):
    """One row per tag and snapshot date on which /tags listed it."""

    storage = "daily"

    snapshot_date = dy.Date(primary_key=True, description=SNAPSHOT_DATE)
    tag = dy.String(primary_key=True, description="The tag.")
    model_count = dy.Int64(
        nullable=True,
        description="Models with the tag, as the service counts them; not given since 2025.",
        metadata=counter("$.modelCount", flow="models_delta"),
    )
    models_delta = dy.Int64(nullable=True, description=flow_of("Models"))
    days_since_previous = dy.Int32(nullable=True, min=1, description=DAYS_SINCE_PREVIOUS)
