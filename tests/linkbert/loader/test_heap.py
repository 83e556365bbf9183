"""Large matrices are mapped, whatever was freed before; so they leave no holes in the heap."""

import ctypes
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, sys
import numpy as np
from linkbert.loader.heap import steady_heap

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
if sys.argv[1] == "steady":
    assert steady_heap()
np.empty(16 << 20, np.uint8)  # freed at once, which moves glibc's own border
before = libc.mallinfo2().hblks
kept = np.ones(5 << 20, np.uint8), np.ones(2 << 20, np.uint8)
print(libc.mallinfo2().hblks - before)
"""


def num_mapped(how: str) -> int:
    """Return how many of an array of 5 MB and one of 2 MB are mapped."""
    command = [sys.executable, "-c", _PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc's heap since 2.33")
def test_the_border_stays_where_it_was_fixed() -> None:
    assert num_mapped("as it is") == 0
    assert num_mapped("steady") == 1
