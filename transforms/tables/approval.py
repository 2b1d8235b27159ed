"""Approval of reviews as SQL: declared once, for the views over the cube and for `version_wide`.

The marts compute the same in polars (`transforms/star/mart.py`); a test holds the two against each other.
"""

#: The normal quantile of a two-sided interval at 95 %.
Z = 1.959963984540054


def approval_rate(up: str, down: str) -> str:
    """The part of the reviews that recommend; null without reviews."""
    return f"{up} / nullif({up} + {down}, 0)"


def approval_lower_bound(up: str, down: str) -> str:
    """Lower end of the 95 % Wilson interval around the approval rate, never negative; null without reviews."""
    rate, reviews = approval_rate(up, down), f"({up} + {down})"
    centre = f"{rate} + {Z**2} / (2 * {reviews})"
    margin = f"{Z} * sqrt(({rate} * (1 - {rate}) + {Z**2} / (4 * {reviews})) / {reviews})"
    return f"CASE WHEN {reviews} > 0 THEN greatest(({centre} - {margin}) / (1 + {Z**2} / {reviews}), 0) END"
