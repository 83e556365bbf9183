"""Time the way from shards to ready batches, masks included, beside two usual ones.

    python -m tests.benchmarks.bench_loader [--instances 16384] [--length 511]

One thread, CPU seconds, page cache warm; instances of one length, and of 10 to 100 % of it. Their
ids are as frequent as words are, because they must be decompressed as those of a text: ids that do
not compress are stored as they are and read faster. Beside it, on a part because they are slow:
transformers' masking collator on lists from Parquet, and a plain pipeline of datasets, DataLoader
and that collator. Target: 100 M tokens per second and core.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import Dataset, disable_progress_bars
from torch.utils.data import DataLoader
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

from linkbert.loader.batches import BatchMaker, Share
from linkbert.loader.dataset import InstanceReader, open_split
from linkbert.loader.heap import steady_heap
from linkbert.loader.masking import masking_rule
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
from tests.benchmarks.synthetic_steps import SPECIAL_IDS
from tests.linkbert.shards_folder import write_tokenizer

VOCAB_SIZE = 30_000
ROW_GROUP = 4096
BATCH = 256
RULE = masking_rule(0, range(VOCAB_SIZE), PairFrame.of_bert(SPECIAL_IDS), (0.15, 0.8, 0.1))


def main() -> None:
    """Print tokens per CPU second of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=16_384)
    parser.add_argument("--length", type=int, default=511)
    args = parser.parse_args()
    torch.set_num_threads(1)
    steady_heap()  # as pretrain does
    pa.set_cpu_count(1)
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full, ragged = folder / "full", folder / "ragged"
        tokens = write_split(full, args.instances, args.length, args.length)
        ragged_tokens = write_split(ragged, args.instances, args.length // 10, args.length)
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(write_tokenizer(folder / "tokenizer.json", VOCAB_SIZE)),
            **{f"{role}_token": f"[{role.upper()}]" for role in SPECIAL_IDS},
        )
        part = args.instances // 16
        for label, num_tokens, read in (
            ("linkbert, batches of 256", tokens, lambda: ours(full, 256)),
            ("linkbert, batches of 32", tokens, lambda: ours(full, 32)),
            ("the same, ragged", ragged_tokens, lambda: ours(ragged, 32)),
            ("parquet and collator, lists", tokens // 16, lambda: theirs(full, part, tokenizer)),
            ("datasets, DataLoader, collator", tokens // 16, lambda: plain(full, part, tokenizer)),
        ):
            seconds = min(_cpu_seconds(read) for _ in range(3))
            speed = num_tokens / seconds / 1e6
            print(f"{label:32}{speed:9.1f} M tokens per CPU second", flush=True)


def ours(split: Path, micro_batch_size: int) -> None:
    """Make every batch as training does."""
    opened = open_split(split)
    share = Share(0, 1, micro_batch_size)
    maker = BatchMaker(InstanceReader(opened, 0), RULE, "<u2", share)
    for start in range(0, opened.num_instances, 2048):
        maker.make(start, min(start + 2048, opened.num_instances))


def theirs(split: Path, instances: int, tokenizer: PreTrainedTokenizerFast) -> None:
    """Read the same rows as lists and mask them with transformers' collator."""
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    part = sorted(split.glob("*.parquet"))[0]
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(BATCH, columns=["token_ids"]):
            if instances <= 0:
                return
            rows = [np.frombuffer(row.as_py(), "<u2").tolist() for row in batch.column(0)]
            collator([{"input_ids": row} for row in rows[:instances]])
            instances -= len(rows)


def plain(split: Path, instances: int, tokenizer: PreTrainedTokenizerFast) -> None:
    """Read and mask the same rows as a usual pipeline on datasets does."""
    dataset = Dataset.from_parquet(
        [str(path) for path in split.glob("*.parquet")],
        cache_dir=str(split.parent / "cache"),
    )

    def decode(rows: dict[str, list[bytes]]) -> dict[str, list[np.ndarray]]:
        return {
            "input_ids": [np.frombuffer(ids, "<u2").astype(np.int64) for ids in rows["token_ids"]]
        }

    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    rows = dataset.select_columns(["token_ids"]).select(range(instances)).with_transform(decode)
    for _ in DataLoader(rows, batch_size=BATCH, collate_fn=collator):
        pass


def write_split(folder: Path, instances: int, shortest: int, longest: int) -> int:
    """Write random instances, each with a length from the range; return their tokens."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lengths = rng.integers(shortest, longest + 1, instances).astype(np.int32)
    ends = np.cumsum(lengths)
    tokens = _word_ids(rng, int(ends[-1]))
    names = ("source_id", "source_segment", "target_id", "target_segment")
    with open(folder / "part-000-00000.parquet", "wb") as file:
        writer = TableWriter(file, "instances", {b"token_dtype": b"<u2"})
        for start in range(0, instances, ROW_GROUP):
            rows = slice(start, min(start + ROW_GROUP, instances))
            size = rows.stop - rows.start
            zeros = np.zeros(size, np.int32)
            bounds = zip((ends - lengths)[rows].tolist(), ends[rows].tolist(), strict=True)
            writer.write(
                {
                    "instance_id": np.arange(rows.start, rows.stop),
                    "epoch": zeros,
                    "corpus": zeros,
                    "token_ids": [tokens[first:last].tobytes() for first, last in bounds],
                    "num_tokens": lengths[rows],
                    "num_tokens_a": (lengths[rows] - 3) // 2,
                    "relation": (np.arange(size) % 3).astype(np.int8),
                    **{name: rng.integers(0, 1 << 20, size).astype(np.int32) for name in names},
                }
            )
        writer.close()
    empty: dict[str, str] = {}
    part = folder / "part-000-00000.parquet"
    entry = FileEntry(part.name, instances, part.stat().st_size, sha256_of(part))
    manifest = Manifest(
        "sample", {}, empty, instances, instances, {}, (entry,), empty, {}, "instances"
    )
    write_manifest(folder, manifest)
    state = folder.parent / "_state" / "sample"
    state.mkdir(parents=True, exist_ok=True)
    for note in (SUMMARY_NAME, SEAL_NAME):
        write_json(state / note, {})
    return int(ends[-1])


def _word_ids(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw ids as Zipf found words: one as frequent as its rank is small."""
    shares = 1.0 / np.arange(10, VOCAB_SIZE + 5)
    bounds = np.cumsum(shares / shares.sum())
    return (np.searchsorted(bounds[:-1], rng.random(size)) + 5).astype("<u2")


def _cpu_seconds(read: Callable[[], None]) -> float:
    began = time.process_time()
    read()
    return time.process_time() - began


if __name__ == "__main__":
    main()
