"""The process that worker processes are forked from: what it has loaded, they need not load."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from multiprocessing import forkserver


def load_workers(module: str) -> None:
    """Begin to load a module there, while this process goes on with its own; only once counts.

    It takes a quarter of a second, in which a Ctrl-C of the terminal must not end it in a
    traceback: it leaves with this process. What is ignored here when it starts, it ignores.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([module])
    if threading.current_thread() is not threading.main_thread():
        forkserver.ensure_running()
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        # None where it was not Python that set it.
        signal.signal(signal.SIGINT, signal.SIG_DFL if previous is None else previous)
