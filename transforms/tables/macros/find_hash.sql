-- Which version a local file is, by any of its hashes, also of files that the service no longer has. Short hashes
-- (AUTOV1, CRC32) are shared by different files, and one file can stand under several versions: one row per version and
-- file that has or had the hash.
--
-- @argument digest: The hash, hexadecimal in either case.
-- @column algorithm: Which of its hashes matches.
-- @column model_id: The service's id of the model.
-- @column model_name: Title of the model, as it was last.
-- @column version_id: The service's id of the version.
-- @column version_name: Title of the version, as it was last.
-- @column base_model: The base model that it stated last.
-- @column file_id: The service's id of the file.
-- @column file_name: Name that a download of the file gets.
-- @column valid_from: First snapshot date on which the file had the hash.
-- @column valid_to: First snapshot date on which it had not. Null: it still has.
WITH hits AS (
    SELECT h.* FROM star.file_hash AS h WHERE h.hash = upper(trim(digest))
),
versions AS (
    SELECT history.version_id, history.model_id, history.name, history.base_model
    FROM star.dim_model_version AS history SEMI JOIN hits ON hits.version_id = history.version_id
    QUALIFY row_number() OVER (PARTITION BY history.version_id ORDER BY history.valid_from DESC) = 1
),
models AS (
    SELECT history.model_id, history.name
    FROM star.dim_model AS history SEMI JOIN versions ON versions.model_id = history.model_id
    QUALIFY row_number() OVER (PARTITION BY history.model_id ORDER BY history.valid_from DESC) = 1
)
SELECT
    hits.algorithm,
    versions.model_id,
    models.name AS model_name,
    hits.version_id,
    versions.name AS version_name,
    versions.base_model,
    hits.file_id,
    file.name AS file_name,
    hits.valid_from,
    hits.valid_to
FROM hits
LEFT JOIN versions ON versions.version_id = hits.version_id
LEFT JOIN models ON models.model_id = versions.model_id
LEFT JOIN star.dim_file AS file ON file.version_id = hits.version_id AND file.file_id = hits.file_id
ORDER BY hits.algorithm, hits.version_id, hits.file_id, hits.valid_from
