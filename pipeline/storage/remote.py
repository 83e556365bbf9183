"""Files on an object store, through Beam's filesystems: whole uploads, reads that survive a fault.

A store answers 429 or 503 now and then, or drops a connection. Beam's own clients try again for
some of that; what they let through is tried again here, with pauses that double. An upload goes
from a local spool, so that it can be repeated and so that a writer that fails half-way leaves no
object behind. An answer 412 to an upload means that the object changed meanwhile: right if it is
the one that was to be written (an answer was lost, or the task ran twice), refused if not.
"""

from __future__ import annotations

import copy
import io
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from types import FunctionType
from typing import IO, Any, TypeVar, cast

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from pipeline.storage.refusals import codes_of, explained, is_transient
from schemas.errors import LinkBertError, StageError
from schemas.manifest import digest

logger = logging.getLogger(__name__)

PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Waits between tries of one request: a minute in all, the time for which stores ask."""

_CHECK_SECONDS = 4.0
_CHECK_PAUSES_SECONDS = (0.5, 1.0)
_PRECONDITION_FAILED = 412
_CHUNK_BYTES = 1 << 20
_MAX_TOLD_CHARS = 300

Answer = TypeVar("Answer")


def open_read(path: str) -> IO[bytes]:
    """Open an object for reading its bytes as they are; seekable."""
    return cast(IO[bytes], io.BufferedReader(_Reader(path), _CHUNK_BYTES))


@contextmanager
def write_whole(path: str) -> Iterator[IO[bytes]]:
    """Open a local spool that becomes the object when the block ends well.

    Raises:
        StageError: another writer put another object there meanwhile.
    """
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.flush()
        retry(lambda: _upload(path, spool), path)


def use_options(options: dict[str, Any]) -> None:
    """Open objects with these options of Beam from now on."""
    FileSystems.set_options(PipelineOptions.from_dictionary(options))


def used_options() -> dict[str, Any]:
    """Return the options with which objects are opened, those with a value of their own."""
    return dict(_options().get_all_options(drop_default=True))


def _options() -> PipelineOptions:
    if FileSystems._pipeline_options is None:
        # Without any, Beam's file system for s3:// refuses to work; an empty list keeps it from
        # reading the arguments of this program.
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems._pipeline_options


def _store_of(path: str) -> Any:
    """Return Beam's file system for a path, without credentials where none are to be used."""
    options = _options()
    store = FileSystems.get_filesystem(path)
    if path.startswith("s3://"):
        _tune_s3()
    if path.startswith("gs://") and options.view_as(GoogleCloudOptions).no_auth:
        from apache_beam.io.gcp import gcsio

        client = gcsio.create_storage_client(options, use_credentials=False)
        store._gcsIO = lambda: gcsio.GcsIO(storage_client=client, pipeline_options=options)
    return store


@cache
def _tune_s3() -> None:
    """Mend two things of Beam's file system for S3, each of which would cost more than the work.

    It makes a client for every request, a quarter of a CPU second each; and it tries again by
    itself, with a first pause of five seconds.
    """
    from apache_beam.io.aws import s3io

    make = s3io.boto3_client.Client
    made: list[Any] = []

    def client_of(options: Any) -> Any:
        if not made or made[0] is not options:
            made[:] = options, make(options)
        # What it shares with its copies is the connection; each has the state of its download.
        return copy.copy(made[1])

    s3io.boto3_client.Client = client_of
    for holder in (s3io.S3IO, s3io.S3Downloader):
        for name, method in list(vars(holder).items()):
            if isinstance(method, FunctionType) and hasattr(method, "__wrapped__"):
                setattr(holder, name, method.__wrapped__)


def check(path: str, *, is_written: bool) -> None:
    """Ask a store once, for a few seconds at most; a fault that passes is not an answer yet.

    Args:
        path: a folder that is written to, which takes the right to list it; or what is only read.
        is_written: which of the two.

    Raises:
        StageError: it does not answer, or refuses.
    """
    if path.startswith(("gs://", "s3://")) and not path.split("/")[2]:
        raise StageError(
            f"expected a path with a bucket, such as {path[:5]}BUCKET/corpus, found {path}: name it"
        )
    # Before the clock starts: to load a client can take longer than any answer.
    retry(partial(_load_client, path), path, ())
    found: list[Exception | None] = []

    def ask() -> None:
        try:
            retry(lambda: _ask(path, is_written), path, _CHECK_PAUSES_SECONDS)
            found.append(None)
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_CHECK_SECONDS)
    if not found:
        raise StageError(
            f"expected an answer for {path} within {_CHECK_SECONDS:g} seconds, found none: check "
            "the network, the endpoint and the credentials"
        )
    error = found[0]
    if isinstance(error, LinkBertError):
        raise error
    if error is not None:
        told = " ".join(str(error).split())[:_MAX_TOLD_CHARS]
        raise StageError(
            f"expected the store of {path} to answer, found {told}: check the path and the options "
            "of the store after `--`"
        ) from error


def _load_client(path: str) -> None:
    _store_of(path)
    if path.startswith("s3://"):
        from apache_beam.io.aws import s3io

        s3io.S3IO(options=_options())


def _ask(path: str, is_written: bool) -> None:
    _check_credentials(path)
    if is_written and path.startswith("s3://"):
        _ask_for_bucket(path)
    # A pattern is asked for as a listing, which tells a bucket that is missing from an object.
    _store_of(path).match([f"{path.rstrip('/')}/_state/_writer.*" if is_written else path])


