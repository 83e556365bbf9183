"""Traces in three languages become the error that one of our tasks raised, or one line."""

import logging
from pathlib import Path

import pytest

from pipeline.engine.failures import cause_of, innermost, log_to_file
from schemas.errors import DumpError, StageError

TRACE = "Traceback (most recent call last):\n  File x\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f'{TRACE}schemas.errors.DumpError: no dump" in it', DumpError("no dump")),
        (r'{"at": "A\n\tschemas.errors.StageError: gone\n"}', StageError("gone")),
        ("schemas.errors.DumpError: cut off [while running 'Parse']", DumpError("cut off")),
        (f"{TRACE}OSError: [Errno 28] No space left", OSError(28, "No space left")),
    ],
)
def test_an_error_of_ours_is_raised_again_as_what_it_was(text: str, error: BaseException) -> None:
    found = cause_of(text)
    assert type(found) is type(error)
    assert str(found) == str(error)


def test_workers_without_the_package_are_told_and_other_errors_are_not_ours() -> None:
    lacking = cause_of("ModuleNotFoundError: No module named 'pipeline.parse'")
    assert isinstance(lacking, StageError)
    assert "install the version of the launcher" in str(lacking)
    assert cause_of("ModuleNotFoundError: No module named 'pandas'") is None
    assert cause_of("schemas.errors.NoSuchError: x") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Caused by: A: outer\n\tat x\nCaused by: B: no disk\n\tat y", "B: no disk"),
        ("first\nlast line", "last line"),
        ("", "nothing said"),
        ("word " * 100, "word " * 59 + "..."),
    ],
)
def test_the_innermost_cause_is_one_line_of_bounded_length(text: str, told: str) -> None:
    assert innermost(text) == told


def test_what_an_engine_logs_goes_to_its_file_and_levels_are_put_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = logging.getLogger("apache_beam")
    monkeypatch.setattr(theirs, "level", logging.CRITICAL)
    path = tmp_path / "_state" / "engine.log"
    # A command that ran before may have left this at what --quiet shows.
    caplog.set_level(logging.WARNING, "pipeline.engine")
    with log_to_file(str(path)):
        theirs.info("a worker starts")
        theirs.error("a worker ends")
        logging.getLogger("pipeline.engine").warning("a task died")
    assert theirs.level == logging.CRITICAL
    assert "apache_beam INFO a worker starts" in path.read_text()
    assert [record.message for record in caplog.records] == ["a task died"]
