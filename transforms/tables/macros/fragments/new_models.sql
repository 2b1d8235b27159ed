-- The models that were published in the recent window, each with the snapshot that saw it first. Needs {windows}.
births AS (
    SELECT known.model_id, known.born_on
    FROM build.known_models AS known JOIN windows ON known.born_on > windows.since AND known.born_on <= windows.until
)
