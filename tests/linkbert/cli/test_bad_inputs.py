"""What somebody types by mistake gets one line that says what to do, never a traceback."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from linkbert.extras import EXTRAS
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", "12345678901234567890123"), ("--seed", "-1"), ("--seed", "٣"),
        ("--workers", "-2"), ("--workers", "two"),
    ],
)  # fmt: skip
def test_a_number_out_of_its_range_is_wrong_usage(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["sample", "corpus", "--out", "shards", f"{option}={value}"])
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: expected a whole number from 0 to" in last
    assert repr(value) in last


def line_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main([argv[0], "--quiet", *argv[1:]]) == 1
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("command", ["pretrain", "experiment"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (bytes(range(256)), "codec can't decode"),
        (b"a = " + b"[" * 100_000, "nested too deep"),
        (b"[unclosed", "Expected ']'"),
    ],
)
def test_a_file_that_is_no_toml_is_one_line(
    command: str,
    content: bytes,
    found: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    given = [str(tmp_path), "--config", str(file)] if command == "pretrain" else [str(file)]
    line = line_of([command, *given, "--out", str(tmp_path / "out")], capsys)
    assert found in line
    assert str(file) in line


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("graph corpsu", "at corpsu, found nothing there: did you mean corpus?"),
        ("sample corpus books:none --out s", "the folder of a corpus at books:none, found"),
        ("pretrain nothere --out r --config tiny", "a folder that `linkbert sample` wrote at noth"),
        ("pretrain corpus --out r --config tiny", "the folder `train` of shards in corpus"),
        ("run dump.xml --out r --config tiny --init nothere", "the folder of a model at nothere"),
        ("run dump.xml --out r --config base --init corpus", "or a folder that holds one, found n"),
        ("run dump.xml --out r --config tiny --from nothere", "a tokenizer.json, a vocab.txt or"),
        ("run dump.xml --out r --config tiny --max-tokens 300", "--max-tokens of at most 254"),
        ("run dump.xml --out r --config tiny --mix nan 0 1", "expected mix to be three shares"),
        ("parse dump.xml --out dump.xml", "a folder to write, found the file dump.xml"),
        ("parse https://example.org/a.xml --out c", "an address of the web at https://example"),
        ("parse dump.xml --out https://example.org/c", "an address of the web at https://exam"),
        ("parse odd://x/a.xml --out c", "a store that Beam can open, found odd://x: give gs://"),
        ("graph dump.xml", "the folder of a corpus at dump.xml, found a file: name its folder"),
        ("graph corpus -- --wokers=2", "expected options of Beam after `--`, found --wokers=2"),
        ("show corpus -- --page=A", "expected nothing after `--`, found --page=A: show runs no"),
        ("parse dump.xml --out ''", "expected a path, found an empty one"),
        ("show corpus --page X", "found no nodes in corpus: run `linkbert graph corpus` first"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_written(
    argv: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "dump.xml").write_text("<mediawiki><page></page></mediawiki>")
    assert said in line_of(shlex.split(argv), capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "dump.xml"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("pars dump.xml", "linkbert: expected a command, found 'pars', did you mean 'parse'?"),
        ("--nope", "linkbert: expected a command, found '--nope'"),
        ("parse d --out c --worker-count 2", "linkbert parse: unknown: --worker-count 2, did you"),
        ("show c --page", "linkbert show: argument --page: expected one argument; see `linkbert"),
    ],
)
def test_wrong_usage_is_one_line_that_names_what_was_meant(
    argv: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(argv.split())
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_report_onto_a_folder_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = line_of(["report", str(tmp_path), "--out", str(tmp_path)], capsys)
    assert f"name {tmp_path / 'report.html'}" in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "found no run.json in run: name a folder that `linkbert pretrain` wrote"),
        ("{", "expected JSON in run/run.json, found damage (Expecting"),
        ("[]", "found no identity, facts, model there: copy the file anew"),
        ('{"identity": {}, "facts": {}}', "expected what pretrain wrote in run/run.json, found no"),
        (
            '{"identity": {"config": {}, "inputs": {}}, "facts": {}, "model": {}}',
            "found no identity.seed, identity.init there",
        ),
    ],
)
def test_a_run_that_lacks_what_describes_it_is_one_line(
    content: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    if content is not None:
        Path("run", "run.json").write_text(content)
        if "model" not in content:
            assert "linkbert report: expected " in line_of(["report", "run"], capsys)
    assert said in line_of(["export", "run", "--out", "model"], capsys)
    said = "expected a folder to write x.html into, found none at nowhere: create it"
    assert said in line_of(["report", "run", "--out", "nowhere/x.html"], capsys)


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("torch", "pretrain . --out o"), ("yaml", "pretrain . --out o --estimate"),
        ("safetensors", "export . --out o"), ("torch", "demo --out o"),
        ("torch", "run x.xml --out o"), ("sklearn", "run x.xml --out o --links tfidf"),
        ("transformers", "run x.xml --out o --downstream classify:."),
        ("tensorboard", "pretrain . --out o --log tensorboard"),
        ("wandb", "pretrain . --out o --log wandb"),
        ("mlflow", "run x.xml --out o --set log=mlflow"),
        ("torch", "evaluate drp . ."), ("bm25s", "evaluate ranking . ."),
        ("transformers", "finetune qa . . --out o"), ("sklearn", "finetune classify . . --out o"),
        ("accelerate", "finetune tag . . --out o"), ("torch", "experiment --control --out o"),
        ("matplotlib", "experiment --control --out o"), ("sklearn", "experiment x.toml --out o"),
        ("bm25s", "experiment x.toml --out o"), ("matplotlib", "report ."),
        ("huggingface_hub", "push . me/mine"),
    ],
)  # fmt: skip
def test_a_missing_package_names_its_extra_before_anything_is_done(
    package: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("x.xml").touch()
    Path("x.toml").write_text('corpus = "."\narms = ["bert", "tfidf"]\nranking_pairs = 9\n')
    monkeypatch.setitem(sys.modules, package, None)
    config = ["--config", "tiny"] if command.startswith(("run", "pretrain")) else []
    line = line_of([*command.split(), *config], capsys)
    assert f"expected the package {package}" in line
    assert f"pip install 'linkbert[{EXTRAS[package]}]'" in line
    assert {path.name for path in tmp_path.iterdir()} == {"x.xml", "x.toml"}


@pytest.mark.parametrize("package", ["torch", "safetensors"])
def test_run_lacks_what_trains_before_it_parses(
    package: str, mini_dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    out = tmp_path / "out"
    line = line_of(["run", str(mini_dump), "--out", str(out), "--config", "demo"], capsys)
    assert "pip install 'linkbert[train]'" in line
    assert not out.exists()


def test_a_damaged_table_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / "part-00000.parquet"
    part.write_bytes(b"PAR1" + bytes(100))
    assert f"expected {part} as its stage" in line_of(["show", str(part)], capsys)


def test_every_extra_is_one_of_setup() -> None:
    setup = (REPOSITORY / "setup.py").read_text()
    assert [extra for extra in EXTRAS.values() if f'"{extra}":' not in setup] == []


def shell(command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        ["bash", "-c", command.replace("linkbert", f"{sys.executable} -m linkbert", 1)],
        capture_output=True, text=True, env=environment, cwd=REPOSITORY,
    )  # fmt: skip


def test_a_reader_that_has_had_enough_ends_the_command_without_a_word() -> None:
    pytest.importorskip("shtab", reason="the extra completion is not installed")
    done = shell("linkbert --completion bash | head -1")
    assert done.stdout.startswith("# AUTOMATICALLY GENERATED")
    assert done.stderr == ""


def test_a_closed_output_is_refused_before_anything_is_opened(mini_dump: Path) -> None:
    done = shell(f"linkbert show {mini_dump} >&-")
    assert done.returncode == 1
    assert done.stderr == "linkbert: expected an open standard output, found it closed\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_is_one_line() -> None:
    pytest.importorskip("shtab", reason="the extra completion is not installed")
    done = shell("linkbert --completion bash > /dev/full")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "No space left on device" in line
