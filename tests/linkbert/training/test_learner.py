"""What network and masks a configuration gives, and what half precision changes."""

import re
from pathlib import Path

import pytest

from linkbert.training.trainer import pretrain
from schemas.errors import ConfigError
from tests.linkbert.conftest import small_config
from tests.linkbert.shards_folder import describe_tokenizer, write_shards
from tests.linkbert.training.test_trainer import lines, stop_after


def test_sequences_longer_than_the_positions_are_refused(shards: Path, tmp_path: Path) -> None:
    config = small_config("max_position_embeddings=30")
    with pytest.raises(ConfigError, match=r"at most 30 tokens .*found up to 31"):
        pretrain(shards, tmp_path / "run", config)


def test_whole_words_need_a_tokenizer_that_marks_them(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"for whole_word, found none in .*json"):
        pretrain(shards, tmp_path / "run", small_config("whole_word=true"))


def test_whole_word_runs_differ_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = write_shards(tmp_path / "shards")
    tokenizer = shards / "tokenizer" / "tokenizer.json"
    tokenizer.write_text(re.sub(r'"w(\d*[13579])"', r'"##w\1"', tokenizer.read_text()))
    describe_tokenizer(tokenizer)
    runs = [tmp_path / name for name in ("plain", "whole", "resumed")]
    config = small_config("max_steps=10", "whole_word=true")
    pretrain(shards, runs[0], small_config("max_steps=10"), seed=3)
    pretrain(shards, runs[1], config, seed=3)
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, runs[2], config, seed=3)
    pretrain(shards, runs[2], config, seed=3)
    assert lines(runs[0]) != lines(runs[1]) == lines(runs[2])


def test_bf16_learns_about_the_same(shards: Path, tmp_path: Path, finished_run: Path) -> None:
    pretrain(shards, tmp_path / "run", small_config("max_steps=20", "precision=bf16"), seed=3)
    pairs = zip(lines(tmp_path / "run"), lines(finished_run), strict=True)
    assert max(abs(ours["loss_mlm"] - theirs["loss_mlm"]) for ours, theirs in pairs) < 0.05
