"""Try what a library makes of a file from outside, in a process that may fail without harm.

Libraries abort, run out of memory or never end on some damaged files. So a small program reads the
file first, in a child process with limited memory and processor time, and what it meets becomes one
line. The program prints nothing that is used: the caller reads the file again itself.
"""

from __future__ import annotations

import os
import subprocess
import sys

_LIMITS = """
import resource, sys
for limit, most in ((resource.RLIMIT_DATA, {memory}), (resource.RLIMIT_CPU, {seconds})):
    hard = resource.getrlimit(limit)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (most, most))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
"""

_WALL_SECONDS_PER_CPU_SECOND = 30
"""A busy machine gives a process little; one that waits without computing ends after this."""


def why_it_fails(program: str, argument: str, *, seconds: int, memory_bytes: int) -> str | None:
    """Run a Python program with limits; return in a few words why it failed, None if it did not.

    Args:
        program: source text; it finds `argument` in `sys.argv[1]`.
        argument: mostly a path.
        seconds: processor time at most.
        memory_bytes: memory at most, without what libraries map read-only.

    >>> why_it_fails("print(1)", "", seconds=9, memory_bytes=1 << 30)
    >>> why_it_fails("raise ValueError('no token')", "", seconds=9, memory_bytes=1 << 30)
    'no token'
    """
    limits = _LIMITS.format(memory=memory_bytes, seconds=seconds)
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-c", limits + program, argument],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds * _WALL_SECONDS_PER_CPU_SECOND,
            env={**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return f"no end within {seconds * _WALL_SECONDS_PER_CPU_SECOND} seconds"
    if ended.returncode == 0:
        return None
    return _reason(ended.returncode, ended.stderr.decode(errors="replace"), seconds)


def _reason(code: int, told: str, seconds: int) -> str:
    lines = [line.strip() for line in told.strip().splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if "MemoryError" in told or "memory allocation" in told or "bad_alloc" in told:
        return "it asks for more memory than such a file needs"
    if code in (-9, -24):  # SIGKILL follows SIGXCPU where both limits are equal
        return f"no end within {seconds} seconds of processor time"
    if code < 0:
        return f"the library that reads it aborts ({last or f'signal {-code}'})"
    _, _, message = last.partition(": ")
    return message or last or f"exit status {code}"
