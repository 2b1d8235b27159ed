"""What a star was declared as: a later program makes an earlier one anew, an earlier program refuses a later one."""

import dataclasses
from typing import Any

import dataframely as dy
import polars as pl
import pytest

from tests.transforms.conftest import DAYS, Workshop, model
from transforms.lake import declarations, publish
from transforms.lake.declarations import analyses_fingerprint, tables_fingerprint
from transforms.tables import DECLARATIONS_VERSION, TABLES, DimTag, Table, declaration, macros

#: Another fingerprint is another star: raise DECLARATIONS_VERSION, and note both here.
NOTED = (8, "83caad20d18a85c3")


def test_the_version_rises_with_every_change_of_the_declarations() -> None:
    assert (DECLARATIONS_VERSION, tables_fingerprint()) == NOTED


def built(workshop: Workshop) -> Workshop:
    for on in DAYS[:2]:
        workshop.raw.crawl(on, model=[model(1)])
    workshop.build()
    return workshop


def test_a_star_of_an_earlier_version_is_made_anew_and_one_of_a_later_version_is_refused(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(publish, "DECLARATIONS_VERSION", DECLARATIONS_VERSION - 1)
        built(workshop)
    assert workshop.build().dates == tuple(DAYS[:2])
    assert not workshop.build().published
    with monkeypatch.context() as earlier:
        earlier.setattr(publish, "DECLARATIONS_VERSION", DECLARATIONS_VERSION - 1)
        with pytest.raises(publish.NewerStarError, match="made by a later version of civitai-etl"):
            workshop.build()


def test_a_star_with_other_tables_is_made_anew_whatever_its_version(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr(publish, "tables_fingerprint", lambda: "another")
        built(workshop)
    assert workshop.build().dates == tuple(DAYS[:2])
    assert not workshop.build().published


def test_other_views_and_macros_are_published_and_no_date_is_made_anew(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr(publish, "analyses_fingerprint", lambda: "another")
        built(workshop)
    files = workshop.files()
    report = workshop.build()
    assert (report.dates, report.published) == ((), True)
    assert workshop.files() == files
    assert not workshop.build().published


class _AsItIs(DimTag):
    link = dy.String(nullable=True, description="Some words.", metadata=declaration.latest("$.link", null="some"))


class _Prose(DimTag):
    """Other words."""

    link = dy.String(nullable=True, description="Other words.", metadata=declaration.latest("$.link", null="other"))


class _Column(DimTag):
    link = dy.String(nullable=True, metadata=declaration.latest("$.link"))
    added = dy.String(nullable=True)


class _Type(DimTag):
    link = dy.Int64(nullable=True, metadata=declaration.latest("$.link"))


class _Nullable(DimTag):
    link = dy.String(metadata=declaration.latest("$.link"))


class _Source(DimTag):
    link = dy.String(nullable=True, metadata=declaration.latest("$.other"))


class _Bound(DimTag):
    link = dy.String(nullable=True, metadata=declaration.latest("$.link"), max_length=9)


class _Key(DimTag):
    link = dy.String(primary_key=True, metadata=declaration.latest("$.link"))


class _Rule(DimTag):
    link = dy.String(nullable=True, metadata=declaration.latest("$.link"))

    @dy.rule()
    def tag_is_no_link(cls) -> pl.Expr:  # noqa: N805 (dataframely passes the class)
        return pl.col("tag") != pl.col("link")


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (_Prose, True),
        *((each, False) for each in (_Column, _Type, _Nullable, _Source, _Bound, _Key, _Rule)),
    ],
)
def test_names_types_keys_and_rules_count_and_prose_does_not(
    other: type[Table], is_same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_tags(table: type[Table]) -> Any:
        monkeypatch.setattr(table, "table_name", classmethod(lambda _: "dim_tag"))
        monkeypatch.setattr(declarations, "TABLES", tuple(table if each is DimTag else each for each in TABLES))
        return tables_fingerprint.__wrapped__()

    assert (with_tags(other) == with_tags(_AsItIs)) is is_same


def test_the_width_of_ranges_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables_fingerprint()  # kept for ever, so not asked for first while something is changed
    monkeypatch.setattr(declarations, "_RANGES", ["model 65536", "image 1048576"])
    assert tables_fingerprint.__wrapped__() != before


def test_the_text_of_a_macro_counts_and_its_description_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint: Any = analyses_fingerprint.__wrapped__
    before = analyses_fingerprint()
    first, *others = macros.MACROS
    for changed, is_same in ({"sql": "SELECT 1"}, False), ({"description": "Other words."}, True):
        monkeypatch.setattr(declarations, "MACROS", (dataclasses.replace(first, **changed), *others))
        assert (fingerprint() == before) is is_same
