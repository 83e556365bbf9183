"""Children of the tests: who leads a session, and who waits."""

import os
import socket
import subprocess
import sys

from tests.forked import Forked, blocking_pair


def test_the_group_of_a_leader_is_its_own_from_the_start() -> None:
    """Else a signal to the group, as Jupyter sends it to a kernel, would end the tests."""
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    for _ in range(10):
        with Forked(waiting, stdin=subprocess.PIPE, start_new_session=True) as child:
            assert os.getpgid(child.pid) == child.pid
    with Forked(waiting, stdin=subprocess.PIPE) as child:
        assert os.getpgid(child.pid) != child.pid


def test_the_server_waits_for_requests_after_a_job_was_built_for_dataflow() -> None:
    """Which gives all sockets a limit; the server would end with the first pause of the tests."""
    socket.setdefaulttimeout(60)
    try:
        for end in blocking_pair():
            with end:
                assert os.get_blocking(end.fileno())
    finally:
        socket.setdefaulttimeout(None)
