-- Which file of a version a user would take: the one that the service calls primary; where it does not say, the one
-- with the version's own download address; else a Model before a Pruned Model before anything else, then SafeTensor,
-- pruned and fp16 before others, then the lowest file_id. Files and versions that are gone have no answer. One row.
--
-- @optional of_version: The service's id of the version; null for all versions.
-- @columns dim_file
-- @column chosen_by: What tells: is_primary, address or kind (kind, format and weights).
WITH {main_files}
SELECT main.*
FROM main_files AS main
WHERE of_version IS NULL OR main.version_id = of_version
ORDER BY main.version_id
