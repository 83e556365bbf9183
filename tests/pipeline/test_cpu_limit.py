"""A limit on CPU time ends runaway work, even work that swallows exceptions."""

import signal
import threading
from contextlib import suppress

import pytest

from pipeline.cpu_limit import CpuLimitExceeded, cpu_limit


def spin() -> None:
    while True:
        with suppress(Exception):
            sum(range(1000))


def test_runaway_work_is_ended() -> None:
    with pytest.raises(CpuLimitExceeded), cpu_limit(0.05):
        spin()


def test_work_within_the_limit_leaves_no_timer_behind() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with cpu_limit(5.0):
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == before


def test_other_threads_run_without_a_limit() -> None:
    done = []

    def work() -> None:
        with cpu_limit(0.001):
            done.append(sum(range(100_000)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(done) == 1
