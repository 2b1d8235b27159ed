"""A small language for faults: what goes wrong, and when.

    SPEC      = "" | PART { ";" PART }
    PART      = RULE | "seed=" N                      (of `chance`; default 1)
    RULE      = KIND [ "=" ARGUMENT ] { CONDITION }   (the first rule that matches a request decides; spaces in between)

    KIND        what the answer is                                            ARGUMENT
    400 .. 599  that status, with the service's own body                      seconds of Retry-After; +SECONDS: a date
    html        200 with a page of HTML
    empty       200 with no items and no next page, as after a timeout of the service's database
    cut         200 with the first half of the JSON
    truncated   the connection closes in the middle of the body
    reset       the connection is reset before any answer
    slow        the body comes drop by drop                                   seconds that it takes (1)
    repeated-cursor   the next page is the page that was asked for
    duplicated  the items of the page before, once more
    shifted     from here on rows have moved: N came before this page, so     N (1)
                that its first ones are known; -N: N went, so that N are missed
    unordered   rows stand in another order than for the page before: its     N (1)
                last N come again, and as many of this page are missed
    undated     the row that comes next has no date: its cursor is "|ID",
                which the service then refuses
    later       a sound answer, but the clock moves on before it: the
                catalogue changes while a list is read                       days (1)
    poison      any page that has this record fails until it is alone         ID[:500|:broken][:served|:spoiled|:always]

    CONDITION
    path=REGEX  only requests whose path below /api/v1 and query begin like that
    nth=LIST    only these of them, from 1: 3 or 2,5 or 4-6 or 7-
    every=N     only every Nth of them
    chance=P    each with this probability, from 0 to 1
    times=N     no more often than that

Example: `429=1 chance=0.05; reset nth=3 path=/models; poison=1008:broken; seed=7`.

A rule counts the requests that no earlier rule has matched. A poisoned page is a 500, or 200 with broken JSON. Alone
on its page the record is served as it is, or spoiled (its name is no text), or the page always fails.
"""

import re
from dataclasses import dataclass, field

from emulator.simulation.dice import digest

STATUSES = range(400, 600)
KINDS = (
    "html",
    "empty",
    "cut",
    "truncated",
    "reset",
    "slow",
    "repeated-cursor",
    "duplicated",
    "shifted",
    "unordered",
    "undated",
    "later",
    "poison",
)
#: Kinds that use the service's answer, and mostly change it. The others replace it.
CHANGING = tuple(kind for kind in KINDS if kind not in {"html", "reset", "poison"})


class BadFaultsError(ValueError):
    """The faults are not valid; the text names the part and what is expected."""


@dataclass(frozen=True)
class Poison:
    """The record, how its pages fail, and its fate on a page of its own."""

    record: str
    broken: bool = False
    alone: str = "served"


@dataclass
class Rule:
    """One rule, and how many requests it has seen and changed."""

    text: str
    kind: str
    status: int = 200
    seconds: float | None = None
    as_date: bool = False
    count: int = 1
    poison: Poison | None = None
    path: re.Pattern[str] = re.compile("")
    nth: tuple[tuple[int, float], ...] = ()
    every: int = 1
    chance: float = 1.0
    times: float = float("inf")
    met: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)

    def strikes(self, address: str, seed: int, place: int) -> bool:
        """Whether the rule matches this request; counts it.

        Args:
            address: path below /api/v1, and query.
            seed: of chance.
            place: of the rule in its list.
        """
        if not self.path.match(address):
            return False
        self.met += 1
        drawn = int.from_bytes(digest(4, seed, "fault", place, self.met), "big") / 2**32
        strikes = (
            (not self.nth or any(first <= self.met <= last for first, last in self.nth))
            and self.met % self.every == 0
            and drawn < self.chance
            and self.struck < self.times
        )
        self.struck += strikes
        return strikes


@dataclass
class Faults:
    """The list of faults; an empty one changes nothing."""

    text: str
    rules: list[Rule]
    seed: int

    def next(self, address: str) -> Rule | None:
        """The rule that decides about a request, if any; never poison."""
        return next(
            (
                rule
                for place, rule in enumerate(self.rules)
                if rule.poison is None and rule.strikes(address, self.seed, place)
            ),
            None,
        )

    def poisons(self, address: str) -> list[tuple[Rule, Poison]]:
        """The records that poison a request's page if they are on it."""
        return [
            (rule, rule.poison)
            for place, rule in enumerate(self.rules)
            if rule.poison is not None and rule.strikes(address, self.seed, place)
        ]


