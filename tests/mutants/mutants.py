"""The list: what is broken, where, by which edit of the code (`edit.py`), and the test that fails then."""

from dataclasses import dataclass

from tests.mutants.edit import Code, Edit, Sql


@dataclass(frozen=True)
class Mutant:
    """`edit` changes the definition `where`, and the test `caught_by` (a pytest node id below tests/) fails."""

    rule: str
    where: str
    edit: Edit
    caught_by: str

    @property
    def line(self) -> str:
        """The line of docs/testing.md."""
        file, test = self.caught_by.split("::")
        words = test.partition("[")[0].removeprefix("test_").replace("_", " ")
        return f"| {self.rule} | `{file.rpartition('/')[2].removesuffix('.py')}`: {words} |"


FACTS = "transforms/test_facts.py::test_"
HISTORY = "transforms/test_history.py::test_"
MART = "transforms/test_mart.py::test_"
BUILD = "transforms/test_build.py::test_"
AHEAD = "e2e/test_ahead.py::test_"
PAYLOADS = "transforms/test_payloads.py::test_"
GUARD = "transforms/test_counter_guard.py::test_"
DECISIONS = "transforms/test_decisions.py::test_"
BAD_DAYS = "e2e/test_bad_days.py::test_"
DOCTOR = "e2e/test_doctor.py::test_"
BACKUP = "e2e/test_backup.py::test_"
COMPACT = "transforms/test_compact.py::test_"
LOCK = "pipelines/test_lock.py::test_"
QUALITY = "transforms/test_quality.py::test_"
ANALYSES = "transforms/test_analyses.py::test_"
SURVIVAL = "transforms/test_survival.py::test_"
MARKETS = "transforms/test_markets.py::test_"
GRAINS = "charts/test_grain.py::test_"
AXES = "charts/test_axes.py::test_"
COLOURS = "charts/test_colours.py::test_"
DAILY = "flows/test_charts.py::test_"
STATUS = "flows/test_status.py::test_"
MESSAGES = "flows/test_messages.py::test_"
HISTORIES = "fuzz/test_histories.py::test_the_star_of_a_generated_catalogue_is_what_the_oracle_has"
SUPERVISED = "flows/test_supervised.py::test_"
SERVE = "flows/test_serve.py::test_"
PREFECT = "flows/test_prefect.py::test_"
RANGES = "transforms/test_ranges.py::test_"
PLAIN = "transforms/test_plain_counters.py::test_"
UNFINISHED = "transforms/test_unfinished.py::test_"
READER = "transforms/test_readers.py::test_a_reader_in_a_loop_during_publishes_sees_one_whole_date_each_time"

