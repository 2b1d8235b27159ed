"""The list: what is broken, the text that breaks it, and the test that fails then.

A text stands exactly once in its file (`test_mutants.py`), so that a change of a rule shows here at once.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`old` in `file` becomes `new`, and the test `caught_by` (a pytest node id below tests/) fails."""

    rule: str
    file: str
    old: str
    new: str
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
COMPACT = "transforms/test_compact.py::test_"
QUALITY = "transforms/test_quality.py::test_"
ANALYSES = "transforms/test_analyses.py::test_"
HISTORIES = (
    "transforms/test_generated_histories.py::"
    "test_any_history_gives_true_periods_and_flows_a_balanced_mart_and_the_same_files_by_day_and_by_rebuild"
)
READER = "transforms/test_readers.py::test_a_reader_in_a_loop_during_20_publishes_sees_one_whole_date_each_time"

MUTANTS = (
    # Facts
    Mutant(
        "a flow is clipped at zero",
        "transforms/facts.py",
        '.otherwise(pl.col(name) - pl.col(f"{name}_known"))',
        '.otherwise((pl.col(name) - pl.col(f"{name}_known")).clip(0))',
        FACTS + "a_counter_that_falls_gives_a_negative_flow",
    ),
    Mutant(
        "a null counter becomes zero",
        "transforms/facts.py",
        'pl.col(metadata["source"].rsplit(".", 1)[-1]).alias(name)',
        'pl.col(metadata["source"].rsplit(".", 1)[-1]).fill_null(0).alias(name)',
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "a hidden day forgets the last known value",
        "transforms/facts.py",
        '**{name: pl.coalesce(name, f"{name}_known") for name in counters},',
        "**{name: pl.col(name) for name in counters},",
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "a day of absence forgets the last known value",
        "transforms/facts.py",
        "pl.concat([unseen, seen.select(state.columns)])",
        "seen.select(state.columns)",
        FACTS + "a_flow_reaches_through_absence_and_tombstones",
    ),
    Mutant(
        "every first observation is a birth",
        "transforms/facts.py",
        'pl.col("is_first") & (pl.col("published_at") > last_complete.started_at).fill_null(False)',
        'pl.col("is_first")',
        FACTS + "what_was_published_before_the_last_complete_crawl_began_has_no_flow_at_first",
    ),
    Mutant(
        "a first showing of a hidden counter is a birth",
        "transforms/facts.py",
        'is_first=pl.col("observed_on").is_null()',
        'is_first=pl.any_horizontal(pl.col(f"{name}_known").is_null() for name in list(counters)[:1])',
        FACTS + "a_counter_hidden_from_the_start_has_no_flow_when_it_is_first_shown",
    ),
    Mutant(
        "without a complete crawl before it, a first observation has its whole counter as flow",
        "transforms/facts.py",
        "is_birth = pl.lit(False)  # noqa: FBT003",
        'is_birth = pl.col("is_first")',
        FACTS + "a_first_observation_has_no_flow_and_the_next_has_the_difference",
    ),
    Mutant(
        "births count from the date of the last complete crawl, not from its start",
        "transforms/facts.py",
        '(pl.col("published_at") > last_complete.started_at)',
        '(pl.col("published_at").dt.date() >= last_complete.snapshot_date)',
        FACTS + "what_was_published_before_the_last_complete_crawl_began_has_no_flow_at_first",
    ),
    Mutant(
        "a partial crawl counts as the last complete one",
        "transforms/build.py",
        'complete = of_day.filter(pl.col("status") == "complete")',
        "complete = of_day",
        FACTS + "what_was_published_after_the_last_complete_crawl_began_is_flow_as_a_whole",
    ),
    Mutant(
        "a span is a day too long",
        "transforms/facts.py",
        '(pl.col("snapshot_date") - start).dt.total_days().cast(pl.Int32)',
        '(pl.col("snapshot_date") - start).dt.total_days().cast(pl.Int32) + 1',
        FACTS + "a_gap_is_a_gap_and_the_flow_after_it_says_its_span",
    ),
    Mutant(
        "the span of a birth is unknown",
        "transforms/facts.py",
        'span(pl.when("is_birth").then(since).otherwise("observed_on"))',
        'span(pl.col("observed_on"))',
        FACTS + "what_was_published_after_the_last_complete_crawl_began_is_flow_as_a_whole",
    ),
    Mutant(
        "downloads_days has a value where downloads_delta has none",
        "transforms/facts.py",
        "pl.when(pl.col(flow).is_not_null()).then(span(start))",
        "span(start)",
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "downloads_days spans from a day on which the counter was hidden",
        "transforms/facts.py",
        'pl.when(pl.col(DOWNLOADS).is_not_null()).then(pl.lit(on)).otherwise("downloads_on")',
        "pl.lit(on)",
        FACTS + "a_hidden_counter_is_null_and_its_flow_waits_for_the_next_known_value",
    ),
    Mutant(
        "an image of a showcase has no age",
        "transforms/day.py",
        'for kind in ("image", "model"))',
        'for kind in ("image",))',
        FACTS + "an_image_is_as_old_as_its_upload_wherever_it_is_met",
    ),
    Mutant(
        "a model is as old as its latest version",
        "transforms/flatten.py",
        'published = versions.group_by("model_id").agg(pl.col("published_at").min())',
        'published = versions.group_by("model_id").agg(pl.col("published_at").max())',
        FACTS + "a_model_is_as_old_as_its_earliest_version",
    ),
    # History
    Mutant(
        "an interval ends a day late",
        "transforms/history.py",
        ".with_columns(valid_to=pl.lit(on), is_current",
        '.with_columns(valid_to=pl.lit(on).dt.offset_by("1d"), is_current',
        HISTORY + "a_tracked_column_opens_a_row_and_a_latest_column_is_corrected_in_place",
    ),
    Mutant(
        "history without its anti-join opens a row every day",
        "transforms/history.py",
        'incoming.join(open_rows, on=key, how="anti", maintain_order="left"),',
        "incoming,",
        FACTS + "a_partial_crawl_counts_as_an_earlier_observation",
    ),
    Mutant(
        "a dimension without its anti-join has a second row",
        "transforms/history.py",
        'incoming.join(rows, on=key, how="anti", maintain_order="left")',
        "incoming",
        HISTORY + "a_name_that_is_listed_every_day_is_one_row",
    ),
    Mutant(
        "a latest column opens a row",
        "transforms/history.py",
        'tracked = table.with_metadata(history="tracked")',
        'tracked = table.with_metadata(history="tracked") | table.with_metadata(history="latest")',
        HISTORY + "a_tracked_column_opens_a_row_and_a_latest_column_is_corrected_in_place",
    ),
    Mutant(
        "a latest column stays as it was",
        "transforms/history.py",
        'pl.col(name + INCOMING).alias(name) for name in table.with_metadata(history="latest")',
        'pl.col(name) for name in table.with_metadata(history="latest")',
        HISTORY + "a_tracked_column_opens_a_row_and_a_latest_column_is_corrected_in_place",
    ),
    Mutant(
        "a change from null or to null is none",
        "transforms/history.py",
        "pl.col(name).ne_missing(pl.col(name + INCOMING))",
        "pl.col(name).ne(pl.col(name + INCOMING)).fill_null(False)",
        HISTORIES,
    ),
    Mutant(
        "what is gone is not told from what changed",
        "transforms/history.py",
        'pl.lit(on if "removed_on" in table.columns() else None, dtype=pl.Date)',
        "pl.lit(None, dtype=pl.Date)",
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "a file that returns keeps the date of its removal",
        "transforms/history.py",
        "seen = seen.with_columns(removed_on=pl.lit(None, dtype=pl.Date))",
        "pass",
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "the date of a file's removal moves on with every day",
        "transforms/history.py",
        '.then(pl.coalesce("removed_on", pl.lit(on)))',
        ".then(pl.lit(on))",
        HISTORY + "a_file_that_left_its_version_keeps_the_date_on_which_it_did_until_it_returns",
    ),
    Mutant(
        "a partial crawl closes what it did not see",
        "transforms/day.py",
        "listed = listed if self.day.is_complete else listed.clear()",
        "pass",
        HISTORY + "a_partial_crawl_opens_rows_and_closes_none",
    ),
    Mutant(
        "a document seen under a partial crawl is not looked at again",
        "transforms/day.py",
        'is_settled = pl.col("is_valid") & (kind != "model" or self.day.is_complete)',
        'is_settled = pl.col("is_valid")',
        HISTORY + "a_partial_crawl_opens_rows_and_closes_none",
    ),
    Mutant(
        "a partial crawl buries what answered 404",
        "transforms/day.py",
        "return tombstones if self.day.is_complete else tombstones.clear()",
        "return tombstones",
        HISTORY + "only_a_complete_crawl_buries",
    ),
    Mutant(
        "a tombstone buries what the lists had that day",
        "transforms/day.py",
        'self.buried_models().join(seen, on="model_id", how="anti")',
        "self.buried_models()",
        HISTORY + "a_tombstone_of_a_model_that_the_lists_had_that_day_buries_nothing",
    ),
    Mutant(
        "the versions of a buried model stay",
        "transforms/day.py",
        'pl.concat([unlisted, served.join(buried, on="model_id", how="semi")])',
        "pl.concat([unlisted])",
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "tags and hashes of what is gone stay",
        "transforms/day.py",
        'pl.concat([missing, held.join(removed, on=owner, how="semi")]).unique()',
        "missing.unique()",
        HISTORY + "a_tombstone_closes_a_model_and_what_hangs_on_it_and_a_return_opens_an_equal_row",
    ),
    Mutant(
        "a model that returns unchanged after a tombstone is not decoded",
        "transforms/day.py",
        'is_settled=pl.col("is_settled") & pl.col("is_buried").is_null()',
        'is_settled=pl.col("is_settled")',
        FACTS + "a_flow_reaches_through_absence_and_tombstones",
    ),
    Mutant(
        "an answer by id opens and closes rows",
        "transforms/staged.py",
        'observations.filter(is_listed | ~pl.col("entity_id").is_in(held["entity_id"].implode())).join(',
        "observations.join(",
        HISTORY + "an_answer_to_a_reconcile_counts_as_seen_and_opens_and_closes_nothing",
    ),
    Mutant(
        "an answer by id brings the images of its showcase",
        "transforms/day.py",
        """listed = models.observations.filter("is_listed")
        metrics""",
        """listed = models.observations
        metrics""",
        HISTORY + "an_answer_to_a_reconcile_counts_as_seen_and_opens_and_closes_nothing",
    ),
    Mutant(
        "a model whose document was not read today lists nothing",
        "transforms/day.py",
        """listed = models.decoded.select(MODEL_ID)
        listed =""",
        """listed = seen
        listed =""",
        HISTORY + "an_id_that_is_not_seen_without_a_404_changes_nothing",
    ),
    Mutant(
        "a record that was set aside is as good as read",
        "transforms/staged.py",
        'decoded.append(records.filter(pl.col("reason").is_null()).select("entity_id"))',
        'decoded.append(records.select("entity_id"))',
        BUILD + "a_record_that_breaks_and_mends_keeps_its_history",
    ),
    Mutant(
        "a record that was set aside counts all the same",
        "transforms/staged.py",
        'bad = set_aside_rows.select("entity_id").unique()',
        'bad = set_aside_rows.select("entity_id").clear()',
        BUILD + "a_record_that_stays_broken_is_in_quarantine_on_every_day_and_never_buried",
    ),
    Mutant(
        "a version belongs to whoever lists it and has the lowest id",
        "transforms/day.py",
        'pl.concat([first, lowest.join(first, on="version_id", how="anti")])',
        "lowest",
        HISTORY + "a_version_that_two_models_list_stays_with_the_first_as_long_as_that_lists_it",
    ),
    Mutant(
        "a model that lists a version of another one needs no second look",
        "transforms/day.py",
        '& ~pl.struct("kind", "entity_id").is_in(contested.to_struct("contested").implode())',
        "& pl.lit(True)",
        HISTORY + "a_version_that_two_models_list_stays_with_the_first_as_long_as_that_lists_it",
    ),
    Mutant(
        "a version stays with a model that let it go",
        "transforms/day.py",
        'first.join(let_go, on="version_id", how="anti").join(buried, on="model_id", how="anti")',
        'first.join(buried, on="model_id", how="anti")',
        HISTORY + "a_version_that_two_models_list_stays_with_the_first_as_long_as_that_lists_it",
    ),
    Mutant(
        "the counters of a version are those of another model that lists it",
        "transforms/day.py",
        "counted.sort(~is_of_owner, maintain_order=True)",
        "counted.sort(is_of_owner, maintain_order=True)",
        HISTORY + "the_counters_of_a_version_that_two_models_list_are_those_of_its_owner",
    ),
    Mutant(
        "a text or an image without its anti-join is there twice",
        "transforms/day.py",
        'new = rows.join(known, on=key, how="anti", maintain_order="left")',
        "new = rows",
        HISTORY + "each_text_of_a_model_is_kept_once_and_a_return_to_it_opens_a_row",
    ),
    # Values
    Mutant(
        "a hash keeps its case",
        "transforms/flatten.py",
        'pl.col("hash").str.to_uppercase()',
        'pl.col("hash")',
        HISTORY + "a_hash_that_changes_on_a_new_upload_has_a_period",
    ),
    Mutant(
        "a tag of a model keeps its blanks",
        "transforms/flatten.py",
        'pl.col("tags").str.strip_chars().alias("tag")',
        'pl.col("tags").alias("tag")',
        HISTORIES,
    ),
    Mutant(
        "a tag of /tags keeps its blanks",
        "transforms/flatten.py",
        'pl.col("name").str.strip_chars().alias("tag")',
        'pl.col("name").alias("tag")',
        HISTORY + "a_name_that_is_listed_every_day_is_one_row",
    ),
    Mutant(
        "a version without a base model has none",
        "transforms/flatten.py",
        'pl.col("base_model").fill_null(UNKNOWN),',
        'pl.col("base_model"),',
        HISTORY + "an_unlisted_base_model_is_unclassified_and_counted",
    ),
    Mutant(
        "a model without a creator has none",
        "transforms/flatten.py",
        'pl.col("username").fill_null(UNKNOWN)',
        'pl.col("username")',
        HISTORY + "a_creator_that_is_omitted_is_the_unknown_creator_and_a_transfer_opens_a_row",
    ),
    Mutant(
        "a time without a zone is no UTC",
        "transforms/flatten.py",
        'expression.str.replace(r"(T[\\d:.]+)$", "${1}Z")',
        'expression.str.replace(r"(T[\\d:.]+)$", "${1}+02:00")',
        BUILD + "a_time_without_a_zone_is_utc",
    ),
    Mutant(
        "no list is null",
        "transforms/flatten.py",
        "return expression.fill_null(pl.lit([], dtype=dtype))",
        "return expression",
        HISTORY + "absent_null_and_empty_list_are_the_same",
    ),
    Mutant(
        "an empty description is a text",
        "transforms/flatten.py",
        "[text_hash(text) if text else None for text",
        "[text_hash(text) if text is not None else None for text",
        HISTORY + "an_empty_description_is_none",
    ),
    Mutant(
        "a version without a publication has no age",
        "transforms/flatten.py",
        'pl.coalesce("published_at", "created_at").alias("published_at")',
        'pl.col("published_at")',
        FACTS + "a_version_without_a_publication_is_as_old_as_its_making",
    ),
    Mutant(
        "a base model that the list lacks has no family",
        "transforms/base_models.py",
        'pl.col("family").fill_null(UNCLASSIFIED)',
        'pl.col("family")',
        HISTORY + "an_unlisted_base_model_is_unclassified_and_counted",
    ),
    # Mart
    Mutant(
        "a version that changes its base model is not reclassified",
        "transforms/mart.py",
        'moved = stayed & (pl.col("base_model") != pl.col("base_model_before"))',
        "moved = stayed & stock.is_null() & stock.is_not_null()",
        HISTORIES,
    ),
    Mutant(
        "the stock keeps counters that are hidden",
        "transforms/facts.py",
        '"is_shown": pl.col(DOWNLOADS).is_not_null(),',
        '"is_shown": pl.lit(True),',
        HISTORIES,
    ),
    Mutant(
        "the terms of the mart lack what was hidden",
        "transforms/mart.py",
        'downloads_hidden=pl.col("downloads_shown") - pl.col("downloads_hid")',
        'downloads_hidden=pl.col("downloads_shown")',
        MART + "a_version_without_counters_is_observed_under_a_partial_crawl_too",
    ),
    Mutant(
        "the terms of the mart lack what left",
        "transforms/mart.py",
        "downloads_left=amount(left, stock_before)",
        "downloads_left=amount(left, stock)",
        HISTORIES,
    ),
    Mutant(
        "what enters is counted as flow and as entered",
        "transforms/mart.py",
        "downloads_entered=amount(entered, stock - flow)",
        "downloads_entered=amount(entered, stock)",
        HISTORIES,
    ),
    Mutant(
        "births before any complete crawl are none instead of unknown",
        "transforms/mart.py",
        'pl.when(pl.lit(births is not None)).then("versions_published")',
        'pl.col("versions_published")',
        MART + "nobody_knows_what_was_published_before_there_is_a_complete_crawl",
    ),
    Mutant(
        "a share is one of the stock, not of the flow",
        "transforms/mart.py",
        'ratio(pl.col("downloads_delta"), pl.col("downloads_delta").sum())',
        'ratio(pl.col("downloads_delta"), pl.col("download_count").sum())',
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "a flow that nobody knows is zero in the mart",
        "transforms/mart.py",
        'pl.when(pl.col("downloads_delta").count() > 0).then(pl.col("downloads_delta").sum())',
        'pl.col("downloads_delta").sum()',
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "ratings that nobody gave are zero in the mart",
        "transforms/mart.py",
        "return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum())",
        "return pl.col(column).sum()",
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "a rating weighs as much as its version's counts, rated or not",
        "transforms/mart.py",
        'pl.col("rating_count").filter(pl.col("rating").is_not_null()).sum()',
        'pl.col("rating_count").sum()',
        MART + "ratings_are_weighted_with_the_counts_of_those_that_have_one",
    ),
    Mutant(
        "the Wilson bound is the upper one",
        "transforms/mart.py",
        "(centre - margin)",
        "(centre + margin)",
        MART + "approval_is_a_share_with_a_lower_bound_that_small_samples_lower",
    ),
    Mutant(
        "approval is a share of the recommendations",
        "transforms/mart.py",
        "votes = up + down",
        "votes = up",
        MART + "a_share_is_one_of_the_known_flows",
    ),
    Mutant(
        "the span of the mart is a day too long",
        "transforms/mart.py",
        "(on - previous).days",
        "(on - previous).days + 1",
        MART + "a_share_is_one_of_the_known_flows",
    ),
    # Books and builds
    Mutant(
        "duplicates are not counted",
        "transforms/day.py",
        "duplicates=repeated + met_again + (valid - recorded),",
        "duplicates=met_again + (valid - recorded),",
        BUILD + "duplicates_are_in_the_books",
    ),
    Mutant(
        "what a second crawl of a date met again is not counted",
        "transforms/day.py",
        "duplicates=repeated + met_again + (valid - recorded),",
        "duplicates=repeated + (valid - recorded),",
        HISTORIES,
    ),
    Mutant(
        "items without an id are in no book",
        "transforms/day.py",
        "quarantined=bad + rejected + refused_rows",
        "quarantined=bad + refused_rows",
        BUILD + "broken_records_end_in_quarantine_with_reason_and_payload_and_the_rest_is_loaded",
    ),
    Mutant(
        "books that do not balance are passed over",
        "transforms/build.py",
        "if not books.is_even:",
        "if books is None:",
        BUILD + "observations_lost_on_a_date_of_two_crawls_are_noticed",
    ),
    Mutant(
        "documents that raw lost are passed over",
        "transforms/staged.py",
        "if found != wanted.height:",
        "if found > wanted.height:",
        BUILD + "a_document_that_raw_lost_is_noticed",
    ),
    Mutant(
        "a late date is added at the end",
        "transforms/build.py",
        'is_late = not known.is_empty() and min(news) <= known["snapshot_date"].max()  # type: ignore[operator]',
        "is_late = False",
        BUILD + "a_late_crawl_of_a_past_day_changes_what_came_after_it",
    ),
    Mutant(
        "a rebuild reads the last date only",
        "transforms/build.py",
        "return _fold(star, raw, analytics, crawls, days, remade,",
        "return _fold(star, raw, analytics, crawls, days[-1:], remade,",
        HISTORIES,
    ),
    Mutant(
        "a date without an observation is a snapshot",
        "transforms/build.py",
        'if not of_day["observations"].sum():',
        "if of_day.is_empty():",
        BUILD + "a_date_without_a_single_observation_is_a_gap",
    ),
    Mutant(
        "rows are written in the order in which they came",
        "transforms/lake.py",
        "frame.sort(key, maintain_order=True).rechunk()",
        "frame.rechunk()",
        BUILD + "the_rows_of_every_file_are_in_the_order_of_its_key",
    ),
    # The quality gate
    Mutant(
        "gate: lost rows of a complete crawl are passed over",
        "transforms/quality.py",
        "if was - now > max(ROWS_TOLERATED, limits.max_row_fall_share * was):",
        "if was - now > was:",
        QUALITY + "a_complete_crawl_that_lost_many_versions_is_not_published",
    ),
    Mutant(
        "gate: a partial crawl is what the next one is held against",
        "transforms/gate.py",
        "    if work.day.is_complete:\n",
        "    if True:\n",
        QUALITY + "a_partial_crawl_lost_nothing",
    ),
    Mutant(
        "gate: only a counter that fell for all is told",
        "transforms/quality.py",
        "if fell > max(ROWS_TOLERATED, limits.max_counter_fall_share * known):",
        "if fell > known:",
        QUALITY + "counters_that_fall_for_many_are_told_and_stay_as_they_are",
    ),
    Mutant(
        "gate: a share of nulls that rose is passed over",
        "transforms/quality.py",
        '(pl.col("now") - pl.col("was") > limits.max_null_rise)',
        '(pl.col("was") - pl.col("now") > limits.max_null_rise)',
        QUALITY + "a_column_that_loses_its_values_is_told",
    ),
    Mutant(
        "gate: what is known already is told again as new",
        "transforms/gate.py",
        "return rows.filter(pl.col(since) == work.day.on)",
        "return rows.filter(pl.col(since) <= work.day.on)",
        QUALITY + "new_base_models_types_and_paths_are_told_once",
    ),
    Mutant(
        "gate: the anti-join of the references is missing",
        "transforms/quality.py",
        'left_on=here, right_on=there, how="anti")',
        'left_on=here, right_on=there, how="semi")',
        QUALITY + "a_value_that_points_nowhere_is_an_orphan_and_none_is_not",
    ),
    Mutant(
        "gate: no value is an orphan",
        "transforms/quality.py",
        "rows.select(self.column).drop_nulls().unique()",
        "rows.select(self.column).unique()",
        QUALITY + "a_value_that_points_nowhere_is_an_orphan_and_none_is_not",
    ),
    Mutant(
        "gate: references of rows that are only added are not looked at",
        "transforms/gate.py",
        "rows = work.added[name] if name in work.added else",
        "rows = work.added[name].clear() if name in work.added else",
        QUALITY + "rows_that_are_only_added_point_somewhere_too",
    ),
    # The macros
    Mutant(
        "macros: a window runs to a partial crawl",
        "transforms/analyses.py",
        "SELECT max(d.date) AS until, min(d.date) AS oldest FROM star.dim_date AS d WHERE d.is_complete",
        "SELECT max(d.date) AS until, min(d.date) AS oldest FROM star.dim_date AS d WHERE d.has_snapshot",
        ANALYSES + "the_trend_of_base_models_runs_from_complete_snapshot_to_complete_snapshot",
    ),
    Mutant(
        "macros: the first day of a window is the day that it counts from",
        "transforms/analyses.py",
        "d.date > w.since AS is_recent",
        "d.date >= w.since AS is_recent",
        ANALYSES + "the_trend_of_base_models_runs_from_complete_snapshot_to_complete_snapshot",
    ),
    Mutant(
        "macros: a rate is per day that was asked for, not per day of the window",
        "transforms/analyses.py",
        "totals.downloads / (totals.until - totals.since) AS per_day,",
        "totals.downloads / CAST(days AS INTEGER) AS per_day,",
        ANALYSES + "a_window_that_begins_in_a_gap_or_at_a_partial_crawl_is_longer_and_says_so",
    ),
    Mutant(
        "macros: a model whose time before is unknown trends as new",
        "transforms/analyses.py",
        "flows.days_before IS NULL AND flows.first_flow_on = first_seen.first_seen_on AS is_new",
        "flows.days_before IS NULL AS is_new",
        ANALYSES + "trending_models_are_those_that_grew_by_the_spans_of_their_flows",
    ),
    Mutant(
        "macros: a row still holds on the day on which it ended",
        "transforms/analyses.py",
        "CAST(as_of AS DATE) < history.valid_to)",
        "CAST(as_of AS DATE) <= history.valid_to)",
        ANALYSES + "models_as_of_a_day_have_the_rows_that_held_and_the_counters_of_the_complete_snapshot",
    ),
    Mutant(
        "macros: a version that was there before the first complete crawl has a release curve",
        "transforms/analyses.py",
        "WHERE last_rows.base_model = base AND last_rows.published_at > began.first_complete_at",
        "WHERE last_rows.base_model = base",
        ANALYSES + "release_curves_follow_versions_that_were_watched_from_their_beginning",
    ),
    Mutant(
        "macros: a day of publication is that of the session's time zone",
        "transforms/analyses.py",
        "CAST(make_timestamp(epoch_us(last_rows.published_at)) AS DATE) AS published_on",
        "CAST(last_rows.published_at AS DATE) AS published_on",
        ANALYSES + "days_of_publication_do_not_hang_on_the_time_zone_of_a_session",
    ),
    # Publish
    Mutant(
        "the old analytics.duckdb goes before the new one is there",
        "transforms/publish.py",
        "aside.replace(analytics)",
        "analytics.unlink(missing_ok=True); time.sleep(0.1); aside.replace(analytics)",
        READER,
    ),
    Mutant(
        "files that the newest publish does not name go at once",
        "transforms/publish.py",
        "FILES_KEPT_FOR = timedelta(days=1)",
        "FILES_KEPT_FOR = timedelta(0)",
        READER,
    ),
    # Compact
    Mutant(
        "compact: archived observations are not read",
        "pipelines/warehouse.py",
        "    if not files:\n",
        "    if True:\n",
        COMPACT + "observations_of_closed_months_leave_the_warehouse_and_are_read_all_the_same",
    ),
    Mutant(
        "compact: archived observations stay in the warehouse",
        "pipelines/archive.py",
        '"where snapshot_date >= $1"',
        '"where snapshot_date >= $1 or true"',
        COMPACT + "observations_of_closed_months_leave_the_warehouse_and_are_read_all_the_same",
    ),
    Mutant(
        "compact: a partial snapshot closes the months before it",
        "pipelines/archive.py",
        'if row["status"] == "complete"',
        'if row["status"]',
        COMPACT + "a_month_is_closed_by_a_complete_snapshot_of_a_later_one_only",
    ),
    Mutant(
        "compact: rows are counted, not compared",
        "transforms/compact.py",
        "if (count, total) != (other_count, other_total):",
        "if count != other_count:",
        COMPACT + "what_a_rebuild_would_not_give_again_is_not_given_up",
    ),
    Mutant(
        "compact: a month is sorted by date and key",
        "transforms/compact.py",
        """key = [name for name in columns if name != "snapshot_date"] + ["snapshot_date"]""",
        "key = columns",
        COMPACT + "a_month_is_sorted_by_key_and_date_and_says_what_its_columns_are",
    ),
    Mutant(
        "compact: a late date does not open its month",
        "transforms/build.py",
        '"monthly": month_of(late)',
        '"monthly": late',
        COMPACT + "late_data_after_compacting_ends_where_it_would_have_ended_before",
    ),
    Mutant(
        "compact: a rebuild of a date keeps its merged month",
        "transforms/build.py",
        '(("daily", on), ("monthly", month_of(on)))',
        '(("daily", on),)',
        COMPACT + "a_rebuild_of_some_dates_makes_their_months_anew_and_keeps_the_files_of_others",
    ),
    Mutant(
        "compact: a month that is kept is there once for each of its dates",
        "transforms/generation.py",
        "if kept not in self._files:",
        "if True:",
        COMPACT + "a_rebuild_of_some_dates_makes_their_months_anew_and_keeps_the_files_of_others",
    ),
)
