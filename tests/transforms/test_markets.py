"""The macros about base models, creators and tags, on two weeks made by hand; the numbers are worked out from GAINS."""

from datetime import date

import pytest

from tests.transforms.conftest import Workshop, model, version

#: Versions by model: base model, day of publication (December below one) at noon, and the downloads that it gains a day
#: from the next day on. There is no crawl on the 9th; that of the 12th is partial and sees model 2 only.
GAINS = {
    1: {100: ("SDXL 1.0", -30, 2), 101: ("Flux.1 D", 5, 1)},
    2: {200: ("SDXL 1.0", -11, 3), 201: ("Flux.1 D", 3, 10), 202: ("SDXL 1.0", 6, 7)},
    3: {300: ("Flux.1 D", 3, 20)},
    4: {400: ("SDXL 1.0", -20, 0)},
    5: {500: ("SDXL 1.0", -26, 0), 501: ("Flux.1 D", 4, 5)},
    6: {600: ("SD 1.5", 12, 100)},
}
CREATORS = {1: "ada", 2: "bob", 3: "cleo", 4: "dan", 5: None, 6: "dan"}
TAGS = {1: ["boat"], 2: ["boat", "sea"], 3: ["sea"], 4: [], 5: [], 6: ["sea"]}


def day(number: int) -> date:
    return date.fromordinal(date(2025, 12, 31).toordinal() + number)


def document(number: int, on: int) -> dict:
    versions = []
    for key, (base_model, published, gain) in GAINS[number].items():
        if published < on:
            stats = {"downloadCount": gain * (on - max(published, 0))}
            versions.append(version(key, base_model, stats=stats, publishedAt=f"{day(published)}T12:00:00Z"))
    total = {"downloadCount": sum(each["stats"]["downloadCount"] for each in versions)}
    creator = {"username": CREATORS[number]} if CREATORS[number] else None
    return model(number, *versions, stats=total, tags=TAGS[number], creator=creator)


@pytest.fixture(scope="module")
def fortnight(tmp_path_factory) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("fortnight"))
    for on in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15):
        there = [key for key, of in GAINS.items() if any(published < on for _, published, _ in of.values())]
        workshop.raw.crawl(
            day(on),
            status="partial" if on == 12 else "complete",
            model=[document(number, on) for number in there if on != 12 or number == 2],
        )
    workshop.build()
    return workshop


def close(expected):
    return pytest.approx(expected, rel=1e-9)


def about(expected):
    """To six digits, as rates are rounded."""
    return pytest.approx(expected, abs=1e-6)


def test_adoption_is_told_by_weeks_since_the_first_version_and_a_gap_is_shared_out(fortnight):
    # From the 3rd to the 9th: 6 days of 10 and of 20, 5 of 5, 4 of 1; others 7 of 2 and of 3, 3 of 7. The two days that
    # the 10th shows are one of each week. From the 10th to the 15th: 6 days of 36, others 6 of 12, and 300.
    assert fortnight.sql("from star.adoption('Flux.1 D')") == [
        (0, day(3), 4, close(4 / 5), 4, 3, 3, 7, 209, close(209 / (209 + 56)), 50 + 100 + 20 + 3),
        (1, day(10), 0, 0.0, 4, 0, 3, 6, 216, close(216 / (216 + 72 + 300)), 120 + 240 + 55 + 10),
    ]


def test_weeks_before_the_first_snapshot_have_versions_and_no_downloads(fortnight):
    columns = "week_from, versions_published, creators_total, days_observed, downloads, download_count"
    rows = fortnight.sql(f"select {columns} from star.adoption('SDXL 1.0')")
    assert rows[:2] == [(day(-30), 2, 1, 0, None, None), (day(-23), 1, 2, 0, None, None)]
    # From the 29th of December to the 4th: three days after the first snapshot.
    assert rows[4] == (day(-2), 0, 3, 3, 3 * 5, 4 * 5)


