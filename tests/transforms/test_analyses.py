"""The table macros, on a history made by hand: a gap, partial crawls, a hidden counter, births, a return, a new owner.

The expected numbers are worked out by hand from the counters in `COUNTERS`, which is all that the crawls saw.
"""

from datetime import date

import pytest
from scipy.stats import binomtest

from tests.transforms.conftest import Workshop, model, version
from transforms.tables.macros import MACROS, VIEWS

#: Downloads of all time by model and day of January 2026; None is hidden, no entry is not seen. There is no crawl on
#: the 3rd, and those of the 5th and the 8th are partial.
COUNTERS = {
    1: {1: 100, 2: 110, 4: 140, 6: 200, 7: 230},
    2: {1: 50, 2: 50, 4: 51, 5: None, 6: None, 7: None, 8: None},
    3: {1: 10, 2: 10, 7: 30},  # answers 404 on the 4th, is back on the 7th
    4: {5: 40, 6: 60, 7: 70},  # published on the 4th, after that day's crawl
    5: {6: 1000, 7: 1100},  # published in 2025, met late
}
PARTIAL = {5, 8}


def day(number: int) -> date:
    return date(2026, 1, number)


def document(number: int, on: int) -> dict:
    stats = {"downloadCount": COUNTERS[number][on]}
    base_model = "Pony" if number in {2, 3} else "SDXL 1.0"
    published = "2026-01-04T12:00:00.000Z" if number == 4 else "2025-06-01T12:00:00.000Z"
    owner = {1: "eve" if on >= 7 else "ada", 2: "bob", 3: "cleo", 4: "ada", 5: "dan"}[number]
    changes = {"name": "Renamed", "tags": ["landscape", "night"]} if number == 1 and on >= 4 else {}
    licence = {"allowCommercialUse": "{Sell,Image}", "allowNoCredit": False} if number == 1 else {}
    of_version = version(number * 10, base_model, stats=stats, publishedAt=published)
    return model(number, of_version, stats=stats, creator={"username": owner}, **changes, **licence)


@pytest.fixture(scope="module")
def history(tmp_path_factory) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("history"))
    for on in (1, 2, 4, 5, 6, 7, 8):
        workshop.raw.crawl(
            day(on),
            status="partial" if on in PARTIAL else "complete",
            model=[document(number, on) for number, seen in COUNTERS.items() if on in seen],
            buried=(3,) if on == 4 else (),
        )
    workshop.build()
    return workshop


def close(expected):
    return pytest.approx(expected, rel=1e-12)


#: What each argument is asked with.
EXAMPLES = {
    "days": "3",
    "n": "5",
    "as_of": "'2026-01-08'",
    "since": "'2026-01-01'",
    "id": "1",
    "digest": "'0A'",
    **dict.fromkeys(("base", "of_base_model", "from_base"), "'Pony'"),
    "to_base": "'SDXL 1.0'",
    "of_type": "'LORA'",
    "dimension": "'type'",
    "of_version": "10",
}
QUESTIONS = {
    **{macro.name: f"{macro.name}({', '.join(EXAMPLES[name] for name in macro.parameters)})" for macro in MACROS},
    **{view.name: view.name for view in VIEWS},
}


@pytest.mark.parametrize("macro", [*MACROS, *(view for view in VIEWS if not view.table)], ids=lambda macro: macro.name)
def test_a_macro_answers_with_the_columns_that_it_declares(history, macro):
    assert [row[0] for row in history.sql(f"describe from star.{QUESTIONS[macro.name]}")] == list(macro.columns)


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_number_is_wider_than_clients_can_read(history, name):
    assert [row[:2] for row in history.sql(f"describe from star.{QUESTIONS[name]}") if "HUGEINT" in row[1]] == []


def test_the_trend_of_base_models_runs_from_complete_snapshot_to_complete_snapshot(history):
    # Until the 7th, since the 4th, before since the 1st. SDXL: 230 - 140, 70, 1100 - 1000; before 140 - 100.
    # Pony: 30 - 10 through the tombstone, of whose five days three are in the window and two before it, while the
    # other is hidden; before that 51 - 50 and 0.
    rows = history.sql("from star.trend_base_model(3)")
    window = (day(4), day(7), 3)
    assert rows == [
        ("SDXL 1.0", *window, 3, 1, 1400, 260, close(260 / 272), close(260 / 3), close(40 / 3), close(6.5)),
        ("Pony", *window, 2, 0, 30, 12, close(12 / 272), close(12 / 3), close(9 / 3), close(4 / 3)),
    ]


