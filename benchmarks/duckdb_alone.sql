-- What a user would pick instead for one day: DuckDB straight from NDJSON on disk to the tables of the star, as Parquet.
-- No HTTP, no raw layer, no history: every row is a first row. {{documents}}, {{star}} and {{on}} are filled in.
SET preserve_insertion_order = false;
SET TimeZone = 'UTC';
CREATE TABLE models AS
SELECT * FROM read_json('{{documents}}', format = 'newline_delimited', maximum_object_size = 50000000, columns = {
  id: 'BIGINT', name: 'VARCHAR', description: 'VARCHAR', type: 'VARCHAR', nsfw: 'BOOLEAN', nsfwLevel: 'BIGINT',
  poi: 'BOOLEAN', minor: 'BOOLEAN', sfwOnly: 'BOOLEAN', mode: 'VARCHAR', availability: 'VARCHAR',
  supportsGeneration: 'BOOLEAN', userId: 'BIGINT', allowNoCredit: 'BOOLEAN', allowCommercialUse: 'VARCHAR[]',
  allowDerivatives: 'BOOLEAN', allowDifferentLicense: 'BOOLEAN', creator: 'STRUCT(username VARCHAR, image VARCHAR)',
  tags: 'VARCHAR[]',
  stats: 'STRUCT("downloadCount" BIGINT, "thumbsUpCount" BIGINT, "thumbsDownCount" BIGINT, "ratingCount" BIGINT,
    rating DOUBLE, "commentCount" BIGINT, "favoriteCount" BIGINT, "tippedAmountCount" BIGINT)',
  modelVersions: 'STRUCT(id BIGINT, "index" BIGINT, name VARCHAR, "baseModel" VARCHAR, "baseModelType" VARCHAR, air VARCHAR,
    availability VARCHAR, "nsfwLevel" BIGINT, "createdAt" TIMESTAMPTZ, "updatedAt" TIMESTAMPTZ, "publishedAt" TIMESTAMPTZ,
    "earlyAccessTimeFrame" BIGINT, "supportsGeneration" BOOLEAN, "trainedWords" VARCHAR[], "downloadUrl" VARCHAR,
    stats STRUCT("downloadCount" BIGINT, "thumbsUpCount" BIGINT, "thumbsDownCount" BIGINT, "ratingCount" BIGINT,
      rating DOUBLE),
    files STRUCT(id BIGINT, name VARCHAR, "sizeKB" DOUBLE, type VARCHAR, format VARCHAR, "pickleScanResult" VARCHAR,
      "pickleScanMessage" VARCHAR, "virusScanResult" VARCHAR, "virusScanMessage" VARCHAR, "scannedAt" TIMESTAMPTZ,
      "primary" BOOLEAN, "downloadUrl" VARCHAR, metadata STRUCT(format VARCHAR, fp VARCHAR, size VARCHAR),
      hashes STRUCT("AutoV1" VARCHAR, "AutoV2" VARCHAR, "AutoV3" VARCHAR, "SHA256" VARCHAR, "CRC32" VARCHAR,
        "Blake3" VARCHAR))[],
    images STRUCT(id BIGINT, url VARCHAR, type VARCHAR, width BIGINT, height BIGINT, hash VARCHAR, "nsfwLevel" BIGINT,
      "postId" BIGINT, username VARCHAR, "createdAt" TIMESTAMPTZ,
      stats STRUCT("cryCount" BIGINT, "laughCount" BIGINT, "likeCount" BIGINT, "dislikeCount" BIGINT,
        "heartCount" BIGINT, "commentCount" BIGINT))[])[]'
});
CREATE TABLE versions AS SELECT id AS model_id, unnest(modelVersions) AS version FROM models;
CREATE TABLE files AS SELECT version.id AS version_id, unnest(version.files) AS file FROM versions;
CREATE TABLE images AS SELECT version.id AS version_id, unnest(version.images) AS image FROM versions;

