"""An object store in a local folder, as a Beam filesystem: `fakestore://bucket/object`.

It behaves as Google Cloud Storage does where it matters: an object appears whole, when its upload
is closed, and never grows; there are no folders, a listing is by prefix and sees every upload that
has ended; a rename is a copy and a deletion. Every request counts; a `faults` file in the store's
folder makes it answer now and then 429, 500 or 503, break off a read or end it half-way, answer 412
to an upload that it has taken, or die in mid-upload. The state lies on disk, so that all processes
see one store.
"""

import io
import json
import os
import random
import signal
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from apache_beam.io.filesystem import (
    BeamIOError,
    CompressionTypes,
    FileMetadata,
    FileSystem,
)

from pipeline.engine.stage import Job
from pipeline.storage import remote

SHORT_PAUSES_SECONDS = (0.001,) * 12

SCHEME = "fakestore"
_FOLDER = "FAKE_STORE_FOLDER"


class StoreError(Exception):
    """An answer other than 200."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(f"HTTP {code}: {name}")
        self.code = code


def use_store(folder: Path, **faults: float) -> None:
    """Keep objects in a folder from now on, in child processes too.

    Args:
        folder: where.
        faults: shares of requests: `busy` (429, 500 or 503), `broken` (a read stops or ends
            half-way), `taken` (an upload succeeds and answers 412), `killed` (the process dies in
            an upload).
    """
    os.environ[_FOLDER] = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults").write_text(json.dumps(faults))


def objects() -> dict[str, bytes]:
    """Return every object of the store by name."""
    return {
        unquote(path.name): path.read_bytes()
        for path in sorted(_root().iterdir())
        if path.name.startswith(SCHEME)
    }


def requests() -> dict[str, int]:
    """Return how many requests of each kind there were; faults are kinds as well."""
    counts: dict[str, int] = {}
    path = _root() / "log"
    for line in path.read_text().split() if path.exists() else ():
        counts[line] = counts.get(line, 0) + 1
    return counts


def with_store(job: Job) -> Job:
    """Return a job whose tasks know the store wherever they run, and wait for none for long.

    Unpickling them imports the store.
    """
    phases = tuple(
        replace(phase, tasks=_Knowing(phase.tasks), run=_Knowing(phase.run))
        for phase in job.stage.phases
    )
    return replace(job, stage=replace(job.stage, phases=phases))


class _Knowing:
    """A function that brings the store along when it is unpickled in another process."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __reduce__(self) -> Any:
        return _arrive, (os.environ.get(_FOLDER, ""), self._function)


def _arrive(folder: str, function: Callable[..., Any]) -> _Knowing:
    os.environ[_FOLDER] = folder
    remote.PAUSES_SECONDS = SHORT_PAUSES_SECONDS
    return _Knowing(function)


def _root() -> Path:
    return Path(os.environ[_FOLDER])


def _object(name: str) -> Path:
    return _root() / quote(name, safe="")


def _request(kind: str) -> None:
    """Note a request, and refuse it with the share that `faults` says."""
    _note(kind)
    if _happens("busy"):
        code = random.choice((429, 500, 503))
        _note(str(code))
        raise StoreError(code, kind)


def _happens(fault: str) -> bool:
    shares = json.loads((_root() / "faults").read_text())
    return random.random() < shares.get(fault, 0.0)


def _note(kind: str) -> None:
    with open(_root() / "log", "a") as log:
        log.write(f"{kind}\n")


class _Upload(io.BytesIO):
    """An upload: there is nothing to see of it until it is closed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def terminate(self) -> None:
        _note("terminated")
        super().close()

    def close(self) -> None:
        if self.closed:
            return
        data = self.getvalue()
        if _happens("busy"):
            _note("503")
            raise StoreError(503, f"upload of {self._name}")
        if _happens("killed"):
            _note("killed")
            os.kill(os.getpid(), signal.SIGKILL)
        aside = _root() / f"upload-{uuid.uuid4().hex}"
        aside.write_bytes(data)
        aside.replace(_object(self._name))
        super().close()
        if _happens("taken"):
            _note("412")
            raise StoreError(412, f"the answer to the upload of {self._name} was lost")


class _Download(io.BytesIO):
    """A download that may break off."""

    def read(self, size: int | None = -1) -> bytes:
        if not _happens("broken"):
            return super().read(size)
        way = random.choice(("reset", "half"))
        _note(way)
        if way == "reset":
            raise ConnectionResetError("the connection broke")
        rest = len(self.getvalue()) - self.tell()
        return super().read((rest if size is None or size < 0 else min(size, rest)) // 2)


class FakeStore(FileSystem):  # type: ignore[misc]
    """The store as Beam sees it."""

    @classmethod
    def scheme(cls) -> str:
        return SCHEME

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join((basepath.rstrip("/"), *paths))

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        pass

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> list[FileMetadata]:
        _request("list")
        names = (unquote(path.name) for path in sorted(_root().iterdir()))
        return [self.metadata(name) for name in names if name.startswith(dir_or_prefix)]

    def create(
        self,
        path: str,
        mime_type: str = "",
        compression_type: str = CompressionTypes.AUTO,
    ) -> _Upload:
        assert compression_type == CompressionTypes.UNCOMPRESSED
        _request("create")
        return _Upload(path)

    def open(
        self,
        path: str,
        mime_type: str = "",
        compression_type: str = CompressionTypes.AUTO,
    ) -> _Download:
        assert compression_type == CompressionTypes.UNCOMPRESSED
        _request("open")
        return _Download(self._data(path))

    def _data(self, path: str) -> bytes:
        try:
            return _object(path).read_bytes()
        except FileNotFoundError:
            raise StoreError(404, path) from None

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, destination in zip(source_file_names, destination_file_names, strict=True):
            _request("copy")
            with self.create(destination, "", CompressionTypes.UNCOMPRESSED) as upload:
                upload.write(self._data(source))

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        self.delete(source_file_names)

    def exists(self, path: str) -> bool:
        _request("exists")
        return _object(path).exists()

    def size(self, path: str) -> int:
        _request("size")
        return len(self._data(path))

    def last_updated(self, path: str) -> float:
        return _object(path).stat().st_mtime

    def checksum(self, path: str) -> str:
        return str(self.size(path))

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, _object(path).stat().st_size)

    def delete(self, paths: list[str]) -> None:
        failed: dict[str, Exception] = {}
        for path in paths:
            try:
                _request("delete")
                _object(path).unlink()
            except (StoreError, OSError) as error:
                failed[path] = error
        if failed:
            raise BeamIOError("Delete operation failed", failed)
