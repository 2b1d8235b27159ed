"""Text as a chart writes it: names of strangers, numbers, and lines that are as long as there is room.

A browser measures text when it is too late to wrap it. So widths are estimated from classes of letters of DejaVu Sans,
the widest of the fonts that the charts ask for: an estimate is rather too long than too short.
"""

import unicodedata
from collections.abc import Iterable
from datetime import date

FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
NAMELESS = "(no name)"
ELLIPSIS = "…"
#: Widths in parts of the font size.
_NARROW, _USUAL, _CAPITAL, _WIDE, _FULL = 0.37, 0.63, 0.73, 1.0, 1.4
_BOLD = 1.11


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The most pixels that a line of text of this font size takes."""
    return size * sum(map(_letter_width, text)) * (_BOLD if bold else 1)


def _letter_width(letter: str) -> float:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0.0
    if ord(letter) > 0x2E7F or unicodedata.east_asian_width(letter) in {"W", "F"}:
        return _FULL
    if letter in " .,:;'|!ijlI()[]/-":
        return _NARROW
    return _WIDE if letter in "mwMWOQ@%&—…" or ord(letter) > 0x24F else _CAPITAL if letter.isupper() else _USUAL


def shown(name: str) -> str:
    """A name on one line, without control characters and marks that turn the direction of writing; never empty."""
    cleaned = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter
        for letter in name
        if unicodedata.category(letter) != "Cs" and unicodedata.bidirectional(letter) not in _TURNS
    )
    return " ".join(cleaned.split()) or NAMELESS


_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def shortened(text: str, pixels: float, size: float, *, bold: bool = False) -> str:
    """The text, or as much of both its ends as fits: names often differ at the end only."""
    kept = len(text)
    while kept and text_width(text, size, bold=bold) > pixels:
        kept -= 1
        text_ = text[: -(-kept // 2)].rstrip() + ELLIPSIS + text[len(text) - kept // 2 :].lstrip()
        if text_width(text_, size, bold=bold) <= pixels:
            return text_
    return text


def wrapped(text: str, pixels: float, size: float, *, bold: bool = False) -> list[str]:
    """The lines of a text, broken between words; a word that is too long for a line is shortened."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and text_width(longer, size, bold=bold) > pixels:
            lines.append(line)
            line = word
        else:
            line = longer
    return [shortened(line, pixels, size, bold=bold) for line in (*lines, line)]


def number(value: float) -> str:
    """A number for a reader: three digits of a small one, thousands apart in a large one."""
    if value == 0 or abs(value) >= 99.95:
        return f"{value:,.0f}"
    if value == round(value):
        return f"{value:.0f}"
    if abs(value) < 1e-4:
        return f"{value:.1e}"
    decimals = 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.995 else 3 if abs(value) >= 0.0995 else 4
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def percent(value: float) -> str:
    """A share, 1 is all, as a percentage with three digits."""
    return f"{number(100 * value)} %"


def day(on: date) -> str:
    return f"{on:%-d %B %Y}"


def period(first: date, last: date) -> str:
    """Two days as a reader says them: "1 to 30 January 2026"."""
    if first == last:
        return day(first)
    same_year = first.year == last.year
    begin = (
        f"{first:%-d}" if same_year and first.month == last.month else f"{first:%-d %B}" if same_year else day(first)
    )
    return f"{begin} to {day(last)}"


def listed(texts: Iterable[str], most: int = 4) -> str:
    """The first few texts, and how many more there are."""
    texts = list(texts)
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
