"""Children of the tests that begin where a fresh Python is after seven seconds: all is imported.

`Forked` is `subprocess.Popen` for commands that start this Python with -c or -m. A server that has
imported Beam, torch and the stages forks them; pipes, signals and waiting are those of Popen. What
a test says of imports, of `sys.path` or of two hash seeds needs a Python of its own.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

_IMPORTED = ("pipeline.engine.beam", "linkbert.cli.commands", "linkbert.training.trainer")
_REQUEST_BYTES = 1 << 20
_NAMES = list(inspect.signature(subprocess.Popen._execute_child).parameters)[2:]  # type: ignore[attr-defined]
_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


class Forked(subprocess.Popen):  # type: ignore[type-arg]
    """A process of `[sys.executable, "-c", code, ...]` or `[sys.executable, "-m", name, ...]`."""

    cpu_seconds = 0.0
    """What all that have ended, with the children they waited for, have computed."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        """Have the child forked; the arguments are those of the method that this one replaces."""
        given = dict(zip(_NAMES, rest, strict=True))
        self._answers, answer = os.pipe()
        environment = dict(os.environ if given["env"] is None else given["env"])
        request = {
            "args": [os.fspath(each) for each in args[1:]],
            "env": {name: os.fspath(value) for name, value in environment.items()},
            "cwd": os.fspath(given["cwd"] or os.getcwd()),
            "is_leader": given["start_new_session"],
        }
        streams = enumerate([given["p2cread"], given["c2pwrite"], given["errwrite"]])
        files = [own if own >= 0 else number for number, own in streams]
        message = json.dumps(request).encode() + b"\n"
        socket.send_fds(_server(), [message], [answer, *files])
        os.close(answer)
        self._close_pipe_fds(*(given[name] for name in _PIPES))  # type: ignore[attr-defined]
        self.pid = int(_line(self._answers))
        self._child_created = True

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags & os.WNOHANG and not select.select([self._answers], [], [], 0)[0]:
            return 0, 0
        status, seconds = _line(self._answers).split()
        os.close(self._answers)
        Forked.cpu_seconds += float(seconds)
        return self.pid, int(status)

    def _internal_poll(self, _deadstate: int | None = None, *_: Any) -> int | None:
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode


@cache
def _server() -> socket.socket:
    """Start the server, once in a process; return the socket that requests go to."""
    ours, theirs = blocking_pair()
    command = [sys.executable, "-m", "tests.forked", str(theirs.fileno())]
    server = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        # Read when torch is loaded: children compute with one thread each.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    atexit.register(lambda: (ours.close(), server.wait()))
    return ours


def blocking_pair() -> tuple[socket.socket, socket.socket]:
    """Return the ends of a connection that wait however long it takes.

    Beam gives the sockets of a process that has built a job for Dataflow a limit of a minute. An
    end with such a limit never waits where it is used without it, as in the server.
    """
    pair = socket.socketpair()
    for end in pair:
        end.settimeout(None)
    return pair


def _line(descriptor: int) -> bytes:
    found = b""
    while not found.endswith(b"\n"):
        found += os.read(descriptor, 1) or _stop("expected a child, found that its server ended")
    return found


def _stop(reason: str) -> bytes:
    raise RuntimeError(reason)


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Fork children until nobody can ask any more; return, in each child, what it is to do."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who watch the children are not waited for
    while True:
        message, files, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 4)
        while message and not message.endswith(b"\n"):
            message += requests.recv(_REQUEST_BYTES)
        if not message:
            os._exit(0)
        if not os.fork():
            break
        for descriptor in files:
            os.close(descriptor)
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = dict(json.loads(message))
    child = os.fork()
    if child:
        _watch(child, files)
    # Before its number is told: who asked may at once look for the group, and signal all in it.
    if request.pop("is_leader"):
        os.setsid()
    os.write(files[0], b"%d\n" % os.getpid())
    for number, descriptor in enumerate(files[1:]):
        os.dup2(descriptor, number)
    for descriptor in files:
        os.close(descriptor)
    return request


def _watch(child: int, files: list[int]) -> None:
    """Tell how a child ended."""
    for descriptor in files[1:]:
        os.close(descriptor)
    _, status, used = os.wait4(child, 0)
    os.write(files[0], b"%d %f\n" % (status, used.ru_utime + used.ru_stime))
    os._exit(0)


def _run(args: list[str], env: dict[str, str], cwd: str) -> None:
    """Do in this process what a Python with these arguments would do."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    how, what, *rest = args
    sys.argv = [how, *rest]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    assert how == "-c", args
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    exec(compile(what, "<string>", "exec"), main.__dict__)


def _end_of(run: Callable[[], None]) -> NoReturn:
    """End as Python does after `run`, but do not take every module apart: that takes a second."""
    code: Any = 0
    try:
        run()
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code or 0)


if __name__ == "__main__":
    for _name in _IMPORTED:
        importlib.import_module(_name)
    gc.freeze()  # a collection in a child would copy every page that it looks at
    _end_of(lambda: _run(**_serve(socket.socket(fileno=int(sys.argv[1])))))
