"""The heap of a run, set so that batches of ever other sizes neither cost time nor keep memory.

glibc serves large arrays by mapping memory and small ones from a heap, and moves the border between
them up to 32 MB by itself. A border that is low costs page faults: at 4 MB they took 55 s of 173 s
of the demo's 700 steps, and a quarter of the time of making batches. So the border is fixed where
glibc would move it at most, and the heap keeps what is free at its end (man 3 mallopt): 148 s, and
809 MB from step 200 on.

oneDNN, which computes GELU and half-precision products on a CPU, keeps a primitive for each of the
last 1,024 shapes it met. The shapes of ragged batches hardly return, and each primitive pins pieces
of the heap, so free memory lay between them: 46 MB more every 500 steps of the demo. A step needs
the primitives of its own shapes alone.
"""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_MAPPED_FROM_BYTES = 32 << 20
_KEPT_BYTES = 64 << 20

_CACHE_CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"  # oneDNN, "Primitive Cache"
_PRIMITIVES_KEPT = 64


def steady_heap() -> bool:
    """Bound what is kept; return whether this C library lets the border be fixed (glibc does).

    oneDNN reads its capacity when it first computes: call this before. A capacity that the user
    set stays.
    """
    os.environ.setdefault(_CACHE_CAPACITY, str(_PRIMITIVES_KEPT))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    )
