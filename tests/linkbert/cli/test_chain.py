"""`run` takes files or the name of a wiki, and `demo` is a `run` with the steps of its preset."""

import argparse
import json
from pathlib import Path

import pytest

from linkbert.cli.chain import _dumps_of, demo_argv
from linkbert.cli.commands import main
from linkbert.cli.options import build_parser
from linkbert.training.config import load_config
from schemas.errors import DumpError
from tests.pipeline.download.dump_server import DumpServer

NAME = "xwiki-20260101-pages-articles-multistream.xml.bz2"


def run_args(*argv: str) -> argparse.Namespace:
    return build_parser().parse_args(["run", *argv, "--config", "tiny"])


def test_the_name_of_a_wiki_is_downloaded_into_the_folder(tmp_path: Path) -> None:
    server = DumpServer()
    server.add_dump("xwiki", "20260101", {NAME: b"the dump"})
    with server.running():
        args = run_args("xwiki", "--out", str(tmp_path), "--mirror", server.url)
        assert _dumps_of(args) == [str(tmp_path / "dump" / NAME)]
    assert (tmp_path / "dump" / NAME).read_bytes() == b"the dump"


@pytest.mark.parametrize("dump", ["xwiki.xml.bz2", "wikis/xwiki", "gs://bucket/xwiki", "a*wiki"])
def test_what_is_no_name_of_a_wiki_is_a_file(dump: str) -> None:
    assert _dumps_of(run_args(dump, "--out", "out")) == [dump]


def test_a_file_that_bears_the_name_of_a_wiki_is_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("xwiki").write_text("<mediawiki>")
    assert _dumps_of(run_args("xwiki", "--out", "out")) == ["xwiki"]


def test_a_wiki_that_nobody_has_is_one_line(tmp_path: Path) -> None:
    with DumpServer().running() as server, pytest.raises(DumpError, match="a wiki named nowiki"):
        _dumps_of(run_args("nowiki", "--out", str(tmp_path), "--mirror", server.url))


def test_the_demo_keeps_the_steps_of_its_preset() -> None:
    args = build_parser().parse_args(demo_argv("out"))
    assert load_config(args.config, args.overrides) == load_config("demo")


def test_download_prints_where_the_files_lie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = DumpServer()
    server.add_dump("xwiki", "20260101", {NAME: b"the dump"})
    with server.running():
        out = str(tmp_path / "d")
        argv = ["download", "xwiki", "--out", out, "--mirror", server.url, "--json", "--quiet"]
        assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "wiki": "xwiki", "date": "20260101", "bytes": 8, "files": [str(tmp_path / "d" / NAME)]
    }  # fmt: skip
