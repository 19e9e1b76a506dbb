"""Settings of the C library's allocator for a training, whose steps ask for the same blocks."""

from __future__ import annotations

import ctypes

# <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Keep what is freed, for the next step; to be called before threads are started.

    By default glibc gives large blocks back to the kernel as soon as they are freed, and the kernel
    clears their pages each time they are asked for again: a third of the time of `cnn3_50` and
    `cnn3_128` on CPU. Costs a quarter more memory at most. Does nothing where there is no glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option, value in (
        (_M_ARENA_MAX, 1),  # the other arenas cannot grow beyond 64 MB
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 64 * 2**20),
    ):
        mallopt(option, value)
