"""Batches of ever other shapes leave no holes in the heap, and no primitives of oneDNN."""

import ctypes
import json
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, json, sys
import numpy as np
import torch
from linkbert.loader.heap import steady_heap

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
kept = []

def num_mapped():
    # Of arrays of 40 and 20 MB, which are kept: freed ones move the border.
    before = libc.mallinfo2().hblks
    kept.append((np.ones(40 << 20, np.uint8), np.ones(20 << 20, np.uint8)))
    return libc.mallinfo2().hblks - before

def used_after(num_rows):
    for rows in num_rows:
        torch.nn.functional.gelu(torch.ones(rows, 64))
    return libc.mallinfo2().uordblks

mapped = num_mapped()
assert steady_heap()
mapped_steady, before = num_mapped(), used_after(range(8, 108))
print(json.dumps([mapped, mapped_steady, used_after(range(108, 408)) - before]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc's heap since 2.33")
def test_shapes_that_do_not_return_leave_nothing_behind() -> None:
    command = [sys.executable, "-c", _PROGRAM]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    mapped, mapped_steady, kept = json.loads(told)
    assert mapped == 2
    assert mapped_steady == 1
    assert kept < 1 << 20  # 300 primitives took 5 MB and more
