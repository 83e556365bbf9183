"""Word marks of every kind of tokenizer, ids with gaps, and folders of another vocabulary."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from linkbert.model.vocabulary import (
    check_same_vocabulary,
    continues_word,
    folder_tokens,
    ordinary_ids,
)
from schemas.errors import CheckpointError, ConfigError


def saved(path: Path, model: models.Model, pre_tokenizer: pre_tokenizers.PreTokenizer) -> Path:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.save(str(path))
    return path


BPE = models.BPE({"<s>": 0, "\u0120low": 1, "er": 2, "\u010a": 3, "x": 4}, [])
UNIGRAM = models.Unigram([("<s>", 0.0), ("\u2581low", -1.0), ("er", -1.0), ("\u2581", -2.0)], 0)
WORDPIECE = models.WordPiece({"<s>": 0, "low": 1, "##er": 2, "x": 9}, unk_token="<s>")


@pytest.mark.parametrize(
    ("model", "pre_tokenizer", "expected"),
    [
        (BPE, pre_tokenizers.ByteLevel(), [0, 0, 1, 0, 1]),
        (UNIGRAM, pre_tokenizers.Metaspace(), [0, 0, 1, 0]),
        (WORDPIECE, pre_tokenizers.BertPreTokenizer(), [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ids=["bpe", "unigram", "wordpiece"],
)
def test_what_continues_a_word_follows_the_tokenizers_own_marks(
    model: models.Model,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    expected: list[int],
    tmp_path: Path,
) -> None:
    found = continues_word(saved(tmp_path / "tokenizer.json", model, pre_tokenizer))
    assert found.astype(int).tolist() == expected


def test_tokens_without_marks_make_no_whole_words(tmp_path: Path) -> None:
    model = models.WordLevel({"<s>": 0, "low": 1}, unk_token="<s>")
    path = saved(tmp_path / "tokenizer.json", model, pre_tokenizers.Whitespace())
    with pytest.raises(ConfigError, match="turn whole_word off"):
        continues_word(path)


def test_ids_with_gaps_have_no_token_between(tmp_path: Path) -> None:
    path = saved(tmp_path / "tokenizer.json", WORDPIECE, pre_tokenizers.BertPreTokenizer())
    assert ordinary_ids(path).tolist() == [0, 1, 2, 9]
    assert ordinary_ids(path).dtype == np.int32
    assert folder_tokens(tmp_path)[2:5] == ["##er", None, None]


def test_a_folder_has_the_shards_vocabulary_or_is_refused(tmp_path: Path) -> None:
    own = models.WordPiece({"<s>": 0, "\u2028": 1, "low": 2}, unk_token="<s>")
    path = saved(tmp_path / "tokenizer.json", own, pre_tokenizers.BertPreTokenizer())
    folder = tmp_path / "hf"
    folder.mkdir()
    with pytest.raises(CheckpointError, match=r"expected tokenizer.json or vocab.txt, found neit"):
        check_same_vocabulary(path, folder)
    (folder / "vocab.txt").write_bytes("<s>\n\u2028\nlow\n".encode())
    check_same_vocabulary(path, folder)
    (folder / "vocab.txt").write_bytes(b"<s>\nlow\n")
    with pytest.raises(ConfigError, match=r"found another in the shards \(3 .* difference at id 1"):
        check_same_vocabulary(path, folder)
