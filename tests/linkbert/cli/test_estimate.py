import json
import shutil
from pathlib import Path

import pytest

from linkbert.cli.commands import main


def test_an_estimate_writes_nothing_and_says_time_disk_and_memory(
    mini_dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for command in (["parse"], ["run", "--config", "tiny"]):
        argv = [command[0], str(mini_dump), "--out", str(out), *command[1:], "--estimate"]
        assert main([*argv, "--json", "--quiet"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert min(found["seconds"], found["disk_bytes"], found["memory_bytes"]) > 0
    assert found["seconds"] > found["seconds_before_training"]
    assert found["passes"] >= 4
    assert not out.exists()


def test_an_estimate_of_training_tells_tokens_and_passes(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["pretrain", str(shards), "--out", str(tmp_path / "run"), "--config", "demo"]
    assert main([*argv, "--estimate", "--quiet", "--set", "micro_batch_size=2"]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert rows["steps"].strip() == "700"
    assert {"time", "tokens", "passes", "memory", "disk"} <= set(rows)
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_too_small_is_a_warning(
    mini_dump: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with caplog.at_level("WARNING", "linkbert"):
        assert main(["parse", str(mini_dump), "--out", str(tmp_path / "c"), "--estimate"]) == 0
    assert [line for line in caplog.messages if "use another disk" in line]


def test_a_wiki_by_name_is_to_be_downloaded_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["run", "xwiki", "--out", str(tmp_path), "--config", "tiny", "--estimate", "--quiet"]
    assert main(argv) == 1
    assert "linkbert download xwiki" in capsys.readouterr().err
