import os
import signal
import threading

import pytest

from pipeline.engine.stopping import Stopped, stop_on_signals


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_the_block_with_the_status_of_shells(number: int, status: int) -> None:
    with pytest.raises(Stopped) as stop, stop_on_signals():
        os.kill(os.getpid(), number)
    assert stop.value.status == status
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_deferred_signal_waits_and_a_second_does_not() -> None:
    reached = []

    def be_told(times: int) -> None:
        with stop_on_signals() as stopping, stopping.deferred():
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGTERM)
            reached.append(times)

    for times in (1, 2):
        with pytest.raises(Stopped):
            be_told(times)
    assert reached == [1]


def test_another_thread_is_left_alone() -> None:
    numbers: list[int] = []

    def run() -> None:
        with stop_on_signals() as stopping:
            numbers.append(stopping.number)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert numbers == [0]
