"""What `show` prints, for programs: a folder, a table or a page as JSON, pairs as JSON lines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from linkbert.inspection.corpus import Corpus
from linkbert.inspection.pairs import PairReader
from linkbert.inspection.show import manifest_folders, parts_at, rows_in
from linkbert.inspection.show_page import destinations
from schemas.errors import SchemaError
from schemas.manifest import MANIFEST_NAME, read_manifest
from schemas.parquet import table_parts
from schemas.tables.instances import RELATIONS, SPLITS


def show_data(path: Path, *, page: str | None = None, limit: int = 5) -> dict[str, Any]:
    """Return what lies at a path as plain values; bytes as their number.

    Args:
        path: as for `linkbert.show_path`.
        page: the title of a document of a corpus.
        limit: the maximum number of rows of a table.

    Raises:
        SchemaError: there is nothing of this project at the path.
        GraphError: no document has the title.
    """
    if page is not None:
        return _page(Corpus(path), page)
    parts = parts_at(path)
    rows = [_plain(row) for row in itertools.islice(rows_in(parts), limit)]
    if path.is_file() and path.name != MANIFEST_NAME:
        return {"path": str(path), "rows": rows}
    manifests = {str(folder): asdict(read_manifest(folder)) for folder in manifest_folders(path)}
    return {"path": str(path), "manifests": manifests, **({"rows": rows} if parts else {})}


def pair_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every pair of shards, or of one split, as text.

    Each has `split`, `epoch`, `relation`, `text_a`, `text_b`, `title_a` and `title_b`; titles are
    null if the corpus is gone. Texts are decoded from the token ids, as training sees them.

    Raises:
        SchemaError: there are no shards.
    """
    found = [path / name for name in SPLITS if (path / name / MANIFEST_NAME).is_file()]
    for split in found or [path]:
        is_finished = (split / MANIFEST_NAME).is_file()
        if not is_finished or read_manifest(split).table != "instances":
            raise SchemaError(
                f"expected shards, or a split of them, found neither in {split}: name a folder "
                "that `linkbert sample` wrote"
            )
        reader = PairReader(split)
        for row in rows_in(table_parts(split)):
            text_a, text_b = reader.decode(row)
            title_a, title_b = reader.titles(row) or (None, None)
            yield {
                "split": split.name,
                "epoch": row["epoch"],
                "relation": RELATIONS[row["relation"]],
                "title_a": title_a,
                "text_a": text_a,
                "title_b": title_b,
                "text_b": text_b,
            }


def _page(corpus: Corpus, title: str) -> dict[str, Any]:
    node = corpus.node_by_title(title)
    page = corpus.page(node)
    leads = destinations(corpus, page["links"], corpus.mentions(node))
    links = [link | {"leads_to": lead} for link, lead in zip(page["links"], leads, strict=True)]
    degrees = {name: node[name] for name in ("node_id", "in_degree", "out_degree")}
    return _plain(page) | {"links": links} | degrees


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: len(v) if isinstance(v, bytes) else v for name, v in row.items()}
