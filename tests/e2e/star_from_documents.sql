-- The star, made by DuckDB alone from the documents that the service showed on each snapshot date, all of them complete:
-- the oracle of tests/e2e/test_every_table.py. It shares nothing with the transforms but the rules of docs/architecture.md, which it
-- states in another way: with whole histories and window functions, where they go from day to day.
--
-- Given: days (n, day, started_at, is_asked), files {{documents}}/<kind>/<day>.ndjson, the list of base models
-- {{base_models}}, the function blake2b(text), and asked (what, text): the versions, users and hashes that were looked up
-- on the days that say so. Made: schema expected, a table of each name.
SET TimeZone = 'UTC';
CREATE SCHEMA expected;

-- What was shown: one row per document and date.
CREATE MACRO day_of(file) AS regexp_extract(file, '(\d{4}-\d\d-\d\d)\.ndjson', 1)::DATE;
CREATE TABLE models AS
SELECT * EXCLUDE (filename) FROM read_json('{{documents}}/model/*.ndjson', format = 'newline_delimited',
  maximum_object_size = 50000000, filename = true, columns = {
  id: 'BIGINT', name: 'VARCHAR', description: 'VARCHAR', type: 'VARCHAR', nsfw: 'BOOLEAN', nsfwLevel: 'BIGINT',
  poi: 'BOOLEAN', minor: 'BOOLEAN', sfwOnly: 'BOOLEAN', mode: 'VARCHAR', availability: 'VARCHAR',
  supportsGeneration: 'BOOLEAN', userId: 'BIGINT', allowNoCredit: 'BOOLEAN', allowCommercialUse: 'JSON',
  allowDerivatives: 'BOOLEAN', allowDifferentLicense: 'BOOLEAN', creator: 'STRUCT(username VARCHAR)', tags: 'VARCHAR[]',
  stats: 'STRUCT("downloadCount" BIGINT, "thumbsUpCount" BIGINT, "thumbsDownCount" BIGINT, "ratingCount" BIGINT,
    rating DOUBLE, "commentCount" BIGINT, "favoriteCount" BIGINT, "tippedAmountCount" BIGINT)',
  modelVersions: 'STRUCT(id BIGINT, "index" BIGINT, name VARCHAR, "baseModel" VARCHAR, "baseModelType" VARCHAR,
    air VARCHAR, availability VARCHAR, "nsfwLevel" BIGINT, "createdAt" TIMESTAMPTZ, "updatedAt" TIMESTAMPTZ,
    "publishedAt" TIMESTAMPTZ, "earlyAccessTimeFrame" BIGINT, "supportsGeneration" BOOLEAN, "trainedWords" VARCHAR[],
    "downloadUrl" VARCHAR,
    stats STRUCT("downloadCount" BIGINT, "thumbsUpCount" BIGINT, "thumbsDownCount" BIGINT, "ratingCount" BIGINT,
      rating DOUBLE),
    files STRUCT(id BIGINT, name VARCHAR, "sizeKB" DOUBLE, type VARCHAR, format VARCHAR, "pickleScanResult" VARCHAR,
      "pickleScanMessage" VARCHAR, "virusScanResult" VARCHAR, "virusScanMessage" VARCHAR, "scannedAt" TIMESTAMPTZ,
      "primary" BOOLEAN, "downloadUrl" VARCHAR, metadata STRUCT(format VARCHAR, fp VARCHAR, size VARCHAR),
      hashes MAP(VARCHAR, VARCHAR))[],
    images STRUCT(id BIGINT, url VARCHAR, type VARCHAR, width BIGINT, height BIGINT, hash VARCHAR, nsfw JSON,
      "nsfwLevel" JSON, "postId" BIGINT, username VARCHAR, "createdAt" TIMESTAMPTZ,
      stats STRUCT("cryCount" BIGINT, "laughCount" BIGINT, "likeCount" BIGINT, "dislikeCount" BIGINT,
        "heartCount" BIGINT, "commentCount" BIGINT))[])[]'
}) JOIN days ON days.day = day_of(filename);
CREATE TABLE gallery AS
SELECT * EXCLUDE (filename) FROM read_json('{{documents}}/image/*.ndjson', format = 'newline_delimited',
  filename = true, columns = {
  id: 'BIGINT', url: 'VARCHAR', type: 'VARCHAR', width: 'BIGINT', height: 'BIGINT', hash: 'VARCHAR', nsfw: 'JSON',
  nsfwLevel: 'JSON', postId: 'BIGINT', username: 'VARCHAR', createdAt: 'TIMESTAMPTZ',
  stats: 'STRUCT("cryCount" BIGINT, "laughCount" BIGINT, "likeCount" BIGINT, "dislikeCount" BIGINT,
    "heartCount" BIGINT, "commentCount" BIGINT)'
}) JOIN days ON days.day = day_of(filename);
CREATE TABLE creators AS
SELECT * EXCLUDE (filename) FROM read_json('{{documents}}/creator/*.ndjson', format = 'newline_delimited',
  filename = true, columns = {username: 'VARCHAR', link: 'VARCHAR', image: 'VARCHAR', modelCount: 'BIGINT'})
