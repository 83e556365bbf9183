"""The tokenizer of a run as files that transformers 4.57 and 5 read alike.

tokenizer.json says everything; the others say what transformers wants to know besides. The class is
PreTrainedTokenizerFast, which takes tokenizer.json as it is in both versions, where BertTokenizer
would put its own normaliser in place of ours. The template makes pairs `[CLS] A [SEP] B [SEP]` with
token type 1 from B on, as in training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.processors import TemplateProcessing

from linkbert.model.vocabulary import read_tokenizer, tokens_by_id
from schemas.manifest import write_json

_ROLES = ("pad", "unk", "cls", "sep", "mask")


def write_tokenizer_files(
    source: Path, folder: Path, special_ids: dict[str, int], max_length: int
) -> None:
    """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and vocab.txt.

    Args:
        source: the run's tokenizer.json.
        folder: where to write.
        special_ids: ids of pad, unk, cls, sep and mask.
        max_length: the longest sequence of training, in tokens.
    """
    tokenizer = read_tokenizer(source)
    special = {f"{role}_token": tokenizer.id_to_token(special_ids[role]) for role in _ROLES}
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in special.values()]
    )
    pair_with_types(tokenizer, special_ids)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = tokens_by_id(tokenizer)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    write_json(folder / "special_tokens_map.json", special)
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **special,
    }
    write_json(folder / "tokenizer_config.json", settings)


def pair_with_types(tokenizer: Tokenizer, special_ids: dict[str, int]) -> None:
    """Make the tokenizer wrap texts as `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`."""
    cls, sep = (tokenizer.id_to_token(special_ids[role]) for role in ("cls", "sep"))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, special_ids["cls"]), (sep, special_ids["sep"])],
    )
