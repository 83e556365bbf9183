"""Files by path, local or on any object store Beam opens; a file appears whole or not at all.

A local write goes to a unique name beside the target and is renamed; an object store shows an
upload only when it is complete, so there the final name is written at once. Beam is imported only
when a path names a remote scheme: the pure functions of this package run without it.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from schemas import manifest
from schemas.errors import StageError

_COPY_CHUNK_BYTES = 1 << 20
_SYNC_THREADS = 16
FOLDER = "a folder"
_ADDRESSES = ("http://", "https://", "ftp://", "ftps://")

IMPORT_LOCK = threading.Lock()
"""Held while Beam is imported: two threads that do so at once see it half there."""


def is_remote(path: str) -> bool:
    """Tell whether a path names an object store.

    >>> is_remote("gs://bucket/corpus"), is_remote("/data/corpus")
    (True, False)
    """
    return "://" in path


def join(root: str, *parts: str) -> str:
    """Join path parts with the separator both kinds of path understand.

    >>> join("gs://bucket/corpus/", "pages", "part-00000.parquet")
    'gs://bucket/corpus/pages/part-00000.parquet'
    """
    return "/".join((root.rstrip("/") or "/", *parts))


def absolute(path: str) -> str:
    """Return a path that means the same from any folder; `-` stays standard input.

    >>> absolute("gs://bucket/corpus"), absolute("-"), absolute("/data/../corpus")
    ('gs://bucket/corpus', '-', '/corpus')
    """
    return path if is_remote(path) or path == "-" else os.path.abspath(path)


def relative(path: str, start: str) -> str:
    """Return a path as seen from a folder, so that both can move together.

    >>> relative("gs://bucket/corpus", "gs://bucket/shards"), relative("gs://bucket/c", "/shards")
    ('../corpus', 'gs://bucket/c')
    """
    if (is_remote(path) or is_remote(start)) and _bucket(path) != _bucket(start):
        return path
    return os.path.relpath(path, start)


def _bucket(path: str) -> str:
    return "/".join(path.split("/")[:3])


def open_read(path: str) -> IO[bytes]:
    """Open a file for reading its bytes as they are, without decompression; seekable."""
    return _remote().open_read(path) if is_remote(path) else open(path, "rb")


def read_bytes(path: str) -> bytes:
    """Read a whole file."""
    with open_read(path) as file:
        return file.read()


@contextmanager
def write_whole(path: str, *, is_synced: bool = False) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under its name only when the block ends well.

    What tasks write is not synced: to wait for the disk after each file would take a tenth of
    their time. Records hold digests, so a loss of power shows; `sync` ends a stage.
    """
    if is_remote(path):
        with _remote().write_whole(path) as file:
            yield file
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with manifest.write_whole(path, is_synced=is_synced) as file:
        yield file


def sync(paths: Iterable[str]) -> None:
    """Wait until local files are on the disk; an object store has them when they appear."""
    # The disk answers many at once in a tenth of the time that it takes one after the other.
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        list(pool.map(_sync, (path for path in paths if not is_remote(path))))


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str, value: Any, *, is_synced: bool = True) -> None:
    """Write readable JSON with sorted keys, whole or not at all."""
    with write_whole(path, is_synced=is_synced) as file:
        file.write(manifest.encode_json(value) + b"\n")


def exists(path: str) -> bool:
    """Tell whether a file (or a local folder) exists."""
    return _remote().exists(path) if is_remote(path) else os.path.exists(path)


def has_files(folder: str) -> bool:
    """Tell whether anything lies in a folder; on an object store a folder is just a prefix."""
    return bool(_remote().matching(join(folder, "**"))) if is_remote(folder) else exists(folder)


def size(path: str) -> int:
    """Return the size of a file in bytes."""
    return _remote().size(path) if is_remote(path) else os.path.getsize(path)


def matching(pattern: str) -> list[str]:
    """Return the files that a path or glob pattern names, sorted; none is an empty list."""
    if is_remote(pattern):
        return [path for path, _ in _remote().matching(pattern)]
    if os.path.isfile(pattern):
        return [pattern]
    return sorted(path for path in glob.glob(pattern) if os.path.isfile(path))