JOIN days ON days.day = day_of(filename);
CREATE TABLE tags AS
SELECT * EXCLUDE (filename) FROM read_json('{{documents}}/tag/*.ndjson', format = 'newline_delimited',
  filename = true, columns = {name: 'VARCHAR', link: 'VARCHAR', modelCount: 'BIGINT'})
JOIN days ON days.day = day_of(filename);

CREATE TABLE versions AS
SELECT n, day, started_at, id AS model_id, type AS model_type, nsfwLevel AS model_level,
  unnest(modelVersions) AS v FROM models;
CREATE TABLE files AS SELECT n, day, v.id AS version_id, unnest(v.files) AS f FROM versions;
CREATE TABLE showcase AS SELECT n, day, started_at, v.id AS version_id, unnest(v.images) AS i FROM versions;

-- What the tables say of an entity on a date: `tracked` opens a row when it changes, `latest` is corrected in place.
CREATE MACRO words(licence) AS CASE json_type(licence)
  WHEN 'ARRAY' THEN licence::VARCHAR[]
  WHEN 'VARCHAR' THEN regexp_extract_all(licence->>'$', '\w+')
  ELSE [] END;
CREATE TABLE model_days AS
SELECT n, {model_id: id} AS key,
  {name: name, type: type, username: coalesce(creator.username, '(unknown)'), nsfw: nsfw, poi: poi, minor: minor,
   sfw_only: sfwOnly, mode: mode, availability: availability, allow_no_credit: allowNoCredit,
   allow_commercial_use: list_sort(list_distinct(words(allowCommercialUse))), allow_derivatives: allowDerivatives,
   allow_different_license: allowDifferentLicense, description_hash: blake2b(nullif(description, ''))} AS tracked,
  {nsfw_level: nsfwLevel, supports_generation: supportsGeneration, user_id: userId,
   published_at: list_min(list_transform(modelVersions, lambda v: coalesce(v.publishedAt, v.createdAt)))} AS latest
FROM models;
CREATE TABLE version_days AS
SELECT n, {version_id: v.id} AS key,
  {model_id: model_id, name: v.name, base_model: coalesce(v.baseModel, '(unknown)'), base_model_type: v.baseModelType,
   availability: v.availability, trained_words: coalesce(v.trainedWords, [])} AS tracked,
  {index: v.index, nsfw_level: v.nsfwLevel, air: v.air, supports_generation: v.supportsGeneration,
   early_access_time_frame: v.earlyAccessTimeFrame, created_at: v.createdAt, updated_at: v.updatedAt,
   published_at: coalesce(v.publishedAt, v.createdAt), download_url: v.downloadUrl} AS latest
FROM versions;
CREATE TABLE hash_days AS
SELECT DISTINCT n, {version_id: version_id, file_id: file_id, algorithm: upper(each.key), hash: upper(each.value)} AS key,
  true AS tracked, true AS latest
FROM (SELECT n, version_id, f.id AS file_id, unnest(map_entries(f.hashes)) AS each FROM files)
WHERE each.value IS NOT NULL;
CREATE TABLE tag_days AS
SELECT DISTINCT n, {model_id: id, tag: trim(tag)} AS key, true AS tracked, true AS latest
FROM (SELECT n, id, unnest(tags) AS tag FROM models) WHERE trim(tag) != '';