def test_a_window_that_begins_in_a_gap_or_at_a_partial_crawl_is_longer_and_says_so(history):
    # Two days back is the 5th, which was partial: the window is three days, since the 4th; before it, since the 2nd.
    rows = history.sql(
        "select base_model, since, days_spanned, downloads, downloads_per_day, downloads_per_day_before "
        "from star.trend_base_model(2)"
    )
    assert rows == [
        ("SDXL 1.0", day(4), 3, 260, close(260 / 3), close(30 / 2)),
        ("Pony", day(4), 3, 12, close(12 / 3), close(9 / 2)),
    ]
    # Four days back is the 3rd, a gap: since the 2nd; and there is no snapshot four days before that.
    rows = history.sql("select base_model, since, days_spanned, downloads, growth from star.trend_base_model(4)")
    assert rows == [("SDXL 1.0", day(2), 5, 290, None), ("Pony", day(2), 5, 21, None)]


def test_a_history_that_is_too_short_gives_what_there_is_and_no_growth(history):
    rows = history.sql("select base_model, since, days_spanned, downloads, growth from star.trend_base_model(100)")
    assert rows == [("SDXL 1.0", day(1), 6, 300, None), ("Pony", day(1), 6, 21, None)]


def test_trending_models_are_those_that_grew_by_the_spans_of_their_flows(history):
    # 4: 70 in 3 days since the crawl before its publication, nothing before. 1: 90 in 3 days against 40 in 3. 3: of 20
    # in the 5 days that it was away, 12 in 3 days against 8 in 2 and 0 in 1. 2 hides, 5 has no known time before.
    rows = history.sql(
        "select model_id, is_new, downloads, days_spanned, downloads_per_day_before, growth "
        "from star.trending_models(3, 9)"
    )
    assert rows == [
        (1, False, 90, 3, close(40 / 3), close(2.25)),
        (3, False, 12, 3, close(8 / 3), close(1.5)),
        (4, True, 70, 3, None, None),
    ]


def test_so_many_models_are_listed_of_the_new_ones_and_of_the_others(history):
    assert history.sql("select model_id, is_new from star.trending_models(3, 1)") == [(1, False), (4, True)]


def test_new_models_are_ranked_by_downloads_a_day(workshop):
    for on in range(1, 5):
        came = {1: 1, 2: 2, 3: 3}
        workshop.raw.crawl(
            day(on),
            model=[
                model(
                    number,
                    version(number * 10, stats=stats, publishedAt=f"2026-01-0{first - 1 or 1}T12:00:00Z"),
                    stats=stats,
                )
                for number, first in came.items()
                if on >= first
                for stats in [{"downloadCount": 100 * (on - first) + 60 * number}]
            ],
        )
    workshop.build()
    # 2: 320 in 3 days since the 1st; 3: 280 in the 2 days since the 2nd.
    columns = "model_id, is_new, downloads, days_spanned, growth"
    assert workshop.sql(f"select {columns} from star.trending_models(3, 9) where is_new") == [
        (3, True, 280, 2, None),
        (2, True, 320, 3, None),
    ]


def test_models_as_of_a_day_have_the_rows_that_held_and_the_counters_as_last_seen(history):
    query = "select model_id, name, username, day(counted_on), download_count from star.models_as_of('{}') order by 1"
    assert history.sql(query.format("2025-12-31")) == []
    assert history.sql(query.format("2026-01-03")) == [
        (1, "Model 1", "ada", 2, 110),
        (2, "Model 2", "bob", 2, 50),
        (3, "Model 3", "cleo", 2, 10),
    ]
    # On the day of a change the new row holds, and only it; what was found gone on that day is not there.
    assert history.sql(query.format("2026-01-04")) == [(1, "Renamed", "ada", 4, 140), (2, "Model 2", "bob", 4, 51)]
    assert history.sql(query.format("2026-01-05")) == [
        (1, "Renamed", "ada", 4, 140),  # the partial crawl of the day did not reach it
        (2, "Model 2", "bob", 5, None),  # hides its number from then on
        (4, "Model 4", "ada", 5, 40),
    ]
    assert history.sql(query.format("2026-01-08"))[:2] == [
        (1, "Renamed", "eve", 7, 230),
        (2, "Model 2", "bob", 8, None),
    ]


