"""What things did each day: cumulative counters as observed, and their flows since the entity's last known value."""

from datetime import date
from typing import Unpack

import dataframely as dy

from transforms.tables.declaration import About, Table, counter, made

SNAPSHOT_DATE = "UTC date on which the crawl began that observed the row, however long the crawl ran."
DAYS_SINCE_PREVIOUS = (
    "Days back to the entity's row before or, for one published in between, to the complete crawl before: the span of "
    "the flows of counters that were known then."
)
DOWNLOADS_DAYS = (
    "Days that downloads_delta spans: back to the last date on which download_count was known, through dates on which "
    "its creator hid it."
)
DOWNLOADS = (
    "Downloads of all time: the service's estimate of how many different users downloaded it. It can fall, when a "
    "version is deleted or the service counts anew."
)
THUMBS_UP = "Users who recommend it in a review, of all time; it falls when a review is withdrawn."
THUMBS_DOWN = "Users who advise against it in a review, of all time; it falls when a review is withdrawn."
RATINGS = "Ratings in stars that it was given, of all time; the service dropped them in 2025."
RATING = "The service's own mean of the ratings, 0 to 5; 0 where nobody rated. The service dropped it in 2025."

#: More than everybody on earth can have done: no counter gets there.
MOST_USERS = 10**10
MOST_BUZZ = 10**12
MOST_STARS = 5

HIDDEN = "its creator hides the number, or the answer lacked it; never zero"
NOT_COUNTED = "the answer lacked the number; never zero"
NO_FLOW = "the counter is not known now, or was never known before; never zero"


def snapshot_date() -> dy.Date:
    """The date of a daily fact's row."""
    return dy.Date(
        primary_key=True,
        description=SNAPSHOT_DATE,
        metadata=made("raw.snapshots", example=date(2026, 1, 2), references="dim_date.date"),
    )


def days_since_previous() -> dy.Int32:
    """The span of a row's flows."""
    return dy.Int32(
        nullable=True,
        min=1,
        description=DAYS_SINCE_PREVIOUS,
        metadata=made(
            "the snapshot dates", unit="days", example=1, null="the entity's first row, and it was there before"
        ),
    )


def downloads_days() -> dy.Int32:
    """The span of a row's downloads_delta."""
    return dy.Int32(
        nullable=True,
        min=1,
        description=DOWNLOADS_DAYS,
        metadata=made("the snapshot dates", unit="days", example=1, null="downloads_delta is null"),
    )


def flow_of(what: str) -> str:
    """The description of a flow column."""
    return f"{what}, added since the counter was last known; negative where it fell, the whole counter at a new entity."


def flow(what: str, of: str, **about: Unpack[About]) -> dy.Int64:
    """The flow of the counter `of`."""
    said: About = {"null": NO_FLOW, **about}
    return dy.Int64(nullable=True, description=flow_of(what), metadata=made(of, **said))


