"""Run a command and watch what all its processes take.

The kernel's account of children counts only those that were waited for, and workers are children of
a server that nobody waits for: so /proc is looked at four times per second. What a process takes
after the last look at it is lost, a quarter of a second at most.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_EVERY_SECONDS = 0.25
_DISK_EVERY_LOOKS = 20


@dataclass(slots=True)
class Usage:
    """What one command took; memory and disk are peaks in bytes."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    process_bytes: int = 0
    all_bytes: int = 0
    mapped_bytes: int = 0
    disk_bytes: int = 0
    kept_bytes: int = 0
    cpu_by_process: dict[int, float] = field(default_factory=dict)


def run_watched(command: list[str], folder: Path, output: Path | None = None) -> Usage:
    """Run a command in a session of its own and watch all its processes until it ends.

    What it prints goes into `output`, else nowhere.

    Raises:
        CalledProcessError: it failed.
    """
    usage = Usage()
    started = time.monotonic()
    with open(output or os.devnull, "wb") as file:
        process = subprocess.Popen(command, start_new_session=True, stdout=file)
    looks = 0
    while process.poll() is None:
        _look(process.pid, usage)
        if looks % _DISK_EVERY_LOOKS == 0:
            usage.disk_bytes = max(usage.disk_bytes, tree_bytes(folder))
        looks += 1
        time.sleep(_LOOK_EVERY_SECONDS)
    usage.wall_seconds = time.monotonic() - started
    usage.cpu_seconds = sum(usage.cpu_by_process.values())
    usage.kept_bytes = tree_bytes(folder)
    usage.disk_bytes = max(usage.disk_bytes, usage.kept_bytes)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage


def _look(session: int, usage: Usage) -> None:
    anonymous = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[3]) != session:
                continue
            status = (entry / "status").read_text()
        except OSError:  # it ended meanwhile
            continue
        usage.cpu_by_process[int(entry.name)] = (int(stat[11]) + int(stat[12])) / _TICKS
        own, mapped = _kilobytes(status, "RssAnon:"), _kilobytes(status, "RssFile:")
        anonymous += own
        usage.process_bytes = max(usage.process_bytes, own)
        usage.mapped_bytes = max(usage.mapped_bytes, mapped)
    usage.all_bytes = max(usage.all_bytes, anonymous)


def _kilobytes(status: str, key: str) -> int:
    at = status.find(key)
    return 0 if at < 0 else int(status[at + len(key) :].split(None, 1)[0]) * 1024


def tree_bytes(folder: Path) -> int:
    """Return the size of all files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # a writer has renamed it meanwhile
            continue
    return total
