"""Dumps arrive whole from a server that cuts, stalls, changes, moves and refuses them."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.download import fetch as fetching
from pipeline.download.config import DownloadConfig
from pipeline.download.download import download
from schemas.errors import ConfigError, DumpError
from tests.pipeline.download.dump_server import DumpServer

PARTS = {
    f"xwiki-20260101-pages-articles-multistream{part}.xml.bz2": random.Random(part).randbytes(size)
    for part, size in ((1, 300_000), (2, 200_001), (3, 1))
}


@pytest.fixture
def server() -> Iterator[DumpServer]:
    dumps = DumpServer()
    dumps.add_dump("xwiki", "20260101", PARTS)
    with dumps.running():
        yield dumps


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Do not wait between attempts; return how long it would have been."""
    noted: list[float] = []
    monkeypatch.setattr(fetching, "_sleep", noted.append)
    return noted


def load(server: DumpServer, folder: Path, **options: str) -> list[str]:
    found = download("xwiki", folder, DownloadConfig(mirror=server.url, **options))
    assert found["bytes"] == sum(map(len, PARTS.values()))
    for path in found["files"]:
        assert Path(path).read_bytes() == PARTS[Path(path).name]
    assert len(found["files"]) == len(PARTS)
    assert not list(folder.glob(".*"))
    return [path for path, _, _ in server.seen if path.endswith(".bz2")]


def test_a_dump_is_loaded_once_over_two_connections(server: DumpServer, tmp_path: Path) -> None:
    assert len(load(server, tmp_path / "new" / "dump")) == 3
    assert server.most_at_once <= 2
    assert len(load(server, tmp_path / "new" / "dump")) == 3  # all there, none asked for


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


def test_the_newest_complete_dump_is_taken(server: DumpServer, tmp_path: Path) -> None:
    server.add_dump("xwiki", "20260301", {"x.xml.bz2": b"?"}, status="in-progress")
    server.files["/xwiki/"] += b'<a href="20260401/">20260401/</a>'  # without a status yet
    assert download("xwiki", tmp_path, DownloadConfig(mirror=server.url))["date"] == "20260101"


def test_a_folder_stays_with_its_dump_when_a_newer_one_comes(
    server: DumpServer, tmp_path: Path
) -> None:
    load(server, tmp_path)
    server.add_dump("xwiki", "20260301", {"x.xml.bz2": b"new"})
    load(server, tmp_path)
    assert download("xwiki", tmp_path / "other", DownloadConfig(mirror=server.url))["date"] == (
        "20260301"
    )


def test_the_server_is_told_who_asks(server: DumpServer, tmp_path: Path) -> None:
    load(server, tmp_path, contact="me@example.org")
    agents = {agent for _, _, agent in server.seen}
    [agent] = agents
    assert agent.startswith("linkbert/")
    assert agent.endswith(" (me@example.org)")


@pytest.mark.parametrize(
    ("wiki", "date", "message"),
    [
        ("nowiki", None, "a wiki named nowiki.*404"),
        ("xwiki", "20250101", "the dump of 20250101 of xwiki, found none"),
        ("empty", None, "found no date"),
        ("evil", None, "damage at .*a file named '../../evil.xml.bz2'"),
        ("odd", None, "damage at"),
    ],
)
def test_what_is_not_there_is_one_line(
    server: DumpServer, tmp_path: Path, wiki: str, date: str | None, message: str
) -> None:
    server.files["/empty/"] = b"<html>nothing</html>"
    server.add_dump("evil", "20260101", {"../../evil.xml.bz2": b"?"})
    server.add_dump("odd", "20260101", {})
    server.files["/odd/20260101/dumpstatus.json"] = b'{"jobs": []}'
    with pytest.raises(DumpError, match=message):
        download(wiki, tmp_path / "out", DownloadConfig(date, server.url))
    assert not (tmp_path / "out").exists()


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with DumpServer().running() as gone:
        pass
    with pytest.raises(DumpError, match="found no answer"):
        download("xwiki", tmp_path, DownloadConfig(mirror=gone.url))


def test_a_disk_that_is_too_small_is_said_before_anything_is_loaded(
    server: DumpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.download import download as downloading

    usage = downloading.shutil.disk_usage(tmp_path)._replace(free=500_001)
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DumpError, match="free disk"):
        load(server, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options", [{"date": "2026-01-01"}, {"mirror": "ftp://x"}, {"contact": "a\r\nX: y"}]
)
def test_options_out_of_their_form_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        DownloadConfig(**options)
