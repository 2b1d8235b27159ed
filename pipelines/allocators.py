"""Has the allocators of polars, Arrow and glibc give memory back that they no longer need.

Left to themselves they keep what was freed, each in arenas of its own: a build of 100,000 models then peaks a sixth
higher, and is no faster. Where dates are replayed, each needs again what the one before gave back: then free pages are
kept for longer. It must be called before polars and Arrow are imported.
"""

import ctypes
import os
from contextlib import suppress

#: When polars' jemalloc gives free pages back. A date of a replay takes a second or three.
_DECAY_MS, _DECAY_MS_OF_REPLAY = 200, 10_000
_M_ARENA_MAX = -8
_ARENAS = 2


def give_memory_back(*, is_replay: bool) -> None:
    """Sets up the allocators of this process, but for what the environment already says."""
    decay_ms = _DECAY_MS_OF_REPLAY if is_replay else _DECAY_MS
    os.environ.setdefault("_RJEM_MALLOC_CONF", f"narenas:{_ARENAS},dirty_decay_ms:{decay_ms},muzzy_decay_ms:0")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # so Arrow shares glibc's allocator
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(AttributeError, OSError):  # only glibc has it
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
