"""Memory in the steps: freed memory is kept for the next one, and Python's garbage collector waits until the end.

In: nothing. Out: nothing but speed. glibc returns every large block to the kernel when it is freed, and a training
step frees and asks for the same hundreds of megabytes again: each time the kernel clears the pages anew. Two knobs of
its `malloc` stop that (man 3 mallopt); eager training on two cores became 1.4 times as fast (docs/log.md). On other
systems nothing happens.
"""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_FROM_HEAP = 1 << 30
NEVER_TRIM = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Tell glibc's malloc to keep what is freed; a system with another libc is left as it is."""
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_FROM_HEAP)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER_TRIM)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keep Python's garbage collector out of the steps; nothing in the loop makes cycles worth a pause.

    What whoever trains has frozen before stays so, and nothing of the training is frozen with it.
    """
    frozen = gc.get_freeze_count() > 0
    gc.collect()
    if not frozen:
        gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        if not frozen:
            gc.unfreeze()