@pytest.fixture(scope="module")
def described(tmp_path_factory) -> Workshop:
    """A model with all that `version_wide` and `main_file` tell, one that says nothing, and changes of a licence."""
    workshop = Workshop(tmp_path_factory.mktemp("described"))
    for on in (1, 2, 3, 4):
        of_version = {"downloadCount": 10 * on, "thumbsUpCount": on, "thumbsDownCount": 1}
        of_model = {"downloadCount": 90 * on, "thumbsUpCount": 5, "commentCount": 2, "tippedAmountCount": 70}
        address = "https://example.org/models/11"
        files = [
            {"id": 1, "name": "v.pt", "type": "VAE", "downloadUrl": f"{address}?type=VAE"},
            {"id": 2, "name": "m.safetensors", "type": "Model", "downloadUrl": address, "sizeKB": 2.5},
        ]
        licence = {
            "allowCommercialUse": {1: "{Sell}", 2: "{Image,Sell}", 3: "{Rent}", 4: "{None}"}[on],
            "allowNoCredit": on != 3,
            "allowDerivatives": None if on == 1 else on != 4,
        }
        told = version(11, "Pony", stats=of_version, downloadUrl=address, files=files, nsfwLevel=3, name="first")
        models = [
            model(1, told, stats=of_model, nsfw=False, nsfwLevel=1, name="Harbour", **licence),
            model(2, version(21, "Unheard of", stats={}, files=[]), stats={}, type="Checkpoint", creator=None),
        ]
        workshop.raw.crawl(day(on), model=models[: 1 if on == 4 else 2], status="complete" if on != 4 else "partial")
    workshop.build()
    return workshop


def test_version_wide_has_model_and_version_in_one_row_with_clear_names(described):
    columns = (
        "version_id, version_name, model_id, model_name, type, base_model, ecosystem, family, modality, username, "
        "nsfw, model_nsfw_level, version_nsfw_level, allow_no_credit, allow_commercial_use, "
        "file_id, file_type, file_size_kb, "
        "version_counted_on, version_download_count, version_thumbs_up_count, "
        "model_counted_on, model_download_count, model_thumbs_up_count, model_comment_count, model_tipped_amount_count"
    )
    assert described.sql(f"select {columns} from star.version_wide order by version_id") == [
        (
            *(11, "first", 1, "Harbour", "LORA", "Pony", "sdxl", "Pony Diffusion", "image", "ada", False, 1, 3),
            *(True, ["None"], 2, "Model", 2.5, day(4), 40, 4, day(4), 360, 5, 2, 70),
        ),
        (
            *(21, "v21", 2, "Model 2", "Checkpoint", "Unheard of", None, "Unclassified", None, "(unknown)", None),
            *(None, None, None, [], None, None, None, day(3), None, None, day(3), None, None, None, None),
        ),
    ]


def test_the_approval_of_a_version_is_that_of_the_marts(described):
    # On the last day 4 of 5 reviews recommend version 11, the only one for Pony. Nobody reviewed the other.
    wilson = binomtest(4, 5).proportion_ci(0.95, method="wilson").low
    columns = "version_approval_rate, version_approval_lower_bound"
    rows = described.sql(f"select {columns} from star.version_wide order by version_id")
    assert rows == [(0.8, pytest.approx(wilson, rel=1e-9)), (None, None)]
    marts = "select approval_rate, approval_lower_bound from star.mart_base_model_daily"
    of_marts = described.sql(f"{marts} where base_model = 'Pony' order by snapshot_date desc limit 1")
    assert of_marts == [pytest.approx(rows[0], rel=1e-12)]


def test_model_and_version_can_be_joined_with_version_wide_by_names_that_are_there_once(described):
    names = [row[0] for row in described.sql("describe from star.version_wide")]
    assert len(names) == len(set(names))
    assert not any(name in {"name", "nsfw_level", "availability", "published_at", "download_count"} for name in names)


def test_the_main_file_is_the_one_with_the_address_of_the_version(described):
    assert described.sql("select file_id, chosen_by from star.main_file(11)") == [(2, "address")]
    assert described.sql("select version_id, file_id from star.main_file(null)") == [(11, 2)]
    assert described.sql("from star.main_file(21)") == []


