"""What a program does in its own process stays there, and its end is told in a few words."""

import pytest

from schemas.limited import why_it_fails

LIMITS = {"seconds": 2, "memory_bytes": 1 << 28}


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("pass", None),
        ("raise OSError('no such token')", "no such token"),
        ("while True: pass", "no end within 2 seconds of processor time"),
        ("x = bytearray(1 << 30)", "it asks for more memory than such a file needs"),
        ("import os; os.abort()", "the library that reads it aborts (signal 6)"),
        ("assert sys.argv[1] == 'the argument'", None),
    ],
)
def test_each_end_is_told(program: str, reason: str | None) -> None:
    assert why_it_fails(program, "the argument", **LIMITS) == reason
