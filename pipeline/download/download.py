"""Load the dump of a wiki into a folder: two files at a time, all checked, resumable."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from pipeline.download.config import DownloadConfig
from pipeline.download.dump_status import find_dump
from pipeline.download.fetch import RemoteFile, fetch
from schemas import __version__
from schemas.errors import DumpError
from schemas.manifest import write_json
from schemas.progress import Progress

logger = logging.getLogger(__name__)

RECORD_NAME = "download.json"

# dumps.wikimedia.org answers two connections from an address.
_NUM_CONNECTIONS = 2


def download(wiki: str, folder: Path, config: DownloadConfig) -> dict[str, Any]:
    """Load the articles of a wiki's dump; return its date and files.

    A folder that holds the dump of a date, whole or begun, stays with it.

    Args:
        wiki: its database name, such as `simplewiki`.
        folder: where to.
        config: which dump, and from where.

    Raises:
        DumpError: there is no such dump, the disk is too small, or the files do not arrive whole.
    """
    date = config.date or _date_of(folder, wiki)
    with _session(config) as session:
        date, files = find_dump(session, config.mirror, wiki, date)
        _check_space(folder, files)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RECORD_NAME, {"wiki": wiki, "date": date})
        total = sum(file.num_bytes for file in files)
        logger.info("%s of %s: %d files, %s MB", wiki, date, len(files), f"{total / 1e6:,.0f}")
        paths = _fetch_all(session, files, folder, total)
    return {"wiki": wiki, "date": date, "bytes": total, "files": [str(path) for path in paths]}


def _date_of(folder: Path, wiki: str) -> str | None:
    """Return the date of the dump that was begun in a folder."""
    try:
        record = json.loads((folder / RECORD_NAME).read_bytes())
        return str(record["date"]) if record["wiki"] == wiki else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _session(config: DownloadConfig) -> Iterator[requests.Session]:
    """Say who asks and whom to turn to (https://meta.wikimedia.org/wiki/User-Agent_policy)."""
    with requests.Session() as session:
        contact = f" ({config.contact})" if config.contact else ""
        session.headers["User-Agent"] = f"linkbert/{__version__}{contact}"
        session.max_redirects = 5
        yield session


def _check_space(folder: Path, files: list[RemoteFile]) -> None:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    there = sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0
    needed = sum(file.num_bytes for file in files) - there
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise DumpError(
            f"expected {needed / 1e9:,.1f} GB of free disk for the dump, found {free / 1e9:,.1f} "
            f"at {existing}: choose another --out"
        )


def _fetch_all(
    session: requests.Session, files: list[RemoteFile], folder: Path, total: int
) -> list[Path]:
    progress, lock = Progress("download", total, "bytes"), threading.Lock()
    is_stopped = threading.Event()

    def told(num_bytes: int) -> None:
        if is_stopped.is_set():
            raise DumpError("stopped; the same command goes on from there")
        with lock:
            progress.advance(num_bytes)

    with ThreadPoolExecutor(_NUM_CONNECTIONS) as pool:
        found = [pool.submit(fetch, session, file, folder, told) for file in files]
        try:
            paths = [each.result() for each in found]
        except BaseException:
            is_stopped.set()  # or the end would wait until what has begun is loaded
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    progress.close()
    return paths
