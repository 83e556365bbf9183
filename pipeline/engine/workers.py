"""The process that worker processes are forked from: what it has loaded, they need not load."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from types import ModuleType

from schemas.errors import ConfigError

# unix(7) allows 108 bytes with the final zero; Python adds `/pymp-` and `/listener-`, each with
# eight random characters.
_MAX_TMPDIR_BYTES = 107 - 32


def start_forkserver(*modules: str) -> None:
    """Start the process that workers are forked from, with modules loaded; only once counts.

    That takes a quarter of a second, in which a Ctrl-C of the terminal must not end it in a
    traceback: it leaves with this process. What is ignored here when it starts, it ignores.

    Raises:
        ConfigError: TMPDIR is too long for the socket through which workers are asked for.
    """
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > _MAX_TMPDIR_BYTES:
        raise ConfigError(
            f"expected a folder for temporary files of at most {_MAX_TMPDIR_BYTES} bytes, because "
            f"a socket lies in it, found {folder}: set TMPDIR to a shorter one"
        )
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    with _safe_path(), _no_interrupt():
        forkserver.ensure_running()


@contextmanager
def without_script() -> Iterator[None]:
    """Start processes in this block that do not run the user's script, as multiprocessing has it.

    A task needs nothing of it; a script without a main guard would start over in every worker, and
    one on stdin cannot be read again.
    """
    with _script_lock:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


_script_lock = threading.Lock()


@contextmanager
def _safe_path() -> Iterator[None]:
    """Have a process that starts now take no module from the current folder, whatever lies there.

    It begins with `python -c`, which would look there first.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def _no_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        # None where it was not Python that set it.
        signal.signal(signal.SIGINT, signal.SIG_DFL if previous is None else previous)
