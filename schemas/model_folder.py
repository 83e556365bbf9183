"""The files of a model folder from outside, as they are published: read as data, never executed.

    config.json            the network's shape      always
    tokenizer.json         the tokenizer, whole     or vocab.txt, one token per line
    tokenizer_config.json  how text is folded       beside vocab.txt above all
    model.safetensors      weights                  or pytorch_model.bin, or parts with an index

`tokenizer --from` reads the tokenizer, `pretrain --init`, `evaluate` and `finetune` the rest; both
sides hold a folder to the rules here, so that what one takes the other takes. Every fault is one
line: files are bounded, numbers are numbers, a placeholder of git-lfs is called by its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from schemas.errors import CheckpointError
from schemas.limited import why_it_fails
from schemas.manifest import digest

CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"
SETTINGS_NAME = "tokenizer_config.json"
VOCABULARY_NAME = "vocab.txt"

MAX_TOKENS = 1 << 22
"""Ids reach no further; the largest published vocabularies of encoders have 250,000 to 300,000."""

_MAX_JSON_BYTES = 1 << 27
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_ENCODERS = frozenset(
    {
        "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta",
        "deberta-v2", "distilbert", "electra", "ernie", "esm", "eurobert", "flaubert", "fnet",
        "funnel", "ibert", "longformer", "luke", "megatron-bert", "mobilebert", "modernbert",
        "mpnet", "mra", "nezha", "nystromformer", "rembert", "roberta", "roberta-prelayernorm",
        "roc_bert", "roformer", "squeezebert", "xlm", "xlm-roberta", "xlm-roberta-xl", "xmod",
        "yoso",
    }
)  # fmt: skip
"""Values of model_type that name an encoder with a masked language model in transformers."""

_WORDPIECE_CLASSES = frozenset(
    {"BertTokenizer", "ElectraTokenizer", "DistilBertTokenizer", "PreTrainedTokenizer", ""}
)

# What patterns repeat, so that one that tries every way to part a run never ends on it.
_PROBE_RUNS = "aA0é. -'_の"
_TRY_TOKENIZER = f"""
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_str(open(sys.argv[1], "rb").read().decode())
tokenizer.no_truncation()
tokenizer.no_padding()
for run in {_PROBE_RUNS!r}:
    for end in "!x\\n ":
        tokenizer.encode(run * 60 + end)