class FactModelDaily(Table):
    """One row per model and snapshot date on which it was observed."""

    axis = "model"
    storage = "daily"
    read_from = "an item of GET /models"

    snapshot_date = snapshot_date()
    model_id = dy.Int64(
        primary_key=True,
        description="The service's id of the model whose counters the row has.",
        metadata=made("$.id", example=1134, references="dim_model.model_id"),
    )
    model_key = dy.Int64(
        description="The row of dim_model that held on that date: join on it for the model as it was then.",
        metadata=made("dim_model", example=113420454, references="dim_model.model_key"),
    )
    download_count = dy.Int64(
        nullable=True,
        description=DOWNLOADS,
        metadata=counter("$.stats.downloadCount", flow="downloads_delta", most=MOST_USERS, example=71694, null=HIDDEN),
    )
    thumbs_up_count = dy.Int64(
        nullable=True,
        description=THUMBS_UP,
        metadata=counter(
            "$.stats.thumbsUpCount", flow="thumbs_up_delta", most=MOST_USERS, example=7630, null=NOT_COUNTED
        ),
    )
    thumbs_down_count = dy.Int64(
        nullable=True,
        description=THUMBS_DOWN,
        metadata=counter(
            "$.stats.thumbsDownCount", flow="thumbs_down_delta", most=MOST_USERS, example=184, null=NOT_COUNTED
        ),
    )
    rating_count = dy.Int64(
        nullable=True,
        description=RATINGS,
        metadata=counter("$.stats.ratingCount", flow="ratings_delta", most=MOST_USERS, example=419, null=NOT_COUNTED),
    )
    rating = dy.Float64(
        nullable=True,
        description=RATING,
        metadata=counter("$.stats.rating", flow=None, most=MOST_STARS, unit="stars", example=4.51, null=NOT_COUNTED),
    )
    comment_count = dy.Int64(
        nullable=True,
        description="Comments under the model, of all time; it falls when a comment is deleted.",
        metadata=counter("$.stats.commentCount", flow="comments_delta", most=MOST_USERS, example=152, null=NOT_COUNTED),
    )
    favorite_count = dy.Int64(
        nullable=True,
        description="Users who marked the model as a favourite, of all time; the service dropped it in 2025.",
        metadata=counter(
            "$.stats.favoriteCount", flow="favorites_delta", most=MOST_USERS, example=3270, null=NOT_COUNTED
        ),
    )
    tipped_amount_count = dy.Int64(
        nullable=True,
        description="Tips that its creator received for the model, of all time, in the service's own currency.",
        metadata=counter(
            "$.stats.tippedAmountCount",
            flow="tipped_amount_delta",
            most=MOST_BUZZ,
            unit="Buzz",
            example=250,
            null=HIDDEN,
        ),
    )
    downloads_delta = flow("Downloads", "download_count", example=3)
    thumbs_up_delta = flow("Recommendations", "thumbs_up_count", example=1)
    thumbs_down_delta = flow("Reviews that advise against it", "thumbs_down_count", example=0)
    ratings_delta = flow("Ratings in stars", "rating_count", example=0)
    comments_delta = flow("Comments", "comment_count", example=0)
    favorites_delta = flow("Favourites", "favorite_count", example=0)
    tipped_amount_delta = flow("Tips", "tipped_amount_count", unit="Buzz", example=50)
    days_since_previous = days_since_previous()
    downloads_days = downloads_days()


class FactModelVersionDaily(Table):
    """One row per version and snapshot date on which it was observed."""

    axis = "model"
    storage = "daily"
    read_from = "an item of GET /models"

    snapshot_date = snapshot_date()
    version_id = dy.Int64(
        primary_key=True,
        description="The service's id of the version whose counters the row has.",
        metadata=made("$.modelVersions[].id", example=5964, references="dim_model_version.version_id"),
    )
    version_key = dy.Int64(
        description="The row of dim_model_version that held on that date: join on it for the version as it was then.",
        metadata=made("dim_model_version", example=596420454, references="dim_model_version.version_key"),
    )
    model_id = dy.Int64(
        description="The model that listed the version on that date.",
        metadata=made("dim_model_version", example=3401, references="dim_model.model_id"),
    )
    download_count = dy.Int64(
        nullable=True,
        description=DOWNLOADS,
        metadata=counter(
            "$.modelVersions[].stats.downloadCount",
            flow="downloads_delta",
            most=MOST_USERS,
            example=182758,
            null=HIDDEN,
        ),
    )
    thumbs_up_count = dy.Int64(
        nullable=True,
        description=THUMBS_UP,
        metadata=counter(
            "$.modelVersions[].stats.thumbsUpCount",
            flow="thumbs_up_delta",
            most=MOST_USERS,
            example=8574,
            null=NOT_COUNTED,
        ),
    )
    thumbs_down_count = dy.Int64(
        nullable=True,
        description=THUMBS_DOWN,
        metadata=counter(
            "$.modelVersions[].stats.thumbsDownCount",
            flow="thumbs_down_delta",
            most=MOST_USERS,
            example=203,
            null=NOT_COUNTED,
        ),
    )
    rating_count = dy.Int64(
        nullable=True,
        description=RATINGS,
        metadata=counter(
            "$.modelVersions[].stats.ratingCount", flow="ratings_delta", most=MOST_USERS, example=568, null=NOT_COUNTED
        ),
    )
    rating = dy.Float64(
        nullable=True,
        description=RATING,
        metadata=counter(
            "$.modelVersions[].stats.rating", flow=None, most=MOST_STARS, unit="stars", example=4.97, null=NOT_COUNTED
        ),
    )
    downloads_delta = flow("Downloads", "download_count", example=14)
    thumbs_up_delta = flow("Recommendations", "thumbs_up_count", example=1)
    thumbs_down_delta = flow("Reviews that advise against it", "thumbs_down_count", example=0)
    ratings_delta = flow("Ratings in stars", "rating_count", example=0)
    days_since_previous = days_since_previous()
    downloads_days = downloads_days()


