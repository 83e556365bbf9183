"""A limit on CPU time ends runaway work, even work that swallows exceptions."""

import signal
import threading
from contextlib import suppress

import pytest

from pipeline.parse.cpu_limit import CpuLimit, CpuLimitExceeded


def spin() -> None:
    while True:
        with suppress(Exception):
            sum(range(1000))


def test_runaway_work_is_ended_and_the_next_has_its_own_time() -> None:
    with CpuLimit(0.05) as limit:
        for _ in range(2):
            with pytest.raises(CpuLimitExceeded), limit.piece:
                spin()
        with limit.piece:
            pass


def test_work_within_the_limit_leaves_no_timer_behind() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with CpuLimit(5.0) as limit:
        with limit.piece:
            assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0
        assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == before


def test_other_threads_run_without_a_limit() -> None:
    done = []

    def work() -> None:
        with CpuLimit(0.001) as limit, limit.piece:
            done.append(sum(range(100_000)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(done) == 1
