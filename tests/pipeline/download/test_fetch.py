"""A file arrives whole from a server that cuts, stalls, changes, moves and refuses it."""

from pathlib import Path

import pytest

from pipeline.download import fetch as fetching
from schemas.errors import DumpError
from tests.pipeline.download.conftest import PARTS, load
from tests.pipeline.download.dump_server import DumpServer


def test_what_is_cut_goes_on_where_it_was(
    server: DumpServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.cut_after = 100_000
    load(server, tmp_path)
    starts = [int(asked[6:-1]) for path, asked, _ in server.seen if "multistream1" in path]
    assert starts == [0, *range(65_536, 300_000, 65_536)]  # whole chunks of what came
    assert pauses


def test_a_download_that_was_stopped_goes_on_with_the_next_command(
    server: DumpServer, tmp_path: Path, pauses: list[float]
) -> None:
    name = next(iter(PARTS))
    (tmp_path / f".{name}.part").write_bytes(PARTS[name][:123_456])
    load(server, tmp_path)
    assert [asked for path, asked, _ in server.seen if name in path] == ["bytes=123456-"]


def test_a_server_that_does_not_resume_is_read_from_the_start(
    server: DumpServer, tmp_path: Path
) -> None:
    server.resumes = False
    name = next(iter(PARTS))
    (tmp_path / f".{name}.part").write_bytes(b"?" * 1000)
    load(server, tmp_path)


def test_a_changed_byte_is_loaded_again_and_twice_is_refused(
    server: DumpServer, tmp_path: Path
) -> None:
    server.wrong = 1
    assert len(load(server, tmp_path / "once")) == 4
    server.wrong = 100
    with pytest.raises(DumpError, match=r"found another twice.*--mirror"):
        load(server, tmp_path / "always")
    assert not list((tmp_path / "always").glob("*.bz2"))


def test_a_part_of_other_bytes_is_loaded_anew(server: DumpServer, tmp_path: Path) -> None:
    name = next(iter(PARTS))
    (tmp_path / f".{name}.part").write_bytes(b"?" * 1000)
    (tmp_path / name).write_bytes(b"an older dump")
    load(server, tmp_path)


def test_a_stalled_answer_is_asked_for_again(
    server: DumpServer, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_READ_SECONDS", 0.2)
    server.stalls = 2
    assert len(load(server, tmp_path)) == 5


def test_redirects_are_followed(server: DumpServer, tmp_path: Path) -> None:
    server.moved = True
    assert sum(path.startswith("/moved") for path in load(server, tmp_path)) == 3


def test_a_busy_server_is_waited_for_as_long_as_it_asks(
    server: DumpServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.busy = 2
    load(server, tmp_path)
    assert pauses == [7.0, 7.0]


def test_a_server_that_stays_busy_is_given_up(
    server: DumpServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.busy = 1000
    with pytest.raises(DumpError, match="status 503 6 times: the same command goes on"):
        load(server, tmp_path)
