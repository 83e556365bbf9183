"""The report's chapter on a data set: its mix, which documents appear, and pairs to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from linkbert.inspection.corpus import Row
from linkbert.inspection.pairs import Pair, PairReader
from linkbert.inspection.show_page import marked
from linkbert.report import plots
from linkbert.report.appearance import appearance_sections
from linkbert.report.markup import (
    Chapter,
    ReportSection,
    Step,
    bars,
    escape,
    facts,
    figure,
    figures,
    flow,
    heading_of,
    number_of,
    table,
    title_of,
)
from pipeline.engine.outputs import read_batches
from schemas.manifest import MANIFEST_NAME, Manifest, read_manifest
from schemas.parquet import table_parts
from schemas.tables.instances import HELD_OUT_SPLITS, LINKED, RELATIONS, SPLITS

_PAIRS_OF_EACH = 4
_MAX_ROWS = 2_000_000
_MAX_CHARS = 700
_CONFIG_KEYS = ("weighting", "links", "link_scope", "target_segment", "mix_policy")


def data_chapter(shards: Path) -> Chapter:
    """Return the chapter on a shards folder.

    Raises:
        SchemaError: its training split is not finished.
    """
    train = read_manifest(shards / "train")
    columns = _read_columns(shards / "train")
    sections = [
        _overview(shards, train),
        ReportSection("data-flow", "From segments to instances", flow(_steps(shards, train))),
        _mix(train),
        _lengths(columns),
        *appearance_sections(shards, train, columns),
        _pairs(shards / "train"),
    ]
    return Chapter("data", heading_of("Data set", shards), sections, _verdict(train))


_HIGH_CHANCE = 0.45
"""Above this, A alone gives the relation away too often for it to be learned from B."""


def _verdict(train: Manifest) -> str:
    relations, chance = train.extra["relations"], train.extra["drp_class_accuracy"]
    total = sum(relations.values()) or 1
    shares = ", ".join(f"{relations[name] / total:.0%} {name}" for name in RELATIONS)
    told = (
        f"{train.rows_out:,} training pairs: {shares}. A guess from A alone gets the relation of "
    )
    told += f"{chance:.0%} right"
    return told + (
        ", so much of it can be told without reading B." if chance > _HIGH_CHANCE else "."
    )


def _overview(shards: Path, train: Manifest) -> ReportSection:
    rows: list[tuple[str, object]] = [("epochs", train.extra["num_epochs"])]
    rows += [
        (f"{split.replace('_', ' ')} instances", _rows_of(shards / split))
        for split in SPLITS
        if _is_there(shards / split)
    ]
    rows += [(key.replace("_", " "), train.config[key]) for key in _CONFIG_KEYS]
    rows.append(("longest instance, tokens", train.extra["max_length"]))
    rows += [(f"dropped: {name.replace('_', ' ')}", n) for name, n in train.drops.items()]
    return ReportSection("data-overview", "What it is", facts(rows))


def _is_there(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).is_file()


def _rows_of(folder: Path) -> int:
    return read_manifest(folder).rows_out if _is_there(folder) else 0


def _steps(shards: Path, train: Manifest) -> Iterator[Step]:
    per_epoch = train.extra["instances_per_epoch"]
    folders = [shards / corpus["path"] / "segments" for corpus in train.extra["corpora"]]
    if per_epoch and all(map(_is_there, folders)):
        num_segments = sum(map(_rows_of, folders))
        held_out = sum(_rows_of(shards / split) for split in HELD_OUT_SPLITS)
        lost = {
            "held out for validation": held_out,
            "without an open relation": num_segments - per_epoch[0] - held_out,
        }
        yield Step("Segments", num_segments, per_epoch[0], "instances per epoch", lost)
    lost = {name.replace("_", " "): count for name, count in train.drops.items()}
    epochs = "one epoch" if len(per_epoch) == 1 else f"{len(per_epoch)} epochs"
    label = f"Pairs planned in {epochs}"
    yield Step(label, train.rows_in, train.rows_out, "training instances written", lost)


def _mix(train: Manifest) -> ReportSection:
    relations = train.extra["relations"]
    body = bars([(escape(name), relations[name]) for name in RELATIONS], "pairs by relation")
    by_class = train.extra["relations_by_class"]
    rows = [
        [escape(_CLASS_NAMES.get(name, name)), *(number_of(row.get(r, 0)) for r in RELATIONS)]
        for name, row in by_class.items()
    ]
    body += table(["segment A has", *RELATIONS], rows, "pairs by relation and by what A allows")
    chance = train.extra["drp_class_accuracy"]
    body += (
        f'<p class="note">A guess that knows only what A allows is right in {chance:.1%} of pairs; '
        "compare document relation prediction with that.</p>"
    )
    return ReportSection("mix", "Realised mix", body)


_CLASS_NAMES = {
    "both": "a next segment and a usable link",
    "link": "a usable link only",
    "successor": "a next segment only",
    "neither": "neither",
}


def _read_columns(split: Path) -> pa.Table:
    """Return the small columns of a split; if it is large, of its first parts."""
    names = ["corpus", "relation", "num_tokens", "source_id", "source_segment", "target_id"]
    tables: list[pa.Table] = []
    for part in table_parts(split):
        tables.append(pq.read_table(part, columns=names))
        if sum(each.num_rows for each in tables) >= _MAX_ROWS:
            break
    return pa.concat_tables(tables)


def _lengths(columns: pa.Table) -> ReportSection:
    tokens = columns.column("num_tokens").to_numpy()
    median = int(np.median(tokens)) if len(tokens) else 0
    plot = plots.histogram_plot("instance-lengths", tokens, "tokens of an instance")
    caption = f"Length of {len(tokens):,} instances: median {median} tokens."
    return ReportSection("instance-lengths", "Instance lengths", figures([figure(plot, caption)]))


def _pairs(split: Path) -> ReportSection:
    reader = PairReader(split)
    items = "".join(_pair(reader.read(row)) for row in _choose_pairs(split, reader))
    return ReportSection("pairs", "Pairs to read", f'<ul class="pairs">{items}</ul>')


def _choose_pairs(split: Path, reader: PairReader) -> list[Row]:
    """Return the first pairs of each relation, of linked ones those with the anchor in A."""
    chosen: dict[int, list[Row]] = {label: [] for label in range(len(RELATIONS))}
    rows = (row for part in table_parts(split)[:1] for row in _first_rows(part))
    for row in rows:
        found = chosen[row["relation"]]
        is_shown = row["relation"] != LINKED or reader.has_link_in_a(row)
        if len(found) < _PAIRS_OF_EACH and is_shown:
            found.append(row)
        if all(len(each) == _PAIRS_OF_EACH for each in chosen.values()):
            break
    return [row for label in sorted(chosen, reverse=True) for row in chosen[label]]


def _first_rows(part: Path) -> list[Row]:
    batch = next(read_batches(str(part), batch_rows=200), None)
    return [] if batch is None else list(batch.to_pylist())


def _pair(pair: Pair) -> str:
    titles = " + ".join(title_of(title) for title in pair.titles)
    names = titles or f"documents {pair.source_id} + {pair.target_id}"
    how = f", {title_of(pair.linked_by)}" if pair.linked_by else ""
    sides = "".join(
        f'<p dir="auto"><span class="side">{side}</span>{text}</p>'
        for side, text in zip("AB", (_marked(pair), _short(pair.texts[1])), strict=True)
    )
    relation = escape(pair.relation)
    return f'<li><p><span class="relation">{relation}</span> {names}{how}</p>{sides}</li>'


def _marked(pair: Pair) -> str:
    """Return A's text with the anchors that link to B marked."""
    spans = sorted((link["start_char"], link["end_char"], None) for link in pair.links)
    return marked(pair.texts[0], spans, lambda anchor, _: f"<mark>{escape(anchor)}</mark>", escape)


def _short(text: str) -> str:
    return escape(text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]} …")
