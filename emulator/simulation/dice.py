"""Counter-based randomness: every random number is a hash of (seed, stream, index), never of earlier numbers.

So each row of each column, on each date, can be computed alone, in any order and in any process, and is always the
same. The vectorised functions use only exact IEEE arithmetic (no exp, log or pow), so all processors give the same
numbers.
"""

import struct
import zlib
from collections.abc import Sequence
from hashlib import shake_128

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: The day of an event that does not happen.
NEVER = 2**30
DAYS_TO_EVENT = ((0, 1), (0.25, 60), (0.5, 180), (0.75, 420), (0.9, 800), (1, 1800))


def bits(seed: int, stream: str, index: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """64 random bits for each integer of `index` (splitmix64)."""
    offset = (seed * 0x9E3779B97F4A7C15 + zlib.crc32(stream.encode()) * 0xD1B54A32D192ED03) % 2**64
    z = np.asarray(index).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(offset)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def uniforms(seed: int, stream: str, index: npt.ArrayLike) -> Floats:
    """A number in [0, 1) for each integer of `index`."""
    return (bits(seed, stream, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def from_quantiles(numbers: Floats, quantiles: Sequence[tuple[float, float]]) -> Floats:
    """Uniform numbers to a distribution, given by its quantiles [(share, value), ...], linear in between."""
    shares, values = zip(*quantiles, strict=True)
    result: Floats = np.interp(numbers, shares, values)
    return result


def event_days(seed: int, stream: str, index: Ints, after: Ints, share: float) -> Ints:
    """A day after `after` for a share of the entities, NEVER for the others."""
    delay = 1 + from_quantiles(uniforms(seed, stream + ".delay", index), DAYS_TO_EVENT).astype(np.int64)
    return np.where(uniforms(seed, stream, index) < share, after + delay, NEVER)


def draws(count: int, *key: int | str) -> tuple[int, ...]:
    """`count` numbers of 16 bits for `key`: for single documents, where a hash call is faster than vectors."""
    return struct.unpack(f"<{count}H", shake_128(repr(key).encode()).digest(2 * count))


def digest(size: int, *key: int | str) -> bytes:
    """`size` random bytes for `key`."""
    return shake_128(repr(key).encode()).digest(size)
