"""A task for other processes to do, in a file that they import in no time."""

import os


def numbered(number: int) -> tuple[int, int]:
    """Say the number, and in which process."""
    return number, os.getpid()
