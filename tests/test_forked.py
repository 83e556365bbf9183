"""A child that is to lead a session leads it before its number is known."""

import os
import subprocess
import sys

from tests.forked import Forked


def test_the_group_of_a_leader_is_its_own_from_the_start() -> None:
    """Else a signal to the group, as Jupyter sends it to a kernel, would end the tests."""
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    for _ in range(10):
        with Forked(waiting, stdin=subprocess.PIPE, start_new_session=True) as child:
            assert os.getpgid(child.pid) == child.pid
    with Forked(waiting, stdin=subprocess.PIPE) as child:
        assert os.getpgid(child.pid) != child.pid
