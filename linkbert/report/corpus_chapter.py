"""The report's chapter on a corpus: where its pages and links went, its graph, its lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linkbert.inspection.corpus import Corpus
from linkbert.report import plots
from linkbert.report.examples import choose_examples, example_list
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
    title_of,
)
from linkbert.report.neighbourhood import draw_neighbourhood, neighbourhood
from pipeline.engine.outputs import open_part
from schemas.manifest import Manifest
from schemas.parquet import table_parts
from schemas.tables.mentions import FATES, REDIRECT, RESOLVED

_NUM_MOST_LINKED = 20
_NUM_LINKED_EXAMPLES = 18
_NUM_RANDOM_EXAMPLES = 6
_MAX_GROUPS = 200


def corpus_chapter(corpus: Corpus, around: str | None = None) -> Chapter:
    """Return the chapter on a corpus folder, as far as its stages have run.

    Args:
        corpus: a folder with finished pages.
        around: the title of a document whose neighbourhood is drawn large.

    Raises:
        GraphError: no document has the title `around`.
    """
    sections = [
        _overview(corpus),
        ReportSection("flow", "From dump to edges", flow(steps_of(corpus))),
    ]
    if corpus.has("csr"):
        sections += [_links(corpus), _graph(corpus)]
        if around is not None:
            node = corpus.node_by_title(around)
            drawing = draw_neighbourhood(neighbourhood(corpus, node, 14), (), "around")
            sections.append(ReportSection("around", f"Around {node['title']}", drawing))
    sections.append(_lengths(corpus))
    if corpus.has("csr"):
        nodes = choose_examples(corpus, _NUM_LINKED_EXAMPLES, _NUM_RANDOM_EXAMPLES)
        note = (
            f'<p class="note">The most linked page and what it is connected with, then '
            f"{_NUM_RANDOM_EXAMPLES} at random.</p>"
        )
        sections.append(
            ReportSection("examples", "Example pages", note + example_list(corpus, nodes))
        )
    return Chapter("corpus", heading_of("Corpus", corpus.path), sections, _verdict(corpus))


_FEW_LINKS = 1 / 3
"""Below this share of segments with a usable link, a third of the pairs cannot be linked."""


def _verdict(corpus: Corpus) -> str:
    told = f"{corpus.manifest('pages').rows_out:,} documents"
    if corpus.has("mentions"):
        mentions = corpus.manifest("mentions")
        leads = sum(mentions.extra["fates"][fate] for fate in _LEADS)
        told += f"; {leads:,} of {mentions.rows_out:,} links lead to one of them"
        told += f" ({leads / mentions.rows_out:.0%})" if mentions.rows_out else ""
    counts = corpus.manifest("segments").extra["counts"] if corpus.has("segments") else {}
    if counts.get("segments"):
        share = counts["linked_segments"] / counts["segments"]
        told += f"; {share:.0%} of {counts['segments']:,} segments have a link to follow"
        if share < _FEW_LINKS:
            told += ", fewer than the third of all pairs that LinkBERT wants linked"
    return f"{told}."


def _overview(corpus: Corpus) -> ReportSection:
    pages = corpus.manifest("pages")
    site = pages.extra.get("siteinfo", {})
    rows: list[tuple[str, object]] = [
        (name, value)
        for name, value in (
            ("wiki", site.get("sitename") or site.get("dbname")),
            ("language", site.get("language")),
            ("dump of", pages.extra.get("dump_date")),
            ("made by", site.get("generator")),
            ("licence of the text", pages.extra.get("licence")),
        )
        if value
    ]
    tables = ("pages", "redirects", "rejects", "nodes", "edges", "segments")
    rows += [(name, corpus.manifest(name).rows_out) for name in tables if corpus.has(name)]
    return ReportSection("corpus-overview", "What it is", facts(rows))


def steps_of(corpus: Corpus) -> list[Step]:
    """Return the flow from what was read to edges and segments, as far as the stages have run."""
    pages = corpus.manifest("pages")
    dropped_pages = _with_namespaces(pages)
    steps = [Step("Pages read", pages.rows_in, pages.rows_out, "pages kept", dropped_pages)]
    kept = pages.extra.get("links", {})
    dropped = _named(pages.extra.get("links_dropped", {}))
    if kept:
        num_kept = sum(kept.values())
        found = num_kept + sum(dropped.values())
        steps.append(Step("Links in the pages", found, num_kept, "links kept", dropped))
    if corpus.has("mentions"):
        steps += _graph_steps(corpus)
    if corpus.has("segments"):
        manifest = corpus.manifest("segments")
        counts = manifest.extra.get("counts", {})
        num_documents = counts.get("documents", 0)
        without = sum(counts.get(why, 0) for why in ("without_tokens", "disambiguation", "crashed"))
        lost = {"documents without tokens or left out": without} if without else {}
        steps.append(Step("Documents cut", num_documents, manifest.rows_out, "segments made", lost))
    return steps


def _graph_steps(corpus: Corpus) -> Iterator[Step]:
    mentions, edges = corpus.manifest("mentions"), corpus.manifest("edges")
    found: dict[str, int] = mentions.extra["fates"]
    lost = {f"{_words(fate)} links": found[fate] for fate in FATES if fate not in _LEADS}
    num_found = sum(found[fate] for fate in _LEADS)
    yield Step("Links resolved", mentions.rows_out, num_found, "lead to a document", lost)
    others = {"in captions": edges.drops["caption"], "repeated": edges.drops["repeated"]}
    yield Step("Edges of the graph", num_found, edges.rows_out, "distinct edges", others)


_LEADS = (RESOLVED, REDIRECT)


def _with_namespaces(pages: Manifest) -> dict[str, int]:
    """Return the numbers of dropped pages by reason, with namespaces named as in the dump."""
    names = pages.extra.get("siteinfo", {}).get("namespace_names", {})
    named = {}
    for reason, count in pages.drops.items():
        title = names.get(reason.removeprefix("namespace_"))
        named[f"{title} ({_words(reason)})" if title else _words(reason)] = count
    return named


def _named(counts: dict[str, int]) -> dict[str, int]:
    return {_words(name): count for name, count in counts.items()}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _links(corpus: Corpus) -> ReportSection:
    pages, mentions = corpus.manifest("pages"), corpus.manifest("mentions")
    body = ""
    if kinds := pages.extra.get("links"):
        body += bars([(escape(k), n) for k, n in kinds.items()], "links kept, by kind")
    if dropped := pages.extra.get("links_dropped"):
        rows = [(escape(_words(reason)), number) for reason, number in dropped.items()]
        body += bars(rows, "links of the wikitext that are not kept, by reason", kind="lost")
    fates = [(escape(_words(f)), mentions.extra["fates"][f]) for f in FATES]
    body += bars([row for row in fates if row[1]], "links kept, by fate")
    return ReportSection("links", "Links by kind and fate", body)


def _graph(corpus: Corpus) -> ReportSection:
    counts = {f"{name}-degree": _by_degree(corpus.degrees(name)) for name in ("in", "out")}
    rows = corpus.most_linked(_NUM_MOST_LINKED)
    isolated = int(((corpus.degrees("in") == 0) & (corpus.degrees("out") == 0)).sum())
    body = facts(
        [
            ("documents", corpus.num_nodes),
            ("edges", corpus.manifest("edges").rows_out),
            ("documents without any edge", isolated),
            ("documents nobody links to", counts["in-degree"].get(0, 0)),
        ]
    )
    plot = plots.degree_plot(counts)
    body += figures([figure(plot, "Documents by degree; those of degree 0 are not shown.")])
    names = [(title_of(row["title"]), row["in_degree"]) for row in rows]
    body += bars(names, "the most linked documents, by linking documents", shares=False)
    return ReportSection("graph", "The link graph", body)


def _by_degree(degrees: npt.NDArray[np.int64]) -> dict[int, int]:
    found, counts = np.unique(degrees, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _lengths(corpus: Corpus) -> ReportSection:
    chars, num_pages = text_lengths(corpus)
    of = "" if len(chars) == num_pages else f" ({len(chars):,} of {num_pages:,} pages)"
    drawn = [
        figure(
            plots.histogram_plot("text-lengths", chars, "characters of a page", log=True),
            f"Length of texts{of}: median {number_of(_median(chars))} characters.",
        )
    ]
    if corpus.has("segments"):
        segments = pq.read_table(corpus.path / "segments", columns=["num_tokens"])
        tokens = segments.column(0).to_numpy()
        drawn.append(
            figure(
                plots.histogram_plot("segment-lengths", tokens, "tokens of a segment"),
                f"Length of {len(tokens):,} segments: median {number_of(_median(tokens))} tokens.",
            )
        )
    return ReportSection("lengths", "Lengths", figures(drawn))


def _median(values: npt.NDArray[Any]) -> int:
    return int(np.median(values)) if len(values) else 0


def text_lengths(corpus: Corpus) -> tuple[npt.NDArray[np.int64], int]:
    """Return the lengths of pages in characters; of a large corpus, those of some row groups.

    Returns:
        int64 [P], from row groups spread evenly, and the number of all pages.
    """
    parts = table_parts(corpus.path / "pages")
    groups = [
        (part, group) for part in parts for group in range(pq.read_metadata(part).num_row_groups)
    ]
    chosen = np.unique(np.linspace(0, len(groups) - 1, min(_MAX_GROUPS, len(groups))).astype(int))
    lengths = [np.zeros(0, np.int64)]
    for place in chosen.tolist():
        part, group = groups[place]
        with open_part(str(part)) as pages:
            texts = pages.read_row_group(group, columns=["text"], use_threads=False).column(0)
        lengths.append(pc.utf8_length(texts).to_numpy().astype(np.int64))
    manifest: Manifest = corpus.manifest("pages")
    return np.concatenate(lengths), manifest.rows_out
