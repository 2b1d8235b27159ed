"""Counters that are read in one go are read as `validation` reads them, or not at all (`transforms.staging`)."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.staging import plain_counters
from transforms.staging.plain_counters import is_plain, read_plain
from transforms.staging.stage import decode_metrics

ON = date(2026, 1, 1)
NAMES = ("downloadCount", "thumbsUpCount", "rating", "ratingCount", "heartCount", "unheardOfCount")


def observed(*metrics: str) -> pl.DataFrame:
    ids = [str(number) for number in range(len(metrics))]
    return pl.DataFrame({"entity_id": ids, "metrics": metrics}).with_columns(crawl_id=pl.lit("1"))


def of_model(stats: str, id_: str = "5") -> str:
    return f'[{{"owner":"model","id":{id_},"stats":{{{stats}}}}}]'


values = st.one_of(
    st.integers(-3, 10**20).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["null", "0", "007", "4.5", "4.", ".5", "1e3", "-0", "true", '"7"', "[1]", "{}", "4.123456789012"]),
)
counters = st.lists(st.tuples(st.sampled_from(NAMES), values).map(lambda pair: f'"{pair[0]}":{pair[1]}'), max_size=5)
stats = st.tuples(counters, st.sampled_from([",", ",", ",", ", ", ""]), st.sampled_from(["", "", "", ","])).map(
    lambda parts: parts[1].join(parts[0]) + parts[2]
)
owners = st.tuples(st.sampled_from(["model", "version", "image", "tag"]), values, stats).map(
    lambda parts: f'{{"owner":"{parts[0]}","id":{parts[1]},"stats":{{{parts[2]}}}}}'
)
texts = st.lists(owners, max_size=3).map(lambda elements: f"[{','.join(elements)}]")


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=1, max_size=5))
def test_what_is_read_in_one_go_is_what_validation_reads(metrics: list[str]) -> None:
    observations = observed(*metrics)
    plain = observations.filter(is_plain(observations["metrics"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_counters, "is_plain", lambda texts: pl.repeat(False, len(texts), eager=True))
        expected, reasons, odd = decode_metrics("model", ON, plain)
    assert not reasons
    assert odd.is_empty()
    assert read_plain(plain).equals(expected)
    assert read_plain(plain).schema == expected.schema


@pytest.mark.parametrize(
    "stats",
    [
        '"downloadCount":747,"thumbsUpCount":49,"thumbsDownCount":0,"commentCount":1,"tippedAmountCount":9',
        '"downloadCount":null,"favoriteCount":0,"commentCount":12,"ratingCount":2,"rating":4.53',
        "",
    ],
)
def test_the_counters_of_the_service_are_read_in_one_go(stats: str) -> None:
    assert is_plain(observed(of_model(stats))["metrics"]).all()


@pytest.mark.parametrize(
    ("stats", "what"),
    [
        ('"downloadCount":1,"downloadCount":2', "two values"),
        ('"downloadCount":1,', "malformed"),
        ('"downloadCount":1.5', "no whole number"),
        ('"downloadCount":007', "no JSON"),
        ('"downloadCount":9223372036854775808', "more than 64 bits"),
        ('"downloadCount":-1', "negative"),
        ('"downloadCount":"7"', "a text"),
        ('"downloadCount":{"of":7}', "an object"),
    ],
)
def test_other_counters_are_left_to_validation(stats: str, what: str) -> None:
    assert not is_plain(observed(of_model(stats))["metrics"]).any(), what


def test_plain_counters_and_others_of_a_batch_are_all_read() -> None:
    odd = of_model('"downloadCount":1.5,"thumbsUpCount":4')
    batch = observed(of_model('"downloadCount":3'), odd, "no JSON", of_model('"downloadCount":null', "6"), "[]")
    metrics, reasons, quarantined = decode_metrics("model", ON, batch)
    rows = metrics.sort("entity_id").select("entity_id", "owner", "id", "downloadCount", "thumbsUpCount").rows()
    assert rows == [("0", "model", "5", 3, None), ("1", "model", "5", None, 4), ("3", "model", "6", None, None)]
    assert list(reasons) == ["2"]
    assert quarantined["entity_id"].to_list() == ["1"]
