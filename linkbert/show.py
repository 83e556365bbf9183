"""Print any table, shard, manifest or whole folder of the chain for a person.

Pairs show their relation, both titles and the anchor text that links them; `linkbert.show_page`
shows one document.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from linkbert.corpus import Corpus, Row
from linkbert.show_page import mark_links, show_page
from linkbert.terminal import printable, rows_of, table_of, wrapped
from schemas.errors import SchemaError
from schemas.instances import LINKED, RELATIONS
from schemas.manifest import MANIFEST_NAME, Manifest, read_manifest
from schemas.parquet import TABLES, table_parts

_MAX_CELL_CHARS = 60
_MAX_TEXT_CHARS = 1500
_ROWS_TO_CHOOSE_FROM = 100


def show(path: Path, *, page: str | None = None, limit: int = 5) -> str:
    """Return a readable account of what lies at a path.

    Args:
        path: a corpus, shards or model folder, a table folder, a parquet part or a manifest.
        page: the title of a document of a corpus, to show it alone.
        limit: how many rows of a table to show.

    Raises:
        SchemaError: nothing of this project lies there.
        GraphError: no document has the title.
    """
    if page is not None:
        return show_page(Corpus(path), page)
    if path.name == MANIFEST_NAME:
        return _show_manifest(path.parent, read_manifest(path.parent))
    if path.is_file() and path.suffix == ".parquet":
        return _show_rows(path.parent, [path], limit)
    if (path / MANIFEST_NAME).is_file():
        manifest = read_manifest(path)
        text = _show_manifest(path, manifest)
        parts = table_parts(path) if manifest.table else []
        return f"{text}\n\n{_show_rows(path, parts, limit)}" if parts else text
    folders = sorted(found.parent for found in path.rglob(MANIFEST_NAME)) if path.is_dir() else []
    if not folders:
        raise SchemaError(
            f"expected a folder, table or manifest of this project, found none at {path}: "
            "name what a stage wrote"
        )
    return "\n\n".join(_show_manifest(folder, read_manifest(folder)) for folder in folders)


def show_pairs(
    split: Path, *, one_of_each: bool = False, limit: int = 5, max_chars: int = 400
) -> str:
    """Return instances as a person reads them: relation, titles, the linking anchor, both texts.

    Args:
        split: an instances folder, such as `SHARDS/train`.
        one_of_each: show one instance of each relation instead of the first `limit`.
        limit: how many to show.
        max_chars: how much of each text.
    """
    reader = _PairReader(split)
    rows = _stream_rows(table_parts(split))
    chosen = _one_of_each(rows, reader) if one_of_each else itertools.islice(rows, limit)
    return "\n\n".join(reader.describe(row, max_chars) for row in chosen)


def _one_of_each(rows: Iterator[Row], reader: _PairReader) -> list[Row]:
    """Choose the first instance of each relation, for linked the first whose link stands in A."""
    chosen: dict[int, Row] = {}
    has_link_in_a = False
    for row in itertools.islice(rows, _ROWS_TO_CHOOSE_FROM):
        if row["relation"] == LINKED and not has_link_in_a:
            has_link_in_a = reader.has_link_in_a(row)
            if has_link_in_a:
                chosen[LINKED] = row
        chosen.setdefault(row["relation"], row)
    return [chosen[relation] for relation in sorted(chosen)]


class _PairReader:
    """Look up the documents that instances came from; without them, decode the token ids."""

    def __init__(self, split: Path) -> None:
        manifest = read_manifest(split)
        self._tokenizer = Tokenizer.from_file(str(split.parent / "tokenizer" / "tokenizer.json"))
        self._dtype = np.dtype(manifest.extra["token_dtype"])
        self._corpora = [
            Corpus(split.parent / corpus["path"]) for corpus in manifest.extra["corpora"]
        ]

    def describe(self, row: Row, max_chars: int) -> str:
        corpus = self._corpora[row["corpus"]]
        relation = RELATIONS[row["relation"]]
        if (corpus.path / "segments" / MANIFEST_NAME).is_file():
            head, texts = self._from_corpus(corpus, row)
        else:
            head, texts = f"documents {row['source_id']} + {row['target_id']}", self._decoded(row)
        shown = [text if len(text) <= max_chars else f"{text[:max_chars]} ..." for text in texts]
        lines = [wrapped(f"{name}  {text}") for name, text in zip("AB", shown, strict=True)]
        return "\n".join([f"{relation}: {printable(head)}", *lines])

    def has_link_in_a(self, row: Row) -> bool:
        corpus = self._corpora[row["corpus"]]
        if not (corpus.path / "segments" / MANIFEST_NAME).is_file():
            return False
        source = corpus.nodes_by_id([row["source_id"]])[row["source_id"]]
        segment = corpus.segments(source)[row["source_segment"]]
        links = corpus.page(source)["links"]
        return bool(_links_to(corpus, row, links, segment["start_char"], segment["end_char"]))

    def _from_corpus(self, corpus: Corpus, row: Row) -> tuple[str, list[str]]:
        nodes = corpus.nodes_by_id([row["source_id"], row["target_id"]])
        source, target = nodes[row["source_id"]], nodes[row["target_id"]]
        segment_a = corpus.segments(source)[row["source_segment"]]
        segment_b = corpus.segments(target)[row["target_segment"]]
        page_a, page_b = corpus.page(source), corpus.page(target)
        head = f"{source['title']} + {target['title']}"
        start, end = segment_a["start_char"], segment_a["end_char"]
        text_a = page_a["text"][start:end]
        if row["relation"] == LINKED:
            links = _links_to(corpus, row, page_a["links"], start, end)
            text_a = mark_links(text_a, links, [target["title"]] * len(links))
            anchors = [page_a["text"][start:][slice(*_span(link))] for link in links]
            head += f', linked by "{anchors[0]}"' if anchors else _elsewhere(corpus, row, page_a)
        return head, [text_a, page_b["text"][segment_b["start_char"] : segment_b["end_char"]]]

    def _decoded(self, row: Row) -> list[str]:
        token_ids = np.frombuffer(row["token_ids"], self._dtype).tolist()
        end_a = row["num_tokens_a"] + 1
        pieces = (token_ids[1:end_a], token_ids[end_a + 1 : -1])
        return [self._tokenizer.decode(ids, skip_special_tokens=True) for ids in pieces]


def _elsewhere(corpus: Corpus, row: Row, page: Row) -> str:
    """Describe the link of A's document to that of B where it does not stand in segment A."""
    links = _links_to(corpus, row, page["links"], 0, len(page["text"]))
    anchors = [page["text"][slice(*_span(link))] for link in links]
    return (
        f', linked by "{anchors[0]}" elsewhere in its page' if anchors else ", linked by citation"
    )


