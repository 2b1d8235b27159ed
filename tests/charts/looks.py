"""What is wrong with a chart as a browser shows it: nothing, one hopes."""

from itertools import combinations

import pytest

#: The texts of the chart with their boxes, its axes' ticks, and its data.
_SEEN = """
drawn.then(async ({view}) => {
  await view.runAsync();
  await document.fonts.ready;
  const box = item => { const b = item.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; };
  const svg = document.querySelector("#chart svg");
  const lines = [...svg.querySelectorAll("text")].flatMap(text => text.children.length ? [...text.children] : [text]);
  const named = view => { try { return view.data("points"); } catch { return []; } };
  return {
    svg: box(svg),
    page: [document.documentElement.scrollWidth, innerWidth],
    name: document.querySelector("[role=graphics-document]").getAttribute("aria-label"),
    texts: lines.filter(line => line.textContent.trim() && getComputedStyle(line).opacity > 0)
      .map(line => [line.textContent, box(line), getComputedStyle(line).fill]),
    ticks: [...svg.querySelectorAll(".role-axis-label")].map(axis => [...axis.querySelectorAll("text")].map(
      text => text.children.length ? [...text.children].map(line => line.textContent).join(" ") : text.textContent)),
    values: named(view).map(row => row.value).filter(value => value !== null),
  };
})
"""


def seen(tab):
    return tab.run(_SEEN)


def faults(shown, figure, values, theme):
    """Sentences about what is wrong."""
    return [*_unreadable(shown, theme), *_wrong(shown, figure, values)]


def _unreadable(shown, theme):
    left, top, right, bottom = shown["svg"]
    for text, (x, y, x2, y2), paint in shown["texts"]:
        if x < left - 1 or y < top - 1 or x2 > right + 1 or y2 > bottom + 1:
            yield f"cut off: {text!r} at {x:.0f} to {x2:.0f} of {left:.0f} to {right:.0f}, {y:.0f} to {y2:.0f}"
        if (contrast := _contrast(paint, theme.paper)) < 4.5:
            yield f"{text!r} has a contrast of {contrast:.1f}"
    for (text, one, _), (other_text, other, _) in combinations(shown["texts"], 2):
        if _overlap(one, other) > 1.5:
            yield f"{text!r} and {other_text!r} overlap"
    if shown["page"][0] > shown["page"][1]:
        yield f"the page is wider than its window: {shown['page']}"


def _wrong(shown, figure, values):
    for ticks in shown["ticks"]:
        if len(set(ticks)) < len(ticks):
            yield f"ticks are there twice: {ticks}"
    if not shown["name"].startswith(figure.finding):
        yield f"a screen reader hears {shown['name']!r}"
    if sorted(shown["values"]) != pytest.approx(sorted(values), rel=1e-9, abs=1e-9):
        yield f"{len(shown['values'])} numbers are not the {len(values)} of SQL"


def _overlap(one, other):
    """The lesser side of what two boxes have in common."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    # A line's box is as tall as its font allows; letters are not.
    down = min(one[3], other[3]) - max(one[1], other[1]) - 2
    return min(across, down)


def _contrast(paint, paper):
    lightness = sorted((_luminance(_channels(paint)), _luminance(_channels(paper))))
    return (lightness[1] + 0.05) / (lightness[0] + 0.05)


def _channels(paint):
    if paint.startswith("#"):
        return [int(paint[place : place + 2], 16) for place in (1, 3, 5)]
    return [float(channel) for channel in paint[paint.index("(") + 1 : -1].split(",")[:3]]


def _luminance(channels):
    """Relative luminance as WCAG 2 defines it."""
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
