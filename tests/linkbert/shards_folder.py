"""A small shards folder with learnable regularities, for tests of the training side."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer, models, pre_tokenizers

from schemas.manifest import (
    SEAL_NAME,
    SUMMARY_NAME,
    FileEntry,
    Manifest,
    write_json,
    write_manifest,
)
from schemas.model_folder import sha256_of
from schemas.pair_frame import PairFrame
from schemas.parquet import TableWriter
from schemas.tables.instances import RELATIONS

SPECIAL_IDS = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
NUM_SPECIAL = len(SPECIAL_IDS)
FRAME = PairFrame.of_bert(SPECIAL_IDS)
FACTS: dict[str, Any] = {"token_dtype": "<u2", "special_ids": SPECIAL_IDS}

NUM_STARTS = 8
"""Segments begin with one of so many tokens, so that some tokens are frequent: the first ones, or
the last where ids are beyond 16 bits."""


def dtype_of(vocab_size: int) -> str:
    return "<u2" if vocab_size <= 1 << 16 else "<u4"


def write_shards(
    folder: Path,
    *,
    num_instances: int = 96,
    num_epochs: int = 2,
    vocab_size: int = 64,
    max_tokens: int = 14,
    seed: int = 0,
    frame: PairFrame = FRAME,
) -> Path:
    """Write train, validation and an empty validation_closed; return the folder."""
    rng = np.random.default_rng(seed)
    sizes = {"train": num_instances, "validation": num_instances // 3, "validation_closed": 0}
    for name, size in sizes.items():
        _write_split(folder / name, rng, size, num_epochs, vocab_size, max_tokens, frame)
    describe_tokenizer(write_tokenizer(folder / "tokenizer" / "tokenizer.json", vocab_size))
    (folder / "_state" / "sample").mkdir(parents=True, exist_ok=True)
    for note in (SUMMARY_NAME, SEAL_NAME):
        write_json(folder / "_state" / "sample" / note, {})
    return folder


def describe_tokenizer(path: Path) -> None:
    """Write the manifest beside the tokenizer of a shards folder."""
    entry = FileEntry(path.name, 0, path.stat().st_size, sha256_of(path))
    write_manifest(path.parent, Manifest("sample", {}, {}, 0, 0, {}, (entry,), {}))


def write_tokenizer(path: Path, vocab_size: int) -> Path:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [f"w{index}" for index in range(vocab_size - NUM_SPECIAL)]
    vocab = {token: index for index, token in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(special)
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return path


def _write_split(
    folder: Path,
    rng: np.random.Generator,
    num_instances: int,
    num_epochs: int,
    vocab_size: int,
    max_tokens: int,
    frame: PairFrame,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    epochs = num_epochs if folder.name == "train" else 1
    entries = []
    counts = [0, 0, 0]
    first_id = 0
    for epoch in range(epochs if num_instances else 0):
        for shard, size in enumerate((num_instances // 2, num_instances - num_instances // 2)):
            name = f"part-{epoch:03d}-{shard:05d}.parquet"
            columns = _instances(rng, size, epoch, first_id, vocab_size, max_tokens, frame)
            first_id += size
            with open(folder / name, "wb") as file:
                dtype = dtype_of(vocab_size).encode()
                writer = TableWriter(file, "instances", {b"token_dtype": dtype})
                table = pa.table(columns)
                for start in range(0, size, 20):
                    piece = table.slice(start, 20)
                    writer.write({key: piece.column(key).to_pylist() for key in columns})
                writer.close()
            path = folder / name
            entries.append(FileEntry(name, size, path.stat().st_size, sha256_of(path)))
            for relation in columns["relation"]:
                counts[relation] += 1
    extra = {
        "vocab_size": vocab_size,
        "token_dtype": dtype_of(vocab_size),
        **({"special_ids": SPECIAL_IDS} if frame is FRAME else frame.to_facts()),
        "max_length": max_tokens * 2 + frame.num_special,
        "num_epochs": epochs,
        "instances_per_epoch": [num_instances] * epochs,
        "relations": dict(zip(RELATIONS, counts, strict=True)),
        "drp_class_accuracy": 0.375,
        "corpora": [
            {
                "path": "../corpus",
                "dbname": "testwiki",
                "language": "en",
                "sitename": "Testpedia",
                "dump_date": "2017-09-20",
                "license": "CC BY-SA 3.0",
            }
        ],
    }
    manifest = Manifest(
        stage="sample",
        config={},
        inputs={},
        rows_in=first_id,
        rows_out=first_id,
        drops={},
        files=tuple(entries),
        versions={},
        extra=extra,
        table="instances",
    )
    write_manifest(folder, manifest)


def _instances(
    rng: np.random.Generator,
    size: int,
    epoch: int,
    first_id: int,
    vocab_size: int,
    max_tokens: int,
    frame: PairFrame,
) -> dict[str, Any]:
    """B repeats A (contiguous), is noise (random) or counts on from A's first token (linked)."""
    rows: dict[str, list[Any]] = {name: [] for name in ("token_ids", "num_tokens", "num_tokens_a")}
    relations = (np.arange(size) + epoch) % 3
    for relation in relations:
        num_a, num_b = rng.integers(max_tokens // 2, max_tokens + 1, 2)
        a = _run_of_tokens(int(rng.integers(NUM_STARTS)), num_a, vocab_size)
        start = [a[-1] + 1, int(rng.integers(NUM_STARTS)), a[0]][relation]
        b = _run_of_tokens(start, num_b, vocab_size)
        ids = frame.wrap(a, b)
        rows["token_ids"].append(np.array(ids, dtype_of(vocab_size)).tobytes())
        rows["num_tokens"].append(len(ids))
        rows["num_tokens_a"].append(int(num_a))
    places = np.arange(size)
    return {
        **rows,
        "instance_id": (first_id + places).tolist(),
        "epoch": [epoch] * size,
        "corpus": [0] * size,
        "relation": relations.tolist(),
        "source_id": (places // 4).tolist(),
        "source_segment": (places % 4).tolist(),
        "target_id": rng.integers(0, 1000, size).tolist(),
        "target_segment": rng.integers(0, 4, size).tolist(),
    }


def _run_of_tokens(start: int, length: int, vocab_size: int) -> list[int]:
    ordinary = vocab_size - NUM_SPECIAL
    start = start if vocab_size <= 1 << 16 else start - NUM_STARTS
    return [NUM_SPECIAL + (start + index) % ordinary for index in range(length)]
