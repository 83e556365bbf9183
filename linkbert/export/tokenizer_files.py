"""The tokenizer of a run as files that transformers 4.57 and 5 read alike.

tokenizer.json says everything; the others say what transformers wants to know besides. The class is
PreTrainedTokenizerFast, which takes tokenizer.json as it is in both versions, where BertTokenizer
would put its own normaliser in place of ours. The template lays out pairs as training did.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.processors import TemplateProcessing

from linkbert.model.vocabulary import read_tokenizer, tokens_by_id
from schemas.manifest import write_json
from schemas.model_folder import SETTINGS_NAME, TOKENIZER_NAME
from schemas.pair_frame import PairFrame


def write_tokenizer_files(source: Path, folder: Path, frame: PairFrame, max_length: int) -> None:
    """Write the tokenizer and its settings; of a WordPiece vocab.txt as well.

    Args:
        source: the run's tokenizer.json.
        folder: where to write.
        frame: how training laid out pairs.
        max_length: the longest text that the model takes, in tokens.
    """
    tokenizer = read_tokenizer(source)
    special = {
        f"{role}_token": tokenizer.id_to_token(number) or ""
        for role, number in frame.roles().items()
    }
    known = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
    tokenizer.add_special_tokens(
        [
            known.get(token) or AddedToken(token, special=True, normalized=False)
            for token in special.values()
        ]
    )
    frame_pairs(tokenizer, frame)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(folder / TOKENIZER_NAME))
    if json.loads(tokenizer.to_str())["model"]["type"] == "WordPiece":
        # A line's number is its id: an id that has no token has a line all the same.
        tokens = (token or f"[unused id {i}]" for i, token in enumerate(tokens_by_id(tokenizer)))
        (folder / "vocab.txt").write_bytes("".join(f"{token}\n" for token in tokens).encode())
    write_json(folder / "special_tokens_map.json", special)
    types = ["token_type_ids"] if frame.has_token_types else []
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", *types, "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **special,
    }
    write_json(folder / SETTINGS_NAME, settings)


def frame_pairs(tokenizer: Tokenizer, frame: PairFrame) -> None:
    """Make the tokenizer wrap texts as training did, one text as `[CLS] A [SEP]`."""
    second = int(frame.has_token_types)

    def spelled(ids: tuple[int, ...], kind: int) -> str:
        return " ".join(f"{tokenizer.id_to_token(number)}:{kind}" for number in ids)

    before, between = spelled(frame.before, 0), spelled(frame.between, 0)
    used = dict.fromkeys((*frame.before, *frame.between, *frame.after))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{before} $A:0 {spelled(frame.after, 0)}",
        pair=f"{before} $A:0 {between} $B:{second} {spelled(frame.after, second)}",
        special_tokens=[(tokenizer.id_to_token(number), number) for number in used],
    )