MUTANTS = (
    # Facts
    Mutant(
        "an answer by id stands for a list item of its date",
        "RawReader.observations",
        Sql("crawl_pass <>", "crawl_pass ="),
        FACTS + "a_list_item_stands_for_an_answer_by_id_to_an_earlier_crawl_of_the_date",
    ),
    Mutant(
        "of counters of the same name the first one counts",
        "is_plain",
        Code("~$texts.str.contains(_REPEATED)", "True"),
        PLAIN + "other_counters_are_left_to_validation",
    ),
    Mutant(
        "what follows counters that are read in one go is lost",
        "decode_metrics",
        Code("pl.concat([plain_counters.read_plain($plain), $metrics])", "plain_counters.read_plain($plain)"),
        PLAIN + "plain_counters_and_others_of_a_batch_are_all_read",
    ),
    Mutant(
        "a flow is clipped at zero",
        "daily_rows",
        Code('pl.col($name) - pl.col(f"{$name}_known")', '(pl.col($name) - pl.col(f"{$name}_known")).clip(0)'),
        FACTS + "a_counter_that_falls_gives_a_negative_flow",
    ),
    Mutant(
        "a null counter becomes zero",
        "stats_columns",
        Code(
            'pl.col($metadata["source"].rsplit(".", 1)[-1]).alias($name)',
            'pl.col($metadata["source"].rsplit(".", 1)[-1]).fill_null(0).alias($name)',
        ),
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "a hidden day forgets the last known value",
        "_seen",
        Code('pl.coalesce($name, f"{$name}_known")', "pl.col($name)"),
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "a day of absence forgets the last known value",
        "daily_rows",
        Code("pl.concat([$unseen, $seen.select($state.columns)])", "$seen.select($state.columns)"),
        FACTS + "a_flow_reaches_through_absence_and_tombstones",
    ),
    Mutant(
        "every first observation is a new entity",
        "daily_rows",
        Code(
            'pl.col("is_first") & (pl.col("published_at") > pl.col("complete_from")).fill_null(False)',
            'pl.col("is_first")',
        ),
        FACTS + "what_was_published_before_the_last_complete_crawl_began_has_no_flow_at_first",
    ),
    Mutant(
        "a first showing of a hidden counter is a new entity",
        "daily_rows",
        Code('pl.col("observed_on").is_null()', 'pl.any_horizontal(pl.col("^.*_known$").is_null())'),
        FACTS + "a_counter_hidden_from_the_start_has_no_flow_when_it_is_first_shown",
    ),
    Mutant(
        "without a complete crawl before it, a first observation has its whole counter as flow",
        "daily_rows",
        Code(
            '(pl.col("published_at") > pl.col("complete_from")).fill_null(False)',
            '(pl.col("published_at") > pl.col("complete_from")).fill_null(True)',
        ),
        FACTS + "a_first_observation_has_no_flow_and_the_next_has_the_difference",
    ),
    Mutant(
        "new entities count from the date of the last complete crawl, not from its start",
        "daily_rows",
        Code(
            '(pl.col("published_at") > pl.col("complete_from"))',
            '(pl.col("published_at").dt.date() >= pl.col("complete_on"))',
        ),
        FACTS + "what_was_published_before_the_last_complete_crawl_began_has_no_flow_at_first",
    ),
    Mutant(
        "a partial crawl counts as the last complete one",
        "as_before",
        Code('$crawls.filter(pl.col("status") == "complete")', "$crawls"),
        FACTS + "what_was_published_after_the_last_complete_crawl_began_is_flow_as_a_whole",
    ),
    Mutant(
        "a span is a day too long",
        "span",
        Code(
            '(pl.col("snapshot_date") - $start).dt.total_days().cast(pl.Int32)',
            '(pl.col("snapshot_date") - $start).dt.total_days().cast(pl.Int32) + 1',
        ),
        FACTS + "a_gap_is_a_gap_and_the_flow_after_it_says_its_span",
    ),
    Mutant(
        "the span of a new entity is unknown",
        "daily_rows",
        Code('span(pl.when("is_new").then($since).otherwise("observed_on"))', 'span(pl.col("observed_on"))'),
        FACTS + "what_was_published_after_the_last_complete_crawl_began_is_flow_as_a_whole",
    ),
    Mutant(
        "downloads_days has a value where downloads_delta has none",
        "daily_rows",
        Code("pl.when(pl.col($flow).is_not_null()).then(span($start))", "span($start)"),
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "downloads_days spans from a day on which the counter was hidden",
        "_seen",
        Code('pl.when($is_known).then(pl.lit($on)).otherwise("downloads_on")', "pl.lit($on)"),
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "an image of a showcase has no age",
        "fact_of_images",
        Code("pl.concat([$gallery, $showcases.rows])", "pl.concat([$gallery])"),
        FACTS + "an_image_is_as_old_as_its_upload_wherever_it_is_met",
    ),
    Mutant(
        "a model is as old as its latest version",
        "flatten_models",
        Code(
            '$versions.group_by("model_id").agg(pl.col("published_at").min())',
            '$versions.group_by("model_id").agg(pl.col("published_at").max())',
        ),
        FACTS + "a_model_is_as_old_as_its_earliest_version",
    ),
    # History
    Mutant(
        "an interval ends a day late",
        "merge",
        Code(
            "$rows.with_columns(valid_to=pl.lit($on), is_current=pl.lit(False))",
            '$rows.with_columns(valid_to=pl.lit($on).dt.offset_by("1d"), is_current=pl.lit(False))',
        ),
        HISTORY + "a_tracked_column_opens_a_row_and_a_latest_column_is_corrected_in_place",
    ),
    Mutant(
        "history without its anti-join opens a row every day",
        "merge",
        Code('$incoming.join($held, on=$key, how="anti", maintain_order="left")', "$incoming"),
        FACTS + "a_partial_crawl_counts_as_an_earlier_observation",
    ),
    Mutant(
        "a dimension without its anti-join has a second row",
        "upsert",
        Code(
            '$incoming.join($rows, on=$key, how="anti", maintain_order="left").with_columns(first_seen_on=pl.lit($on))',
            "$incoming.with_columns(first_seen_on=pl.lit($on))",
        ),
        HISTORY + "a_name_that_is_listed_every_day_is_one_row",
    ),
    Mutant(
        "a latest column opens a row",
        "merge",
        Code(
            '$table.with_metadata(history="tracked")',
            '$table.with_metadata(history="tracked") | $table.with_metadata(history="latest")',
        ),
        HISTORY + "a_tracked_column_opens_a_row_and_a_latest_column_is_corrected_in_place",
    ),
    Mutant(
        "a latest column stays as it was",
        "corrections",
        Code("pl.when(IS_SEEN).then($name + INCOMING).otherwise($name).alias($name)", "pl.col($name)"),
        HISTORY + "a_tracked_column_opens_a_row_and_a_latest_column_is_corrected_in_place",
    ),
    Mutant(
        "a change from null or to null is none",
        "merge",
        Code(
            "pl.col($name).ne_missing(pl.col($name + INCOMING))",
            "pl.col($name).ne(pl.col($name + INCOMING)).fill_null(False)",
        ),
        HISTORIES,
    ),
    Mutant(
        "what is gone is not distinguished from what changed",
        "merge",
        Code('pl.when(IS_GONE).then(pl.lit($on)).otherwise("removed_on")', "pl.lit(None, dtype=pl.Date)"),
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "a file that returns keeps the date of its removal",
        "upsert",
        Code("pl.when(~IS_SEEN).then($removal)", "$removal"),
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "the date of a file's removal moves on with every day",
        "upsert",
        Code('pl.coalesce("removed_on", pl.lit($on))', "pl.lit($on)"),
        HISTORY + "a_file_that_left_its_version_keeps_the_date_on_which_it_did_until_it_returns",
    ),
    Mutant(
        "a partial crawl closes what it did not see",
        "build_models",
        Code("$listed = $listed if $day.is_complete else $listed.clear()", "pass"),
        HISTORY + "a_partial_crawl_opens_rows_and_closes_none",
    ),
    Mutant(
        "a document seen under a partial crawl is not looked at again",
        "_observed",
        Code('pl.col("is_valid") & ($kind != "model" or $day.is_complete)', 'pl.col("is_valid")'),
        HISTORY + "a_partial_crawl_opens_rows_and_closes_none",
    ),
    Mutant(
        "a partial crawl marks as deleted what answered 404",
        "not_observed",
        Code("return $deleted if $day.is_complete else $deleted.clear()", "return $deleted"),
        HISTORY + "only_a_complete_crawl_buries",
    ),
    Mutant(
        "a tombstone deletes what the lists had that day",
        "not_observed",
        Code('$not_found.join($observed, on="entity_id", how="anti")', "$not_found"),
        HISTORY + "a_tombstone_of_a_model_that_the_lists_had_that_day_buries_nothing",
    ),
    Mutant(
        "a tombstone deletes what the date has seen only as a quarantined record",
        "deleted_models",
        Code(
            'pl.concat([$models.observations.select("entity_id"), $models.bad])',
            '$models.observations.select("entity_id")',
        ),
        HISTORY + "what_a_date_has_seen_in_any_way_is_not_gone_on_it",
    ),
    Mutant(
        "what answered 404 and then by id on a date has no list as its source any more",
        "build_models",
        Code("$deleted = deleted_models($inputs)", "$deleted = $inputs.not_found.select(MODEL_ID)"),
        HISTORY + "what_a_date_has_seen_in_any_way_is_not_gone_on_it",
    ),
    Mutant(
        "the versions of a deleted model stay",
        "build_models",
        Code(
            '_of($held.select(_OWNED), "model_id", $listed, $deleted)',
            '_of($held.select(_OWNED), "model_id", $listed)',
        ),
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "tags and hashes of what is gone stay",
        "build_models",
        Code(
            '_of($held, $owner, $lists, $removed).join($rows, on=$key, how="anti")',
            '_of($held, $owner, $lists).join($rows, on=$key, how="anti")',
        ),
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "a model that returns unchanged after a tombstone is not decoded",
        "note_entities",
        Code('pl.col("is_settled") & pl.col("is_deleted").is_null()', 'pl.col("is_settled")'),
        FACTS + "a_flow_reaches_through_absence_and_tombstones",
    ),
    Mutant(
        "an answer by id opens and closes rows",
        "_wanted",
        Code('$observed.filter(pl.col("is_listed") | ~pl.col("entity_id").is_in($known.implode()))', "$observed"),
        HISTORY + "an_answer_to_a_reconcile_counts_as_seen_and_opens_and_closes_nothing",
    ),
    Mutant(
        "an answer by id brings the images of its showcase",
        "StagedKind._note_counters",
        Code('$observed.filter("is_listed")', "$observed"),
        HISTORY + "an_answer_to_a_reconcile_counts_as_seen_and_opens_and_closes_nothing",
    ),
    Mutant(
        "a model whose document was not read today lists nothing",
        "build_models",
        Code("$models.decoded.select(MODEL_ID)", "$models.observations.select(MODEL_ID)"),
        HISTORY + "an_id_that_is_not_seen_without_a_404_changes_nothing",
    ),
    Mutant(
        "a record that was set aside is as good as read",
        "read_documents",
        Code(
            '$records.filter(pl.col("reason").is_null()).select("entity_id", "is_sound")',
            '$records.select("entity_id", "is_sound")',
        ),
        BUILD + "a_record_that_breaks_and_mends_keeps_its_history",
    ),
    Mutant(
        "a record that was set aside counts all the same",
        "StagedKind.of",
        Code('$frame.join($bad, on="entity_id", how="anti", maintain_order="left")', "$frame"),
        BUILD + "a_record_that_stays_broken_is_in_quarantine_on_every_day_and_never_buried",
    ),
    Mutant(
        "a version belongs to whoever lists it and has the lowest id",
        "settle_owners",
        Code(
            'pl.concat([$first, $successors.select($key).join($first, on="version_id", how="anti")])',
            "$successors.select($key)",
        ),
        HISTORY + "a_version_that_two_models_list_stays_with_the_first_as_long_as_that_lists_it",
    ),
    Mutant(
        "a version that is let go is of the lowest id that lists it, whoever began first",
        "settle_owners",
        Code('$candidates.sort("since", "model_id")', '$candidates.sort("model_id")'),
        HISTORY + "a_version_that_is_let_go_is_of_the_model_that_began_next_to_list_it",
    ),
    Mutant(
        "a model that lists a version of another one needs no second look",
        "note_entities",
        Code('~pl.col("entity_id").is_in($conflicting["entity_id"].implode())', "pl.lit(True)"),
        HISTORY + "a_version_that_two_models_list_stays_with_the_first_as_long_as_that_lists_it",
    ),
    Mutant(
        "a version stays with a model that let it go",
        "settle_owners",
        Code(
            '$first.join($let_go, on="version_id", how="anti").join($deleted, on="model_id", how="anti")',
            '$first.join($deleted, on="model_id", how="anti")',
        ),
        HISTORY + "a_version_that_two_models_list_stays_with_the_first_as_long_as_that_lists_it",
    ),
    Mutant(
        "the counters of a version are those of another model that lists it",
        "fact_of_versions",
        Code(
            '$counted.filter($is_of_owner).select("version_id", *stats_columns($fact))',
            '$counted.select("version_id", *stats_columns($fact))',
        ),
        HISTORY + "the_counters_of_a_version_that_two_models_list_are_those_of_its_owner",
    ),
    Mutant(
        "a text or an image without its anti-join is there twice",
        "newly_appended",
        Code('$rows.join($known, on=$key, how="anti", maintain_order="left")', "$rows"),
        HISTORY + "each_text_of_a_model_is_kept_once_and_a_return_to_it_opens_a_row",
    ),
    # Values
    Mutant(
        "a hash keeps its case",
        "flatten_hashes",
        Code('named(pl.col("hash")).str.to_uppercase()', 'named(pl.col("hash"))'),
        HISTORY + "a_hash_that_changes_on_a_new_upload_has_a_period",
    ),
    Mutant(
        "a tag of a model keeps its blanks",
        "flatten_tags",
        Code('named(pl.col("tags"))', 'pl.col("tags")'),
        HISTORIES,
    ),
    Mutant(
        "a tag of /tags keeps its blanks",
        "flatten_tag_list",
        Code('named(pl.col("name"))', 'pl.col("name")'),
        HISTORY + "a_name_that_is_listed_every_day_is_one_row",
    ),
    Mutant(
        "the spelling of a name with white space around it counts before the plain one",
        "respelled",
        Code('$met.sort(pl.col("entity_id") != $name, "entity_id")', '$met.sort("entity_id")'),
        HISTORY + "names_that_differ_in_white_space_around_them_are_one_name_and_a_blank_is_none",
    ),
    Mutant(
        "the files and hashes of a version are those of any model that lists it",
        "_accepted_rows",
        Code("(DimModelVersion, DimFile, FileHash)", "(DimModelVersion,)"),
        HISTORY + "the_attributes_files_and_hashes_of_a_version_that_two_models_list_are_those_of_its_owner",
    ),
    Mutant(
        "a crawl that met a model by id only could have listed what is new of it",
        "note_unread",
        Code("{STATE_UNREAD.name: $unread}", "{STATE_UNREAD.name: $unread.clear()}"),
        FACTS + "what_a_crawl_could_not_list_was_born_after_the_complete_crawl_before_it",
    ),
    Mutant(
        "a model that was gone and answers by id is as lists showed it",
        "note_entities",
        Code('pl.col("is_listed") & pl.col("is_deleted").is_null()', 'pl.col("is_listed")'),
        HISTORY + "a_model_that_was_buried_and_answers_by_id_has_returned",
    ),
    Mutant(
        "any value of a counter is believed",
        "Bounds.is_odd",
        Code("~pl.col(self.field).is_between(self.least, self.most)", "pl.lit(False)"),
        BUILD + "a_counter_that_cannot_be_true_is_set_aside_as_a_value_and_its_record_counts",
    ),
    Mutant(
        "an unknown thumbs-down is zero",
        "_arrivals",
        Code('_known_sum(pl.col("thumbs_up_count"), _IS_JUDGED)', 'pl.col("thumbs_up_count").sum()'),
        MART + "approval_counts_only_versions_both_of_whose_numbers_are_known",
    ),
    Mutant(
        "a version without a base model has none",
        "flatten_models",
        Code('named(pl.col("base_model")).fill_null(UNKNOWN)', 'pl.col("base_model")'),
        HISTORY + "an_unlisted_base_model_is_unclassified_and_counted",
    ),
    Mutant(
        "a model without a creator has none",
        "flatten_models",
        Code('named(pl.col("username")).fill_null(UNKNOWN)', 'pl.col("username")'),
        HISTORY + "a_creator_that_is_omitted_is_the_unknown_creator_and_a_transfer_opens_a_row",
    ),
    Mutant(
        "a time without a zone is no UTC",
        "typed",
        Code(
            r'$expression.str.replace(r"(T[\d:.]+)$", "${1}Z")',
            r'$expression.str.replace(r"(T[\d:.]+)$", "${1}+02:00")',
        ),
        BUILD + "a_time_without_a_zone_is_utc",
    ),
    Mutant(
        "no list is null",
        "typed",
        Code("return $expression.fill_null(pl.lit([], dtype=$dtype))", "return $expression"),
        HISTORY + "absent_null_and_empty_list_are_the_same",
    ),
    Mutant(
        "an empty description is a text",
        "flatten_models",
        Code("text_hash($text) if $text else None", "text_hash($text) if $text is not None else None"),
        HISTORY + "an_empty_description_is_none",
    ),
    Mutant(
        "a version without a publication has no age",
        "flatten_models",
        Code('pl.coalesce("published_at", "created_at").alias("published_at")', 'pl.col("published_at")'),
        FACTS + "a_version_without_a_publication_is_as_old_as_its_making",
    ),
    Mutant(
        "a base model that the list lacks has no family",
        "describe",
        Code('pl.col("family").fill_null(UNCLASSIFIED)', 'pl.col("family")'),
        HISTORY + "an_unlisted_base_model_is_unclassified_and_counted",
    ),
    # Mart
    Mutant(
        "a version that changes its base model is not reclassified",
        "_CHANGED",
        Code('_STAYED & _differs("_counted")', '_STAYED & ~_differs("_counted") & _differs("_counted")'),
        HISTORIES,
    ),
    Mutant(
        "the stock keeps counters that are hidden",
        "_seen",
        Code('pl.col(f"{DOWNLOADS}_given")', "pl.lit(True)"),
        HISTORIES,
    ),
    Mutant(
        "the terms of the mart lack what was hidden",
        "_added_up",
        Code('pl.col("downloads_shown") - pl.col("downloads_hid")', 'pl.col("downloads_shown")'),
        MART + "a_version_without_counters_is_observed_under_a_partial_crawl_too",
    ),
    Mutant(
        "the terms of the mart lack what left",
        "_departures_of_downloads",
        Code("amount(_WENT, $stock_before)", "amount(_WENT, pl.col(DOWNLOADS))"),
        HISTORIES,
    ),
    Mutant(
        "what enters is counted as flow and as entered",
        "_arrivals",
        Code("amount(_CAME, $stock - $flow)", "amount(_CAME, $stock)"),
        HISTORIES,
    ),
    Mutant(
        "new entities before any complete crawl are none instead of unknown",
        "_added_up",
        Code('pl.when(pl.lit($day.has_new)).then("versions_published")', 'pl.col("versions_published")'),
        MART + "nobody_knows_what_was_published_before_there_is_a_complete_crawl",
    ),
    Mutant(
        "a share is one of the stock, not of the flow",
        "base_model_day",
        Code(
            'ratio(pl.col("downloads_delta"), pl.col("downloads_delta").sum())',
            'ratio(pl.col("downloads_delta"), pl.col("download_count").sum())',
        ),
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "a flow that nobody knows is zero in the mart",
        "_arrivals",
        Code('total("downloads_delta")', 'pl.col("downloads_delta").sum()'),
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "ratings that nobody gave are zero in the mart",
        "_known_sum",
        Code(
            "return pl.when($is_known.any()).then($value.filter($is_known).sum())",
            "return $value.filter($is_known).sum()",
        ),
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "a rating weighs as much as its version's counts, rated or not",
        "_arrivals",
        Code('_known_sum(pl.col("rating_count"), _IS_RATED)', 'pl.col("rating_count").sum()'),
        MART + "ratings_are_weighted_with_the_counts_of_those_that_have_one",
    ),
    Mutant(
        "the Wilson bound is the upper one",
        "wilson_lower_bound",
        Code("($centre - $margin) / $width", "($centre + $margin) / $width"),
        MART + "approval_is_a_share_with_a_lower_bound_that_small_samples_lower",
    ),
    Mutant(
        "approval is a share of the recommendations",
        "base_model_day",
        Code('pl.col("reviews_up") + pl.col("reviews_down")', 'pl.col("reviews_up")'),
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "the span of the mart is a day too long",
        "_added_up",
        Code("($day.on - $start).days", "($day.on - $start).days + 1"),
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "a version moves in the cube only with its base model",
        "_differs",
        Code(
            "pl.any_horizontal(pl.col($name) != pl.col($name + $suffix) for $name in CELL)",
            'pl.col("base_model") != pl.col("base_model" + $suffix)',
        ),
        HISTORIES,
    ),
    Mutant(
        "the lowest browsing level decides",
        "with_cell",
        Code("BROWSING_LEVELS.items()", "sorted(BROWSING_LEVELS.items())"),
        HISTORIES,
    ),
    Mutant(
        "the level of a model goes before that of its version",
        "with_cell",
        Code('pl.coalesce("nsfw_level", "nsfw_level_of_model")', 'pl.coalesce("nsfw_level_of_model", "nsfw_level")'),
        HISTORIES,
    ),
    Mutant(
        "a browsing level that is not given is unrated",
        "with_cell",
        Code("pl.when($level.is_null()).then(pl.lit(UNKNOWN))", "pl.when($level.is_null()).then(pl.lit(UNRATED))"),
        HISTORIES,
    ),
    # Books and builds
    Mutant(
        "duplicates are not counted",
        "record_counts",
        Code("$repeated + $met_again + ($valid - $recorded)", "$met_again + ($valid - $recorded)"),
        BUILD + "duplicates_are_counted",
    ),
    Mutant(
        "what a second crawl of a date met again is not counted",
        "record_counts",
        Code("$repeated + $met_again + ($valid - $recorded)", "$repeated + ($valid - $recorded)"),
        HISTORIES,
    ),
    Mutant(
        "items without an id are not counted",
        "record_counts",
        Code(
            "RecordCounts($on, $kind, received=$all, loaded=$new, quarantined=$bad + $lost + $odd, duplicates=$more)",
            "RecordCounts($on, $kind, received=$all, loaded=$new, quarantined=$bad + $odd, duplicates=$more)",
        ),
        BUILD + "broken_records_end_in_quarantine_with_reason_and_payload_and_the_rest_is_loaded",
    ),
    Mutant(
        "record counts that do not balance are passed over",
        "_uneven_counts",
        Code("not $counts.is_even", "$counts is None"),
        BUILD + "observations_lost_on_a_date_of_two_crawls_are_noticed",
    ),
    Mutant(
        "an odd value takes its record with it",
        "_object",
        Code("if $needed:\n    raise", "if True:\n    raise"),
        PAYLOADS + "an_odd_value_is_set_aside_alone_with_its_path_and_as_received",
    ),
    Mutant(
        "versions that cannot be read are no versions",
        "modelVersions",
        Code(
            "modelVersions: Annotated[list[Version] | None, WHOLE] = None", "modelVersions: list[Version] | None = None"
        ),
        PAYLOADS + "a_model_that_cannot_be_told_from_another_or_whose_versions_cannot_is_set_aside_whole",
    ),
    Mutant(
        "what is nested too deeply ends the day",
        "validate",
        Code("suppress(msgspec.DecodeError, RecursionError)", "suppress(msgspec.DecodeError)"),
        PAYLOADS + "a_model_that_cannot_be_told_from_another_or_whose_versions_cannot_is_set_aside_whole",
    ),
    Mutant(
        "the counters of an image whose id is a text are those of an image",
        "__post_init__",
        Code("isinstance($id, str) and $owner not in _NAMED", "$owner is None"),
        BUILD + "an_image_whose_id_is_a_text_is_no_image_and_its_counters_are_of_none",
    ),
    Mutant(
        "a blank hash is a hash",
        "Hashes.SHA256",
        Code("SHA256: Name | None = None", "SHA256: str | None = None"),
        PAYLOADS + "an_odd_value_is_set_aside_alone_with_its_path_and_as_received",
    ),
    Mutant(
        "a document with an odd value needs no second look",
        "_observed",
        Code('$is_settled &= ~pl.col("entity_id").is_in($odd.implode())', "del $odd"),
        BUILD + "odd_values_of_a_document_are_set_aside_on_every_day_and_the_rest_of_it_is_read",
    ),
    Mutant(
        "a second file of the same id lends its hashes to the first",
        "flatten_models",
        Code(
            'flatten_hashes($file_level.filter(is_first(["model_id", "version_id", "id"])))',
            "flatten_hashes($file_level)",
        ),
        BUILD + "a_second_file_or_version_of_the_same_id_lends_nothing_to_the_first",
    ),
    Mutant(
        "a second version of the same id lends its files to the first",
        "flatten_models",
        Code('$version_level = $version_level.filter(is_first(["model_id", "id"]))', "pass"),
        BUILD + "a_second_file_or_version_of_the_same_id_lends_nothing_to_the_first",
    ),
    Mutant(
        "a date is refused for a value",
        "_too_much_quarantine",
        Code('$quarantined.filter(pl.col("level") != "value")', "$quarantined"),
        BUILD + "values_that_are_set_aside_refuse_no_date_however_many_they_are",
    ),
    Mutant(
        "a bound that was widened is not noticed",
        "value_now",
        Code("not $least <= float($found.canonical[0]) <= $most", "$found"),
        "flows/test_quarantine.py::test_a_bound_that_was_widened_takes_the_value_in_at_its_dates",
    ),
    Mutant(
        "an odd counter stays in its document",
        "is_cut",
        Code(
            'return $blank != b"{}" or $value.startswith(b"{")',
            'return $value.startswith(b"{") and b"{" not in $value[1:]',
        ),
        "pipelines/test_documents.py::test_an_odd_counter_is_cut_like_any_other_so_that_its_document_keeps_its_hash",
    ),
    Mutant(
        "half of a surrogate pair breaks its page",
        "decoded",
        Code("legible($text)", "$text"),
        "pipelines/test_broken_pages.py::test_half_of_a_surrogate_pair_breaks_no_page",
    ),
    Mutant(
        "documents that raw lost are passed over",
        "StagedKind._read_documents",
        Code("self.documents_so_far != $expected", "self.documents_so_far > $expected"),
        BUILD + "a_document_that_raw_lost_is_noticed",
    ),
    Mutant(
        "what was staged of a part of a crawl is all of it",
        "Ahead.of",
        Code("$observations != $stage.observations", "False"),
        AHEAD + "a_crawl_that_was_cut_off_is_built_from_raw",
    ),
    Mutant(
        "a document that raw has had before stands where the crawl has it",
        "RawReader.has_older",
        Code("bool($found)", "False"),
        AHEAD + "documents_that_a_refresh_brought_stand_where_raw_has_them",
    ),
    Mutant(
        "documents that an earlier load brought stand after those of the crawl",
        "StagedKind._read_documents",
        Code("self._is_before = True", "self._is_before = False"),
        AHEAD + "documents_that_a_refresh_brought_stand_where_raw_has_them",
    ),
    Mutant(
        "an odd counter that stays as it is is quarantined only once in a rebuild",
        "read_counters",
        Code("not $reasons and $odd.is_empty()", "True"),
        AHEAD + "an_odd_counter_that_stays_as_it_is_is_quarantined_every_day",
    ),
    Mutant(
        "counters are taken from the day before if only the record is the same, in a rebuild",
        "_are_known",
        Code(
            '($found["entity"] == $texts["entity"]) & ($found["text"] == $texts["text"])',
            '$found["entity"] == $texts["entity"]',
        ),
        AHEAD + "an_odd_counter_that_stays_as_it_is_is_quarantined_every_day",
    ),
    Mutant(
        "documents that are read again stand behind others that are, in a rebuild",
        "StagedKind._wanted",
        Code("self._are_earlier and $rest.height", "False"),
        AHEAD + "documents_that_a_rebuild_reads_ahead_stand_where_raw_has_them",
    ),
    Mutant(
        "a late date is added at the end",
        "build",
        Code('$known.standing.height and min($news) <= $known.standing["snapshot_date"].max()', "$news is None"),
        BUILD + "a_late_crawl_of_a_past_day_changes_what_came_after_it",
    ),
    Mutant(
        "a rebuild reads the last date only",
        "rebuild",
        Code(
            "replay($star, $raw, $days, $remade, $limits, $progress, $safe_point)",
            "replay($star, $raw, $days[-1:], $remade, $limits, $progress, $safe_point)",
        ),
        HISTORIES,
    ),
    Mutant(
        "a rebuild gives way to nobody",
        "rebuild",
        Code(
            "replay($star, $raw, $days, $remade, $limits, $progress, $safe_point)",
            "replay($star, $raw, $days, $remade, $limits, $progress, go_on)",
        ),
        COMPACT + "a_rebuild_that_gives_way_at_any_date_has_published_nothing",
    ),
    Mutant(
        "a snapshot waits without a sign",
        "_take",
        Code("$is_snapshot and not $is_signed and has_locked($sign)", "False"),
        LOCK + "a_snapshot_is_next_whoever_waited_before_it",
    ),
    Mutant(
        "another writer begins although a snapshot waits",
        "_in_the_way",
        Code("$is_snapshot or not _snapshot_waits($data_dir)", "True"),
        LOCK + "a_snapshot_is_next_whoever_waited_before_it",
    ),
    Mutant(
        "a date without an observation is a snapshot",
        "snapshot_days",
        Code('not $of_day["observations"].sum()', "$of_day.is_empty()"),
        BUILD + "a_date_without_a_single_observation_is_a_gap",
    ),
    Mutant(
        "rows are written in the order in which they came",
        "Writer.add",
        Code("ordered($rows.select(self._schema.names), self._key)", "$rows.select(self._schema.names)"),
        BUILD + "the_rows_of_every_file_are_in_the_order_of_its_key",
    ),
    # The quality gate
    Mutant(
        "checks: lost rows of a complete crawl are passed over",
        "lost_rows",
        Code("max(ROWS_TOLERATED, $limits.max_row_fall_share * $was)", "$was"),
        QUALITY + "a_complete_crawl_that_lost_many_versions_is_not_published",
    ),
    Mutant(
        "checks: a partial crawl is what the next one is held against",
        "run_checks",
        Code("$day.is_complete", "True"),
        QUALITY + "a_partial_crawl_lost_nothing",
    ),
    Mutant(
        "checks: only a counter that fell for all is reported",
        "fallen_counters",
        Code("max(ROWS_TOLERATED, $limits.max_counter_fall_share * $known)", "$known"),
        QUALITY + "counters_that_fall_for_many_are_told_and_stay_as_they_are",
    ),
    Mutant(
        "checks: a share of nulls that rose is passed over",
        "risen_nulls",
        Code(
            '(pl.col("now") - pl.col("was") > $limits.max_null_rise)',
            '(pl.col("was") - pl.col("now") > $limits.max_null_rise)',
        ),
        QUALITY + "a_column_that_loses_its_values_is_told",
    ),
    Mutant(
        "checks: what is known already is reported again as new",
        "new_rows",
        Code("$rows.filter(pl.col($since) == $on)", "$rows.filter(pl.col($since) <= $on)"),
        QUALITY + "new_base_models_types_and_paths_are_told_once",
    ),
    Mutant(
        "checks: the values that point to a row are the orphans",
        "orphans",
        Code("~$values.is_in($targets)", "$values.is_in($targets)"),
        QUALITY + "a_value_that_points_nowhere_is_an_orphan_and_none_is_not",
    ),
    Mutant(
        "drift: an unknown name passes the quick look",
        "_outline",
        Code(
            "msgspec.defstruct($struct.__name__, $fields, forbid_unknown_fields=True)",
            "msgspec.defstruct($struct.__name__, $fields)",
        ),
        "transforms/test_drift.py::test_an_unknown_name_is_found_in_every_object",
    ),
    Mutant(
        "checks: no value is an orphan",
        "orphans",
        Code("~$values.is_in($targets)", "~$values.is_in($targets, nulls_equal=True)"),
        QUALITY + "a_value_that_points_nowhere_is_an_orphan_and_none_is_not",
    ),
    Mutant(
        "checks: references of rows that are only added are not looked at",
        "Tally._note_references",
        Code("$changes.appended[$name] if $name in $changes.appended else $new", "$new"),
        QUALITY + "rows_that_are_only_added_point_somewhere_too",
    ),
    # The macros
    Mutant(
        "macros: a window runs to a partial crawl",
        "counted_days.sql",
        Sql("WHERE $d.is_complete", "WHERE $d.has_snapshot"),
        ANALYSES + "the_trend_of_base_models_runs_from_complete_snapshot_to_complete_snapshot",
    ),
    Mutant(
        "macros: the first day of a window is the day that it counts from",
        "windows.sql",
        Sql("$d.date > $w.since AS is_recent", "$d.date >= $w.since AS is_recent"),
        ANALYSES + "versions_of_the_day_from_which_a_window_counts_are_not_its_own",
    ),
    Mutant(
        "macros: a flow that began before a window counts whole",
        "flows.sql",
        Sql(
            "greatest($gains.gained_on - $gains.downloads_days, $w.since) END AS days_recent",
            "($gains.gained_on - $gains.downloads_days) END AS days_recent",
        ),
        ANALYSES + "a_flow_that_began_before_a_window_counts_by_its_share_of_days",
    ),
    Mutant(
        "macros: a flow of several days is as of the last day of the window",
        "flows.sql",
        Sql("CASE WHEN $fact.downloads_days > 1 THEN", "CASE WHEN false THEN"),
        ANALYSES + "a_flow_that_began_before_a_window_counts_by_its_share_of_days",
    ),
    Mutant(
        "macros: a rate is per day that was asked for, not per day of the window",
        "trend_base_model.sql",
        Sql(
            "$gained.downloads / ($stocks.until - $stocks.since) AS per_day",
            "$gained.downloads / CAST(days AS INTEGER) AS per_day",
        ),
        ANALYSES + "a_window_that_begins_in_a_gap_or_at_a_partial_crawl_is_longer_and_says_so",
    ),
    Mutant(
        "macros: a model whose time before is unknown trends as new",
        "trending_models.sql",
        Sql(
            "/ $grown.days_before AS per_day_before, $births.model_id IS NOT NULL AS is_new",
            "/ $grown.days_before AS per_day_before, $grown.days_before IS NULL AS is_new",
        ),
        ANALYSES + "trending_models_are_those_that_grew_by_the_spans_of_their_flows",
    ),
    Mutant(
        "macros: a row still holds on the day on which it ended",
        "models_as_of.sql",
        Sql("CAST(as_of AS DATE) < $history.valid_to", "CAST(as_of AS DATE) <= $history.valid_to"),
        ANALYSES + "models_as_of_a_day_have_the_rows_that_held_and_the_counters_as_last_seen",
    ),
    Mutant(
        "macros: a version that was met late has a release curve",
        "release_curves.sql",
        Sql("WHERE $known.born_on IS NOT NULL", "WHERE true"),
        ANALYSES + "release_curves_follow_versions_that_were_watched_from_their_beginning",
    ),
    Mutant(
        "macros: whatever is met for the first time was published since",
        "_seen",
        Code(
            'pl.when("is_new").then(pl.lit($on)).otherwise("born_on")',
            'pl.when("is_first").then(pl.lit($on)).otherwise("born_on")',
        ),
        SURVIVAL + "what_the_build_carries_for_macros_is_what_the_facts_have[born versions]",
    ),
    Mutant(
        "macros: a day of publication is that of the session's time zone",
        "versions.sql",
        Sql(
            "CAST(make_timestamp(epoch_us(min($history.published_at))) AS DATE)",
            "CAST(min($history.published_at) AS DATE)",
        ),
        ANALYSES + "days_of_publication_do_not_hang_on_the_time_zone_of_a_session",
    ),
    Mutant(
        "macros: a new model grows by its downloads a day",
        "trending_models.sql",
        Sql("CASE WHEN NOT $rates.is_new THEN", "CASE WHEN true THEN"),
        ANALYSES + "trending_models_are_those_that_grew_by_the_spans_of_their_flows",
    ),
    Mutant(
        "macros: new models take the places of others",
        "trending_models.sql",
        Sql("QUALIFY row_number() OVER (PARTITION BY $rates.is_new", "QUALIFY row_number() OVER (PARTITION BY true"),
        ANALYSES + "so_many_models_are_listed_of_the_new_ones_and_of_the_others",
    ),
    Mutant(
        "macros: new models are ranked by downloads",
        "trending_models.sql",
        Sql("$growth DESC, $downloads_per_day DESC, $rates.downloads DESC", "$growth DESC, $rates.downloads DESC"),
        ANALYSES + "new_models_are_ranked_by_downloads_a_day",
    ),
    Mutant(
        "macros: what a partial crawl did not reach is not known",
        "last_known.sql",
        Sql("WHERE NOT d.is_recent", "WHERE false"),
        ANALYSES + "before_the_first_complete_snapshot_nothing_is_compared_and_nothing_fails",
    ),
    Mutant(
        "macros: a withheld counter is null",
        "_last_counters",
        Sql("FILTER (NOT", "FILTER (true OR NOT"),
        GUARD + "a_withheld_counter_is_last_known_from_the_snapshot_before",
    ),
    Mutant(
        "macros: counters are last known from a withheld snapshot on",
        "last_known.sql",
        Sql("ANTI JOIN {3}_withheld AS w ON w.snapshot_date = d.date WHERE", "WHERE"),
        GUARD + "a_withheld_counter_is_last_known_from_the_snapshot_before",
    ),
    Mutant(
        "macros: version_wide shows the model's downloads for the version's",
        "version_wide.sql",
        Sql("of_version.download_count AS version_download_count", "of_model.download_count AS version_download_count"),
        ANALYSES + "version_wide_has_model_and_version_in_one_row_with_clear_names",
    ),
    Mutant(
        "macros: the main file is not the one with the version's own address",
        "main_files.sql",
        Sql("coalesce(file.download_url = version.download_url, false) DESC", "true DESC"),
        ANALYSES + "the_main_file_is_chosen_by_what_the_service_says_then_by_kind[6]",
    ),
    Mutant(
        "macros: a file that is gone is the main file",
        "main_files.sql",
        Sql("WHERE file.removed_on IS NULL", "WHERE true"),
        ANALYSES + "a_file_that_is_gone_is_no_main_file",
    ),
    Mutant(
        "macros: an empty licence and None are a change",
        "licence_changes.sql",
        Sql("lambda use: use <> 'None'", "lambda use: true"),
        ANALYSES + "licence_changes_are_those_between_known_values",
    ),
    Mutant(
        "macros: a model that changes one term of its licence alone changes nothing",
        "licence_changes.sql",
        Sql("OR min($history.allow_different_license) <> max($history.allow_different_license)", ""),
        ANALYSES + "a_model_that_changes_one_term_of_its_licence_is_found",
    ),
    Mutant(
        "survival: models that were there at the first snapshot were watched from their publication",
        "survival.sql",
        Sql("dated.first_seen_on - dated.published_on AS entered_age", "-1 AS entered_age"),
        SURVIVAL + "survival_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "survival: what is still there ends with the last snapshot",
        "survival.sql",
        Sql("dated.removed_on IS NOT NULL AS has_ended", "true AS has_ended"),
        SURVIVAL + "survival_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "survival: who leaves at an age is not at risk at it",
        "kaplan_meier.sql",
        Sql("ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
        SURVIVAL + "survival_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "survival: an unknown dimension is all models",
        "survival.sql",
        Sql("ELSE error (", "ELSE concat ("),
        SURVIVAL + "an_unknown_dimension_of_survival_is_an_error_that_names_the_known_ones",
    ),
    Mutant(
        "survival: the interval is as wide as the variance",
        "survival.sql",
        Sql(
            "pow(c.surviving, exp(1.959963984540054 * sqrt(c.spread)",
            "pow(c.surviving, exp(1.959963984540054 * (c.spread)",
        ),
        SURVIVAL + "survival_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "time to downloads: a version that was met late was watched from its publication",
        "time_to_downloads.sql",
        Sql("coalesce(known.entered_on - versions.published_on, -1)", "-1"),
        SURVIVAL + "time_to_downloads_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "time to downloads: a version that had the number at the first snapshot comes to it",
        "time_to_downloads.sql",
        Sql("AND (known.entered_with IS NULL OR known.entered_with < n)", "AND true"),
        SURVIVAL + "time_to_downloads_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "time to downloads: a version is watched on after it came to the number",
        "time_to_downloads.sql",
        Sql("coalesce(reached.date, known.downloads_on)", "known.downloads_on"),
        SURVIVAL + "time_to_downloads_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "files: the month of the newest date is merged, too",
        "Release._merged",
        Code("len($small) > 1 and $month < month_of($newest)", "len($small) > 1"),
        "transforms/test_merged_files.py::test_every_month_that_is_over_has_one_file",
    ),
    Mutant(
        "time to downloads: a version has a round number only when it has more",
        "milestones",
        Code('$round.search_sorted($number, side="right")', '$round.search_sorted($number, side="left")'),
        SURVIVAL + "time_to_downloads_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "time to downloads: only round numbers are reached",
        "time_to_downloads.sql",
        Sql("WHERE NOT regexp_full_match(CAST(n AS VARCHAR), '[125]0+')", "WHERE false"),
        SURVIVAL + "time_to_downloads_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "time to downloads: a version enters with its last known number",
        "_seen",
        Code('$is_known & pl.col($counters[DOWNLOADS] or "").is_null()', "$is_known"),
        SURVIVAL + "time_to_downloads_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "time to downloads: a hidden number is watched on",
        "_seen",
        Code('pl.when($is_known).then(pl.lit($on)).otherwise("downloads_on")', "pl.lit($on)"),
        SURVIVAL + "what_the_build_carries_for_macros_is_what_the_facts_have[last known]",
    ),
    Mutant(
        "half-life: what a version had on the day of its publication was gained after it",
        "half_life.sql",
        Sql(
            "coalesce(earlier.downloads, CASE WHEN spans.age_before <= 0 THEN 0 END)",
            "CASE WHEN spans.age_before <= 0 THEN 0 ELSE earlier.downloads END",
        ),
        HISTORIES,
    ),
    Mutant(
        "half-life: a first number after the first week is one of that week",
        "half_life.sql",
        Sql("AND gains.is_between", ""),
        SURVIVAL + "a_number_that_was_withheld_for_the_first_week_says_nothing_of_that_week",
    ),
    Mutant(
        "half-life: downloads fade at the end of a whole week only",
        "half_life.sql",
        Sql(
            "ON first_weeks.version_id = known.version_id\n)",
            "ON first_weeks.version_id = known.version_id AND known.age_days % 7 = 0\n)",
        ),
        SURVIVAL + "half_lives_are_what_lifelines_estimates",
    ),
    Mutant(
        "half-life: a number of three weeks ago is taken for that of the week before",
        "fading",
        Code('$looked & ($col("downloads_on") == $on - $duration(days=WEEK))', "$looked"),
        SURVIVAL + "no_fall_is_noted_from_a_number_of_three_weeks_ago",
    ),
    Mutant(
        "half-life: a fall that was noted for another date of publication ends the search",
        "half_life.sql",
        Sql("AND fading.published_on = versions.published_on", ""),
        SURVIVAL + "a_fall_that_was_noted_for_another_date_of_publication_does_not_count",
    ),
    Mutant(
        "half-life: a version is watched only when its publication is stated",
        "fading",
        Code("pl.min_horizontal($published.dt.date(), $today)", "$published.dt.date()"),
        SURVIVAL + "a_version_whose_publication_was_stated_late_has_all_its_numbers",
    ),
    Mutant(
        "half-life: the number of the day of the fall is not kept",
        "watched",
        Code(
            '$versions.filter(pl.col("fell_on").is_null() | (pl.col("fell_on") == $on))',
            '$versions.filter(pl.col("fell_on").is_null())',
        ),
        SURVIVAL + "half_lives_are_what_lifelines_estimates",
    ),
    Mutant(
        "quartiles: the evidence of the median is that of the last age",
        "quartiles.sql",
        Sql(
            "arg_min(c.at_risk, c.age_days) FILTER (round(c.surviving, 9) <= 0.5)",
            "arg_max(c.at_risk, c.age_days) FILTER (round(c.surviving, 9) <= 0.5)",
        ),
        SURVIVAL + "time_to_downloads_is_what_lifelines_estimates_with_delayed_entry",
    ),
    Mutant(
        "macros: an unknown name has an empty answer",
        "known.sql",
        Sql("CASE WHEN names.has_it IS NOT FALSE", "CASE WHEN true"),
        SURVIVAL + "an_unknown_name_is_an_error_that_tells_the_nearest_ones",
    ),
    Mutant(
        "removed models: null is no date, and not all",
        "removed_models.sql",
        Sql("(since IS NULL OR", "(false OR"),
        SURVIVAL + "what_is_not_asked_for_is_all",
    ),
    Mutant(
        "version_wide: the lower bound of approval is no Wilson interval",
        "approval_lower_bound",
        Sql(") / (1 +", ") * (1 +"),
        ANALYSES + "the_approval_of_a_version_is_that_of_the_marts",
    ),
    Mutant(
        "half-life: what was gained in a gap was gained on its last day",
        "half_life.sql",
        Sql("END * k.back / k.span", "END"),
        SURVIVAL + "half_lives_are_what_lifelines_estimates",
    ),
    Mutant(
        "half-life: the downloads of all types count",
        "half_life.sql",
        Sql("models.type = {known of_type models type}", "true"),
        SURVIVAL + "the_half_life_of_a_base_model_and_type_is_one_row",
    ),
    Mutant(
        "adoption: what a gap shows belongs to the week that shows it",
        "longer_of_range",
        Code('$rows.filter(pl.col("downloads_days") > 1)', '$rows.filter(pl.col("downloads_days") > 2)'),
        MARKETS + "adoption_is_told_by_weeks_since_the_first_version_and_a_gap_is_shared_out",
    ),
    Mutant(
        "macros: what a gap shows counts in the mart, too",
        "mart_flows.sql",
        Sql("$mart.downloads_delta - coalesce($longest.downloads_delta, 0)", "$mart.downloads_delta"),
        ANALYSES + "a_flow_that_began_before_a_window_counts_by_its_share_of_days",
    ),
    Mutant(
        "adoption: unknown creators are one more creator",
        "adoption.sql",
        Sql("CASE WHEN models.username <> '(unknown)' THEN models.username END", "models.username"),
        MARKETS + "adoption_is_told_by_weeks_since_the_first_version_and_a_gap_is_shared_out",
    ),
    Mutant(
        "creator migration: who never published for the first base model moved from it",
        "creator_migration.sql",
        Sql("WHERE counts.from_versions_before > 0", "WHERE true"),
        MARKETS + "creators_migrate_with_their_first_version_for_another_base_model",
    ),
    Mutant(
        "creator migration: who took up a base model yesterday has left the other one",
        "creator_migration.sql",
        Sql("WHEN asked.until - counts.took_up_on >= {settling_days}", "WHEN true"),
        MARKETS + "creators_migrate_with_their_first_version_for_another_base_model",
    ),
    Mutant(
        "creator migration: nobody ever has left",
        "creator_migration.sql",
        Sql("WHEN asked.until - counts.took_up_on >= {settling_days}", "WHEN false"),
        MARKETS + "a_creator_has_left_a_base_model_after_90_days_without_a_version",
    ),
    Mutant(
        "creator migration: days since the other base model are those since its last version",
        "creator_migration.sql",
        Sql("counts.took_up_on - counts.stopped_on", "counts.took_up_on - counts.last_from_on"),
        MARKETS + "creators_migrate_with_their_first_version_for_another_base_model",
    ),
    Mutant(
        "concentration: the largest model is the smallest",
        "concentration.sql",
        Sql("arg_max(o.model_id", "arg_min(o.model_id"),
        MARKETS + "concentration_is_that_of_creators_per_base_model_and_for_all",
    ),
    Mutant(
        "concentration: unknown creators are one creator",
        "concentration.sql",
        Sql("AND models.username <> '(unknown)'", "AND true"),
        MARKETS + "concentration_is_that_of_creators_per_base_model_and_for_all",
    ),
    Mutant(
        "trending tags: a new model counts by its downloads a day since its publication",
        "trending_tags.sql",
        Sql("CASE WHEN births.model_id IS NULL THEN", "CASE WHEN true THEN"),
        MARKETS + "tags_rise_with_the_downloads_a_day_of_the_models_that_have_them",
    ),
    Mutant(
        "trending tags: the share of the largest model is that of the smallest",
        "trending_tags.sql",
        Sql("max(rates.downloads) / sum", "min(rates.downloads) / sum"),
        MARKETS + "tags_rise_with_the_downloads_a_day_of_the_models_that_have_them",
    ),
    Mutant(
        "trending tags: a model whose time before is unknown had nothing before",
        "trending_tags.sql",
        Sql("AND (flows.downloads_before IS NOT NULL OR births.model_id IS NOT NULL)", "AND true"),
        HISTORIES,
    ),
    Mutant(
        "weekday pattern: the range of a weekday is its median",
        "weekday_pattern.sql",
        Sql("max(daily.downloads) AS", "median(daily.downloads) AS"),
        MARKETS + "weekdays_have_medians_of_days_between_two_complete_snapshots",
    ),
    Mutant(
        "weekday pattern: a partial day is a day",
        "weekday_pattern.sql",
        Sql("JOIN counted_days AS c ON c.date = d.date", "JOIN star.dim_date AS c ON c.date = d.date"),
        MARKETS + "weekdays_have_medians_of_days_between_two_complete_snapshots",
    ),
    # Publish
    Mutant(
        "the old analytics.duckdb goes before the new one is there",
        "replace_database",
        Code(
            "$by.replace(real($path))",
            '(real($path).unlink(missing_ok=True), __import__("time").sleep(0.1), $by.replace(real($path)))',
        ),
        READER,
    ),
    Mutant(
        "files that the newest publish does not name go at once",
        "FILES_KEPT_FOR",
        Code("timedelta(days=1)", "timedelta(0)"),
        READER,
    ),
    # Compact
    Mutant(
        "compact: archived observations are not read",
        "all_rows",
        Code("not $files", "True"),
        COMPACT + "observations_of_closed_months_leave_the_warehouse_and_are_read_all_the_same",
    ),
    Mutant(
        "compact: archived observations stay in the warehouse",
        "_write_anew",
        Sql("where snapshot_date >= $1", "where snapshot_date >= $1 or true"),
        COMPACT + "observations_of_closed_months_leave_the_warehouse_and_are_read_all_the_same",
    ),
    Mutant(
        "compact: a partial snapshot closes the months before it",
        "closed_before",
        Code('$row.status == "complete"', "$row.status"),
        COMPACT + "a_month_is_closed_by_a_complete_snapshot_of_a_later_one_only",
    ),
    Mutant(
        "compact: rows are counted, not compared",
        "refuse_difference",
        Code("($count, $total) != ($other_count, $other_total)", "$count != $other_count"),
        COMPACT + "what_a_rebuild_would_not_give_again_is_not_given_up",
    ),
    Mutant(
        "compact: a month is sorted by date and key",
        "merge",
        Code('[$name for $name in $columns if $name != "snapshot_date"] + ["snapshot_date"]', "$columns"),
        COMPACT + "a_month_is_sorted_by_key_and_date_and_says_what_its_columns_are",
    ),
    Mutant(
        "upgrade: it goes on with what other crawls were made into",
        "Unfinished.taken",
        Code("$found if $found.made_of == self._made_of($found.until) else None", "$found"),
        UNFINISHED + "it_begins_again_if_raw_has_something_else_of_a_date_that_it_has_taken_in",
    ),
    Mutant(
        "upgrade: it goes on with a damaged file",
        "Unfinished.taken",
        Code("self._lake.refuse_damaged($found.files)", "pass"),
        UNFINISHED + "it_begins_again_if_a_file_is_damaged",
    ),
    Mutant(
        "upgrade: it takes the last date in again",
        "build",
        Code("$day.on > $taken.until", "$day.on >= $taken.until"),
        UNFINISHED + "an_upgrade_goes_on_where_it_was_killed",
    ),
    Mutant(
        "upgrade: a refusal is lost with the process that found it",
        "replay",
        Code("$unfinished and not $replayed.refusals", "$unfinished"),
        UNFINISHED + "a_refusal_is_not_lost_with_the_upgrade_that_found_it",
    ),
    Mutant(
        "compact: a late date does not open its month",
        "files_before",
        Code("month_of($late)", "$late"),
        COMPACT + "late_data_after_compacting_ends_where_it_would_have_ended_before",
    ),
    Mutant(
        "compact: a rebuild of a date keeps its merged month",
        "rebuild",
        Code('(("daily", $on), ("monthly", month_of($on)))', '(("daily", $on),)'),
        COMPACT + "a_rebuild_of_some_dates_makes_their_months_anew_and_keeps_the_files_of_others",
    ),
    Mutant(
        "compact: a month that is kept is there once for each of its dates",
        "Release.add",
        Code("$kept not in self._files", "True"),
        COMPACT + "a_rebuild_of_some_dates_makes_their_months_anew_and_keeps_the_files_of_others",
    ),
    # Withheld counters
    Mutant(
        "a collapse that is withheld is published",
        "build_day",
        Code("not $each.is_accepted", "False"),
        GUARD + "a_day_of_zeros_is_withheld_and_the_next_flow_spans_it",
    ),
    Mutant(
        "a withheld day forgets the last known value",
        "daily_rows",
        Code(
            "$observed.with_columns(pl.lit(None, dtype=$observed.schema[$name]).alias($name) for $name in $withheld)",
            "$observed.with_columns(pl.lit(0, dtype=$observed.schema[$name]).alias($name) for $name in $withheld)",
        ),
        GUARD + "a_day_of_zeros_is_withheld_and_the_next_flow_spans_it",
    ),
    Mutant(
        "half is a collapse",
        "_numbers",
        Code("2 * $now < $before", "2 * $now <= $before"),
        GUARD + "a_fall_to_half_is_a_fall_and_one_below_half_is_a_collapse",
    ),
    Mutant(
        "only zeros are a collapse",
        "_numbers",
        Code("2 * $now < $before", "$now == 0"),
        GUARD + "a_fall_to_half_is_a_fall_and_one_below_half_is_a_collapse",
    ),
    Mutant(
        "a handful that collapses is withheld",
        "collapses",
        Code("$fell >= ENTITIES_AT_LEAST", "$fell > 0"),
        GUARD + "few_that_collapse_are_published_as_they_are",
    ),
    Mutant(
        "the share that may collapse is no limit",
        "collapses",
        Code("$fell >= ENTITIES_AT_LEAST and $fell > $max_share * $had_any", "$fell >= ENTITIES_AT_LEAST"),
        GUARD + "a_fifth_may_collapse",
    ),
    Mutant(
        "what is born on a withheld day has no flow when it is shown",
        "daily_rows",
        Code('pl.when(pl.col("is_new") | $is_awaited($name))', 'pl.when(pl.col("is_new"))'),
        GUARD + "what_is_born_on_a_withheld_day_counts_as_first_seen_when_it_is_shown",
    ),
    Mutant(
        "everything first seen on a withheld day is born when it is shown",
        "daily_rows",
        Code(
            'pl.when(pl.col("is_new") & pl.col(f"{$name}_given"))',
            'pl.when(pl.col("is_first") & pl.col(f"{$name}_given"))',
        ),
        GUARD + "what_is_born_on_a_withheld_day_counts_as_first_seen_when_it_is_shown",
    ),
    Mutant(
        "a hidden counter of what is born on a withheld day is awaited",
        "daily_rows",
        Code('pl.when(pl.col("is_new") & pl.col(f"{$name}_given"))', 'pl.when(pl.col("is_new"))'),
        GUARD + "what_is_born_on_a_withheld_day_counts_as_first_seen_when_it_is_shown",
    ),
    Mutant(
        "the mart has stocks of withheld counters",
        "_without_withheld",
        Code("sorted($unknown & {*$rows.columns})", "[]"),
        GUARD + "stocks_of_the_mart_are_null_and_its_balance_spans_the_day",
    ),
    Mutant(
        "the balance of the mart does not span a withheld day",
        "mart_terms",
        Code("$inputs.held[STATE_STOCK.name] if $inputs.counted_on else $before", "$before"),
        GUARD + "stocks_of_the_mart_are_null_and_its_balance_spans_the_day",
    ),
    Mutant(
        "the balance of the mart spans a withheld day for ever",
        "note_stock",
        Code("{STATE_STOCK.name: $kept.clear()} if $kept.height else {}", "{}"),
        GUARD + "what_is_born_on_a_withheld_day_counts_as_first_seen_when_it_is_shown",
    ),
    Mutant(
        "an accepted collapse is withheld",
        "collapses",
        Code("counter_name($fact, $counter) in $accepted", "False"),
        GUARD + "a_collapse_that_is_accepted_is_published_on_its_date_and_in_every_rebuild",
    ),
    Mutant(
        "an accepted collapse is no news",
        "_dates_with_news",
        Code(
            'return {*$new["snapshot_date"], *$gone["snapshot_date"], *$accepted}',
            'return {*$new["snapshot_date"], *$gone["snapshot_date"]}',
        ),
        GUARD + "a_collapse_that_is_accepted_is_published_on_its_date_and_in_every_rebuild",
    ),
    Mutant(
        "counters that stand still are not reported",
        "frozen_counters",
        Code('(pl.col("moved") == 0)', '(pl.col("moved") < 0)'),
        GUARD + "counters_that_stand_still_for_everything_are_told_and_published",
    ),
    Mutant(
        "counters that stand still are reported on the first day only",
        "carried",
        Code('pl.when(pl.col("moved") > 0).then("moved").otherwise(pl.coalesce("moved_before", "moved"))', '"moved"'),
        GUARD + "counters_that_stand_still_for_everything_are_told_and_published",
    ),
    Mutant(
        "macros: a window ends at a withheld date",
        "counted_days.sql",
        Sql(
            "FROM star.dim_date AS $d ANTI JOIN $withheld ON $withheld.snapshot_date = $d.date",
            "FROM star.dim_date AS $d",
        ),
        GUARD + "windows_of_macros_end_and_begin_at_dates_that_have_downloads",
    ),
    # Ranges of ids
    Mutant(
        "ranges: a version whose new owner is in another range leaves all that it has behind",
        "move_versions",
        Code("$leaving.height", "False"),
        RANGES + "a_version_that_moves_to_another_range_takes_its_counters_and_files_along",
    ),
    Mutant(
        "ranges: a version whose new owner is in another range leaves its counters behind",
        "_OF_VERSIONS",
        Code("counters_state(FactModelVersionDaily).name", "STATE_STOCK.name"),
        RANGES + "a_version_that_moves_to_another_range_takes_its_counters_and_files_along",
    ),
    Mutant(
        "ranges: a version whose new owner is in another range is watched twice",
        "_OF_VERSIONS",
        Code("STATE_FADING.name", "STATE_STOCK.name"),
        RANGES + "a_version_that_moves_to_another_range_takes_its_counters_and_files_along",
    ),
    Mutant(
        "ranges: only those with records of the date have a stock",
        "_build",
        Code("{WHOLE, *$models.ranges, *$not_found, *$held}", "{WHOLE, *$models.ranges, *$not_found}"),
        RANGES + "versions_of_a_range_without_records_stay_in_the_stock_of_the_mart",
    ),
    Mutant(
        "ranges: the measures of those without news are lost",
        "_measures",
        Code("pl.concat([$before, $today])", "$today"),
        RANGES + "rows_of_ranges_without_news_count_in_the_share_of_nulls",
    ),
    Mutant(
        "ranges: a file is written again for the news of others",
        "Release._written",
        Code("not $changed.keys() & set($of_file)", "not $changed"),
        RANGES + "a_change_writes_the_file_of_its_ranges_and_leaves_the_others_alone",
    ),
    Mutant(
        "ranges: a file stays as it was though one of its ranges has news",
        "Release._written",
        Code("$of_file in $as_they_were and not $changed.keys() & set($of_file)", "$of_file in $as_they_were"),
        RANGES + "a_change_writes_the_file_of_its_ranges_and_leaves_the_others_alone",
    ),
    Mutant(
        "ranges: a counter that collapsed over all of them is not withheld when they are built again",
        "build_day",
        Code(
            "if $withheld:\n    $undo()\n    $result = _build($read, $withheld, $side_by_side)",
            "if $withheld:\n    $undo()\n    $result = _build($read, {}, $side_by_side)",
        ),
        GUARD + "a_day_of_zeros_is_withheld_and_the_next_flow_spans_it",
    ),
    Mutant(
        "ranges: the rows of a date that is built again are there twice",
        "Release.savepoint",
        Code("self._discard()", "pass"),
        GUARD + "a_day_of_zeros_is_withheld_and_the_next_flow_spans_it",
    ),
    Mutant(
        "ranges: a date that is rolled back leaves rows that may change",
        "Release.savepoint",
        Code("self._files, self._changed = $files, $changed", "self._files = $files"),
        DECISIONS + "a_healthy_catalogue_recovers_by_itself_and_no_date_is_compared_with_a_refused_one",
    ),
    # Dates that do not count
    Mutant(
        "a refused date is compared with",
        "replay",
        Code("$roll_back = $star.savepoint()", "$roll_back = $star.savepoint"),
        DECISIONS + "a_healthy_catalogue_recovers_by_itself_and_no_date_is_compared_with_a_refused_one",
    ),
    Mutant(
        "a refused date is the snapshot before the next one",
        "replay",
        Code("replace($planned, before=$before)", "$planned"),
        DECISIONS + "two_dates_that_come_at_once_are_judged_one_by_one",
    ),
    Mutant(
        "a refusal is forgotten",
        "build",
        Code("decisions.store($warehouse, $refused)", "decisions.store($warehouse, [])"),
        DECISIONS + "a_refusal_is_kept_with_its_reason_and_told_once",
    ),
    Mutant(
        "a rebuild leaves out what its checks refuse",
        "rebuild",
        Code("raise $replayed.refusals[0].nothing_changed()", "pass"),
        DECISIONS + "a_rebuild_decides_nothing",
    ),
    Mutant(
        "an excluded date counts",
        "snapshot_days",
        Code('$crawls.filter(pl.col("verdict").is_null())', "$crawls"),
        DECISIONS + "an_excluded_date_is_a_gap_as_if_it_had_never_been_crawled",
    ),
    Mutant(
        "a date that is excluded stays in the star",
        "_dates_with_news",
        Code(
            'return {*$new["snapshot_date"], *$gone["snapshot_date"], *$accepted}',
            'return {*$new["snapshot_date"], *$accepted}',
        ),
        DECISIONS + "an_excluded_date_is_a_gap_as_if_it_had_never_been_crawled",
    ),
    Mutant(
        "observations of a crawl that does not count are read",
        "_counting",
        Code("(*$parameters, sorted($left_out))", "(*$parameters, [])"),
        DECISIONS + "a_date_that_was_crawled_again_has_the_second_crawl_alone",
    ),
    Mutant(
        "an included date is refused again",
        "run_checks",
        Code("$day.is_included", "False"),
        DECISIONS + "a_refused_date_that_is_included_counts_and_its_checks_are_waived_in_every_rebuild",
    ),
    Mutant(
        "what was published of a refused date is gone",
        "_new_crawls",
        Code("($new if $new.height else $day.crawls)", "$day.crawls"),
        DECISIONS + "a_crawl_that_completes_a_published_date_and_is_refused_leaves_what_was_published",
    ),
    Mutant(
        "a crawl that does not count is known to the next one of its date",
        "known",
        Sql("where snapshot_date = ? and not list_contains(?, crawl_id)", "where snapshot_date = ? and ? is not null"),
        BAD_DAYS + "a_day_that_is_left_out_can_be_crawled_again_on_the_same_day[refused]",
    ),
    Mutant(
        "a date that does not count is complete",
        "take_snapshot",
        Code('$row.status == "complete" and $row.crawl_id not in $out', '$row.status == "complete"'),
        BAD_DAYS + "a_day_that_is_left_out_can_be_crawled_again_on_the_same_day[excluded]",
    ),
    Mutant(
        "what only an excluded date showed is asked for",
        "expected_ids",
        Sql(
            "where coalesce(seen_on, denied_on) < ? and not list_contains(?, crawl_id)",
            "where coalesce(seen_on, denied_on) < ? and ? is not null",
        ),
        BAD_DAYS + "models_that_only_an_excluded_day_showed_are_not_asked_for",
    ),
    # Charts
    Mutant(
        "charts: a rate is what came in a week, not what came per day of it",
        "aggregated",
        Code('pl.col("gained") / pl.col("days")', 'pl.col("gained")'),
        GRAINS + "a_rate_is_what_came_by_the_days_that_it_took[0-week]",
    ),
    Mutant(
        "charts: a bar begins with the snapshot before it",
        "aggregated",
        Code('pl.col("spans") - 1', 'pl.col("spans")'),
        GRAINS + "a_bar_spans_the_days_since_the_snapshot_before_its_first_flow",
    ),
    Mutant(
        "charts: the mean of seven days is one of eight",
        "mean_of_seven_days",
        Code('f"{WINDOW}d"', '"8d"'),
        GRAINS + "the_mean_of_seven_days_begins_with_the_seventh_and_counts_a_gap_by_its_days",
    ),
    Mutant(
        "charts: the mean of seven days begins with the first",
        "mean_of_seven_days",
        Code('pl.col("window_days") >= WINDOW', 'pl.col("window_days") >= 1'),
        GRAINS + "the_mean_of_seven_days_begins_with_the_seventh_and_counts_a_gap_by_its_days",
    ),
    Mutant(
        "charts: a share is of what the name itself has",
        "formed",
        Code('$part.sum().over("bucket")', '$part.sum().over("name")'),
        GRAINS + "shares_are_of_all_names_and_unknown_where_nothing_came",
    ),
    Mutant(
        "charts: a part of which nothing is known is zero",
        "_parts",
        Code('pl.when(pl.col("number").is_not_null().any()).then(pl.col("number").sum())', 'pl.col("number").sum()'),
        DAILY + "what_is_not_chosen_is_one_grey_part_and_a_day_without_a_snapshot_has_no_bar",
    ),
    Mutant(
        "charts: the flow of a day with withheld downloads counts on that day",
        "base_models_daily.sql",
        Sql("download_count is null", "download_count < 0"),
        DAILY + "a_day_with_withheld_downloads_is_not_complete_for_a_chart",
    ),
    Mutant(
        "charts: April of two years is the same tick twice",
        "time_ticks",
        Code("$new or $texts.count($text) > 1", "$new"),
        AXES + "ticks_of_days_are_few_different_and_name_their_year[first0-5]",
    ),
    Mutant(
        "charts: ticks of all measures have one decimal",
        "_value_ticks",
        Code("max(0, -math.floor(math.log10($step) + 1e-9))", "1"),
        AXES + "nearly_equal_shares_do_not_all_read_the_same",
    ),
    Mutant(
        "charts: a count has ticks between two integers",
        "_value_ticks",
        Code("max(1.0, $step)", "$step"),
        AXES + "counts_have_no_ticks_between_two_integers",
    ),
    Mutant(
        "charts: a spike flattens the rest",
        "_without_spikes",
        Code("$value <= 4 * $usual", "$value <= 4000 * $usual"),
        AXES + "a_spike_is_cut_off_and_does_not_flatten_the_rest",
    ),
    Mutant(
        "charts: lines of near colours have the same dashes",
        "_too_near",
        Code("distance($one, $other) < NEAR", "distance($one, $other) < 0"),
        COLOURS + "any_seven_lines_differ_in_colour_for_everybody_or_in_their_dashes[False]",
    ),
    # The processes of `serve`
    Mutant(
        "serve: a child outlives its parent",
        "end_with",
        Code("ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)", "None"),
        SUPERVISED + "a_child_ends_with_a_parent_that_is_killed_and_does_not_take_sigterm",
    ),
    Mutant(
        "serve: its server takes the SIGTERM of a service manager",
        "_become",
        Code("signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})", "None"),
        SUPERVISED + "a_child_ends_with_a_parent_that_is_killed_and_does_not_take_sigterm",
    ),
    Mutant(
        "serve: a run is not recorded",
        "join_serve",
        Code("record($path)", "None"),
        SUPERVISED + "the_run_of_every_deployment_joins_serve_before_it_begins",
    ),
    Mutant(
        "serve: a process that has the number of a recorded one is ended",
        "SupervisedProcess.is_alive",
        Code("began($process) == $began", "began($process) is not None"),
        SUPERVISED + "a_process_that_only_has_the_number_of_a_recorded_one_is_left_alone",
    ),
    Mutant(
        "serve: each start begins the server's log anew",
        "write_log",
        Code('$path.open("ab")', '$path.open("wb")'),
        SUPERVISED + "the_log_of_a_server_goes_on_and_keeps_a_bounded_size",
    ),
    Mutant(
        "serve: the watchdog leaves out the lines before a rotation",
        "ServerLog._read",
        Code('self._file.read() if self._file else b""', 'b""'),
        SUPERVISED + "the_watchdog_reads_each_line_once_over_a_rotation_and_none_of_an_earlier_server",
    ),
    Mutant(
        "serve: the password of its client opens Prefect's pages to other machines",
        "check_host",
        Code("os.environ.get(SERVER_AUTH)", "os.environ.get(CLIENT_AUTH)"),
        SERVE + "prefects_pages_are_offered_to_other_machines_only_with_a_password[192.0.2.1-variables5-False]",
    ),
    Mutant(
        "serve: a night that is due at midnight is not missed",
        "was_due",
        Code("$midnight - timedelta(microseconds=1)", "$midnight"),
        SERVE + "a_night_was_due_once_its_time_of_today_has_passed[0 0 * * *-00:00:00-True]",
    ),
    Mutant(
        "serve: a run that a person cancelled goes on",
        "was_cut_off",
        Code("$state.is_cancelled() and (not _was_turned_away($state))", "$state.is_cancelled()"),
        SERVE + "a_run_that_ended_by_itself_or_by_a_person_was_not_cut_off[state1-False]",
    ),
    Mutant(
        "serve: a run that is completed is cancelled when serve ends",
        "FlowRunner.cancel_all",
        Code("await asyncio.gather(*$ends)", "await super().cancel_all()"),
        PREFECT + "a_run_that_is_completed_stays_so_if_its_runner_ends_while_its_process_exits",
    ),
    Mutant(
        "serve: every part of Prefect tells that the server is lost",
        "leave_out_its_lines",
        Code("logging.getLogger($name).disabled = True", "pass"),
        SERVE + "a_given_server_that_is_lost_while_a_run_works_is_told_in_one_line[True]",
    ),
    Mutant(
        "a log line that was cut short spoils the next one",
        "LogFile._append",
        Code("$file.write($whole) < len($whole)", "bool($file.write($whole) < 0)"),
        "flows/test_logs.py::test_a_record_that_fits_in_part_spoils_no_other_and_ends_nothing",
    ),
    Mutant(
        "a problem of an earlier run is not in a quiet log",
        "LoggedProgress.note",
        Code("isinstance($message, Problem)", "False"),
        "flows/test_console.py::test_a_note_comes_after_what_was_done_before_it_and_a_problem_is_a_warning",
    ),
    Mutant(
        "a crawl that goes on is as fast as all it has",
        "LoggedProgress._rate",
        Code("($done - self._done_before) / $seconds", "$done / $seconds"),
        "flows/test_console.py::test_a_crawl_that_goes_on_is_not_as_fast_as_what_it_had_done_before",
    ),
    Mutant(
        "a table that was not there before had no rows",
        "row_table",
        Code("$before.get($name)", "$before.get($name, 0)"),
        "flows/test_summary.py::test_a_table_that_was_not_there_before_has_no_change",
    ),
    Mutant(
        "a counter whose collapse was accepted is told as withheld",
        "day_of",
        Sql("and not is_accepted", ""),
        "flows/test_summary.py::test_a_day_has_what_was_found_on_it_and_nothing_of_others",
    ),
    Mutant(
        "a good night mails its lines",
        "_print_summary",
        Code("is_quiet()", "False"),
        "e2e/test_log.py::test_a_good_night_is_quiet_and_a_bad_one_says_why_and_the_log_has_both",
    ),
    # Status and messages
    Mutant(
        "status: a snapshot in the future is fresh",
        "PROBLEMS",
        Code("$known.age_seconds < -CLOCK_TOLERANCE.total_seconds()", "False"),
        STATUS + "a_snapshot_in_the_future_is_an_error_if_the_clocks_cannot_explain_it",
    ),
    Mutant(
        "status: an older complete snapshot is fresh without a word on the partial newest day",
        "_doubts",
        Code("$condition.newest_is_complete is False", "$condition.newest_is_complete is None"),
        STATUS + "text_names_everything_that_is_not_as_it_should_be",
    ),
    Mutant(
        "status: a day that met nothing of its lists is fresh without a word",
        "_is_partial",
        Code("$share is not None and $share < EXPECTED_SHARE", "False"),
        STATUS + "a_newest_day_that_met_nothing_is_not_fresh_without_a_word",
    ),
    Mutant(
        "status: a number that is not known is a metric of zero",
        "_published",
        Code("$number($condition) if $condition.is_published else None", "$number($condition)"),
        STATUS + "before_the_first_publish_machines_see_the_last_run_and_people_the_way_on",
    ),
    Mutant(
        "status: the withheld counters of all dates are those of the newest",
        "_quality",
        Code(
            "tuple($counter for ($day, $counter) in $rows if $day == $newest)",
            "tuple($counter for ($day, $counter) in $rows)",
        ),
        STATUS + "the_condition_is_what_the_days_were",
    ),
    Mutant(
        "status: a gap of long ago, or one that a person decided, is a problem for ever",
        "Condition.recently_missing",
        Code("$day >= $since and $day not in $condition.excluded", "True"),
        STATUS + "what_is_unknown_old_or_decided_is_no_problem",
    ),
    Mutant(
        "messages: a failed attempt is said while another one is to come",
        "is_over",
        Code("$now >= datetime.combine($run.next_attempt_at.date() + timedelta(days=1), time(), UTC)", "True"),
        MESSAGES + "nothing_is_said_of_an_attempt_while_another_one_is_to_come_and_a_night_that_mends_itself_is_silent",
    ),
    Mutant(
        "messages: each attempt of a date is said again",
        "due",
        Code("($each.date, $each.topic) not in $said.incidents", "True"),
        MESSAGES + "a_bad_day_is_said_once_and_so_is_the_first_good_one_after_it",
    ),
    Mutant(
        "messages: the run before the incident ends it",
        "due",
        Code("$run.ended_at > $said.at", "True"),
        MESSAGES + "a_good_run_before_the_incident_is_not_its_end",
    ),
    Mutant(
        "messages: a snapshot is late before its hour",
        "Deadline.expected",
        Code("$by if $by <= $now else $by - timedelta(days=1)", "$by"),
        MESSAGES + "a_night_that_never_began_is_said_at_the_hour",
    ),
    # Backup and restore
    Mutant(
        "a damaged file of a backup is restored",
        "BackupFolder.refuse_damaged",
        Code("sha256_of($path, $report) != $sha256", "False"),
        BACKUP + "a_damaged_backup_is_refused_before_anything_is_replaced[a bit of a file]",
    ),
    Mutant(
        "a manifest that somebody changed is believed",
        "BackupFolder.manifest",
        Code("$manifest != $manifest.sealed()", "False"),
        BACKUP + "a_damaged_backup_is_refused_before_anything_is_replaced[a count is edited]",
    ),
    Mutant(
        "a damaged file of the data directory takes the place of a whole one in the backup",
        "describe",
        Code("$content.hexdigest() != $named[1]", "False"),
        BACKUP + "a_damaged_file_of_the_data_directory_stays_out_of_a_backup_which_puts_it_back[lake/star]",
    ),
    Mutant(
        "a backup is replaced by one with fewer dates",
        "_refuse_poorer",
        Code("lost_dates($observations, $before.observations)", "[]"),
        BACKUP + "nobody_loses_what_a_backup_or_a_data_directory_has_alone",
    ),
    Mutant(
        "a restore replaces other data",
        "_refuse_richer",
        Code('$load not in ("", $manifest.first_load)', "False"),
        BACKUP + "nobody_loses_what_a_backup_or_a_data_directory_has_alone",
    ),
    Mutant(
        "what a restore replaces is lost",
        "_swapped",
        Code('f"{$place.name}.{$stamp}"', "$place.name"),
        BACKUP + "nobody_loses_what_a_backup_or_a_data_directory_has_alone",
    ),
    Mutant(
        "a data directory that is half restored is written to",
        "_refuse_half_restored",
        Code("$restoring.exists()", "False"),
        BACKUP + "a_restore_that_is_killed_at_any_step_is_completed_by_the_next_one",
    ),
    Mutant(
        "a backup keeps files that no manifest names",
        "BackupFolder.commit",
        Code("$left_over.unlink()", "pass"),
        BACKUP + "a_second_backup_copies_what_is_new_and_deletes_what_no_manifest_names",
    ),
    Mutant(
        "a disk that is too small is filled by a backup",
        "refuse_too_small",
        Code("$free < $wanted[$device] + _SLACK", "False"),
        BACKUP + "a_disk_without_room_is_told_before_anything_is_written",
    ),
    Mutant(
        "a backup keeps a snapshot waiting",
        "_between",
        Code("$safe_point()", "None"),
        BACKUP + "a_backup_stops_for_a_snapshot_that_waits_and_starts_again_after_it",
    ),
    # The doctor
    Mutant(
        "doctor: a key that the service does not know is no word worth",
        "_Service.key",
        Code("$error.status != _UNAUTHORIZED", "True"),
        DOCTOR + "the_key_is_tried_where_the_service_asks_for_one",
    ),
    Mutant(
        "doctor: an untrusted certificate is a service that does not answer",
        "_Service.certificate",
        Code("isinstance($cause, ssl.SSLCertVerificationError)", "False"),
        DOCTOR + "the_certificate[expired]",
    ),
)