def read_faults(text: str) -> Faults:
    """Read a list of faults.

    Raises:
        BadFaultsError: a part is not in the language of this module.
    """
    rules, seed = [], 1
    for part in filter(None, map(str.strip, text.split(";"))):
        if part.startswith("seed="):
            seed = int(_number(part, "seed", part.removeprefix("seed="), whole=True))
        else:
            rules.append(_rule(part))
    return Faults(text, rules, seed)


def _rule(text: str) -> Rule:
    (head, *conditions) = text.split()
    kind, _, argument = head.partition("=")
    if kind.isdecimal() and int(kind) in STATUSES:
        rule = Rule(text, "status", status=int(kind))
    elif kind in KINDS:
        rule = Rule(text, kind)
    else:
        expected = f"a status from {STATUSES[0]} to {STATUSES[-1]}, {', '.join(KINDS)}"
        raise BadFaultsError(f"{kind!r} in {text!r} is no kind of fault; kinds are {expected}")
    if rule.kind == "poison":
        rule.poison = _poison(text, argument)
    elif argument and rule.kind == "shifted":
        rule.count = int(_number(text, kind, argument.removeprefix("-"), whole=True)) * (
            -1 if argument[0] == "-" else 1
        )
    elif argument and rule.kind in {"later", "unordered"}:
        rule.count = int(_number(text, kind, argument, whole=True))
    elif argument and rule.kind in {"status", "slow"}:
        rule.as_date = rule.kind == "status" and argument.startswith("+")
        rule.seconds = _number(text, kind, argument.removeprefix("+") if rule.as_date else argument)
    elif argument:
        raise BadFaultsError(f"{kind} in {text!r} takes no argument")
    for condition in conditions:
        _add_condition(rule, condition)
    return rule


def _poison(text: str, argument: str) -> Poison:
    record, *how = argument.split(":")
    modes = [one for one in how if one in {"500", "broken"}]
    alone = [one for one in how if one in {"served", "spoiled", "always"}]
    if not record or len(modes) > 1 or len(alone) > 1 or len(modes) + len(alone) < len(how):
        raise BadFaultsError(f"poison in {text!r} must be like poison=ID[:500|:broken][:served|:spoiled|:always]")
    return Poison(record, modes == ["broken"], alone[0] if alone else "served")


def _add_condition(rule: Rule, condition: str) -> None:
    name, equals, value = condition.partition("=")
    if name == "path" and equals:
        try:
            rule.path = re.compile(value)
        except re.error as error:
            raise BadFaultsError(f"path in {rule.text!r} is no regular expression ({error})") from None
    elif name == "nth" and equals:
        rule.nth = tuple(_span(rule.text, part) for part in value.split(","))
    elif name == "every" and equals:
        rule.every = max(1, int(_number(rule.text, name, value, whole=True)))
    elif name == "times" and equals:
        rule.times = _number(rule.text, name, value, whole=True)
    elif name == "chance" and equals:
        rule.chance = _number(rule.text, name, value)
        if rule.chance > 1:
            raise BadFaultsError(f"chance in {rule.text!r} must be from 0 to 1, not {value}")
    else:
        raise BadFaultsError(
            f"{condition!r} in {rule.text!r} is no condition; those are path=, nth=, every=, chance=, times="
        )


def _span(text: str, part: str) -> tuple[int, float]:
    found = re.fullmatch(r"(\d+)(-(\d*))?", part, re.ASCII)
    if found is None:
        raise BadFaultsError(f"nth in {text!r} must be like 3 or 2,5 or 4-6 or 7-, not {part!r}")
    first = int(found[1])
    if found[2] is None:
        return first, first
    return first, int(found[3]) if found[3] else float("inf")


def _number(text: str, name: str, value: str, whole: bool = False) -> float:
    if not re.fullmatch(r"\d+" if whole else r"\d+|\d*\.\d+", value, re.ASCII):
        raise BadFaultsError(f"{name} in {text!r} must be a {'whole ' if whole else ''}number, not {value!r}")
    return float(value)
