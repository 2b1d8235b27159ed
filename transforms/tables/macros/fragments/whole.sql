-- A sum of parts as a whole number ({whole SUM}), so that an answer is the same every time: a sum differs in its last
-- digits with the order of the parts, and a half would be rounded now up and now down.
CAST(round(round({1}, 3)) AS BIGINT)
