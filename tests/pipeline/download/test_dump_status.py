"""The newest complete dump is found, and one that is not there is one line."""

from pathlib import Path

import pytest

from pipeline.download.config import DownloadConfig
from pipeline.download.download import download
from schemas.errors import DumpError
from tests.pipeline.download.dump_server import DumpServer


def test_the_newest_complete_dump_is_taken(server: DumpServer, tmp_path: Path) -> None:
    server.add_dump("xwiki", "20260301", {"x.xml.bz2": b"?"}, status="in-progress")
    server.files["/xwiki/"] += b'<a href="20260401/">20260401/</a>'  # without a status yet
    assert download("xwiki", tmp_path, DownloadConfig(mirror=server.url))["date"] == "20260101"


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
