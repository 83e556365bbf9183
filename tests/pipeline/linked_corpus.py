"""A corpus of some hundred linked documents, made up from a counter, for tests of sampling."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.segment.config import SegmentConfig
from pipeline.segment.stage import SEGMENT
from pipeline.tokenizer.config import TokenizerConfig
from tests.pipeline.corpora import link, page, write_corpus
from tests.running import run_inline, tokenizer_job

_TEXT = "river town north king song stone bridge winter school market forest engine letter island"
_WORDS = _TEXT.split()


def make_pages(num_documents: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return documents of 1 to 12 paragraphs; early titles are linked to far more often."""
    rng = np.random.default_rng(seed)
    pages = []
    for number in range(num_documents):
        text, links = "", []
        for _ in range(int(rng.integers(1, 13))):
            words = [_WORDS[word] for word in rng.integers(0, len(_WORDS), rng.integers(8, 30))]
            if rng.random() < 0.6:
                target = f"Title {int(num_documents * rng.random() ** 3)}"
                start = len(text) + len(" ".join(words)) + 1
                links.append(link(target, start_char=start, end_char=start + len(target)))
                words.append(target)
            text += " ".join(words) + ".\n\n"
        pages.append(page(number + 1, f"Title {number}", links, text=text.strip()))
    return pages


def make_corpus(
    root: Path, num_documents: int = 200, seed: int = 0, max_tokens: int = 62, taken_from: str = ""
) -> Path:
    """Write a corpus up to its segments, in three parts of pages."""
    pages = make_pages(num_documents, seed)
    third = num_documents // 3
    write_corpus(root, [pages[:third], pages[third : 2 * third], pages[2 * third :]])
    return finish_corpus(root, max_tokens, taken_from)


def finish_corpus(
    root: Path, max_tokens: int = 62, taken_from: str = "", vocab_size: int = 200
) -> Path:
    """Run graph, tokenizer and segment on a corpus that has its pages."""
    run_inline(Job(GRAPH, str(root), GraphConfig()))
    config = TokenizerConfig(vocab_size=vocab_size)
    run_inline(tokenizer_job([str(root)], config, taken_from))
    run_inline(Job(SEGMENT, str(root), SegmentConfig(max_tokens=max_tokens, min_tokens=8)))
    return root


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Return all rows of a table, part by part."""
    return [
        row for part in sorted(folder.glob("*.parquet")) for row in pq.read_table(part).to_pylist()
    ]
