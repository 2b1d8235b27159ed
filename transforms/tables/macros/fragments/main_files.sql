-- The file of each version that a user would take, of those that the service still has.
main_files AS (
    SELECT
        file.*,
        CASE
            WHEN file.is_primary THEN 'is_primary'
            WHEN file.download_url = version.download_url THEN 'address'
            ELSE 'kind'
        END AS chosen_by
    FROM star.dim_file AS file JOIN star.model_version AS version ON version.version_id = file.version_id
    WHERE file.removed_on IS NULL
    QUALIFY row_number() OVER (
        PARTITION BY file.version_id
        ORDER BY
            coalesce(file.is_primary, false) DESC,
            coalesce(file.download_url = version.download_url, false) DESC,
            coalesce(file.type = 'Model', false) DESC,
            coalesce(file.type = 'Pruned Model', false) DESC,
            coalesce(file.format = 'SafeTensor', false) DESC,
            coalesce(file.pruning = 'pruned', false) DESC,
            coalesce(file.precision = 'fp16', false) DESC,
            file.file_id
    ) = 1
)
