"""A colour per base model for ever, on light and on dark paper.

Colours are points of OKLCH, where equal steps look equally far. The hue of a base model says its ecosystem, and its
shade (one of four lightnesses) tells it from others of the ecosystem: both are in transforms/star/base_models.csv.
A name that is not listed gets both from a hash of itself. So a colour never depends on rank or selection.

Lightness is what every kind of colour vision sees, but it does not tell seven lines apart. Lines that stand
too near to each other for anybody get different dashes, in the order of their names.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from math import cos, dist, radians, sin

from transforms.star.base_models import colours

#: How near two colours may be, in OKLab, before their lines need different dashes. Black and white are 1 apart.
NEAR = 0.075
#: Dash patterns, from a line that is drawn through; on and off in pixels.
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (9, 2), (3, 2), (10, 3, 2, 3), (14, 5), (4, 2, 4, 8), (1, 6))
#: Lightness and chroma per shade. On the paper of its palette each has a contrast of at least 4.5, so it can be text.
_LIGHT = ((0.3, 0.1), (0.385, 0.13), (0.47, 0.16), (0.55, 0.17))
_DARK = ((0.93, 0.06), (0.845, 0.11), (0.76, 0.15), (0.67, 0.17))
#: What the three kinds of colour blindness see (Machado, Oliveira and Fernandes 2009, severity 1), in linear RGB.
_VISIONS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
_USUAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_Triple = tuple[float, float, float]


@cache
def _listed() -> dict[str, tuple[float, int]]:
    return {name: (float(hue), int(shade)) for name, hue, shade in colours().iter_rows()}


def colour(name: str, *, dark: bool = False) -> str:
    """The colour of a name, as `#rrggbb`."""
    known = _listed().get(name)
    if known is None:
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        known = (int.from_bytes(digest[:4]) % 360, digest[4] % 4)
    hue, shade = known
    lightness, chroma = (_DARK if dark else _LIGHT)[shade]
    return _hexadecimal(lightness, chroma, hue)


def dashes(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """A dash pattern per name: two names whose colours are near, on light or on dark paper, have different ones."""
    chosen: dict[str, int] = {}
    for name in sorted(set(names)):
        near = [pattern for other, pattern in chosen.items() if _too_near(name, other)]
        chosen[name] = next((number for number in range(len(DASHES)) if number not in near), len(DASHES) - 1)
    return {name: DASHES[number] for name, number in chosen.items()}


def _too_near(one: str, other: str) -> bool:
    return any(distance(colour(one, dark=dark), colour(other, dark=dark)) < NEAR for dark in (False, True))


def distance(one: str, other: str) -> float:
    """The least distance of two colours in OKLab, over normal vision and the three kinds of colour blindness."""
    distances = []
    for vision in (_USUAL, *_VISIONS.values()):
        first, second = (_oklab(_times(vision, _linear(colour_))) for colour_ in (one, other))
        distances.append(dist(first, second))
    return min(distances)


def _hexadecimal(lightness: float, chroma: float, hue: float) -> str:
    """The colour of OKLCH, with as much of its chroma as sRGB has at that lightness and hue."""
    for part in range(100, -1, -2):
        a, b = (chroma * part / 100 * turn(radians(hue)) for turn in (cos, sin))
        red, green, blue = _from_oklab(lightness, a, b)
        if all(-1e-4 <= channel <= 1 + 1e-4 for channel in (red, green, blue)):
            break
    return "#" + "".join(f"{round(255 * _gamma(min(max(channel, 0.0), 1.0))):02x}" for channel in (red, green, blue))


def _from_oklab(lightness: float, a: float, b: float) -> _Triple:
    long, medium, short = (
        (lightness + x * a + y * b) ** 3
        for x, y in ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728), (-0.0894841775, -1.2914855480))
    )
    return _times(
        (
            (4.0767416621, -3.3077115913, 0.2309699292),
            (-1.2684380046, 2.6097574011, -0.3413193965),
            (-0.0041960863, -0.7034186147, 1.7076147010),
        ),
        (long, medium, short),
    )


def _oklab(linear: _Triple) -> _Triple:
    cones = _times(
        (
            (0.4122214708, 0.5363325363, 0.0514459929),
            (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005),
        ),
        linear,
    )
    long, medium, short = (max(cone, 0.0) ** (1 / 3) for cone in cones)
    return _times(
        (
            (0.2104542553, 0.7936177850, -0.0040720468),
            (1.9779984951, -2.4285922050, 0.4505937099),
            (0.0259040371, 0.7827717662, -0.8086757660),
        ),
        (long, medium, short),
    )


def _linear(colour_: str) -> _Triple:
    red, green, blue = (int(colour_[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return _ungamma(red), _ungamma(green), _ungamma(blue)


def _times(matrix: Sequence[Sequence[float]], vector: Iterable[float]) -> _Triple:
    values = tuple(vector)
    first, second, third = (sum(a * b for a, b in zip(row, values, strict=True)) for row in matrix)
    return first, second, third


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def _ungamma(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
