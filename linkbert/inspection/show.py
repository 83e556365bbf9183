"""Print any table, shard, manifest or whole folder of the chain for people.

Pairs are shown with their relation, both titles and the anchor text that links them;
`linkbert.inspection.show_page` shows one document.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from linkbert.inspection.corpus import Corpus, Row
from linkbert.inspection.pairs import Pair, PairReader
from linkbert.inspection.show_page import mark_links, show_page
from linkbert.inspection.terminal import printable, rows_of, table_of, wrapped
from pipeline.engine.outputs import read_batches
from schemas.errors import SchemaError
from schemas.manifest import MANIFEST_NAME, Manifest, read_manifest
from schemas.parquet import TABLES, table_parts
from schemas.tables.instances import LINKED, SPLITS

_MAX_CELL_CHARS = 60
_MAX_TEXT_CHARS = 1500
_CONTEXT_CHARS = 70
_ROWS_TO_CHOOSE_FROM = 100


def show(path: Path, *, page: str | None = None, limit: int = 5) -> str:
    """Return a readable account of a path.

    Args:
        path: a corpus, shards or model folder, a table folder, a Parquet part or a manifest.
        page: the title of a document of a corpus, to show only that.
        limit: how many rows of a table to show.

    Raises:
        SchemaError: there is nothing of this project at the path.
        GraphError: no document has the title.
    """
    if page is not None:
        return show_page(Corpus(path), page)
    if path.name == MANIFEST_NAME:
        return _show_manifest(path.parent, read_manifest(path.parent))
    parts = parts_at(path)
    if path.is_file():
        return _show_rows(path.parent, parts, limit)
    if (path / "train" / MANIFEST_NAME).is_file():
        return show_shards(path)
    shown = [_show_manifest(folder, read_manifest(folder)) for folder in manifest_folders(path)]
    return "\n\n".join([*shown, _show_rows(path, parts, limit)] if parts else shown)


def parts_at(path: Path) -> list[Path]:
    """Return the files of the table at a path; none if there is no table.

    Raises:
        SchemaError: the path is a file that is not part of a table.
    """
    if path.name == MANIFEST_NAME:
        return []
    if path.is_file():
        if path.suffix != ".parquet":
            raise SchemaError(
                f"expected a folder, a part or a manifest of this project, found the file {path}: "
                "name what a stage wrote"
            )
        return [path]
    has_table = (path / MANIFEST_NAME).is_file() and read_manifest(path).table
    return table_parts(path) if has_table else []


def manifest_folders(path: Path) -> list[Path]:
    """Return the finished folders at a path: the path itself, or all folders below it.

    Raises:
        SchemaError: there is none.
    """
    if path.name == MANIFEST_NAME:
        return [path.parent]
    if (path / MANIFEST_NAME).is_file():
        return [path]
    folders = sorted(found.parent for found in path.rglob(MANIFEST_NAME)) if path.is_dir() else []
    if not folders:
        raise SchemaError(
            f"expected a folder, table or manifest of this project, found none at {path}: "
            "name what a stage wrote"
        )
    return folders


def show_shards(path: Path) -> str:
    """Return the counts of a shards folder, and one decoded training instance per relation."""
    rows: list[tuple[str, object]] = []
    for name in SPLITS:
        if (path / name / MANIFEST_NAME).is_file():
            manifest = read_manifest(path / name)
            counts = manifest.extra["relations"].items()
            shown = ", ".join(f"{relation} {count:,}" for relation, count in counts)
            rows.append((name.replace("_", " "), f"{manifest.rows_out:,} instances ({shown})"))
            guess = f"{manifest.extra['drp_class_accuracy']:.3f} right from A alone"
            rows.append(("", f"shards: {len(manifest.files)}; relation guessed: {guess}"))
    pairs = show_pairs(path / "train", one_of_each=True, is_decoded=True, max_chars=_MAX_TEXT_CHARS)
    return f"{path}\n{rows_of(rows)}\n\n{pairs}"


def show_pairs(
    split: Path,
    *,
    one_of_each: bool = False,
    limit: int = 5,
    max_chars: int = 400,
    is_decoded: bool = False,
) -> str:
    """Return instances in readable form: relation, titles, the linking anchor, both texts.

    Args:
        split: an instances folder, such as `SHARDS/train`.
        one_of_each: show one instance of each relation instead of the first `limit`.
        limit: how many to show.
        max_chars: how much of each text.
        is_decoded: show the decoded token ids, as training sees them, and the link on a line of its
            own; else the text of the pages with the link marked in it.
    """
    reader = PairReader(split)
    rows = rows_in(table_parts(split))
    chosen = _one_of_each(rows, reader) if one_of_each else itertools.islice(rows, limit)
    return "\n\n".join(
        _describe(reader.read(row), max_chars, reader.decode(row) if is_decoded else None)
        for row in chosen
    )


def _one_of_each(rows: Iterator[Row], reader: PairReader) -> list[Row]:
    """Choose the first instance of each relation, for linked the first with its link in A."""
    chosen: dict[int, Row] = {}
    has_link_in_a = False
    for row in itertools.islice(rows, _ROWS_TO_CHOOSE_FROM):
        if row["relation"] == LINKED and not has_link_in_a:
            has_link_in_a = reader.has_link_in_a(row)
            if has_link_in_a:
                chosen[LINKED] = row
        chosen.setdefault(row["relation"], row)
    return [chosen[relation] for relation in sorted(chosen)]


def _describe(pair: Pair, max_chars: int, decoded: tuple[str, str] | None) -> str:
    text_a, text_b = pair.texts
    head = " + ".join(pair.titles) or f"documents {pair.source_id} + {pair.target_id}"
    context = ""
    if pair.linked_by:
        head += f", {pair.linked_by}"
        text_a = mark_links(text_a, pair.links, [pair.titles[1]] * len(pair.links))
        context = _context_of(text_a, pair.titles[1]) if pair.links else ""
    shown = [
        text if len(text) <= max_chars else f"{text[:max_chars]} ..."
        for text in decoded or (text_a, text_b)
    ]
    lines = [wrapped(f"{name}  {text}") for name, text in zip("AB", shown, strict=True)]
    if decoded and context:
        lines.insert(0, wrapped(f"link  {context}"))
    return "\n".join([f"{pair.relation}: {printable(head)}", *lines])


def _context_of(marked: str, title: str) -> str:
    """Return the first marked link to a title with some words around it, in one line."""
    arrow = f" -> {title}]"
    end = marked.index(arrow) + len(arrow)
    start = marked.rindex("[", 0, end - len(arrow))
    before, after = marked[:start][-_CONTEXT_CHARS:], marked[end:][:_CONTEXT_CHARS]
    begins = "... " if start > _CONTEXT_CHARS else ""
    ends = " ..." if len(marked) > end + len(after) else ""
    return " ".join(f"{begins}{before}{marked[start:end]}{after}{ends}".split())


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
        return show_pairs(folder, limit=limit, is_decoded=True)
    rows = list(itertools.islice(rows_in(parts), limit))
    if table == "pages":
        return "\n\n".join(
            f"{printable(row['title'])} ({row['page_id']})\n"
            + wrapped(mark_links(row["text"], row["links"])[:_MAX_TEXT_CHARS])
            for row in rows
        )
    names = list(rows[0]) if rows else TABLES[table].names
    shown = table_of(names, [[_cell(row[name]) for name in names] for row in rows])
    return f"{_reasons(parts)}\n\n{shown}" if table == "rejects" else shown


def _reasons(parts: list[Path]) -> str:
    counts = Counter(row["reason"] for row in rows_in(parts)).most_common()
    return rows_of(
        [(f"rejected: {reason}", count) for reason, count in counts] or [("rejected", 0)]
    )


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


def rows_in(parts: list[Path]) -> Iterator[Row]:
    """Yield the rows of parts, in order."""
    for part in parts:
        for batch in read_batches(str(part), batch_rows=64):
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
