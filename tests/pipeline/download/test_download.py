"""A dump is loaded once, stays with its folder, and is refused where the disk is too small."""

from pathlib import Path

import pytest

from pipeline.download.config import DownloadConfig
from pipeline.download.download import download
from schemas.errors import DumpError
from tests.pipeline.download.conftest import load
from tests.pipeline.download.dump_server import DumpServer


def test_a_dump_is_loaded_once_over_two_connections(server: DumpServer, tmp_path: Path) -> None:
    assert len(load(server, tmp_path / "new" / "dump")) == 3
    assert server.most_at_once <= 2
    assert len(load(server, tmp_path / "new" / "dump")) == 3  # all there, none asked for


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


def test_a_disk_that_is_too_small_is_said_before_anything_is_loaded(
    server: DumpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.download import download as downloading

    usage = downloading.shutil.disk_usage(tmp_path)._replace(free=500_001)
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DumpError, match="free disk"):
        load(server, tmp_path / "out")
    assert not (tmp_path / "out").exists()
