"""What a command that ends with an error says to its shell."""

import signal

from schemas.errors import ConfigError, StoppedError


def test_the_exit_status_is_one_or_that_of_the_signal() -> None:
    assert ConfigError("expected").exit_status == 1
    stopped = StoppedError("saved", signal.SIGTERM)
    assert (stopped.exit_status, str(stopped)) == (143, "saved")
