"""How commands that only read report damaged tables: in one line, not with a traceback.

Checking the whole folder before each look would take longer than the look itself. So the folder is
checked only if reading fails, and the first problem is reported.
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
    """Turn an error in the block into what is wrong with the folder that it reads.

    Raises:
        SchemaError: in place of an error that would mean nothing to a user.
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
    # If the check fails too, the error that led here has to do.
    except (LinkBertError, OSError, *_FAILURES):
        return ""
