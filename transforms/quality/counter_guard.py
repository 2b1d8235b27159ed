"""The counter guard: a counter that collapses for many of its entities in one day is broken.

In March 2026 the service answered 0 for every counter of /images. The flows would show a fall of everything, and a rise
a day later. So the values of such a counter are withheld on that date: they are null in the fact, a row of ops_withheld
says so, raw keeps them, and the next flow spans the day. A person can accept a real collapse
(`pipelines.raw.decisions`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from pipelines.settings import variable
from transforms.star.facts import ENTITY_ID, counters_of
from transforms.tables import OpsWithheld, Table

#: A fall of fewer entities is no collapse, however small the catalogue is.
ENTITIES_AT_LEAST = 50


@dataclass(frozen=True)
class Collapse:
    """A counter of a fact that fell to less than half for `fell` of the `known` entities that had any."""

    fact: type[Table]
    counter: str
    known: int
    fell: int
    is_accepted: bool

    @property
    def subject(self) -> str:
        return counter_name(self.fact, self.counter)

    @property
    def share(self) -> float:
        return self.fell / self.known

    def message(self, on: date, max_share: float) -> str:
        """The collapse as a sentence, with its consequence."""
        found = (
            f"{self.subject} fell to less than half for {self.fell:,} of the {self.known:,} that had any, more than "
            f"the share of {max_share:.0%} of {variable('max_counter_collapse_share')}"
        )
        if self.is_accepted:
            return f"{found}. It was accepted as real."
        return (
            f"{found}: its values of {on} are withheld, and the next flows span the day. If it is real: civitai-etl "
            f'accept {self.subject} {on} --because "..."'
        )


def counter_name(fact: type[Table], counter: str) -> str:
    """The name of a counter in decisions and in ops_withheld."""
    return f"{fact.table_name()}.{counter}"


def counter_names() -> list[str]:
    """Every counter that can be withheld."""
    return [counter_name(fact, counter) for fact in ENTITY_ID for counter in counters_of(fact)]


#: Of a counter of a fact: how many entities had any, and for how many of them it fell to less than half.
Falls = Mapping[tuple[type[Table], str], tuple[int, int]]


def falls(fact: type[Table], observed: pl.DataFrame) -> Falls:
    """The falls of a fact's counters on a day, of what was observed beside what was known (`facts.beside_known`)."""
    sums = observed.select(
        number.alias(f"{counter} {name}") for counter in counters_of(fact) for name, number in _numbers(counter).items()
    ).row(0, named=True)
    return {(fact, counter): (sums[f"{counter} had"], sums[f"{counter} fell"]) for counter in counters_of(fact)}


def _numbers(counter: str) -> dict[str, pl.Expr]:
    now, before = pl.col(counter), pl.col(f"{counter}_known")
    had = (before > 0) & now.is_not_null()
    return {"had": had.sum(), "fell": (had & (2 * now < before)).sum()}


def collapses(found: Falls, accepted: Collection[str], max_share: float) -> list[Collapse]:
    """The counters that collapsed on a day. `accepted` names those whose collapse on that day is real; `max_share` may
    fall to less than half.
    """
    return [
        Collapse(fact, counter, had_any, fell, counter_name(fact, counter) in accepted)
        for (fact, counter), (had_any, fell) in found.items()
        if fell >= ENTITIES_AT_LEAST and fell > max_share * had_any
    ]


def withheld_rows(found: Collection[Collapse], on: date, max_share: float) -> pl.DataFrame:
    """Rows of ops_withheld."""
    rows = [
        (on, each.subject, each.known, each.fell, each.share, max_share, each.is_accepted, each.message(on, max_share))
        for each in found
    ]
    return OpsWithheld.validate(pl.DataFrame(rows, schema=OpsWithheld.polars_schema(), orient="row"), cast=True)
