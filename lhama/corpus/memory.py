"""Give memory that is free back to the system, so that a process that works for hours stays as small as it began.

In: nothing. Out: nothing. glibc keeps what is freed between blocks that live, and each part of a corpus leaves other
gaps behind: a worker grew by a tenth over eight parts of 256 MB (docs/log.md). On other systems nothing happens.
"""

import ctypes
import sys
from contextlib import suppress


def give_back_memory() -> None:
    """Ask glibc to return all free pages; another libc is left as it is."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