-- Every crawl being complete, a row holds as long as snapshot after snapshot shows the same, and what a snapshot does
-- not show is gone on its date.
CREATE MACRO periods(observed) AS TABLE
WITH flagged AS (
  SELECT *, lag(n) OVER w IS DISTINCT FROM n - 1 OR lag(tracked) OVER w IS DISTINCT FROM tracked AS opens
  FROM query_table(observed) WINDOW w AS (PARTITION BY key ORDER BY n)
), numbered AS (
  SELECT *, count(*) FILTER (opens) OVER (PARTITION BY key ORDER BY n) AS number FROM flagged
), held AS (
  SELECT key, min(n) AS first_n, max(n) AS last_n, arg_max(tracked, n) AS tracked, arg_max(latest, n) AS latest
  FROM numbered GROUP BY key, number
), followed AS (
  SELECT *, lead(first_n) OVER (PARTITION BY key ORDER BY first_n) IS NOT DISTINCT FROM last_n + 1 AS goes_on FROM held
)
SELECT followed.key, tracked, latest, opening.day AS valid_from, closing.day AS valid_to,
  closing.day IS NULL AS is_current, CASE WHEN NOT goes_on THEN closing.day END AS removed_on
FROM followed JOIN days AS opening ON opening.n = first_n LEFT JOIN days AS closing ON closing.n = last_n + 1;
CREATE MACRO row_key(id, valid_from) AS id * 100000 + date_diff('day', DATE '1970-01-01', valid_from);

CREATE TABLE expected.dim_model AS
SELECT row_key(key.model_id, valid_from) AS model_key, unnest(key), valid_from, valid_to, is_current, removed_on,
  unnest(tracked), unnest(latest)
FROM periods('model_days');
CREATE TABLE expected.dim_model_version AS
SELECT row_key(key.version_id, valid_from) AS version_key, unnest(key), valid_from, valid_to, is_current, removed_on,
  unnest(tracked), unnest(latest)
FROM periods('version_days');
CREATE TABLE expected.file_hash AS SELECT unnest(key), valid_from, valid_to, is_current FROM periods('hash_days');
CREATE TABLE expected.bridge_model_tag AS SELECT unnest(key), valid_from, valid_to, is_current FROM periods('tag_days');

CREATE TABLE expected.model_text AS
SELECT id AS model_id, blake2b(description) AS description_hash, description, min(day) AS first_seen_on
FROM models WHERE description != '' GROUP BY ALL;

CREATE TABLE expected.dim_file AS
SELECT version_id, f.id AS file_id, unnest(arg_max({
    name: f.name, type: f.type, size_kb: f.sizeKB, format: coalesce(f.metadata.format, f.format),
    precision: f.metadata.fp, pruning: f.metadata.size, pickle_scan_result: f.pickleScanResult,
    pickle_scan_message: f.pickleScanMessage, virus_scan_result: f.virusScanResult,
    virus_scan_message: f.virusScanMessage, scanned_at: f.scannedAt, is_primary: f.primary, download_url: f.downloadUrl
  }, n)), min(day) AS first_seen_on, (SELECT day FROM days WHERE days.n = max(files.n) + 1) AS removed_on
FROM files GROUP BY version_id, f.id;

-- Names: what is listed brings attributes, what is only named brings the name.
CREATE TABLE expected.dim_creator AS
WITH met AS (
  SELECT username, n, day, {link: link, image: image} AS attributes FROM creators
  UNION ALL SELECT coalesce(creator.username, '(unknown)'), n, day, NULL FROM models
)
SELECT username, arg_max(attributes, n).link AS link, arg_max(attributes, n).image AS image, min(day) AS first_seen_on
FROM met GROUP BY username;
CREATE TABLE expected.dim_tag AS
WITH met AS (
  SELECT trim(name) AS tag, n, day, {link: link} AS attributes FROM tags
  UNION ALL SELECT key.tag, n, day, NULL FROM tag_days JOIN days USING (n)
)
SELECT tag, arg_max(attributes, n).link AS link, min(day) AS first_seen_on FROM met WHERE tag != '' GROUP BY tag;
CREATE TABLE expected.dim_base_model AS
SELECT base_model, coalesce(family, 'Unclassified') AS family, ecosystem, modality, first_seen_on
FROM (SELECT coalesce(v.baseModel, '(unknown)') AS base_model, min(day) AS first_seen_on FROM versions GROUP BY 1)
LEFT JOIN read_csv('{{base_models}}', header = true, all_varchar = true) USING (base_model);