tokenizer.encode("Some words, 12 of them.", "And others\\u0301")
"""
_TRY_SECONDS, _TRY_MEMORY_BYTES = 30, 4 << 30


def refuse_pointer(head: bytes, where: str) -> None:
    """Refuse the placeholder that git leaves where git-lfs did not fetch a file.

    Args:
        head: the first bytes of the file.
        where: its path.

    Raises:
        CheckpointError: it is one.
    """
    if head.startswith(_LFS_POINTER):
        raise CheckpointError(
            f"expected the file itself, found a git-lfs pointer to it in {where}: run `git lfs "
            "pull` in its repository, or download the file"
        )


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """Parse the JSON object of a file found at `where`.

    Raises:
        CheckpointError: it is not JSON in UTF-8, not an object, or absurdly large or deep.
    """
    refuse_pointer(data, where)
    if len(data) > _MAX_JSON_BYTES:
        raise CheckpointError(
            f"expected at most {_MAX_JSON_BYTES:,} bytes of JSON, found {len(data):,} in {where}: "
            "fetch the file again"
        )
    try:
        values = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"expected JSON in UTF-8 in {where}, found damage ({_in_one_line(error)}): fetch the "
            "file again"
        ) from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"expected a JSON object, found a {type(values).__name__} in {where}: fetch the file "
            "again"
        )
    return values


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        CheckpointError: it is missing, or as `parse_object`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"expected {path.name} in {path.parent}, found none that can be read "
            f"({error.strerror}): name the folder of a Hugging Face model"
        ) from error
    return parse_object(data, str(path))


def check_encoder(config: dict[str, Any], where: str) -> str:
    """Return the model_type of a config.json whose network can be trained on pairs.

    Raises:
        CheckpointError: it is a decoder, a network of another kind, or a BERT of rare make.
    """
    kind = config.get("model_type", "bert")
    architectures = config.get("architectures") or []
    is_named = isinstance(architectures, list) and any(
        isinstance(name, str) and name.endswith("ForMaskedLM") for name in architectures
    )
    if not isinstance(kind, str) or not (kind in _ENCODERS or is_named):
        raise CheckpointError(
            f"expected an encoder with a masked language model, found model_type {kind!r} in "
            f"{where}: start from a BERT, RoBERTa, ModernBERT, DeBERTa or the like"
        )
    for key in ("is_decoder", "is_encoder_decoder", "add_cross_attention"):
        if config.get(key):
            raise CheckpointError(
                f"expected an encoder, found {key} true in {where}: start from an encoder"
            )
    return kind


def vocabulary_lines(data: bytes, where: str) -> list[str]:
    r"""Return the tokens of a vocab.txt, one per line; lines end at "\n" alone, as in transformers.

    Tokens like U+2028 and U+0085 (bert-base-chinese has them) end no lines.

    >>> vocabulary_lines("[PAD]\n\u2028\r\nend".encode(), "vocab.txt")
    ['[PAD]', '\u2028', 'end']

    Raises:
        CheckpointError: it is not in UTF-8, or a token occurs twice.
    """
    refuse_pointer(data, where)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"expected a vocabulary in UTF-8, found {_in_one_line(error)} in {where}: convert it"
        ) from error
    tokens = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if len(set(tokens)) != len(tokens):
        raise CheckpointError(
            f"expected one token per line, found {len(tokens) - len(set(tokens))} repeated lines "
            f"in {where}: ids would shift"
        )
    return tokens


def folding(settings: dict[str, Any], where: str) -> dict[str, bool] | None:
    """Return how a vocab.txt's tokenizer folds text, None where its settings do not say it.

    As in transformers' BertTokenizer: `strip_accents` follows `do_lower_case` unless it is given.
    The keys are the options of `tokenizers.normalizers.BertNormalizer`.

    >>> folding({"do_lower_case": True, "strip_accents": False}, "tokenizer_config.json")
    {'lowercase': True, 'strip_accents': False, 'handle_chinese_chars': True}

    Raises:
        CheckpointError: the vocabulary belongs to a tokenizer of another kind.
    """
    kind = settings.get("tokenizer_class") or ""
    if not isinstance(kind, str) or kind.removesuffix("Fast") not in _WORDPIECE_CLASSES:
        raise CheckpointError(
            f"expected the vocabulary of a BertTokenizer, found one of {kind!r} in {where}: "
            f"save its fast tokenizer as {TOKENIZER_NAME} first"
        )
    lower, strips = settings.get("do_lower_case"), settings.get("strip_accents")
    if not isinstance(lower, bool) and not isinstance(strips, bool):
        return None
    return {
        "lowercase": lower is True,
        "strip_accents": strips if isinstance(strips, bool) else lower is True,
        "handle_chinese_chars": settings.get("tokenize_chinese_chars") is not False,
    }


def check_tokenizer(data: bytes, where: str) -> dict[str, Any]:
    """Hold a tokenizer.json to what can be told without building it; return its content.

    Raises:
        CheckpointError: it is damaged, or an id is negative, not an integer, or beyond 2^22.
    """
    rules = parse_object(data, where)
    model = rules.get("model")
    if not isinstance(model, dict):
        raise CheckpointError(
            f"expected a tokenizer with a model, found none in {where}: fetch the file again"
        )
    vocabulary = model.get("vocab")
    ids: list[Any] = list(vocabulary.values()) if isinstance(vocabulary, dict) else []
    added = rules.get("added_tokens") or []
    if isinstance(added, list):
        ids += [token.get("id") for token in added if isinstance(token, dict)]
    for number in ids:
        if type(number) is not int or not 0 <= number < MAX_TOKENS:
            raise CheckpointError(
                f"expected ids from 0 to {MAX_TOKENS - 1:,}, found {str(number)[:40]} in {where}: "
                "fetch the file again"
            )
    return rules


def try_tokenizer(path: Path) -> None:
    """Build a tokenizer from outside and encode hard texts with it, in a process of its own.

    Raises:
        CheckpointError: the library refuses it, aborts, or does not end.
    """
    try:
        check_tokenizer(path.read_bytes(), str(path))
    except OSError as error:
        raise CheckpointError(
            f"expected a tokenizer, found {error.strerror} at {path}: name its file or folder"
        ) from error
    reason = why_it_fails(
        _TRY_TOKENIZER, str(path), seconds=_TRY_SECONDS, memory_bytes=_TRY_MEMORY_BYTES
    )
    if reason is not None:
        raise CheckpointError(
            f"expected a tokenizer that encodes text, found one that fails in {path} ({reason}): "
            "fetch the file again, or take another tokenizer"
        )


def digest_of(paths: Iterable[Path]) -> str:
    """Return one SHA-256 for the names and bytes of files, whatever their order."""
    whole = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        whole.update(f"{path.name} {sha256_of(path)}\n".encode())
    return whole.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return digest(file)[1]


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