#: Files of a version, the later the better by the rule; each but for what it is better by.
RANKED = [
    {"type": "VAE", "metadata": {"format": "SafeTensor", "size": "pruned", "fp": "fp16"}},
    {"type": "Pruned Model", "metadata": {"format": "PickleTensor"}},
    {"type": "Model", "metadata": {"format": "PickleTensor", "size": "pruned", "fp": "fp16"}},
    {"type": "Model", "metadata": {"format": "SafeTensor", "size": "full", "fp": "fp16"}},
    {"type": "Model", "metadata": {"format": "SafeTensor", "size": "pruned", "fp": "fp32"}},
    {"type": "Model", "metadata": {"format": "SafeTensor", "size": "pruned", "fp": "fp16"}},
    {"type": "Training Data", "downloadUrl": "https://example.org/own"},
    {"type": "Config", "primary": True},
]


@pytest.mark.parametrize("best", range(len(RANKED)))
def test_the_main_file_is_chosen_by_what_the_service_says_then_by_kind(workshop, best):
    files = [{"id": number, "name": "a.bin"} | file for number, file in enumerate(RANKED[: best + 1])]
    told = version(11, files=files, downloadUrl="https://example.org/own")
    workshop.raw.crawl(day(1), model=[model(1, told)])
    workshop.build()
    how = {6: "address", 7: "is_primary"}.get(best, "kind")
    assert workshop.sql("select file_id, chosen_by from star.main_file(11)") == [(best, how)]


def test_a_file_that_is_gone_is_no_main_file(workshop):
    files = [{"id": 1, "name": "old.bin", "primary": True}, {"id": 2, "name": "new.bin"}]
    workshop.raw.crawl(day(1), model=[model(1, version(11, files=files))])
    workshop.raw.crawl(day(2), model=[model(1, version(11, files=files[1:]))])
    workshop.build()
    assert workshop.sql("select file_id from star.main_file(11)") == [(2,)]


def test_licence_changes_are_those_between_known_values(described):
    columns = "changed_on, attribute, before, after, direction"
    assert described.sql(f"select {columns} from star.licence_changes('2026-01-02') where model_id = 1") == [
        (day(4), "allow_commercial_use", "[Rent]", "[]", "stricter"),
        (day(4), "allow_derivatives", "true", "false", "stricter"),
        (day(4), "allow_no_credit", "false", "true", "looser"),
        (day(3), "allow_commercial_use", "[Image, Sell]", "[Rent]", "mixed"),
        (day(3), "allow_no_credit", "true", "false", "stricter"),
        (day(2), "allow_commercial_use", "[Sell]", "[Image, Sell]", "looser"),
    ]
    assert len(described.sql("from star.licence_changes('2026-01-04')")) == 3
    assert len(described.sql("from star.licence_changes(null)")) == 6


def test_a_model_that_changes_one_term_of_its_licence_is_found(workshop):
    terms = {
        "allow_commercial_use": ("allowCommercialUse", "{Sell}", "{Image}"),
        "allow_derivatives": ("allowDerivatives", False, True),
        "allow_different_license": ("allowDifferentLicense", True, False),
        "allow_no_credit": ("allowNoCredit", False, True),
    }
    for on in (1, 2):
        models = [model(number, **{name: values[on - 1]}) for number, (name, *values) in enumerate(terms.values(), 1)]
        workshop.raw.crawl(day(on), model=models)
    workshop.build()
    assert workshop.sql("select attribute from star.licence_changes(null) order by all") == [(name,) for name in terms]


def test_the_history_of_a_model_is_all_that_happened_to_it(history):
    assert history.sql("from star.model_history(1)") == [
        (day(1), "model", "first seen", None, "Model 1"),
        (day(1), "version 10", "first seen", None, "v10"),
        (day(4), "model", "name", "Model 1", "Renamed"),
        (day(4), "tag", "added", None, "night"),
        (day(7), "model", "username", "ada", "eve"),
    ]
    assert history.sql("from star.model_history(3)") == [
        (day(1), "model", "first seen", None, "Model 3"),
        (day(1), "version 30", "first seen", None, "v30"),
        (day(4), "model", "removed", "Model 3", None),
        (day(4), "tag", "removed", "landscape", None),
        (day(4), "version 30", "removed", "v30", None),
        (day(7), "model", "returned", None, "Model 3"),
        (day(7), "tag", "added", None, "landscape"),
        (day(7), "version 30", "returned", None, "v30"),
    ]
    assert history.sql("from star.model_history(99)") == []


