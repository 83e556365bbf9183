"""The files of a tokenizer: ids keep their lines, pairs are laid out as training did."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

from linkbert.export.tokenizer_files import write_tokenizer_files
from schemas.model_folder import vocabulary_lines
from schemas.pair_frame import PairFrame

ROBERTA = PairFrame((2,), (3, 3), (3,), False, 0, 4, 1, (0, 1, 2, 3, 4))
BERT = PairFrame.of_bert({"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4})
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tokenizer_with_gaps(folder: Path) -> Path:
    ids = {**{token: number for number, token in enumerate(SPECIAL)}, "rome": 7, "\u2028": 9}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "source.json"))
    return folder / "source.json"


@pytest.mark.parametrize(
    ("frame", "pair", "types"),
    [(BERT, [2, 7, 3, 1, 3], [0, 0, 0, 1, 1]), (ROBERTA, [2, 7, 3, 3, 1, 3], None)],
    ids=["bert", "roberta"],
)
def test_ids_keep_their_lines_and_pairs_their_frame(
    frame: PairFrame, pair: list[int], types: list[int] | None, tmp_path: Path
) -> None:
    (tmp_path / "hf").mkdir()
    write_tokenizer_files(tokenizer_with_gaps(tmp_path), tmp_path / "hf", frame, 77)
    lines = vocabulary_lines((tmp_path / "hf" / "vocab.txt").read_bytes(), "vocab.txt")
    assert lines == [*SPECIAL, "[unused id 5]", "[unused id 6]", "rome", "[unused id 8]", "\u2028"]
    found = AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert found.model_max_length == 77
    encoded = found("rome", "oslo")
    assert encoded["input_ids"] == pair
    assert encoded.get("token_type_ids") == types
    assert json.loads((tmp_path / "hf" / "special_tokens_map.json").read_text())["mask_token"]
