"""The flow of pages and links adds up, and lengths are those of the texts."""

from dataclasses import replace
from pathlib import Path

from linkbert.inspection.corpus import Corpus
from linkbert.report.corpus_chapter import steps_of, text_lengths
from schemas.manifest import read_manifest, write_manifest
from tests.linkbert.inspection.odd_corpus import TITLES


def test_the_flow_adds_up(odd: Path) -> None:
    for step in steps_of(Corpus(odd)):
        assert step.came_in - step.went_on == sum(step.lost.values()), step


def test_dropped_pages_are_named_by_their_namespace_where_the_dump_names_it(odd: Path) -> None:
    folder = odd / "pages"
    manifest = read_manifest(folder)
    extra = {**manifest.extra, "siteinfo": {"namespace_names": {"10": "Veidne", "0": ""}}}
    drops = {"namespace_10": 5, "namespace_99": 2, "redirect": 1}
    write_manifest(folder, replace(manifest, extra=extra, drops=drops))
    assert steps_of(Corpus(odd))[0].lost == {
        "Veidne (namespace 10)": 5,
        "namespace 99": 2,
        "redirect": 1,
    }
    write_manifest(folder, manifest)


def test_text_lengths_are_code_points(odd: Path) -> None:
    lengths, num_pages = text_lengths(Corpus(odd))
    assert num_pages == len(lengths) == len(TITLES)
    first = Corpus(odd).page(Corpus(odd).nodes_by_id([0])[0])
    assert lengths[0] == len(first["text"])
