"""Read instances as a person would: both documents, both texts, and the link between them.

In: rows of an instances table and, if still in their places, the corpora it was made from. Out:
`Pair`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from linkbert.inspection.corpus import Corpus, Row
from schemas.errors import SchemaError
from schemas.manifest import read_manifest
from schemas.pair_frame import PairFrame
from schemas.tables.instances import LINKED, RELATIONS


@dataclass(frozen=True, slots=True)
class Pair:
    """An instance in words.

    Attributes:
        relation: a name from `schemas.tables.instances.RELATIONS`.
        titles: the titles of both documents; empty if the corpus is gone.
        source_id: the node of A.
        target_id: the node of B.
        texts: the texts of A and B; decoded from the token ids if the corpus is gone.
        links: the links in A's text to B's document, with offsets from the start of A's text.
        linked_by: how A's document links to B's; empty if it does not.
    """

    relation: str
    titles: tuple[str, ...]
    source_id: int
    target_id: int
    texts: tuple[str, str]
    links: list[Row] = field(default_factory=list)
    linked_by: str = ""


class PairReader:
    """Look up the documents that instances came from; without them, decode the token ids."""

    def __init__(self, split: Path) -> None:
        """Open a split, such as `SHARDS/train`.

        Raises:
            SchemaError: it is not finished.
        """
        manifest = read_manifest(split)
        self._tokenizer = Tokenizer.from_file(str(split.parent / "tokenizer" / "tokenizer.json"))
        self._dtype = np.dtype(manifest.extra["token_dtype"])
        self._frame = PairFrame.from_facts(manifest.extra)
        self._corpora = [
            Corpus(split.parent / corpus["path"]) for corpus in manifest.extra["corpora"]
        ]
        self._titles: dict[int, list[str] | None] = {}

    def read(self, row: Row) -> Pair:
        """Return a row of instances in words."""
        _refuse_negative(row)
        corpus = self._corpora[row["corpus"]]
        if corpus.has("segments"):
            return _from_corpus(corpus, row)
        ids = row["source_id"], row["target_id"]
        return Pair(RELATIONS[row["relation"]], (), *ids, self.decode(row))

    def has_link_in_a(self, row: Row) -> bool:
        """Tell whether A has a link to B's document."""
        return bool(self.read(row).links)

    def titles(self, row: Row) -> tuple[str, str] | None:
        """Return the titles of both documents, None if the corpus is gone."""
        number = row["corpus"]
        if number not in self._titles:
            corpus = self._corpora[number]
            self._titles[number] = corpus.titles() if corpus.has("nodes") else None
        found = self._titles[number]
        return None if found is None else (found[row["source_id"]], found[row["target_id"]])

    def decode(self, row: Row) -> tuple[str, str]:
        """Return the texts that the token ids of A and B stand for, as training sees them."""
        _refuse_negative(row)
        token_ids = np.frombuffer(row["token_ids"], self._dtype).tolist()
        start_a, start_b = len(self._frame.before), row["num_tokens_a"] + self._frame.num_before_b
        end_b = len(token_ids) - len(self._frame.after)
        pieces = token_ids[start_a : start_a + row["num_tokens_a"]], token_ids[start_b:end_b]
        text_a, text_b = (self._tokenizer.decode(ids, skip_special_tokens=True) for ids in pieces)
        return text_a, text_b


_PLACES = (
    "corpus", "relation", "num_tokens_a",
    "source_id", "source_segment", "target_id", "target_segment",
)  # fmt: skip


def _refuse_negative(row: Row) -> None:
    """Refuse negative positions, which Python would count from the end.

    Raises:
        SchemaError: a place is negative.
    """
    for name in _PLACES:
        if row[name] < 0:
            raise SchemaError(
                f"expected {name} of 0 or more in an instance, found {row[name]}: sample again "
                "(--overwrite)"
            )


def _from_corpus(corpus: Corpus, row: Row) -> Pair:
    nodes = corpus.nodes_by_id([row["source_id"], row["target_id"]])
    source, target = nodes[row["source_id"]], nodes[row["target_id"]]
    segment_a = corpus.segments(source)[row["source_segment"]]
    segment_b = corpus.segments(target)[row["target_segment"]]
    page_a, page_b = corpus.page(source), corpus.page(target)
    start, end = segment_a["start_char"], segment_a["end_char"]
    links: list[Row] = []
    linked_by = ""
    if row["relation"] == LINKED:
        found = _links_to(corpus, source, row["target_id"], page_a["links"])
        links = [
            {**link, "start_char": link["start_char"] - start, "end_char": link["end_char"] - start}
            for link in found
            if start <= link["start_char"] < end
        ]
        linked_by = _linked_by(page_a["text"], found, links, start)
    return Pair(
        RELATIONS[row["relation"]],
        (source["title"], target["title"]),
        row["source_id"],
        row["target_id"],
        (
            page_a["text"][start:end],
            page_b["text"][segment_b["start_char"] : segment_b["end_char"]],
        ),
        links,
        linked_by,
    )


def _links_to(corpus: Corpus, source: Row, target_id: int, links: list[Row]) -> list[Row]:
    """Return the links to B's page that are in the text of A's page."""
    found = [
        links[mention["link_index"]]
        for mention in corpus.mentions(source)
        if mention["target_id"] == target_id
    ]
    return [link for link in found if link["start_char"] is not None]


def _linked_by(text: str, found: list[Row], in_a: list[Row], start: int) -> str:
    """Describe the link of A's document to that of B."""
    if in_a:
        anchor = text[in_a[0]["start_char"] + start : in_a[0]["end_char"] + start]
        return f'linked by "{anchor}"'
    if found:
        anchor = text[found[0]["start_char"] : found[0]["end_char"]]
        return f'linked by "{anchor}" elsewhere in its page'
    return "linked by citation"