def test_creators_migrate_with_their_first_version_for_another_base_model(fortnight):
    # Ten days after ada took it up, nobody knows whether she has left.
    assert fortnight.sql("from star.creator_migration('SDXL 1.0', 'Flux.1 D', null)") == [
        ("bob", day(3), False, 1, 1, 1, day(6), 14),
        ("ada", day(5), None, 1, 0, 1, day(-30), 35),
    ]
    assert fortnight.sql("select username from star.creator_migration('SDXL 1.0', 'Flux.1 D', '2026-01-05')") == [
        ("ada",)
    ]
    assert fortnight.sql("from star.creator_migration('Flux.1 D', 'SDXL 1.0', null)") == []


def test_a_creator_has_left_a_base_model_after_90_days_without_a_version(workshop):
    for on, bases in ((1, ["Pony"]), (10, ["Pony", "SDXL 1.0"]), (99, ["Pony", "SDXL 1.0"])):
        published = {"Pony": day(1), "SDXL 1.0": day(9)}
        versions = [version(len(base), base, publishedAt=f"{published[base]}T12:00:00Z") for base in bases]
        workshop.raw.crawl(day(on), model=[model(1, *versions)])
    columns = "has_left, days_since_from"
    workshop.build()
    assert workshop.sql(f"select {columns} from star.creator_migration('Pony', 'SDXL 1.0')") == [(True, 8)]


def test_concentration_is_that_of_creators_per_base_model_and_for_all(fortnight):
    # Seven days since the 8th. (unknown) is no creator; dan gained nothing for SDXL.
    amounts = {
        None: [21, 140, 140, 300],
        "SD 1.5": [300],
        "Flux.1 D": [7, 70, 140],
        "SDXL 1.0": [0, 14, 70],
    }
    # Models are creators here, but for dan's of SDXL, who has none of it.
    largest = {None: (6, 300 / 601), "SD 1.5": (6, 1), "Flux.1 D": (3, 140 / 217), "SDXL 1.0": (2, 70 / 84)}
    expected = []
    for base_model, values in amounts.items():
        total, count = sum(values), len(values)
        gini = sum(abs(one - other) for one in values for other in values) / (2 * count * total)
        hhi = sum((value / total) ** 2 for value in values)
        measures = (close(gini), 1, close(max(values) / total), close(hhi))
        model_id, share = largest[base_model]
        expected.append((base_model, day(8), day(15), 7, count, total, *measures, model_id, close(share)))
    assert fortnight.sql("from star.concentration(7)") == expected


def test_tags_rise_with_the_downloads_a_day_of_the_models_that_have_them(fortnight):
    # Since the 8th: 1 has 3 a day after 17 in 7 days; 2 has 20 after 85 in 7; 3 has 20 after 100 in 5; 6 is new and has
    # 300, to which all seven days of the window belong.
    rows = fortnight.sql("from star.trending_tags(7, 9)")
    assert rows == [
        ("sea", 3, 1, 580, close(300 / 580), about(580 / 7), about(85 / 7 + 20), about(580 / 7 / (85 / 7 + 20))),
        ("boat", 2, 0, 161, close(140 / 161), about(23), about(102 / 7), about(161 / 102)),
    ]
    assert fortnight.sql("select tag from star.trending_tags(7, 1)") == [("sea",)]


def test_weekdays_have_medians_of_days_between_two_complete_snapshots(fortnight):
    # The 10th, the 12th and the 13th have no complete snapshot on the day before or are partial. Downloads by day: 5,
    # 5, 35, 40, 41, 48, 48 until the 8th; 48 on the 11th; 148 on the 14th and the 15th. The median is 44.5.
    assert fortnight.sql("from star.weekday_pattern(14)") == [
        (1, "Monday", 1, 40.0, 40, 40, close(40 / 44.5), 0.0),
        (2, "Tuesday", 1, 41.0, 41, 41, close(41 / 44.5), 0.0),
        (3, "Wednesday", 2, 98.0, 48, 148, close(98 / 44.5), 0.0),
        (4, "Thursday", 2, 98.0, 48, 148, close(98 / 44.5), 0.0),
        (5, "Friday", 1, 5.0, 5, 5, close(5 / 44.5), 0.0),
        (6, "Saturday", 1, 5.0, 5, 5, close(5 / 44.5), 0.0),
        (7, "Sunday", 2, 41.5, 35, 48, close(41.5 / 44.5), 0.5),
    ]
