"""What the report says of a data set: its mix, which documents appear, and pairs to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from linkbert.corpus import Corpus, Row
from linkbert.pairs import Pair, PairReader
from linkbert.report import plots
from linkbert.report.flow import Step, flow
from linkbert.report.markup import (
    Chapter,
    Section,
    bars,
    escape,
    facts,
    figure,
    figures,
    heading_of,
    number_of,
    table,
    title_of,
)
from schemas.instances import LINKED, RELATIONS
from schemas.manifest import MANIFEST_NAME, Manifest, read_manifest
from schemas.parquet import table_parts

_PAIRS_OF_EACH = 4
_MAX_ROWS = 2_000_000
_MAX_CHARS = 700
_CONFIG_KEYS = ("weighting", "links", "link_scope", "target_segment", "mix_policy")
_SPLITS = ("train", "validation", "validation_closed")

Counts = npt.NDArray[np.float64]


def data_chapter(shards: Path) -> Chapter:
    """Return all there is to say of a shards folder.

    Raises:
        SchemaError: its training split is not finished.
    """
    train = read_manifest(shards / "train")
    columns = _read_columns(shards / "train")
    sections = [
        _overview(shards, train),
        Section("data-flow", "From segments to instances", flow(_steps(shards, train))),
        _mix(train),
        _lengths(columns),
        *_appearance(shards, train, columns),
        _pairs(shards / "train"),
    ]
    return Chapter("data", heading_of("Data set", shards), sections)


def _overview(shards: Path, train: Manifest) -> Section:
    rows: list[tuple[str, object]] = [("epochs", train.extra["num_epochs"])]
    rows += [
        (f"{split.replace('_', ' ')} instances", read_manifest(shards / split).rows_out)
        for split in _SPLITS
        if (shards / split / MANIFEST_NAME).is_file()
    ]
    rows += [(key.replace("_", " "), train.config[key]) for key in _CONFIG_KEYS]
    rows.append(("longest instance, tokens", train.extra["max_length"]))
    rows += [(f"dropped: {name.replace('_', ' ')}", n) for name, n in train.drops.items()]
    return Section("data-overview", "What it is", facts(rows))


def _steps(shards: Path, train: Manifest) -> Iterator[Step]:
    per_epoch = train.extra["instances_per_epoch"]
    folders = [shards / corpus["path"] / "segments" for corpus in train.extra["corpora"]]
    if per_epoch and all((folder / MANIFEST_NAME).is_file() for folder in folders):
        num_segments = sum(read_manifest(folder).rows_out for folder in folders)
        lost = {"held out for validation, or without a relation": num_segments - per_epoch[0]}
        yield Step("Segments", num_segments, per_epoch[0], "instances an epoch", lost)
    lost = {name.replace("_", " "): count for name, count in train.drops.items()}
    label = f"Pairs planned in {len(per_epoch)} epochs"
    yield Step(label, train.rows_in, train.rows_out, "training instances written", lost)


def _mix(train: Manifest) -> Section:
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
        "document relation prediction is to be held against that.</p>"
    )
    return Section("mix", "Realised mix", body)


_CLASS_NAMES = {
    "both": "a next segment and a usable link",
    "link": "a usable link only",
    "successor": "a next segment only",
    "neither": "neither",
}


def _read_columns(split: Path) -> pa.Table:
    """Return the small columns of a split, of its first parts where it is large."""
    names = ["corpus", "relation", "num_tokens", "source_id", "target_id"]
    tables: list[pa.Table] = []
    for part in table_parts(split):
        tables.append(pq.read_table(part, columns=names))
        if sum(each.num_rows for each in tables) >= _MAX_ROWS:
            break
    return pa.concat_tables(tables)


def _lengths(columns: pa.Table) -> Section:
    tokens = columns.column("num_tokens").to_numpy()
    median = int(np.median(tokens)) if len(tokens) else 0
    plot = plots.histogram_plot("instance-lengths", tokens, "tokens of an instance")
    caption = f"Length of {len(tokens):,} instances: median {median} tokens."
    return Section("instance-lengths", "Instance lengths", figures([figure(plot, caption)]))


def _appearance(shards: Path, train: Manifest, columns: pa.Table) -> Iterator[Section]:
    for number, described in enumerate(train.extra["corpora"]):
        corpus = Corpus(shards / described["path"])
        if not (corpus.path / "csr" / MANIFEST_NAME).is_file() or not described.get("gini"):
            continue
        here = columns.filter(pa.compute.equal(columns.column("corpus"), number))
        linked = here.filter(pa.compute.equal(here.column("relation"), LINKED))
        sources = linked.column("source_id").to_numpy()
        expected = expected_appearances(corpus, sources)
        drawn = np.bincount(linked.column("target_id").to_numpy(), minlength=corpus.num_nodes)
        series = {
            "weighted by 1 / in-degree": expected["weighted"],
            "uniform": expected["uniform"],
        }
        plot = plots.rank_plot(f"appearance-{number}", series, "expected appearances")
        gini = described["gini"]
        in_degrees = corpus.degrees("in")
        hub = int(np.argmax(in_degrees)) if len(in_degrees) else 0
        title = corpus.nodes_by_id([hub])[hub]["title"] if len(in_degrees) else ""
        body = facts(
            [
                ("Gini coefficient, weighted", gini["weighted"]),
                ("Gini coefficient, uniform", gini["uniform"]),
                ("distinct documents that were linked to", int((drawn > 0).sum())),
                ("the most linked document", title),
                ("its share of linked pairs, as drawn", _share(drawn, hub)),
                ("expected when weighted", _share(expected["weighted"], hub)),
                ("expected when uniform", _share(expected["uniform"], hub)),
            ]
        ) + figures(
            [figure(plot, "How often each document is expected as B of a linked pair, for the "
                          "drawn documents of A and all of their links.")]
        )  # fmt: skip
        yield Section(
            f"appearance-{number}", "Which documents appear, with and without weighting", body
        )


def _share(counts: npt.NDArray[Any], node: int) -> str:
    return f"{counts[node] / max(counts.sum(), 1):.2%}"


def expected_appearances(corpus: Corpus, sources: npt.NDArray[np.int32]) -> dict[str, Counts]:
    """Return how often each document is expected as B, with and without the diversity weighting.

    LinkBERT (arXiv:2203.15827), section 4.3. A target is drawn from all links of A's document.

    Args:
        corpus: with a finished graph.
        sources: int32 [P], the documents of A of linked pairs.

    Returns:
        `weighted` and `uniform`, float64 [N] each, summing to P.
    """
    num_nodes = corpus.num_nodes
    in_degrees = np.maximum(corpus.degrees("in"), 1)
    expected = {"weighted": np.zeros(num_nodes), "uniform": np.zeros(num_nodes)}
    for source, count in zip(*np.unique(sources, return_counts=True), strict=True):
        targets = corpus.neighbours(int(source), "out")
        if len(targets):
            weights = 1 / in_degrees[targets]
            expected["weighted"][targets] += count * weights / weights.sum()
            expected["uniform"][targets] += count / len(targets)
    return expected


def _pairs(split: Path) -> Section:
    reader = PairReader(split)
    items = "".join(_pair(reader.read(row)) for row in _choose_pairs(split, reader))
    return Section("pairs", "Pairs to read", f'<ul class="pairs">{items}</ul>')


def _choose_pairs(split: Path, reader: PairReader) -> list[Row]:
    """Return the first pairs of each relation; of linked ones, those whose anchor stands in A."""
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
    with pq.ParquetFile(part) as file:
        batch = next(file.iter_batches(200, use_threads=False), None)
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
    text, pieces, at = pair.texts[0], [], 0
    for link in sorted(pair.links, key=lambda link: link["start_char"]):
        start, end = link["start_char"], link["end_char"]
        if start >= at:
            pieces += [escape(text[at:start]), f"<mark>{escape(text[start:end])}</mark>"]
            at = end
    return "".join([*pieces, escape(text[at:])])


def _short(text: str) -> str:
    return escape(text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]} …")