def tree(folder: str) -> list[str]:
    """Return all files in a folder and in those below it, sorted."""
    if is_remote(folder):
        return matching(join(folder, "**"))
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return sorted(join(folder, path.relative_to(folder).as_posix()) for path in found)


def unreadable(path: str) -> str:
    """Say what a path names where that cannot be read again and again, "" where it can.

    A stage reads its input several times, at any place, and checks that it is unchanged.

    >>> unreadable("-"), unreadable("https://example.org/a.xml"), unreadable("gs://bucket/a.xml")
    ('standard input', 'an address of the web', '')
    """
    if path == "-":
        return "standard input"
    if is_remote(path):
        is_address = path.lower().startswith(_ADDRESSES)
        return "an address of the web" if is_address else ""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: FOLDER}
    return "" if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "a device")


def digest(path: str) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of a file."""
    with open_read(path) as file:
        return manifest.digest(file)


def remove(path: str) -> None:
    """Delete a file; a missing one is fine."""
    if is_remote(path):
        _remote().delete([path])
        return
    Path(path).unlink(missing_ok=True)


def remove_tree(path: str) -> None:
    """Delete a folder and all in it; a missing one is fine."""
    if is_remote(path):
        _remote().delete(tree(path))
        return
    shutil.rmtree(path, ignore_errors=True)


def refuse_links(root: str, names: Iterable[str]) -> None:
    """Check that no folder to write into is a symbolic link, which would lead writing elsewhere.

    Args:
        root: a folder; that one may be a link, whoever named it knows.
        names: folders under it.

    Raises:
        StageError: one is.
    """
    if is_remote(root):
        return
    for name in names:
        if os.path.islink(join(root, name)):
            raise StageError(
                f"expected a folder of its own at {join(root, name)}, found a symbolic link: "
                "remove it, or name the folder it leads to"
            )


def sweep(folder: str) -> None:
    """Delete what killed writers left in a local folder; an object store never shows such."""
    if not is_remote(folder):
        for path in Path(folder).glob(f".*{manifest.ASIDE_SUFFIX}"):
            path.unlink(missing_ok=True)


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Yield a local path with the file's bytes: the path itself, or a copy that is then deleted."""
    if not is_remote(path):
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=Path(path).suffix) as copy:
        with open_read(path) as source:
            shutil.copyfileobj(source, copy, _COPY_CHUNK_BYTES)
        copy.flush()
        yield copy.name


def use_store_options(options: dict[str, Any]) -> None:
    """Open remote paths with these options of Beam from now on, in this process."""
    if options:
        _remote().use_options(options)


def store_options(paths: Iterable[str]) -> dict[str, Any]:
    """Return the options with which this process opens these paths, to pass them on to another.

    They are Beam's own and are given once: by `run_job`, or by Beam to an engine's worker. Local
    paths need none, and a process that gets none need not import Beam.
    """
    return dict(_remote().used_options()) if any(map(is_remote, paths)) else {}


def options_in_use() -> dict[str, Any]:
    """Return the options with which this process has opened remote paths, none if it has not."""
    return dict(_remote().used_options()) if "pipeline.storage.remote" in sys.modules else {}


def check_stores(root: str, sources: Iterable[str] = ()) -> None:
    """Ask each store once, so that what is wrong with it is said at once.

    Args:
        root: the folder to be written.
        sources: what is only read.

    Raises:
        StageError: one does not answer, or refuses, or is not a store.
    """
    buckets = {_bucket(path): path for path in (*sources, root) if is_remote(path)}
    for path in buckets.values():
        if kind := unreadable(path):
            raise StageError(
                f"expected a path of this machine or of a store (gs://, s3://), found {kind} at "
                f"{path}: download it first, and give a folder of this machine to write to"
            )
    for path in buckets.values():
        _remote().check(path, is_written=path == root)


def _remote() -> Any:
    with IMPORT_LOCK:
        from pipeline.storage import remote
    return remote
