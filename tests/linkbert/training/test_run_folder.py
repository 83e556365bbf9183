"""The folder of a run: what may go on in it, what is refused, and what its files say."""

import json
import os
import shutil
from pathlib import Path

import pytest

from linkbert.training.checkpoint import checkpoint_steps
from linkbert.training.run_folder import lock_run
from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError, StageError
from schemas.manifest import read_manifest
from tests.linkbert.cli.test_bad_inputs import line_of
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import write_shards


def test_files_of_a_run_have_the_modes_that_the_umask_gives(shards: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        pretrain(shards, tmp_path / "run", small_config("max_steps=2"))
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    modes = {path.name: path.stat().st_mode & 0o777 for path in files if path.name[0] != "."}
    assert set(modes.values()) == {0o640}, modes


def test_manifest_holds_no_time(finished_run: Path) -> None:
    manifest = read_manifest(finished_run)
    assert manifest.stage == "pretrain"
    assert "seconds" not in json.dumps(manifest.extra)
    assert {entry.name.rsplit("/")[-1] for entry in manifest.files} == {
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    }


def test_other_configuration_seed_or_shards_is_refused(
    shards: Path, finished_run: Path, tmp_path: Path
) -> None:
    config = small_config("max_steps=20", "learning_rate=0.5")
    with pytest.raises(ConfigError, match=r"learning_rate was 0.01, is now 0.5;"):
        pretrain(shards, finished_run, config, seed=3)
    same = small_config("max_steps=20")
    with pytest.raises(ConfigError, match="seed was 3, is now 4"):
        pretrain(shards, finished_run, same, seed=4)
    other = write_shards(tmp_path / "other", num_instances=48)
    with pytest.raises(ConfigError, match=r"the shards are different \(train, validation\)"):
        pretrain(other, finished_run, same, seed=3)


def test_overwrite_begins_anew(shards: Path, tmp_path: Path) -> None:
    pretrain(shards, tmp_path / "run", small_config("max_steps=3", "warmup_steps=1"))
    result = pretrain(
        shards, tmp_path / "run", small_config("max_steps=2", "warmup_steps=1"), overwrite=True
    )
    assert (result.step, result.was_finished) == (2, False)
    assert checkpoint_steps(tmp_path / "run") == [2]


def test_folder_of_something_else_is_refused(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(StageError, match=r"found letters\.txt"):
        pretrain(shards, tmp_path, small_config("max_steps=2"), overwrite=True)


def test_a_start_that_was_cut_off_is_begun_again(shards: Path, tmp_path: Path) -> None:
    shutil.copy(shards / "tokenizer" / "tokenizer.json", tmp_path)
    (tmp_path / ".run.json.0123.tmp").write_bytes(b"{")
    result = pretrain(shards, tmp_path, small_config("max_steps=1", "warmup_steps=1"))
    assert result.step == 1
    other = tmp_path / "other"
    other.mkdir()
    (other / "tokenizer.json").write_text("mine")
    with pytest.raises(StageError, match=r"found tokenizer\.json"):
        pretrain(shards, other, small_config("max_steps=1", "warmup_steps=1"))
    assert (other / "tokenizer.json").read_text() == "mine"


def test_second_run_in_the_same_folder_is_refused(shards: Path, tmp_path: Path) -> None:
    with lock_run(tmp_path), pytest.raises(StageError, match="another run writing"):
        pretrain(shards, tmp_path, small_config("max_steps=2"))


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
