"""A server with one dump, and a download that is held against it."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.download import fetch as fetching
from pipeline.download.config import DownloadConfig
from pipeline.download.download import download
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
