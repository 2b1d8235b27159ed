-- Every version that the service has, beside its model: one row per current version, in names that are clear. Counters
-- are as they were last seen; one that is withheld on the newest snapshot is that of the snapshot before.
--
-- @column version_id: The service's id of the version.
-- @column version_name: Title of the version.
-- @column model_id: The service's id of the model that lists it.
-- @column model_name: Title of the model.
-- @column type: Kind of the model: Checkpoint, LORA and so on.
-- @column base_model: Architecture that the version was made for, as its creator states it.
-- @column ecosystem: Root architecture of the base model. Null: our list does not have the name yet.
-- @column family: Who publishes the base model's architecture.
-- @column modality: What the base model produces: image, video, audio or 3d. Null: our list does not have the name yet.
-- @column username: Creator of the model.
-- @column nsfw: True if the creator marked the model as mature. Null: the service did not say.
-- @column model_nsfw_level: Browsing levels of the model's images, added up: PG 1, PG13 2, R 4, X 8, XXX 16; 0 is not
--   rated yet. Null: the service did not say.
-- @column version_nsfw_level: Browsing levels of the version's images, likewise.
-- @column poi: True if the model depicts a real person. Null: the service did not say.
-- @column model_availability: Who can find the model: Public, EarlyAccess, Unsearchable. Null: the service did not say.
-- @column version_availability: Who can find the version, likewise.
-- @column allow_no_credit: Licence of the model: true if it may be used without naming its creator. Null: the service
--   did not say.
-- @column allow_commercial_use: Licence of the model: the commercial uses that are allowed. None in the list, or an
--   empty list, allows nothing.
-- @column allow_derivatives: Licence of the model: true if models made from it may be shared. Null: the service did not
--   say.
-- @column allow_different_license: Licence of the model: true if models made from it may have another licence. Null: the
--   service did not say.
-- @column version_created_at: When the creator began the version. Null: the service did not say.
-- @column version_published_at: When the version could first be downloaded. Null: the service gave no date.
-- @column model_published_at: Publication of the earliest version that the model lists. Null: none has a date.
-- @column file_id: The version's main file, as main_file(version_id) chooses it. Null: it has none that is there.
-- @column file_type: What the main file is for.
-- @column file_format: Its format.
-- @column file_size_kb: Its size. Unit: KiB.
-- @column version_counted_on: The snapshot that saw the version's counters. Null: none did.
-- @column version_download_count: Downloads of all time of the version. Null: hidden, or not known.
-- @column version_thumbs_up_count: Users who recommend the version. Null: not known.
-- @column version_thumbs_down_count: Users who advise against the version. Null: not known.
-- @column version_approval_rate: Part of the reviews that recommend the version: up / (up + down), as in the marts.
--   Null: nobody reviewed it, or not known.
-- @column version_approval_lower_bound: Lower end of the 95 % Wilson interval around it: rank by it, and a few good
--   reviews weigh less than many. Null: likewise.
-- @column version_rating_count: Ratings in stars of the version. Null: not known.
-- @column version_rating: Mean of these ratings. Null: not known.
-- @column model_counted_on: The snapshot that saw the model's counters. Null: none did.
-- @column model_download_count: Downloads of all time of the model; they repeat on each of its versions, so that a sum
--   over versions counts them more than once. They are not the sum of its versions'. Null: hidden, or not known.
-- @column model_thumbs_up_count: Users who recommend the model. Null: not known.
-- @column model_thumbs_down_count: Users who advise against the model. Null: not known.
-- @column model_rating_count: Ratings in stars of the model. Null: not known.
-- @column model_rating: Mean of these ratings. Null: not known.
-- @column model_comment_count: Comments under the model. Null: not known.
-- @column model_favorite_count: Users who marked the model as a favourite. Null: not known.
-- @column model_tipped_amount_count: Tips for the model. Unit: Buzz. Null: hidden, or not known.
WITH asked AS (
    SELECT max(d.date) AS date FROM star.dim_date AS d
),
{main_files},
{last_known fact_model_version_daily version_id version_counters dim_model_version},
{last_known fact_model_daily model_id model_counters dim_model}
SELECT
    version.version_id,
    version.name AS version_name,
    version.model_id,
    model.name AS model_name,
    model.type,
    version.base_model,
    base.ecosystem,
    base.family,
    base.modality,
    model.username,
    model.nsfw,
    model.nsfw_level AS model_nsfw_level,
    version.nsfw_level AS version_nsfw_level,
    model.poi,
    model.availability AS model_availability,
    version.availability AS version_availability,
    model.allow_no_credit,
    model.allow_commercial_use,
    model.allow_derivatives,
    model.allow_different_license,
    version.created_at AS version_created_at,
    version.published_at AS version_published_at,
    model.published_at AS model_published_at,
    main.file_id,
    main.type AS file_type,
    main.format AS file_format,
    main.size_kb AS file_size_kb,
    of_version.counted_on AS version_counted_on,
    of_version.download_count AS version_download_count,
    of_version.thumbs_up_count AS version_thumbs_up_count,
    of_version.thumbs_down_count AS version_thumbs_down_count,
    {approval_rate of_version.thumbs_up_count of_version.thumbs_down_count} AS version_approval_rate,
    {approval_lower_bound of_version.thumbs_up_count of_version.thumbs_down_count} AS version_approval_lower_bound,
    of_version.rating_count AS version_rating_count,
    of_version.rating AS version_rating,
    of_model.counted_on AS model_counted_on,
    of_model.download_count AS model_download_count,
    of_model.thumbs_up_count AS model_thumbs_up_count,
    of_model.thumbs_down_count AS model_thumbs_down_count,
    of_model.rating_count AS model_rating_count,
    of_model.rating AS model_rating,
    of_model.comment_count AS model_comment_count,
    of_model.favorite_count AS model_favorite_count,
    of_model.tipped_amount_count AS model_tipped_amount_count
FROM star.model_version AS version
LEFT JOIN star.model AS model ON model.model_id = version.model_id
LEFT JOIN star.dim_base_model AS base ON base.base_model = version.base_model
LEFT JOIN main_files AS main ON main.version_id = version.version_id
LEFT JOIN version_counters AS of_version ON of_version.version_id = version.version_id
LEFT JOIN model_counters AS of_model ON of_model.model_id = version.model_id
