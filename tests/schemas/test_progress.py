import logging

import pytest

from schemas.progress import Progress, clock, duration


@pytest.mark.parametrize("every_seconds", [5.0, 0.0])
def test_the_last_line_says_what_was_done_and_comes_once(
    every_seconds: float, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.progress._LINE_EVERY_SECONDS", every_seconds)
    with caplog.at_level(logging.INFO, "schemas.progress"):
        progress = Progress("parse ranges", 10, "MB")
        progress.advance(10)
        progress.close()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("parse ranges: 100 % (10 of 10 MB), ")


def test_nothing_to_do_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "schemas.progress"):
        Progress("sample words", 0).close()
    assert caplog.messages == []


def test_time_left_follows_the_share_done() -> None:
    progress = Progress("train", 400, "steps")
    progress.advance(100)
    line = progress.line(20.0, "loss 5.1")
    assert line == "train: 25 % (100 of 400 steps), 5 steps/s, 0:20 so far, 1:00 left, loss 5.1"


def test_durations_read_as_clocks() -> None:
    assert [clock(value) for value in (0, 59.6, 3600)] == ["0:00", "1:00", "1:00:00"]
    assert [duration(value) for value in (0, 59.6, 3600, 86_399.6)] == [
        "0 s", "1 min 0 s", "1 h 0 min", "1 day 0 h",
    ]  # fmt: skip


def test_a_phase_of_its_stages_name_is_said_once() -> None:
    assert Progress("parse parse", 2).line(1.0).startswith("parse: ")


def test_what_had_nothing_to_do_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "schemas.progress"):
        Progress("sample words", 0).close()
    assert caplog.messages == []
