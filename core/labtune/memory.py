"""Memory that one step frees serves the next, instead of going back to the system and being asked for again."""

from __future__ import annotations

import ctypes
from functools import cache

# From GNU's malloc.h: how much free memory at the end of the heap is kept; from which size blocks are mapped apart.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1
APART = 2**25  # where GNU's own adaptation ends; larger blocks would leave holes that fit no other


@cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees; return whether its allocator can be told so (GNU's can).

    Every step of a training asks for the same blocks. GNU's allocator hands them back when 64 MB lie free, and the
    system clears each page that it hands out again. ``malloc_trim`` still gives everything back when it is called.
    """
    try:
        tell = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another system, or another allocator
        return False
    return bool(tell(MMAP_THRESHOLD, APART)) and bool(tell(TRIM_THRESHOLD, LARGEST))