def test_removed_models_tell_what_was_last_known_and_whether_they_came_back(history):
    row = (3, "Model 3", "LORA", "cleo", day(4), day(7), day(2), 10)
    assert history.sql("from star.removed_models('2026-01-04')") == [row]
    assert history.sql("from star.removed_models(date '2026-01-05')") == []


def test_release_curves_follow_versions_that_were_watched_from_their_beginning(history):
    assert history.sql("from star.release_curves('SDXL 1.0')") == [
        (1, 1, 40.0, 40.0, 40.0),
        (2, 1, 60.0, 60.0, 60.0),
        (3, 1, 70.0, 70.0, 70.0),
    ]


def test_the_leaderboard_counts_a_download_for_the_owner_of_the_day(history):
    # ada: 200 - 140 before the model changed hands, and 70; eve: 230 - 200; bob hides all.
    window = (day(4), day(7), 3)
    assert history.sql("from star.creator_leaderboard(3)") == [
        (1, "ada", *window, 2, 1, 130, close(130 / 272)),
        (2, "dan", *window, 1, 0, 100, close(100 / 272)),
        (3, "eve", *window, 1, 0, 30, close(30 / 272)),
        (4, "cleo", *window, 1, 0, 12, close(12 / 272)),
        (5, "bob", *window, 1, 0, None, None),
    ]


@pytest.fixture(scope="module")
def shown_late(tmp_path_factory) -> Workshop:
    """Model 1 gains 100 a day and hides it from the 2nd to the 10th; model 2 gains 50 a day. 15 days, all complete."""
    workshop = Workshop(tmp_path_factory.mktemp("shown_late"))
    for on in range(1, 16):
        hidden, shown = {"downloadCount": None if 2 <= on <= 10 else 1000 + 100 * on}, {"downloadCount": 50 * on}
        workshop.raw.crawl(
            day(on),
            model=[
                model(1, version(10, "Pony", stats=hidden), stats=hidden, creator={"username": "bob"}),
                model(2, version(20, stats=shown), stats=shown),
            ],
        )
    workshop.build()
    return workshop


def test_a_flow_that_began_before_a_window_counts_by_its_share_of_days(shown_late):
    columns = "base_model, downloads, downloads_share, downloads_per_day, downloads_per_day_before"
    assert shown_late.sql(f"select {columns} from star.trend_base_model(7)") == [
        ("Pony", 700, close(2 / 3), 100.0, 100.0),
        ("SDXL 1.0", 350, close(1 / 3), 50.0, 50.0),
    ]
    columns = "model_id, downloads, days_spanned, growth"
    assert shown_late.sql(f"select {columns} from star.trending_models(7, 9)") == [(1, 700, 7, 1.0), (2, 350, 7, 1.0)]
    columns = "rank, username, downloads, downloads_share"
    assert shown_late.sql(f"select {columns} from star.creator_leaderboard(7)") == [
        (1, "bob", 700, close(2 / 3)),
        (2, "ada", 350, close(1 / 3)),
    ]


@pytest.mark.parametrize("days", range(1, 15))
def test_windows_are_additive_wherever_they_begin(shown_late, days):
    query = f"select base_model, downloads from star.trend_base_model({days}) order by 1"
    assert shown_late.sql(query) == [("Pony", 100 * days), ("SDXL 1.0", 50 * days)]


@pytest.fixture(scope="module")
def restated(tmp_path_factory) -> Workshop:
    """Versions that state other days of publication than those on which they came.

    Version 10 is old and is replaced by 11 on the 5th; 20 is there from the first crawl on and states the 20th; 30
    comes on the 3rd and states the 20th; 40 is met late on the 3rd, and states the 4th from the 5th on.
    """
    workshop = Workshop(tmp_path_factory.mktemp("restated"))
    for on in range(1, 7):
        stats = {"downloadCount": 100 * on}
        stated = [(1, 10, "2024-01-01") if on < 5 else (1, 11, "2026-01-04"), (2, 20, "2026-01-20")]
        if on >= 3:
            stated += [(3, 30, "2026-01-20"), (4, 40, "2024-01-01" if on < 5 else "2026-01-04")]
        workshop.raw.crawl(
            day(on),
            model=[
                model(number, version(of, stats=stats, publishedAt=f"{published}T12:00:00Z"), stats=stats)
                for number, of, published in stated
            ],
        )
    workshop.build()
    return workshop


