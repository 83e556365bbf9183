"""Every command stands in the README and says in one line what is wrong with its input."""

from pathlib import Path

import pytest

from linkbert.cli.commands import _COMMANDS, main
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.stage import INGEST
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.tokenizer.config import TokenizerConfig
from tests.conftest import REPOSITORY
from tests.linkbert.cli.test_options import subcommands
from tests.running import run_inline, tokenizer_job


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_each_command_has_help_with_an_example_and_stands_in_the_readme(name: str) -> None:
    parser = subcommands()[name]
    assert parser.epilog is not None
    assert parser.epilog.startswith(f"example: linkbert {name}")
    assert f"`linkbert {name}" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["parse"], ["pretrain", "x", "--out", "y"]])
def test_wrong_usage_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "; see `linkbert" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "said"), [("check", "start anew"), ("graph", "resume")])
def test_ctrl_c_says_what_the_same_command_does(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def stop(args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(_COMMANDS, name, stop)
    assert main([name, str(tmp_path)]) == 130
    told = f"linkbert {name}: stopped; run the same command again to {said}\n"
    assert capsys.readouterr().err == told


def one_line_of(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run a command that must fail with one line and return the line."""
    assert main([*argv, "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    return lines[0]


def test_a_missing_dump_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "none.xml.bz2")
    line = one_line_of(capsys, ["parse", missing, "--out", str(tmp_path / "corpus")])
    assert line.startswith("linkbert parse: ")
    assert missing in line


def test_a_file_that_is_no_dump_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.xml").write_text("<html><body>No wiki here</body></html>")
    line = one_line_of(capsys, ["parse", str(tmp_path / "page.xml"), "--out", str(tmp_path / "c")])
    assert "MediaWiki" in line


def test_a_truncated_bz2_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (REPOSITORY / "linkbert/data/ltgwiki-2017-pages-articles.xml.bz2").read_bytes()
    cut = tmp_path / "cut.xml.bz2"
    cut.write_bytes(whole[: len(whole) // 2])
    line = one_line_of(capsys, ["parse", str(cut), "--out", str(tmp_path / "corpus")])
    assert "cut.xml.bz2" in line


def test_an_unknown_config_key_names_the_closest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["pretrain", str(tmp_path), "--out", str(tmp_path / "run"), "--config", "tiny"]
    line = one_line_of(capsys, [*argv, "--set", "learning_rat=1"])
    assert "learning_rat" in line
    assert "'learning_rate'" in line


def test_an_output_that_exists_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus/pages").mkdir(parents=True)
    (tmp_path / "corpus/pages/mine.txt").write_text("precious")
    mini = str(REPOSITORY / "tests/data/mini.xml")
    line = one_line_of(capsys, ["parse", mini, "--out", str(tmp_path / "corpus")])
    assert "--overwrite" in line
    assert (tmp_path / "corpus/pages/mine.txt").read_text() == "precious"


@pytest.mark.parametrize("command", ["graph", "segment", "tokenizer"])
def test_a_corpus_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert str(tmp_path) in one_line_of(capsys, [command, str(tmp_path / "corpus")])


def test_a_path_without_anything_of_ours_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("show", "check"):
        assert str(tmp_path) in one_line_of(capsys, [command, str(tmp_path)])


@pytest.fixture
def corpus_without_links(tmp_path: Path) -> str:
    """Return a corpus of plain text up to its segments."""
    sentence = "The {} river runs from the north to the old town and back again every single year. "
    text = "\n\n".join(sentence.format(word) * 12 for word in ("long", "short", "wide", "deep"))
    (tmp_path / "plain.txt").write_text(text)
    corpus = str(tmp_path / "corpus")
    run_inline(Job(INGEST, corpus, IngestConfig(format="text"), (str(tmp_path / "plain.txt"),)))
    run_inline(Job(GRAPH, corpus, GraphConfig()))
    run_inline(tokenizer_job([corpus], TokenizerConfig(vocab_size=100)))
    run_inline(Job(SEGMENT, corpus, SegmentConfig(max_tokens=62)))
    return corpus


def test_a_corpus_without_usable_links_names_links_none(
    corpus_without_links: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = one_line_of(capsys, ["sample", corpus_without_links, "--out", str(tmp_path / "shards")])
    assert "--links none" in line
    argv = ["sample", corpus_without_links, "--out", str(tmp_path / "bert"), "--links", "none"]
    assert main([*argv, "--quiet"]) == 0


def test_a_corpus_of_another_schema_version_is_one_line(
    corpus_without_links: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = Path(corpus_without_links, "pages/_manifest.json")
    manifest.write_text(manifest.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    line = one_line_of(capsys, ["graph", corpus_without_links])
    assert "expected schema version 1, found 99" in line
