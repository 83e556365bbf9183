"""Find out how a tokenizer frames a pair, whatever its family: by asking it.

A pair of probe texts goes through the tokenizer's own post-processing; what comes out besides
their tokens is the frame. Which token is which (padding, mask, unknown) stands in
tokenizer_config.json, or shows in its spelling.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Encoding, Tokenizer

from schemas.errors import ConfigError
from schemas.pair_frame import PairFrame

_SPELLINGS = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
"""The roles of special tokens, and how they are spelled where no file says it."""

_PROBES = ("a", "1", ".", "の")


def frame_of(tokenizer: Tokenizer, settings: dict[str, Any] | None = None) -> PairFrame:
    """Return the frame of a pair.

    Args:
        tokenizer: of any family, without truncation or padding.
        settings: its tokenizer_config.json, where there is one.

    Raises:
        ConfigError: it has no mask or padding token, or puts no special token first: it was not
            made for a masked language model.

    >>> from pipeline.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_from_vocab
    >>> vocab = {token: index for index, token in enumerate(SPECIAL_TOKENS)}
    >>> frame_of(wordpiece_from_vocab(vocab)).wrap([7], [8])
    [2, 7, 3, 8, 3]
    """
    settings = settings or {}
    roles = roles_of(tokenizer, settings)
    missing = [role for role in ("pad", "mask") if role not in roles]
    if missing:
        spelled = " or ".join(" or ".join(_SPELLINGS[role]) for role in missing)
        raise ConfigError(
            f"expected a masked language model's tokenizer, found no {' and no '.join(missing)} "
            f"token ({spelled}, or as its tokenizer_config.json names it): take another tokenizer, "
            "or train one"
        )
    before, between, after, has_types = _special_ids_around(tokenizer, roles)
    names_types = "token_type_ids" in settings.get("model_input_names", ["token_type_ids"])
    added = tokenizer.get_added_tokens_decoder()
    special = {token_id for token_id, token in added.items() if token.special}
    return PairFrame(
        before,
        between,
        after,
        has_types and names_types,
        roles["pad"],
        roles["mask"],
        roles.get("unk"),
        tuple(sorted({*special, *roles.values(), *before, *between, *after})),
    )


def roles_of(tokenizer: Tokenizer, settings: dict[str, Any]) -> dict[str, int]:
    """Return the ids of pad, unk, cls, sep and mask, those that the tokenizer has."""
    found: dict[str, int] = {}
    for role, spellings in _SPELLINGS.items():
        named = settings.get(f"{role}_token")
        named = named.get("content") if isinstance(named, dict) else named
        for token in (named, *spellings):
            token_id = tokenizer.token_to_id(token) if isinstance(token, str) else None
            if token_id is not None:
                found[role] = token_id
                break
    if "unk" not in found:
        model = json.loads(tokenizer.to_str())["model"]
        named = tokenizer.token_to_id(model.get("unk_token") or "")
        unknown = model.get("unk_id") if named is None else named
        found |= {} if unknown is None else {"unk": unknown}
    return found


def _special_ids_around(
    tokenizer: Tokenizer, roles: dict[str, int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]:
    """Return the ids before, between and after two texts, and whether the second has type 1."""
    pair = _encode_probe(tokenizer)
    a, b = ([at for at, text in enumerate(pair.sequence_ids) if text == each] for each in (0, 1))
    before, between, after = pair.ids[: a[0]], pair.ids[a[-1] + 1 : b[0]], pair.ids[b[-1] + 1 :]
    if not (before or between or after) and {"cls", "sep"} <= roles.keys():
        # It has no template: BERT's.
        cls, sep = roles["cls"], roles["sep"]
        return (cls,), (sep,), (sep,), True
    if not before:
        raise ConfigError(
            "expected a tokenizer that begins a pair with a special token, where its relation is "
            f"read, found {' '.join(pair.tokens)}: take the tokenizer of a BERT-like model"
        )
    has_types = pair.type_ids == [0] * b[0] + [1] * (len(pair.ids) - b[0])
    return tuple(before), tuple(between), tuple(after), has_types


def _encode_probe(tokenizer: Tokenizer) -> Encoding:
    """Return a pair of texts, encoded, of which each has a token."""
    for probe in _PROBES:
        pair = tokenizer.encode(probe, probe)
        if {0, 1} <= set(pair.sequence_ids):
            return pair
    raise ConfigError(
        f"expected a tokenizer that knows one of {' '.join(_PROBES)}, found none that gives a "
        "token: take another tokenizer, or train one"
    )