def test_release_curves_have_no_version_whose_beginning_was_not_seen_and_no_age_below_zero(restated):
    # 11 from its publication on the 4th, 30 from the day on which it was first seen.
    assert restated.sql("select age_days, versions, downloads_median from star.release_curves('SDXL 1.0')") == [
        (0, 1, 300.0),
        (1, 2, 450.0),
        (2, 2, 550.0),
        (3, 1, 600.0),
    ]


def test_versions_of_the_day_from_which_a_window_counts_are_not_its_own(workshop):
    for on in range(1, 6):
        came = [number for number in range(1, 5) if number <= on]
        models = [model(number, version(number * 10, publishedAt=f"2026-01-0{number}T01:00:00Z")) for number in came]
        workshop.raw.crawl(day(on), model=models)
    workshop.build()
    # Since the 3rd, with which the third version came, and before that since the 1st: the fourth alone.
    assert workshop.sql("select versions_published from star.trend_base_model(2)") == [(1,)]


def test_a_model_that_replaces_its_only_version_is_not_newly_published(restated):
    assert restated.sql("select models, models_published from star.creator_leaderboard(5)") == [(4, 1)]


def test_the_licence_mix_is_that_of_a_complete_snapshot(history):
    assert history.sql("from star.licence_mix('2026-01-08')") == [
        (day(7), [], None, None, None, 4, 0.8, 1200, close(1200 / 1430)),
        (day(7), ["Image", "Sell"], False, None, None, 1, 0.2, 230, close(230 / 1430)),
    ]
    assert history.sql("select counted_on, models from star.licence_mix('2026-01-05')") == [(day(4), 1), (day(4), 1)]


def test_a_hash_is_found_in_either_case_and_after_its_file_was_removed(history):
    rows = history.sql("from star.find_hash(' " + f"{30:064x}" + " ')")
    assert [row[1:8] for row in rows] == [(3, "Model 3", 30, "v30", "Pony", 300, "a.safetensors")] * 2
    assert [row[8:] for row in rows] == [(day(1), day(4)), (day(7), None)]
    assert history.sql("from star.find_hash('00')") == []


def test_coverage_has_every_day_with_its_share_and_what_it_lacks(history):
    columns = "day(date), * exclude (date, reason, observed_share, quarantined)"
    assert history.sql(f"select {columns} from star.snapshot_coverage()") == [
        (1, True, True, None, 1, 3, 3, 0),
        (2, True, True, 1, 1, 3, 3, 0),
        (3, False, False, None, 0, 3, None, 0),
        (4, True, True, 2, 1, 2, 2, 1),
        (5, True, False, 1, 1, 3, 2, 0),
        (6, True, True, 1, 1, 4, 4, 0),
        (7, True, True, 1, 1, 5, 5, 0),
        (8, True, False, 1, 1, 5, 1, 0),
    ]
    assert history.sql("select reason, observed_share from star.snapshot_coverage() where date = '2026-01-08'") == [
        ("cut off by a test", close(0.2))
    ]


def test_days_of_publication_do_not_hang_on_the_time_zone_of_a_session(history):
    answers = {
        zone: history.sql(f"set timezone = '{zone}'; from star.release_curves('SDXL 1.0')")
        for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles")
    }
    assert answers["UTC"] == answers["Pacific/Auckland"] == answers["America/Los_Angeles"] != []


def test_before_the_first_complete_snapshot_nothing_is_compared_and_nothing_fails(workshop):
    workshop.raw.crawl(day(1), status="partial", model=[document(1, 1)])
    workshop.build()
    for question in (
        "trend_base_model(7)",
        "trending_models(7, 5)",
        "creator_leaderboard(7)",
        "licence_mix('2026-01-01')",
        "release_curves('SDXL 1.0')",
        "removed_models('2026-01-01')",
        "survival(null)",
        "adoption('SDXL 1.0')",
        "trending_tags(7, 5)",
        "concentration(7)",
        "weekday_pattern(7)",
        "half_life(null, null)",
        "time_to_downloads(1000)",
    ):
        assert workshop.sql(f"from star.{question}") == []
    assert workshop.sql("select model_id, counted_on, download_count from star.models_as_of('2026-01-01')") == [
        (1, day(1), 100)
    ]
    assert workshop.sql("select version_id, version_download_count from star.version_wide") == [(10, 100)]
    assert workshop.sql("select is_complete, models_observed from star.snapshot_coverage()") == [(False, 1)]
