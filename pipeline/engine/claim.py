"""Who writes into a folder: a lock on a local disk, a note where locks do not reach.

A lock goes with its process. Two kinds of writer outlive that: a job that an engine runs, and any
writer of an object store, which has no locks. So those leave a note in the folder:

    root/_state/_writer.json    host, process, since when, and the engine's job

Whoever finds a note asks what can be asked: is the process of this machine alive, does the engine
still run the job? Only a writer that is certainly gone is passed over without a word.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

from pipeline.storage import files
from schemas.errors import StageError
from schemas.folder_lock import lock_folder
from schemas.manifest import Json

_LOCK_NAME = "_state/_lock"
_NOTE_NAME = "_state/_writer.json"

Note = dict[str, Json]


class Claim:
    """A folder that this process may write into.

    Attributes:
        is_left: whether the note stays, because an engine's job goes on without this process.
    """

    def __init__(self, root: str) -> None:
        self._path = files.join(root, _NOTE_NAME)
        self._note = _note_of_this_process()
        self.is_left = False

    def who(self) -> Note:
        """Return what a second process is told of this one."""
        return {key: self._note[key] for key in ("host", "process", "since")}

    def write(self, **engine: Json) -> None:
        """Write the note, with what is known of the engine's job."""
        self._note |= engine
        files.write_json(self._path, self._note)

    def confirm(self) -> None:
        """Check that the note is still this process's.

        Raises:
            StageError: another one wrote its own at the same moment.
        """
        if _read(self._path) != self._note:
            raise StageError(
                f"expected to be the only writer of {self._path}, found that another run began at "
                "the same moment: wait for it, then run the same command again"
            )

    def release(self) -> None:
        """Remove the note, unless the engine's job goes on."""
        if not self.is_left:
            files.remove(self._path)


@contextmanager
def claim_folder(
    root: str, *, overwrite: bool = False, is_ended: Callable[[Note], bool] | None = None
) -> Iterator[Claim]:
    """Hold a folder for this process alone.

    Args:
        root: local or remote.
        overwrite: pass over a note of which nobody knows whether its writer still lives.
        is_ended: tells from a note whether the engine's job has ended; without it, none is known.

    Raises:
        StageError: another run writes into it, or perhaps still does.
    """
    claim = Claim(root)
    is_remote = files.is_remote(root)
    if not is_remote:
        files.refuse_links(root, ["_state", _LOCK_NAME, _NOTE_NAME])
    with nullcontext() if is_remote else lock_folder(root, _LOCK_NAME, claim.who()):
        path = files.join(root, _NOTE_NAME)
        found = _read(path)
        if found is not None and not (overwrite or _is_gone(found, is_ended)):
            raise StageError(_in_use(root, path, found))
        if is_remote:
            claim.write()
            claim.confirm()
        elif found is not None:
            files.remove(path)
        try:
            yield claim
        finally:
            claim.release()


def _note_of_this_process() -> Note:
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now(UTC).isoformat(" ", "seconds"),
        "id": uuid.uuid4().hex,
    }


def _read(path: str) -> Note | None:
    if not files.exists(path):
        return None
    try:
        found = json.loads(files.read_bytes(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_gone(note: Note, is_ended: Callable[[Note], bool] | None) -> bool:
    if note.get("job"):
        return is_ended is not None and is_ended(note)
    return note.get("host") == socket.gethostname() and not _is_alive(note.get("process"))


def _is_alive(process: Json) -> bool:
    if not isinstance(process, int) or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _in_use(root: str, path: str, note: Note) -> str:
    who = f"process {note.get('process', '?')} on {note.get('host', '?')}"
    if note.get("job"):
        who = f"the engine's job {note['job']}"
    stop = f", stop it ({note['stop']})" if note.get("stop") else ""
    return (
        f"expected {root} to be free, found {who} writing into it since {note.get('since', '?')}: "
        f"wait for it to end{stop}; if it is certainly gone, delete {path} and the same command "
        "resumes, or use --overwrite to start anew"
    )
