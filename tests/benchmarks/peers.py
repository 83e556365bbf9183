"""Extractors to compare with: how each is called, and what it gives for a page.

wikiextractor comes with the `dev` extra. wikrs is a Rust program: `cargo install wikrs`.
"""

from __future__ import annotations

import html
import importlib.util
import json
import lzma
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape

import pyarrow.parquet as pq

from pipeline.wiki.site_info import default_site
from pipeline.wiki.titles import InvalidTitle, normalise_title
from tests.benchmarks.watched import Usage, run_watched
from tests.pipeline.wikitext.case_files import Case, read_cases

CASES = Path(__file__).parents[1] / "cases"
PROSE_CASES = "text.case"
"""Cases of what prose a page holds, which every extractor is after."""

Links = list[tuple[str, str]]
"""Target and anchor of each link, in the order of the page."""

_A_HREF = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Found:
    """What a program gives for a page; no `links` where it gives none."""

    title: str
    text: str
    links: Links


@dataclass(frozen=True, slots=True)
class Extractor:
    """A program: its command for (dump, folder, workers), and how its output is read."""

    name: str
    command: Callable[[str, str, int], list[str]]
    pages: Callable[[Path], Iterator[Found]]
    missing: str = ""
    """Why it cannot run here, and how to get it."""


def extractors(wikrs: str | None) -> list[Extractor]:
    """Return the programs to compare, ours first."""
    ours = [sys.executable, "-m", "linkbert", "parse", "--quiet", "--workers"]
    peer = [sys.executable, "-m", "wikiextractor.WikiExtractor", "--json", "--links", "--quiet"]
    peer += ["--no-templates", "--processes"]
    has_peer = importlib.util.find_spec("wikiextractor") is not None
    wikrs = wikrs or shutil.which("wikrs")
    return [
        Extractor(
            "linkbert parse",
            lambda dump, folder, workers: [*ours, str(workers), dump, "--out", folder + "/out"],
            _our_pages,
        ),
        Extractor(
            "wikiextractor, no templates",
            lambda dump, folder, workers: [*peer, str(workers), dump, "-o", folder + "/out"],
            _wikiextractor_pages,
            "" if has_peer else "not installed: pip install wikiextractor",
        ),
        Extractor(
            "wikrs",
            lambda dump, folder, workers: _wikrs_command(wikrs or "", dump),
            _wikrs_pages,
            "" if wikrs else "not found: cargo install wikrs, or name its binary with --wikrs",
        ),
    ]


def run(extractor: Extractor, dump: str, folder: str, workers: int) -> Usage:
    """Run a program on a dump; it writes into the folder.

    Raises:
        SystemExit: it failed.
    """
    command = extractor.command(dump, folder, workers)
    try:
        return run_watched(command, Path(folder), Path(folder, "stdout"))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{extractor.name} failed: {error}") from error


def _our_pages(folder: Path) -> Iterator[Found]:
    columns = ["title", "text", "links"]
    for path in sorted((folder / "out/pages").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(256, columns=columns):
            for row in batch.to_pylist():
                text = row["text"]
                links = [
                    (link["target_title"], text[link["start_char"] or 0 : link["end_char"] or 0])
                    for link in row["links"]
                ]
                yield Found(row["title"], text, links)


def _wikiextractor_pages(folder: Path) -> Iterator[Found]:
    for path in sorted((folder / "out").rglob("wiki_*")):
        for row in map(json.loads, path.read_text().rstrip("\n").split("\n")):
            text = html.unescape(row["text"])
            links = [
                (unquote(match[1]), html.unescape(_TAG.sub("", match[2])))
                for match in _A_HREF.finditer(text)
            ]
            yield Found(row["title"], _TAG.sub("", text), links)


def _wikrs_command(wikrs: str, dump: str) -> list[str]:
    index = Path(dump.removesuffix(".xml.bz2") + "-index.txt")
    with_index = ["--index", str(index)] if index.exists() else []
    return [wikrs, "--input", dump, "--format", "jsonl", *with_index]


def _wikrs_pages(folder: Path) -> Iterator[Found]:
    with (folder / "stdout").open() as lines:
        for row in map(json.loads, lines):
            yield Found(row["title"], row["text"], [])


# ------------------------------------------------------------------------------ what each gives


def read_reference(path: str) -> dict[str, Links]:
    """Return the links of pages by title, as an independent parser found them.

    A line of the file, .jsonl or .jsonl.xz, is `{"title": ..., "links": [[target, anchor], ...]}`.
    """
    with lzma.open(path, "rt") if path.endswith(".xz") else open(path) as lines:
        rows = map(json.loads, lines)
        return {row["title"]: [(target, anchor) for target, anchor in row["links"]] for row in rows}


def share_of_links(reference: dict[str, Links], pages: Iterator[Found]) -> tuple[float, float]:
    """Return the share of the reference's links that a program keeps, and of right anchors in it.

    A page's links are counted by normalised target; anchors are compared up to blanks.

    >>> share_of_links({"A": [("b", "x"), ("c", "y")]}, iter([Found("A", "", [("B", "x")])]))
    (0.5, 1.0)
    """
    num_links = sum(map(len, reference.values()))
    num_kept = num_right = 0
    for page in pages:
        wanted = [_normalised(link) for link in reference.get(page.title, [])]
        found = [_normalised(link) for link in page.links]
        targets = Counter(target for target, _ in wanted), Counter(target for target, _ in found)
        num_kept += (targets[0] & targets[1]).total()
        num_right += (Counter(wanted) & Counter(found)).total()
    return num_kept / num_links, num_right / max(num_kept, 1)


def _normalised(link: tuple[str, str]) -> tuple[str, str]:
    target = normalise_title(link[0], default_site())
    name = link[0] if isinstance(target, InvalidTitle) else target.title
    return name, " ".join(link[1].split())


def right_cases(extractor: Extractor) -> tuple[int, int]:
    """Return how many cases of prose a program gets right, blanks apart, and how many there are."""
    cases = [case for case in read_cases(CASES) if _is_about_prose(case)]
    with tempfile.TemporaryDirectory() as folder:
        dump = f"{folder}/cases.xml"
        Path(dump).write_text(_dump_of(cases))
        run(extractor, dump, folder, 1)
        found = {page.title: page.text.split() for page in extractor.pages(Path(folder))}
    wanted = [case.fields["text"].split() for case in cases]
    return sum(found.get(_title(n)) == text for n, text in enumerate(wanted)), len(cases)


def _is_about_prose(case: Case) -> bool:
    return case.path == PROSE_CASES and not case.fields.keys() & {"site", "title", "redirect"}


def _title(number: int) -> str:
    return f"Case {number}"


def _dump_of(cases: list[Case]) -> str:
    pages = (
        _PAGE.format(title=_title(number), id=number + 1, text=escape(case.fields["wikitext"]))
        for number, case in enumerate(cases)
    )
    return f"{_HEADER}{''.join(pages)}</mediawiki>\n"


_HEADER = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" \
xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>enwiki</dbname>
    <base>https://en.wikipedia.org/wiki/Main_Page</base>
    <case>first-letter</case>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">File</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
      <namespace key="14" case="first-letter">Category</namespace>
    </namespaces>
  </siteinfo>
"""
_PAGE = """  <page>
    <title>{title}</title>
    <ns>0</ns>
    <id>{id}</id>
    <revision>
      <id>{id}</id>
      <timestamp>2026-01-01T00:00:00Z</timestamp>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text xml:space="preserve">{text}</text>
    </revision>
  </page>
"""
