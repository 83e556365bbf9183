"""Trials of pages that die, in a module that a child process imports fast."""

import os
import signal
from pathlib import Path


def print_and_die(deadly: dict[int, int], start: int) -> None:
    """Print the offsets up to 9 and send the process the signal that one of them has."""
    for offset in range(start, 10):
        print(offset, flush=True)
        if offset in deadly:
            os.kill(os.getpid(), deadly[offset])


def die_of_memory(deaths: str, start: int) -> None:
    """Die at page 4 as the kernel kills what takes the last memory, as often as a file is long."""
    for offset in range(start, 10):
        print(offset, flush=True)
        left = Path(deaths).read_bytes()
        if offset == 4 and left:
            Path(deaths).write_bytes(left[1:])
            os.kill(os.getpid(), signal.SIGKILL)
