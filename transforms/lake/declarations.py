"""What a star is declared as, so that a program knows whether a published one is of its own kind.

`DECLARATIONS_VERSION` is raised by hand and says which of two programs is the later one. The fingerprints follow from
the declarations and say whether anything has changed: names, types, keys and rules. Prose is no part of them.
"""

import hashlib
from collections.abc import Iterable
from functools import cache

from transforms.lake.state import STATE
from transforms.ranges import WIDTH
from transforms.tables import TABLES, Table
from transforms.tables.macros import MACROS, VIEWS

#: What the metadata of a column say to people alone.
_PROSE = frozenset({"example", "unit", "null", "origin"})
#: A range of another width has other rows.
_RANGES = [f"{axis} {width}" for axis, width in WIDTH.items()]


@cache
def tables_fingerprint() -> str:
    """Of the tables, of what is carried from day to day, and of the ranges that cut both."""
    state = [f"{each.name} {each.key} {each.schema} {each.axis} {each.storage}" for each in STATE.values()]
    return _fingerprint([*(line for table in TABLES for line in _lines(table)), *state, *_RANGES])


@cache
def analyses_fingerprint() -> str:
    """Of the views and macros over the tables, which a publish makes again."""
    views = [f"{view.name} {view.sql}" for view in VIEWS]
    return _fingerprint([*views, *(f"{macro.signature} {macro.sql}" for macro in MACROS)])


def _lines(table: type[Table]) -> Iterable[str]:
    # Rules beyond those of single columns go by their names.
    rules = sorted(name for name in table._validation_rules(with_cast=False) if "|" not in name)  # noqa: SLF001
    yield f"{table.table_name()} {table.storage} {table.surrogate_key} {table.primary_key()} {rules}"
    for name, column in table.columns().items():
        said = {key: value for key, value in (column.metadata or {}).items() if key not in _PROSE}
        bounds = {
            key: "a rule" if callable(value) else value
            for key, value in vars(column).items()
            if not key.startswith("_") and key not in ("metadata", "description") and value is not None
        }
        yield f"{name} {column.dtype} {sorted(bounds.items())} {sorted(said.items())}"


def _fingerprint(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
