"""What a command that only reads says of tables that somebody changed: one line, not a trace.

`check` proves a whole folder; doing so before each look would take longer than the look itself. So
the folder is proved only where reading fails, and its first problem is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from linkbert.inspection.check import check
from schemas.errors import LinkBertError, SchemaError

_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    pa.ArrowException,
)


@contextmanager
def blamed_on(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong in the block into what is wrong with the folder that it reads.

    Raises:
        SchemaError: in place of an error that says nothing to a person.
    """
    try:
        yield
    except _FAILURES as error:
        problem = _first_problem(Path(path)) or f"{type(error).__name__}: {error}"
        raise SchemaError(
            f"expected {path} as its stages wrote it, found damage ({problem}): make "
            "it again (--overwrite); if `linkbert check` finds nothing, please report this"
        ) from error


def _first_problem(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    try:
        return next(iter(check(folder).problems), "")
    # What stops the proof as well is told by the error that led here.
    except (LinkBertError, OSError, *_FAILURES):
        return ""