COPY (
  SELECT id * 100000 + date_diff('day', DATE '1970-01-01', DATE '{{on}}') AS model_key, id AS model_id,
    DATE '{{on}}' AS valid_from, NULL::DATE AS valid_to, true AS is_current, NULL::DATE AS removed_on, name, type,
    coalesce(creator.username, '(unknown)') AS username, nsfw, nsfwLevel AS nsfw_level, poi, minor, sfwOnly AS sfw_only, mode,
    availability, supportsGeneration AS supports_generation, userId AS user_id, allowNoCredit AS allow_no_credit,
    list_sort(list_distinct(coalesce(allowCommercialUse, []))) AS allow_commercial_use, allowDerivatives AS allow_derivatives,
    allowDifferentLicense AS allow_different_license, md5(nullif(description, '')) AS description_hash,
    list_min(list_transform(modelVersions, lambda v: coalesce(v.publishedAt, v.createdAt))) AS published_at
  FROM models ORDER BY model_id
) TO '{{star}}/dim_model.parquet' (COMPRESSION zstd);
COPY (
  SELECT id AS model_id, md5(description) AS description_hash, description, DATE '{{on}}' AS first_seen_on
  FROM models WHERE description != '' ORDER BY model_id
) TO '{{star}}/model_text.parquet' (COMPRESSION zstd);
COPY (
  SELECT version.id * 100000 + date_diff('day', DATE '1970-01-01', DATE '{{on}}') AS version_key, version.id AS version_id,
    model_id, DATE '{{on}}' AS valid_from, NULL::DATE AS valid_to, true AS is_current, NULL::DATE AS removed_on,
    version.name, coalesce(version.baseModel, '(unknown)') AS base_model, version.baseModelType AS base_model_type,
    version.availability, coalesce(version.trainedWords, []) AS trained_words, version.index,
    version.nsfwLevel AS nsfw_level, version.air, version.supportsGeneration AS supports_generation,
    version.earlyAccessTimeFrame AS early_access_time_frame, version.createdAt AS created_at,
    version.updatedAt AS updated_at, coalesce(version.publishedAt, version.createdAt) AS published_at,
    version.downloadUrl AS download_url
  FROM versions ORDER BY version_id
) TO '{{star}}/dim_model_version.parquet' (COMPRESSION zstd);
COPY (
  SELECT DISTINCT version_id, file.id AS file_id, file.name, file.type, file.sizeKB AS size_kb,
    coalesce(file.metadata.format, file.format) AS format, file.metadata.fp AS precision, file.metadata.size AS pruning,
    file.pickleScanResult AS pickle_scan_result, file.pickleScanMessage AS pickle_scan_message,
    file.virusScanResult AS virus_scan_result, file.virusScanMessage AS virus_scan_message,
    file.scannedAt AS scanned_at, file.primary AS is_primary, file.downloadUrl AS download_url,
    DATE '{{on}}' AS first_seen_on, NULL::DATE AS removed_on
  FROM files ORDER BY ALL
) TO '{{star}}/dim_file.parquet' (COMPRESSION zstd);
COPY (
  SELECT DISTINCT version_id, file_id, upper(algorithm) AS algorithm, upper(hash) AS hash, DATE '{{on}}' AS valid_from,
    NULL::DATE AS valid_to, true AS is_current
  FROM (UNPIVOT (SELECT version_id, file.id AS file_id, unnest(file.hashes) FROM files)
        ON AutoV1, AutoV2, AutoV3, SHA256, CRC32, Blake3 INTO NAME algorithm VALUE hash)
  ORDER BY ALL
) TO '{{star}}/file_hash.parquet' (COMPRESSION zstd);
COPY (
  SELECT DISTINCT id AS model_id, trim(tag) AS tag, DATE '{{on}}' AS valid_from, NULL::DATE AS valid_to, true AS is_current
  FROM (SELECT id, unnest(tags) AS tag FROM models) WHERE trim(tag) != '' ORDER BY ALL
) TO '{{star}}/bridge_model_tag.parquet' (COMPRESSION zstd);
COPY (
  SELECT DISTINCT trim(tag) AS tag, NULL::VARCHAR AS link, DATE '{{on}}' AS first_seen_on FROM (SELECT unnest(tags) AS tag FROM models)
  WHERE trim(tag) != '' ORDER BY ALL
) TO '{{star}}/dim_tag.parquet' (COMPRESSION zstd);
COPY (
  SELECT DISTINCT coalesce(creator.username, '(unknown)') AS username, NULL::VARCHAR AS link, NULL::VARCHAR AS image,
    DATE '{{on}}' AS first_seen_on
  FROM models ORDER BY username
) TO '{{star}}/dim_creator.parquet' (COMPRESSION zstd);
COPY (
  SELECT base_model, coalesce(family, 'Unclassified') AS family, ecosystem, modality, DATE '{{on}}' AS first_seen_on
  FROM (SELECT DISTINCT coalesce(version.baseModel, '(unknown)') AS base_model FROM versions)
  LEFT JOIN read_csv('{{base_models}}') USING (base_model) ORDER BY base_model
) TO '{{star}}/dim_base_model.parquet' (COMPRESSION zstd);
COPY (
  SELECT image.id AS image_id, version_id, image.url, image.type, image.width, image.height, image.hash AS blurhash,
    image.nsfwLevel AS nsfw_level, image.postId AS post_id, image.username, image.createdAt AS created_at,
    DATE '{{on}}' AS first_seen_on
  FROM images ORDER BY image_id
) TO '{{star}}/dim_image.parquet' (COMPRESSION zstd);
COPY (
  SELECT DATE '{{on}}' AS snapshot_date, image.id AS image_id, image.stats.cryCount AS cry_count,
    image.stats.laughCount AS laugh_count, image.stats.likeCount AS like_count, image.stats.dislikeCount AS dislike_count,
    image.stats.heartCount AS heart_count, image.stats.commentCount AS comment_count, NULL::BIGINT AS cries_delta,
    NULL::BIGINT AS laughs_delta, NULL::BIGINT AS likes_delta, NULL::BIGINT AS dislikes_delta, NULL::BIGINT AS hearts_delta,
    NULL::BIGINT AS comments_delta, NULL::INTEGER AS days_since_previous
  FROM images ORDER BY image_id
) TO '{{star}}/fact_image_daily.parquet' (COMPRESSION zstd);
COPY (
  SELECT DATE '{{on}}' AS snapshot_date, id AS model_id,
    id * 100000 + date_diff('day', DATE '1970-01-01', DATE '{{on}}') AS model_key, stats.downloadCount AS download_count,
    stats.thumbsUpCount AS thumbs_up_count, stats.thumbsDownCount AS thumbs_down_count, stats.ratingCount AS rating_count,
    stats.rating, stats.commentCount AS comment_count, stats.favoriteCount AS favorite_count,
    stats.tippedAmountCount AS tipped_amount_count, NULL::BIGINT AS downloads_delta, NULL::BIGINT AS thumbs_up_delta,
    NULL::BIGINT AS thumbs_down_delta, NULL::BIGINT AS ratings_delta, NULL::BIGINT AS comments_delta,
    NULL::BIGINT AS favorites_delta, NULL::BIGINT AS tipped_amount_delta, NULL::INTEGER AS days_since_previous,
    NULL::INTEGER AS downloads_days
  FROM models ORDER BY model_id
) TO '{{star}}/fact_model_daily.parquet' (COMPRESSION zstd);
COPY (
  SELECT DATE '{{on}}' AS snapshot_date, version.id AS version_id,
    version.id * 100000 + date_diff('day', DATE '1970-01-01', DATE '{{on}}') AS version_key, model_id,
    version.stats.downloadCount AS download_count, version.stats.thumbsUpCount AS thumbs_up_count,
    version.stats.thumbsDownCount AS thumbs_down_count, version.stats.ratingCount AS rating_count, version.stats.rating,
    NULL::BIGINT AS downloads_delta, NULL::BIGINT AS thumbs_up_delta, NULL::BIGINT AS thumbs_down_delta,
    NULL::BIGINT AS ratings_delta, NULL::INTEGER AS days_since_previous, NULL::INTEGER AS downloads_days
  FROM versions ORDER BY version_id
) TO '{{star}}/fact_model_version_daily.parquet' (COMPRESSION zstd);
COPY (
  WITH totals AS (
    SELECT coalesce(version.baseModel, '(unknown)') AS base_model, count(*) AS version_count,
      coalesce(sum(version.stats.downloadCount), 0)::BIGINT AS download_count,
      sum(version.stats.thumbsUpCount)::BIGINT AS thumbs_up_count,
      sum(version.stats.thumbsDownCount)::BIGINT AS thumbs_down_count, sum(version.stats.ratingCount)::BIGINT AS rating_count,
      sum(round(version.stats.rating * 100)::BIGINT * version.stats.ratingCount) AS rating_points,
      sum(version.stats.ratingCount) FILTER (version.stats.rating IS NOT NULL) AS ratings_with_points,
      sum(version.stats.thumbsUpCount) FILTER (version.stats.thumbsDownCount IS NOT NULL) AS ups_judged,
      sum(version.stats.thumbsDownCount) FILTER (version.stats.thumbsUpCount IS NOT NULL) AS downs_judged,
      ups_judged + downs_judged AS votes, ups_judged / votes AS share
    FROM versions GROUP BY ALL
  )
  SELECT DATE '{{on}}' AS snapshot_date, base_model, NULL::INTEGER AS days_since_previous, version_count,
    NULL::BIGINT AS versions_published, version_count AS versions_entered, 0::BIGINT AS versions_left,
    0::BIGINT AS versions_reclassified, download_count, NULL::BIGINT AS downloads_delta, download_count AS downloads_entered,
    0::BIGINT AS downloads_left, 0::BIGINT AS downloads_reclassified, 0::BIGINT AS downloads_hidden,
    NULL::DOUBLE AS downloads_share, thumbs_up_count, thumbs_down_count, rating_count,
    CASE WHEN ratings_with_points > 0 THEN rating_points / ratings_with_points / 100 END AS rating,
    CASE WHEN votes > 0 THEN share END AS approval_rate,
    CASE WHEN votes > 0 THEN greatest(0, (share + 3.841458820694124 / (2 * votes) - 1.959963984540054
      * sqrt((share * (1 - share) + 3.841458820694124 / (4 * votes)) / votes)) / (1 + 3.841458820694124 / votes))
    END AS approval_lower_bound
  FROM totals ORDER BY base_model
) TO '{{star}}/mart_base_model_daily.parquet' (COMPRESSION zstd);
COPY (
  SELECT DATE '{{on}}' AS date, year(date)::INTEGER AS year, month(date)::TINYINT AS month, week(date)::TINYINT AS iso_week,
    isodow(date)::TINYINT AS weekday, true AS has_snapshot, true AS is_complete
) TO '{{star}}/dim_date.parquet' (COMPRESSION zstd);