def reactions(word: str, flow_name: str, example: int) -> dy.Int64:
    """How often an image drew one of the service's five reactions."""
    return dy.Int64(
        nullable=True,
        description=f"Users who reacted to the image with {word!r}, of all time; it falls when one takes it back.",
        metadata=counter(f"$.stats.{word}Count", flow=flow_name, most=MOST_USERS, example=example, null=NOT_COUNTED),
    )


class FactImageDaily(Table):
    """One row per image and snapshot date on which the gallery or, with its counters, a showcase showed it."""

    axis = "image"
    storage = "daily"
    read_from = "an item of GET /images, or an element of $.modelVersions[].images of GET /models"

    snapshot_date = snapshot_date()
    image_id = dy.Int64(
        primary_key=True,
        description="The service's id of the image whose counters the row has.",
        metadata=made("$.id", example=10045640, references="dim_image.image_id"),
    )
    cry_count = reactions("cry", "cries_delta", 2)
    laugh_count = reactions("laugh", "laughs_delta", 5)
    like_count = reactions("like", "likes_delta", 31)
    dislike_count = reactions("dislike", "dislikes_delta", 0)
    heart_count = reactions("heart", "hearts_delta", 12)
    comment_count = dy.Int64(
        nullable=True,
        description="Comments under the image, of all time; it falls when a comment is deleted.",
        metadata=counter("$.stats.commentCount", flow="comments_delta", most=MOST_USERS, example=7, null=NOT_COUNTED),
    )
    cries_delta = flow("Reactions 'cry'", "cry_count", example=0)
    laughs_delta = flow("Reactions 'laugh'", "laugh_count", example=1)
    likes_delta = flow("Reactions 'like'", "like_count", example=3)
    dislikes_delta = flow("Reactions 'dislike'", "dislike_count", example=0)
    hearts_delta = flow("Reactions 'heart'", "heart_count", example=1)
    comments_delta = flow("Comments", "comment_count", example=1)
    days_since_previous = days_since_previous()


class FactCreatorDaily(Table):
    """One row per creator and snapshot date on which /creators listed it."""

    storage = "daily"
    read_from = "an item of GET /creators"

    snapshot_date = snapshot_date()
    username = dy.String(
        primary_key=True,
        description="Name of the creator whose models were counted.",
        metadata=made("$.username", example="AmberAurora_325", references="dim_creator.username"),
    )
    model_count = dy.Int64(
        nullable=True,
        description="Models that the creator has published and not withdrawn, as the service counts them; it may count "
        "models that its lists do not show.",
        metadata=counter(
            "$.modelCount",
            flow="models_delta",
            most=MOST_USERS,
            example=2,
            null="the service leaves it out, as it does for no models",
        ),
    )
    models_delta = flow("Published models", "model_count", example=0)
    days_since_previous = days_since_previous()


class FactTagDaily(Table):
    """One row per tag and snapshot date on which /tags listed it."""

    storage = "daily"
    read_from = "an item of GET /tags"

    snapshot_date = snapshot_date()
    tag = dy.String(
        primary_key=True,
        description="The tag whose models were counted, trimmed as in dim_tag.",
        metadata=made("$.name", example="3d", references="dim_tag.tag"),
    )
    model_count = dy.Int64(
        nullable=True,
        description="Models that have the tag, as the service counts them.",
        metadata=counter(
            "$.modelCount",
            flow="models_delta",
            most=MOST_USERS,
            example=55,
            null="the service does not count, as since 2025",
        ),
    )
    models_delta = flow("Models with the tag", "model_count", example=0)
    days_since_previous = days_since_previous()