-- An image is as it was when it was met first; met in the gallery and in a showcase on one date, each says what it knows.
CREATE MACRO number_in(url) AS regexp_extract(url, '/(\d+)\.[^/]*$', 1);
CREATE MACRO level(nsfw_level, nsfw) AS CASE
  WHEN json_type(nsfw_level) IN ('UBIGINT', 'BIGINT') THEN nsfw_level::BIGINT
  ELSE map {'None': 1, 'Soft': 2, 'Mature': 4, 'X': 8, 'Blocked': 32}[coalesce(nsfw_level, nsfw)->>'$'] END;
CREATE TABLE met_images AS
SELECT n, day, started_at, 1 AS place, id AS image_id, NULL::BIGINT AS version_id, url, type, width, height,
  hash AS blurhash, level(nsfwLevel, nsfw) AS nsfw_level, postId AS post_id, username, createdAt AS created_at, stats
FROM gallery
UNION ALL
SELECT n, day, started_at, 2, coalesce(i.id, number_in(i.url)::BIGINT), version_id, i.url, i.type, i.width, i.height,
  i.hash, level(i.nsfwLevel, i.nsfw), i.postId, i.username, i.createdAt, i.stats
FROM showcase;
CREATE TABLE expected.dim_image AS
WITH first_met AS (SELECT *, min(n) OVER (PARTITION BY image_id) AS first_n FROM met_images)
SELECT image_id, min(version_id) AS version_id, arg_min(url, place) AS url, arg_min(type, place) AS type,
  arg_min(width, place) AS width, arg_min(height, place) AS height, arg_min(blurhash, place) AS blurhash,
  arg_min(nsfw_level, place) AS nsfw_level, arg_min(post_id, place) AS post_id, arg_min(username, place) AS username,
  arg_min(created_at, place) AS created_at, min(day) AS first_seen_on
FROM first_met WHERE n = first_n GROUP BY image_id;

CREATE TABLE expected.dim_date AS
SELECT date::DATE AS date, year(date)::INTEGER AS year, month(date)::TINYINT AS month, week(date)::TINYINT AS iso_week,
  isodow(date)::TINYINT AS weekday, dayname(date) AS weekday_name, isodow(date) >= 6 AS is_weekend,
  date_trunc('week', date)::DATE AS week_begins_on, day IS NOT NULL AS has_snapshot, day IS NOT NULL AS is_complete
FROM (SELECT unnest(generate_series(min(day), max(day), INTERVAL 1 DAY)) AS date FROM days) LEFT JOIN days ON day = date;

-- Facts. A flow is the counter less its last known value; at the first observation it is the whole counter of what was
-- published since the snapshot before began, and else unknown.
CREATE MACRO flow(counter, before, is_born) AS CASE WHEN is_born THEN counter ELSE counter - before END;
CREATE TABLE previous AS SELECT n, lag(day) OVER (ORDER BY n) AS day, lag(started_at) OVER (ORDER BY n) AS started_at FROM days;

