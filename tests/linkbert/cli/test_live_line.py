"""Progress on a terminal is one line that changes; what else is logged stands above it."""

import io
import logging
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkbert.cli.live_line import LiveLine, is_live
from schemas import progress
from schemas.progress import Progress
from tests.conftest import REPOSITORY
from tests.forked import Forked


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(progress, "_LOOK_EVERY_SECONDS", 0.0)
    written = io.StringIO()
    handler, root = LiveLine(written, {"NO_COLOR": "1"}), logging.getLogger("schemas")
    root.addHandler(handler)
    monkeypatch.setattr(root, "propagate", False)
    # Whatever level a command that ran before has left.
    levels = {logger: logger.level for logger in (root, progress.logger)}
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    yield written
    for logger, level in levels.items():
        logger.setLevel(level)
    root.removeHandler(handler)


def screen_of(text: str) -> list[str]:
    """Return what a terminal would show: an erased line is gone."""
    lines = [""]
    for piece in re.split(r"(\r\x1b\[2K|\r?\n)", text):
        if piece == "\r\x1b[2K":
            lines[-1] = ""
        elif piece in ("\n", "\r\n"):
            lines.append("")
        else:
            lines[-1] += piece
    return lines


def test_a_line_is_written_over_until_its_work_is_done(stream: io.StringIO) -> None:
    shown = Progress("parse", 10, "MB")
    for _ in range(3):
        shown.advance(2.5)
    [line] = screen_of(stream.getvalue())
    assert line.startswith("━━━━━━━━━━━━━━━───── parse: 75 % (8 of 10 MB), ")
    assert len(line) < 60
    logging.getLogger("schemas.other").warning("a worker died")
    assert screen_of(stream.getvalue()) == ["a worker died", ""]
    shown.advance(2.5)
    shown.close()
    said, done, rest = screen_of(stream.getvalue())
    assert (said, rest) == ("a worker died", "")
    assert done.startswith("━━━━━━━━━━━━━━━━━━━━ parse: 100 %, ")
    assert "\x1b[3" not in stream.getvalue()


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_the_time_left_is_there_at_every_width(
    columns: int, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = Progress("pretrain", 22_400_000, "sequences")
    shown.advance(11_200_000, "loss 10.123")
    [line] = screen_of(stream.getvalue())
    assert len(line) < columns
    assert line.startswith("━━━━━━━━━━────────── pretrain: 50 %")
    assert " left" in line
    assert "loss 10.123" in line
    assert ("11,200,000 of 22,400,000 sequences" in line) == (columns >= 100)


def test_colour_is_left_out_where_nobody_wants_it() -> None:
    cases = [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)]
    for environment, is_coloured in cases:
        written = io.StringIO()
        record = logging.makeLogRecord({"msg": "parse", "share": 0.5, "is_last": True})
        LiveLine(written, environment).emit(record)
        assert ("\x1b[36m" in written.getvalue()) == is_coloured


def on_terminal(command: list[str], term: str) -> str:
    """Run a command whose stderr is a terminal; return what came there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "100", "PYTHONPATH": str(REPOSITORY)}
    with Forked(
        [sys.executable, "-m", "linkbert", *command],
        stdout=subprocess.DEVNULL, stderr=theirs, env=environment,
    ) as process:  # fmt: skip
        os.close(theirs)
        found = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                found += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        assert process.wait() == 0
    os.close(ours)
    return found.decode()


def test_a_command_on_a_terminal_shows_bars_and_elsewhere_lines(
    tmp_path: Path, mini_dump: Path
) -> None:
    parse = ["parse", str(mini_dump), "--out"]
    live = on_terminal([*parse, str(tmp_path / "live")], "xterm")
    shown = [line for line in screen_of(live) if "warning: " not in line and line]
    assert [line.split(":")[0][-5:] for line in shown] == ["e cut", "parse"]
    assert all("━" * 20 in line for line in shown)
    dumb = on_terminal([*parse, str(tmp_path / "dumb")], "dumb")
    assert "\x1b" not in dumb
    assert dumb.startswith("parse cut: 100 %")
    assert on_terminal([*parse, str(tmp_path / "quiet"), "--quiet"], "xterm") == ""


def test_only_a_terminal_is_written_over() -> None:
    assert not is_live(io.StringIO(), {"TERM": "xterm"})
    assert not is_live(sys.stderr, {})
