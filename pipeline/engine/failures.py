"""From traces in three languages to one line: what stopped a task on another machine.

An engine passes the error of a worker on as text, wrapped in its own. The product's errors say what
to do, so they are found in it and raised again as what they were; the rest goes to a file.
"""

from __future__ import annotations

import logging
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas import errors
from schemas.errors import LinkBertError, StageError

_MAX_CHARS = 300

_OWN = ("linkbert", "pipeline", "schemas")


def cause_of(text: str) -> BaseException | None:
    """Return the error that a text passes on, None if it is not a known one.

    >>> cause_of("Caused by: schemas.errors.DumpError: expected a dump [while running 'OpenJob']")
    DumpError('expected a dump')
    >>> flinks = "TimeoutException: Waited 3 minutes (plus 5 ns) for SettableFuture@2"
    >>> str(cause_of(flinks))[:34]
    'expected workers that run the job,'
    """
    # The way a trace of Python ends, be it all there is or deep in one of Java or Go, where the
    # ends of lines may be written out.
    lines = text.replace("\\n", "\n")
    found = re.search(r"schemas\.errors\.(\w+): (.*?)(?: \[while running|\"|$)", lines, re.M)
    if found is not None and hasattr(errors, found[1]):
        error_class: type[LinkBertError] = getattr(errors, found[1])
        return error_class(found[2])
    missing = re.search(r"ModuleNotFoundError: No module named '(schemas|pipeline|linkbert)", lines)
    if missing is not None:
        return StageError(
            "expected workers that have this package, found some without: install the version of "
            "the launcher in their environment, with its packages"
        )
    # Flink 1.19 says this of a worker that cannot load the job; the worker's own words stay there.
    if re.search(r"TimeoutException: Waited \d+ minutes .*SettableFuture", lines):
        return StageError(
            "expected workers that run the job, found some that said nothing for minutes: mostly "
            "this package is missing in their environment; the task managers' logs tell"
        )
    system = re.search(r"^\w+: \[Errno (\d+)\] (.*)$", lines, re.M)
    if system is not None:
        return OSError(int(system[1]), system[2])
    return None


def innermost(text: str) -> str:
    r"""Return the innermost cause that a text tells, as one line of bounded length.

    >>> innermost(r'failed: {"errors": ["Oops\n\tat A\nCaused by: IOException: no disk\n\tat B"]}')
    'IOException: no disk'
    """
    lines = text.replace("\\n", "\n")
    causes = re.findall(r"^Caused by: (.+)$", lines, re.M)
    last = causes or lines.strip().splitlines() or ["nothing said"]
    return textwrap.shorten(last[-1], _MAX_CHARS, placeholder=" ...")


@contextmanager
def log_to_file(path: str) -> Iterator[None]:
    """Write all that Beam and an engine log to a file while the block runs.

    Where the command line has silenced Beam, its words go to the file alone; a program that shows
    some of them sees what it saw before.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root, theirs = logging.getLogger(), logging.getLogger("apache_beam")
    levels = root.level, theirs.level
    is_silenced = theirs.level == logging.CRITICAL

    def is_shown(record: logging.LogRecord) -> bool:
        is_own = record.name.split(".")[0] in _OWN
        return is_own or (not is_silenced and record.levelno >= levels[0])

    others = list(root.handlers)
    for each in others:
        each.addFilter(is_shown)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    theirs.setLevel(logging.INFO)
    try:
        yield
    finally:
        for each in others:
            each.removeFilter(is_shown)
        root.removeHandler(handler)
        handler.close()
        root.setLevel(levels[0])
        theirs.setLevel(levels[1])
