"""The process that worker processes are forked from: what it has loaded, they need not load."""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver


def load_workers(module: str) -> None:
    """Begin to load a module there, while this process goes on with its own; only once counts.

    It takes a quarter of a second.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([module])
    forkserver.ensure_running()
