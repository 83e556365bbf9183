"""The stage `tokenizer`: pages in, `CORPUS/tokenizer/tokenizer.json` out.

It trains WordPiece on pages drawn by the hash of their id, or takes a tokenizer that exists; the
ids of a taken one stay as they are. Several corpora that are sampled together share one tokenizer:
train it on all of them in the first, then take it in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from pipeline.engine.outputs import (
    load_finished,
    open_part,
    part_paths,
    read_batches,
    verify_folder,
    write_folder_manifest,
)
from pipeline.engine.stage import Job, Phase, Record, Records, Stage, Task
from pipeline.storage import files
from pipeline.tokenizer import wordpiece
from pipeline.tokenizer.config import TokenizerConfig, TokenizerSources
from pipeline.tokenizer.frame import frame_of
from pipeline.tokenizer.long_texts import text_pieces
from pipeline.tokenizer.taken import (
    TOKENIZER_FILE,
    fingerprints_of,
    taken_settings,
    taken_tokenizer,
)
from schemas.counter_rng import counter_key, counter_uniform
from schemas.errors import SchemaError
from schemas.model_folder import SETTINGS_NAME
from schemas.tables.segments import token_dtype

SETTINGS_FILE = f"tokenizer/{SETTINGS_NAME}"
"""What transformers wants to know besides, so that AutoTokenizer gives the ids of training."""

# Above this share of [UNK] the vocabulary does not fit the text.
_MAX_UNKNOWN_SHARE = 0.005
_MEASURED_BYTES = 4_000_000
_BATCH_PAGES = 256
_MAX_TEXT_CHARS = 6_000_000
"""What one text gives to the sample: MediaWiki's end at 2 MB, and words that all differ take the
trainer about 70 bytes per character, so that no text can end it."""


def fingerprint_inputs(job: Job[TokenizerConfig]) -> dict[str, str]:
    """Return the fingerprints of the corpora's pages and of the taken tokenizer."""
    sources = TokenizerSources.of(job.sources, job.config)
    found = {
        f"pages{index or ''}": load_finished(files.join(corpus, "pages")).fingerprint()
        for index, corpus in enumerate(sources.corpora)
    }
    if sources.taken is not None:
        found |= fingerprints_of(sources.taken)
    return found


def tasks_of_make(job: Job[TokenizerConfig], records: Records) -> list[Task]:
    """Make one task: training counts words of all texts together, on all cores."""
    return [Task(0, {})]


def run_make(job: Job[TokenizerConfig], task: Task) -> Record:
    """Train or take the tokenizer, write it, and measure it on other pages of the first corpus."""
    sources = TokenizerSources.of(job.sources, job.config)
    for corpus in sources.corpora:
        verify_folder(files.join(corpus, "pages"))
    if sources.taken is None:
        tokenizer = _trained_tokenizer(sources.corpora, job.config)
    else:
        tokenizer = taken_tokenizer(sources.taken)
    with files.write_whole(job.path(TOKENIZER_FILE)) as file:
        file.write(wordpiece.serialise(tokenizer))
    frame = frame_of(tokenizer, None if sources.taken is None else taken_settings(sources.taken))
    files.write_json(job.path(SETTINGS_FILE), wordpiece.transformers_settings(tokenizer, frame))
    measured = sampled_texts(sources.corpora, _MEASURED_BYTES, "measure")
    quality = wordpiece.measure(tokenizer, measured, frame.unk_id)
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    return {
        "counts": {
            "words": quality.num_words,
            "tokens": quality.num_tokens,
            "unknown": quality.num_unknown,
        },
        "facts": {
            # Ids may have gaps in a taken vocabulary: the embedding needs the highest.
            "vocab_size": max(vocab.values()) + 1,
            "token_dtype": token_dtype(max(vocab.values()) + 1),
            **frame.to_facts(),
            "is_cased": wordpiece.is_cased(tokenizer),
            "strips_accents": wordpiece.strips_accents(tokenizer),
            "tokens_per_word": round(quality.tokens_per_word, 4),
            "unknown_share": round(quality.unknown_share, 6),
        },
        "files": {TOKENIZER_FILE: 0, SETTINGS_FILE: 0},
    }


def _trained_tokenizer(corpora: Sequence[str], config: TokenizerConfig) -> Tokenizer:
    return wordpiece.train_wordpiece(
        lambda: sampled_texts(corpora, config.sample_bytes, "train"),
        config.vocab_size,
        lowercase=config.lowercase,
        strip_accents=config.strip_accents,
    )


def finish(job: Job[TokenizerConfig], records: Records) -> dict[str, Any]:
    """Write the manifest; return size, fit and warnings."""
    facts = records["make"][0]["facts"]
    write_folder_manifest(job, "tokenizer", records["make"], extra=facts)
    return {**facts, "warnings": _warnings(facts)}


def _warnings(facts: dict[str, Any]) -> list[str]:
    if facts["unknown_share"] <= _MAX_UNKNOWN_SHARE:
        return []
    return [
        f"{facts['unknown_share']:.2%} of tokens are [UNK], more than {_MAX_UNKNOWN_SHARE:.1%}: "
        "train a tokenizer on this corpus, or raise --vocab-size"
    ]


def load_tokenizer(corpus: str) -> Tokenizer:
    """Return the tokenizer of a corpus or shards folder, set to encode ordinary text."""
    return wordpiece.encoding_form(wordpiece.parse_tokenizer(read_tokenizer(corpus)))


def read_tokenizer(corpus: str) -> str:
    """Return the JSON of the tokenizer of a corpus or shards folder."""
    return files.read_bytes(files.join(corpus, TOKENIZER_FILE)).decode()


def sampled_texts(corpora: Sequence[str], sample_bytes: int, purpose: str) -> Iterator[str]:
    """Yield the texts of pages drawn by the hash of their id, about `sample_bytes` in all.

    A long text comes in pieces, and of a very long one the rest is left out.

    The draw depends on the pages alone, so a corpus in other parts gives the same texts.
    """
    parts = [path for corpus in corpora for path in part_paths(files.join(corpus, "pages"))]
    total = sum(_text_bytes(path) for path in parts)
    share = min(1.0, sample_bytes / max(total, 1))
    key = counter_key(0, "tokenizer", purpose)
    for path in parts:
        for batch in read_batches(path, ["page_id", "text"], _BATCH_PAGES):
            page_ids = np.asarray(batch.column("page_id"))
            # Ids below zero do not exist in dumps, but ingested corpora are free in theirs.
            chosen = counter_uniform(key, page_ids.view(np.uint64)) < share
            texts = batch.column("text")
            for row in np.flatnonzero(chosen).tolist():
                text = texts[row].as_py()
                for start, end in text_pieces(text):
                    if start < _MAX_TEXT_CHARS:
                        yield text[start:end]


def _text_bytes(path: str) -> int:
    """Return the uncompressed size of the text column, from the footer."""
    with open_part(path) as table:
        column = table.schema_arrow.get_field_index("text")
        if column < 0:
            raise SchemaError(f"expected a column text, found none in {path}: parse the dump anew")
        groups = (table.metadata.row_group(index) for index in range(table.num_row_groups))
        # Columns before `text` are flat, so its index among leaves is its index in the schema.
        return sum(group.column(column).total_uncompressed_size for group in groups)


TOKENIZER = Stage(
    name="tokenizer",
    phases=(Phase("make", tasks_of_make, run_make),),
    outputs=("tokenizer",),
    fingerprint_inputs=fingerprint_inputs,
    finish=finish,
)