CREATE TABLE expected.fact_model_daily AS
WITH counted AS (
  SELECT models.day AS snapshot_date, id AS model_id, stats.downloadCount AS download_count,
    stats.thumbsUpCount AS thumbs_up_count, stats.thumbsDownCount AS thumbs_down_count, stats.ratingCount AS rating_count,
    stats.rating AS rating, stats.commentCount AS comment_count, stats.favoriteCount AS favorite_count,
    stats.tippedAmountCount AS tipped_amount_count, previous.day AS day_before,
    row_number() OVER (PARTITION BY id ORDER BY n) = 1 AND list_min(list_transform(modelVersions,
      lambda v: coalesce(v.publishedAt, v.createdAt))) > previous.started_at AS is_born
  FROM models JOIN previous USING (n)
), earlier AS (
  SELECT *,
    last_value(download_count IGNORE NULLS) OVER w AS downloads, last_value(thumbs_up_count IGNORE NULLS) OVER w AS ups,
    last_value(thumbs_down_count IGNORE NULLS) OVER w AS downs, last_value(rating_count IGNORE NULLS) OVER w AS ratings,
    last_value(comment_count IGNORE NULLS) OVER w AS comments, last_value(favorite_count IGNORE NULLS) OVER w AS favorites,
    last_value(tipped_amount_count IGNORE NULLS) OVER w AS tips, max(snapshot_date) OVER w AS seen_on,
    max(CASE WHEN download_count IS NOT NULL THEN snapshot_date END) OVER w AS downloads_on
  FROM counted
  WINDOW w AS (PARTITION BY model_id ORDER BY snapshot_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT snapshot_date, model_id, model_key, download_count, thumbs_up_count, thumbs_down_count, rating_count, rating,
  comment_count, favorite_count, tipped_amount_count, flow(download_count, downloads, is_born) AS downloads_delta,
  flow(thumbs_up_count, ups, is_born) AS thumbs_up_delta, flow(thumbs_down_count, downs, is_born) AS thumbs_down_delta,
  flow(rating_count, ratings, is_born) AS ratings_delta, flow(comment_count, comments, is_born) AS comments_delta,
  flow(favorite_count, favorites, is_born) AS favorites_delta,
  flow(tipped_amount_count, tips, is_born) AS tipped_amount_delta,
  (snapshot_date - CASE WHEN is_born THEN day_before ELSE seen_on END)::INTEGER AS days_since_previous,
  CASE WHEN downloads_delta IS NOT NULL
    THEN (snapshot_date - CASE WHEN is_born THEN day_before ELSE downloads_on END)::INTEGER END AS downloads_days
FROM earlier JOIN expected.dim_model USING (model_id)
WHERE valid_from <= snapshot_date AND snapshot_date < coalesce(valid_to, 'infinity'::DATE);

CREATE MACRO browsing_level(level) AS CASE
  WHEN level IS NULL THEN '(unknown)' WHEN level >= 32 THEN 'Blocked' WHEN level >= 16 THEN 'XXX' WHEN level >= 8 THEN 'X'
  WHEN level >= 4 THEN 'R' WHEN level >= 2 THEN 'PG13' WHEN level = 1 THEN 'PG' ELSE 'unrated' END;
CREATE TABLE version_flows AS
WITH counted AS (
  SELECT n, versions.day AS snapshot_date, v.id AS version_id, model_id,
    [coalesce(v.baseModel, '(unknown)'), coalesce(model_type, '(unknown)'), browsing_level(coalesce(v.nsfwLevel, model_level))] AS cell, v.stats.downloadCount AS download_count, v.stats.thumbsUpCount AS thumbs_up_count,
    v.stats.thumbsDownCount AS thumbs_down_count, v.stats.ratingCount AS rating_count, v.stats.rating AS rating,
    previous.day AS day_before, row_number() OVER (PARTITION BY v.id ORDER BY n) = 1
      AND coalesce(v.publishedAt, v.createdAt) > previous.started_at AS is_born
  FROM versions JOIN previous USING (n)
), earlier AS (
  SELECT *,
    last_value(download_count IGNORE NULLS) OVER w AS downloads, last_value(thumbs_up_count IGNORE NULLS) OVER w AS ups,
    last_value(thumbs_down_count IGNORE NULLS) OVER w AS downs, last_value(rating_count IGNORE NULLS) OVER w AS ratings,
    max(snapshot_date) OVER w AS seen_on,
    max(CASE WHEN download_count IS NOT NULL THEN snapshot_date END) OVER w AS downloads_on
  FROM counted
  WINDOW w AS (PARTITION BY version_id ORDER BY snapshot_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT *, flow(download_count, downloads, is_born) AS downloads_delta FROM earlier;
CREATE TABLE expected.fact_model_version_daily AS
SELECT snapshot_date, version_id, version_key, model_id, download_count, thumbs_up_count, thumbs_down_count, rating_count,
  rating, downloads_delta, flow(thumbs_up_count, ups, is_born) AS thumbs_up_delta,
  flow(thumbs_down_count, downs, is_born) AS thumbs_down_delta, flow(rating_count, ratings, is_born) AS ratings_delta,
  (snapshot_date - CASE WHEN is_born THEN day_before ELSE seen_on END)::INTEGER AS days_since_previous,
  CASE WHEN downloads_delta IS NOT NULL
    THEN (snapshot_date - CASE WHEN is_born THEN day_before ELSE downloads_on END)::INTEGER END AS downloads_days
FROM version_flows JOIN expected.dim_model_version USING (version_id, model_id)
WHERE valid_from <= snapshot_date AND snapshot_date < coalesce(valid_to, 'infinity'::DATE);

-- Images are observed in the gallery, and in showcases that give their counters; the gallery's word goes first.
CREATE TABLE expected.fact_image_daily AS
WITH counted AS (
  SELECT met_images.day AS snapshot_date, image_id, stats.cryCount AS cry_count, stats.laughCount AS laugh_count,
    stats.likeCount AS like_count, stats.dislikeCount AS dislike_count, stats.heartCount AS heart_count,
    stats.commentCount AS comment_count, previous.day AS day_before,
    dense_rank() OVER (PARTITION BY image_id ORDER BY n) = 1 AND created_at > previous.started_at AS is_born
  FROM met_images JOIN previous USING (n) WHERE place = 1 OR stats IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY image_id, n ORDER BY place) = 1
), earlier AS (
  SELECT *,
    last_value(cry_count IGNORE NULLS) OVER w AS cries, last_value(laugh_count IGNORE NULLS) OVER w AS laughs,
    last_value(like_count IGNORE NULLS) OVER w AS likes, last_value(dislike_count IGNORE NULLS) OVER w AS dislikes,
    last_value(heart_count IGNORE NULLS) OVER w AS hearts, last_value(comment_count IGNORE NULLS) OVER w AS comments,
    max(snapshot_date) OVER w AS seen_on
  FROM counted
  WINDOW w AS (PARTITION BY image_id ORDER BY snapshot_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT snapshot_date, image_id, cry_count, laugh_count, like_count, dislike_count, heart_count, comment_count,
  flow(cry_count, cries, is_born) AS cries_delta, flow(laugh_count, laughs, is_born) AS laughs_delta,
  flow(like_count, likes, is_born) AS likes_delta, flow(dislike_count, dislikes, is_born) AS dislikes_delta,
  flow(heart_count, hearts, is_born) AS hearts_delta, flow(comment_count, comments, is_born) AS comments_delta,
  (snapshot_date - CASE WHEN is_born THEN day_before ELSE seen_on END)::INTEGER AS days_since_previous
FROM earlier;

CREATE TABLE expected.fact_creator_daily AS
SELECT day AS snapshot_date, username, modelCount AS model_count,
  modelCount - last_value(modelCount IGNORE NULLS) OVER w AS models_delta,
  (day - max(day) OVER w)::INTEGER AS days_since_previous
FROM creators WINDOW w AS (PARTITION BY username ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);
CREATE TABLE expected.fact_tag_daily AS
SELECT day AS snapshot_date, tag, modelCount AS model_count,
  modelCount - last_value(modelCount IGNORE NULLS) OVER w AS models_delta,
  (day - max(day) OVER w)::INTEGER AS days_since_previous
FROM (SELECT day, trim(name) AS tag, arg_min({n: modelCount}, (name != trim(name))::INTEGER || name).n AS modelCount FROM tags GROUP BY ALL)
WHERE tag != '' WINDOW w AS (PARTITION BY tag ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);

-- The marts: every version on every pair of snapshots one after the other, added up under its cell now or before; a cell
-- is base model, type and browsing level, or the first parts of them.
CREATE MACRO totals(parts) AS TABLE
WITH pairs AS (
  SELECT n, now.cell[1:parts] AS cell, before.cell[1:parts] AS cell_before, now.version_id IS NOT NULL AS is_there,
    before.version_id IS NOT NULL AS was_there, now.download_count AS stock, before.download_count AS stock_before,
    now.downloads_delta AS flow, coalesce(now.downloads_delta, 0) AS known_flow, coalesce(now.is_born, false) AS is_born,
    now.thumbs_up_count AS ups, now.thumbs_down_count AS downs, now.rating_count AS ratings, now.rating AS rating
  FROM version_flows AS now
  FULL JOIN (SELECT n + 1 AS n, * EXCLUDE (n) FROM version_flows) AS before USING (n, version_id)
  WHERE n IN (SELECT n FROM days)
), sides AS (
  SELECT *, cell AS side, 1 AS sign FROM pairs WHERE is_there
  UNION ALL SELECT *, cell_before AS side, -1 AS sign FROM pairs WHERE was_there
), totals AS (
  SELECT n, side AS cell,
    count(*) FILTER (sign = 1) AS version_count,
    count(*) FILTER (sign = 1 AND is_born) AS versions_published,
    count(*) FILTER (sign = 1 AND NOT was_there) AS versions_entered,
    count(*) FILTER (sign = -1 AND NOT is_there) AS versions_left,
    coalesce(sum(sign) FILTER (is_there AND was_there AND cell != cell_before), 0) AS versions_reclassified,
    coalesce(sum(stock) FILTER (sign = 1), 0) AS download_count,
    sum(flow) FILTER (sign = 1) AS downloads_delta,
    coalesce(sum(stock - known_flow) FILTER (sign = 1 AND NOT was_there), 0) AS downloads_entered,
    coalesce(sum(stock_before) FILTER (sign = -1 AND NOT is_there), 0) AS downloads_left,
    coalesce(sum(sign * stock_before) FILTER (is_there AND was_there AND cell != cell_before), 0)
      AS downloads_reclassified,
    coalesce(sum(stock - known_flow) FILTER (sign = 1 AND was_there AND stock_before IS NULL), 0)
      - coalesce(sum(stock_before) FILTER (sign = 1 AND was_there AND stock IS NULL), 0) AS downloads_hidden,
    sum(ups) FILTER (sign = 1) AS thumbs_up_count, sum(downs) FILTER (sign = 1) AS thumbs_down_count,
    sum(ups) FILTER (sign = 1 AND downs IS NOT NULL) AS reviews_up,
    sum(downs) FILTER (sign = 1 AND ups IS NOT NULL) AS reviews_down, sum(ratings) FILTER (sign = 1) AS rating_count,
    sum(rating::DECIMAL(9, 2) * ratings) FILTER (sign = 1) AS points,
    sum(ratings) FILTER (sign = 1 AND rating IS NOT NULL) AS pointed
  FROM sides GROUP BY n, side
)
FROM totals;

CREATE TABLE expected.mart_daily AS
SELECT days.day AS snapshot_date, cell[1] AS base_model, cell[2] AS type, cell[3] AS browsing_level,
  (days.day - previous.day)::INTEGER AS days_since_previous, (days.day - previous.day)::INTEGER AS downloads_days,
  version_count, CASE WHEN previous.day IS NOT NULL THEN versions_published END AS versions_published, versions_entered,
  versions_left, versions_reclassified, download_count, downloads_delta, downloads_entered, downloads_left,
  downloads_reclassified, downloads_hidden, thumbs_up_count, thumbs_down_count, reviews_up, reviews_down, rating_count,
  (points * 100)::BIGINT AS rating_points, pointed AS rating_points_count
FROM totals(3) JOIN days USING (n) JOIN previous USING (n);

CREATE TABLE expected.mart_base_model_daily AS
WITH shares AS (
  SELECT *, reviews_up + reviews_down AS votes, reviews_up / nullif(votes, 0) AS approval,
    1.959963984540054 ** 2 / nullif(votes, 0) AS z2
  FROM totals(1)
)
SELECT days.day AS snapshot_date, cell[1] AS base_model, (days.day - previous.day)::INTEGER AS days_since_previous,
  (days.day - previous.day)::INTEGER AS downloads_days, version_count,
  CASE WHEN previous.day IS NOT NULL THEN versions_published END AS versions_published, versions_entered, versions_left,
  versions_reclassified, download_count, downloads_delta, downloads_entered, downloads_left, downloads_reclassified,
  downloads_hidden,
  CASE WHEN sum(downloads_delta) OVER (PARTITION BY n) > 0
    THEN downloads_delta / sum(downloads_delta) OVER (PARTITION BY n) END AS downloads_share,
  thumbs_up_count, thumbs_down_count, rating_count, (points / nullif(pointed, 0))::DOUBLE AS rating,
  approval AS approval_rate,
  CASE WHEN approval IS NOT NULL THEN
    greatest(0, (approval + z2 / 2 - sqrt(z2 * (approval * (1 - approval) + z2 / 4))) / (1 + z2)) END AS approval_lower_bound
FROM shares JOIN days USING (n) JOIN previous USING (n);

-- What was looked up, as of the latest answer. A version is told as it stands in its model.
CREATE TABLE users AS
SELECT * EXCLUDE (filename) FROM read_json('{{documents}}/user/*.ndjson', format = 'newline_delimited',
  filename = true, columns = {id: 'BIGINT', username: 'VARCHAR', "avatarNsfw": 'VARCHAR', image: 'VARCHAR',
    tier: 'VARCHAR', "createdAt": 'TIMESTAMPTZ'}) JOIN days ON days.day = day_of(filename);
CREATE TABLE expected.dim_user AS
SELECT id AS user_id, username, avatarNsfw AS avatar_nsfw, image, tier, createdAt AS created_at, day AS observed_on
FROM users WHERE is_asked AND username IN (SELECT text FROM asked WHERE what = 'user')
QUALIFY row_number() OVER (PARTITION BY id ORDER BY n DESC) = 1;

CREATE TABLE latest_answers AS
SELECT versions.*, (SELECT min(later.day) FROM days AS later WHERE later.is_asked AND later.n > versions.n) AS unknown_since
FROM versions JOIN days USING (n)
WHERE is_asked AND v.id::VARCHAR IN (SELECT text FROM asked WHERE what = 'version')
QUALIFY row_number() OVER (PARTITION BY v.id ORDER BY n DESC) = 1;
CREATE TABLE expected.model_version_detail AS
SELECT v.id AS version_id, model_id, v.name AS name, NULL::VARCHAR AS model_name, NULL::VARCHAR AS model_type,
  NULL::VARCHAR AS model_mode, v.baseModel AS base_model, v.air AS air, NULL::VARCHAR AS status,
  v.availability AS availability, v.nsfwLevel AS nsfw_level, v.createdAt AS created_at, v.updatedAt AS updated_at,
  v.publishedAt AS published_at, NULL::VARCHAR AS upload_type, NULL::VARCHAR AS usage_control,
  NULL::VARCHAR AS training_status, NULL::DOUBLE AS licensing_fee, NULL::TIMESTAMPTZ AS early_access_ends_at,
  NULL::BOOLEAN AS paid_access_permanent, NULL::TIMESTAMPTZ AS paid_access_ends_at,
  coalesce(v.trainedWords, []) AS trained_words, v.downloadUrl AS download_url, day AS observed_on, unknown_since
FROM latest_answers;
CREATE TABLE expected.model_version_mini AS
SELECT v.id AS version_id, v.name AS name, NULL::VARCHAR AS model_name, NULL::BIGINT AS user_id,
  v.baseModel AS base_model, v.air AS air, NULL::VARCHAR AS availability, NULL::TIMESTAMPTZ AS published_at,
  NULL::VARCHAR AS file_name, NULL::VARCHAR AS file_type, NULL::VARCHAR AS format, NULL::DOUBLE AS size_kb,
  NULL::BOOLEAN AS can_generate, NULL::BOOLEAN AS is_featured, NULL::BOOLEAN AS require_auth,
  NULL::BOOLEAN AS check_permission, NULL::TIMESTAMPTZ AS early_access_ends_at, NULL::BIGINT AS free_trial_limit,
  NULL::BOOLEAN AS additional_resource_charge, NULL::BOOLEAN AS minor, NULL::BOOLEAN AS sfw_only,
  NULL::BOOLEAN AS payout_enabled, v.downloadUrl AS download_url, day AS observed_on, unknown_since
FROM latest_answers;
CREATE TABLE expected.hash_match AS
WITH asked_last AS (
  SELECT text, n, day FROM asked CROSS JOIN (FROM days WHERE is_asked ORDER BY n DESC LIMIT 1) WHERE what = 'hash'
), of_versions AS (
  SELECT hash_days.n, key.hash AS text, v.id AS version_id, v.publishedAt AS published_at
  FROM hash_days JOIN versions ON versions.n = hash_days.n AND v.id = key.version_id WHERE key.algorithm = 'SHA256'
)
-- The specification's answer names the version that was published first, and no model.
SELECT text AS hash, arg_min(version_id, (published_at, version_id)) AS version_id, NULL::BIGINT AS model_id,
  (count(version_id) > 0)::BIGINT AS version_count, day AS observed_on
FROM asked_last LEFT JOIN of_versions USING (n, text) GROUP BY text, day;