def _links_to(corpus: Corpus, row: Row, links: list[Row], start: int, end: int) -> list[Row]:
    """Return the links of A's page from `start` to `end` to B's, offsets counted from `start`."""
    source = corpus.nodes_by_id([row["source_id"]])[row["source_id"]]
    found = [
        links[mention["link_index"]]
        for mention in corpus.mentions(source)
        if mention["target_id"] == row["target_id"]
    ]
    return [
        {**link, "start_char": link["start_char"] - start, "end_char": link["end_char"] - start}
        for link in found
        if link["start_char"] is not None and start <= link["start_char"] < end
    ]


def _span(link: Row) -> tuple[int, int]:
    return link["start_char"], link["end_char"]


def _show_manifest(folder: Path, manifest: Manifest) -> str:
    pairs: list[tuple[str, object]] = [("stage", manifest.stage)]
    if manifest.table:
        pairs += [("rows in", manifest.rows_in), ("rows out", manifest.rows_out)]
    pairs += [(f"dropped: {reason}", count) for reason, count in manifest.drops.items()]
    pairs += [
        ("files", len(manifest.files)),
        ("bytes", sum(entry.num_bytes for entry in manifest.files)),
    ]
    pairs += [(f"config: {key}", value) for key, value in manifest.config.items()]
    pairs += [(key, _short(value)) for key, value in manifest.extra.items()]
    return f"{folder}\n{rows_of(pairs)}"


def _show_rows(folder: Path, parts: list[Path], limit: int) -> str:
    table = _table_of(folder, parts)
    if table == "instances" and (folder / MANIFEST_NAME).is_file():
        return show_pairs(folder, limit=limit)
    rows = list(itertools.islice(_stream_rows(parts), limit))
    if table == "pages":
        return "\n\n".join(
            f"{printable(row['title'])} ({row['page_id']})\n"
            + wrapped(mark_links(row["text"], row["links"])[:_MAX_TEXT_CHARS])
            for row in rows
        )
    names = list(rows[0]) if rows else TABLES[table].names
    return table_of(names, [[_cell(row[name]) for name in names] for row in rows])


def _table_of(folder: Path, parts: list[Path]) -> str:
    if (folder / MANIFEST_NAME).is_file():
        return read_manifest(folder).table
    schema = pq.read_schema(parts[0]).remove_metadata()
    for name, expected in TABLES.items():
        if schema.equals(expected):
            return name
    raise SchemaError(
        f"expected a table of this project, found other columns in {parts[0]} "
        f"({', '.join(schema.names)}): name a part that a stage wrote"
    )


def _stream_rows(parts: list[Path]) -> Iterator[Row]:
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(64, use_threads=False):
                yield from batch.to_pylist()


def _cell(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return _short(value)


def _short(value: Any) -> str:
    text = printable(str(value)).replace("\n", " ")
    return text if len(text) <= _MAX_CELL_CHARS else f"{text[: _MAX_CELL_CHARS - 4]} ..."


__all__ = ["show", "show_pairs"]