def _ask_for_bucket(path: str) -> None:
    """Ask S3 for the bucket itself: a listing of one that is missing is empty to Beam."""
    from apache_beam.io.aws import s3io

    client = s3io.S3IO(options=_options()).client.client
    try:
        client.head_bucket(Bucket=path.split("/")[2])
    except client.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            raise FileNotFoundError("NoSuchBucket") from error
        raise


def _check_credentials(path: str) -> None:
    """Look for Google's credentials once; Beam would try for half a minute, in every process."""
    if not path.startswith("gs://") or _options().view_as(GoogleCloudOptions).no_auth:
        return
    # A machine of Google's answers at once; from any other the package asks three times three
    # seconds whether it is one.
    os.environ.setdefault("GCE_METADATA_DETECT_RETRIES", "1")
    import google.auth

    google.auth.default()


def exists(path: str) -> bool:
    """Tell whether an object of this name exists."""
    return bool(retry(lambda: _store_of(path).exists(path), path))


def size(path: str) -> int:
    """Return the size of an object in bytes."""
    return int(retry(lambda: _store_of(path).size(path), path))


def matching(pattern: str) -> list[tuple[str, int]]:
    """Return path and size of the objects that match a glob pattern, sorted."""
    [found] = retry(lambda: _store_of(pattern).match([pattern]), pattern)
    return sorted((entry.path, int(entry.size_in_bytes)) for entry in found.metadata_list)


def delete(paths: list[str]) -> None:
    """Delete objects; those that are gone already are fine."""
    for path in paths:
        retry(partial(_delete, path), path)


def retry(
    action: Callable[[], Answer], path: str, pauses: tuple[float, ...] | None = None
) -> Answer:
    """Do something until no transient fault stops it, or until all pauses are used up."""
    for pause in PAUSES_SECONDS if pauses is None else pauses:
        try:
            return action()
        except Exception as error:
            if not is_transient(error):
                raise explained(error, path) from error
            logger.info("%s: %s; trying again in %g s", path, error, pause)
            time.sleep(pause)
    try:
        return action()
    except Exception as error:
        raise explained(error, path) from error


def _upload(path: str, spool: IO[bytes]) -> None:
    if path.startswith("s3://") and not spool.seek(0, io.SEEK_END):
        _put_empty(path)
        return
    spool.seek(0)
    sink: Any = None
    try:
        sink = _store_of(path).create(
            path, "application/octet-stream", compression_type=CompressionTypes.UNCOMPRESSED
        )
        shutil.copyfileobj(spool, sink, _CHUNK_BYTES)
        sink.close()
    except Exception as error:
        _abandon(sink)
        if is_transient(error):
            raise
        # The answer may be lost, or another have been first: what counts is what is there now.
        there = _digest_there(path)
        spool.seek(0)
        if there == digest(spool):
            return
        if _PRECONDITION_FAILED not in codes_of(error) or there is None:
            raise
        raise StageError(
            f"expected to be the only writer of {path}, found that another wrote something else "
            "there: let one run at a time use this folder, then run it again"
        ) from error


def _put_empty(path: str) -> None:
    """Write an object of no bytes, which Beam would send as an upload of no parts: an error."""
    from apache_beam.io.aws import s3io

    bucket, key = s3io.parse_s3_path(path)
    s3io.S3IO(options=_options()).client.client.put_object(Bucket=bucket, Key=key, Body=b"")


def _abandon(sink: Any) -> None:
    """Keep a failed upload from completing itself, half-written, when it is garbage-collected."""
    with suppress(Exception):
        if hasattr(sink, "terminate"):
            sink.terminate()
        uploader = getattr(getattr(sink, "raw", None), "_uploader", None)
        if uploader is not None:
            uploader.finish = lambda: None


def _digest_there(path: str) -> tuple[int, str] | None:
    """Return size and digest of an object, None where there is none or it cannot be read now."""
    try:
        with open_read(path) as there:
            return digest(there)
    # Whatever a store's client raises: the caller then raises the error of the upload itself.
    except Exception:
        return None


def _delete(path: str) -> None:
    """Delete one object by a single request, which every store has; not all have batches."""
    store = _store_of(path)
    try:
        if path.startswith("gs://"):
            store._gcsIO().delete(path)
        elif path.startswith("s3://"):
            from apache_beam.io.aws import s3io

            s3io.S3IO(options=_options()).delete(path)
        else:
            store.delete([path])
    # Clients name a missing object each in their own way: nothing is hidden while one is there.
    except Exception:
        if store.exists(path):
            raise


class _Reader(io.RawIOBase):
    """An object as a raw file that reopens where it was after a transient fault."""

    def __init__(self, path: str) -> None:
        self._path, self._position = path, 0
        self._file: Any = None
        # What opening asks for anyway: of small files, requests are the cost.
        self._size = retry(self._open, path).seek(0, io.SEEK_END)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"expected a place in {self._path}, found {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._position))
        if not wanted:
            return 0
        data = retry(lambda: self._read(wanted), self._path)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read(self, wanted: int) -> bytes:
        with ExitStack() as on_fault:
            # A connection on which something went wrong is not used again; `retry` opens another.
            on_fault.callback(self._drop)
            file = self._open()
            if file.tell() != self._position:
                file.seek(self._position)
            data: bytes = file.read(wanted)
            if not data:
                raise ConnectionError(f"{self._path} ends at {self._position:,} of {self._size:,}")
            on_fault.pop_all()
        return data

    def _open(self) -> Any:
        if self._file is None:
            self._file = _store_of(self._path).open(
                self._path, compression_type=CompressionTypes.UNCOMPRESSED
            )
        return self._file

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def close(self) -> None:
        if not self.closed:
            self._drop()
        super().close()
