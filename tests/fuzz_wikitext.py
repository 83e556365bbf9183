"""Feed made-up wikitext to the extraction until the time is up; the first failure ends it.

    python -m tests.fuzz_wikitext [--seconds 60] [--seed 0]

The pieces are those of markup, nested and repeated at random, which hypothesis then makes smaller;
besides, the pages of the bundled dump with pieces put in and characters taken out at random.
Checked are the places of links, what may not be in a text, and that time stays linear: a page
twice as long, the same page twice, may take no more than eight times as long.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from functools import cache
from importlib import resources

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pipeline.parse.header import parse_siteinfo
from pipeline.parse.page_xml import parse_page
from pipeline.parse.sources import inspect_source
from pipeline.parse.splitter import PageSplitter
from pipeline.storage import files
from pipeline.storage.bz2_ranges import read_blocks
from pipeline.wiki.site_info import SiteInfo
from pipeline.wikitext.extract import extract
from tests.pipeline.wikitext.test_extract import FRAGMENTS, SITES

EXAMPLES_PER_ROUND = 2_000
MAX_REPEATS = 2_000
MIN_SECONDS = 0.2
MAX_RATIO = 8.0
DAMAGED_PER_ROUND = 2_000
MAX_DAMAGES = 12
DUMP_NAME = "ltgwiki-2017-pages-articles.xml.bz2"
MAX_PAGE_BYTES = 1 << 26
DAMAGES = (
    *("[[", "]]", "[", "]", "{{", "}}", "|", "\n", "\n=", "\n*", "==", "&", "<", ">", "''", "{|"),
    *("|}", "<ref>", "</ref>", "<nowiki>", "[[File:a.jpg|thumb|", "&#91;", "{{see|", "{{ill|"),
)

PIECES = st.lists(FRAGMENTS | st.text(max_size=4), max_size=60)


def check_page(pieces: list[str], site: object) -> None:
    """Raise AssertionError where the text of a page is not what it should be."""
    page = extract("".join(pieces), "Page", site)  # type: ignore[arg-type]
    page.text.encode("utf-8")
    assert not re.search("[\x00\ufdd0-\ufdef]", page.text), "a mark or NUL is left"
    end = 0
    for link in page.links:
        if link.start_char is not None and link.end_char is not None:
            assert end <= link.start_char < link.end_char <= len(page.text), "a place is wrong"
            end = link.end_char


def check_time(piece: str, repeats: int, site: object) -> None:
    """Raise AssertionError where twice the page takes much more than twice the time."""
    once = _cpu_seconds(piece * repeats, site)
    twice = _cpu_seconds(piece * (2 * repeats), site)
    assert twice < MIN_SECONDS or twice < MAX_RATIO * once, (once, twice)


def _cpu_seconds(wikitext: str, site: object) -> float:
    started = time.process_time()
    extract(wikitext, "Page", site)  # type: ignore[arg-type]
    return time.process_time() - started


def check_damaged_pages(number: int) -> None:
    """Raise AssertionError for a real page that was damaged at random places."""
    generator = random.Random(number)
    pages, site = bundled_pages()
    for _ in range(DAMAGED_PER_ROUND):
        characters = list(generator.choice(pages))
        for _ in range(generator.randint(1, MAX_DAMAGES)):
            place = generator.randrange(len(characters) + 1)
            if generator.random() < 1 / 2:
                del characters[place : place + generator.randint(1, 3)]
            else:
                characters[place:place] = generator.choice(DAMAGES)
        wikitext = "".join(characters)
        try:
            check_page([wikitext], site)
        except Exception as error:
            raise AssertionError(f"seed {number}: {wikitext!r}") from error


@cache
def bundled_pages() -> tuple[list[str], SiteInfo]:
    """Return the wikitext of all pages of the bundled dump, and its wiki."""
    dump = str(resources.files("linkbert").joinpath("data", DUMP_NAME))
    with files.open_read(dump) as file:
        splitter = PageSplitter(read_blocks(file, 0), iter(()), MAX_PAGE_BYTES)
        pages = [parse_page(raw.data).text for raw in splitter.pages()]
    site = parse_siteinfo(inspect_source(dump, False).head, None)
    assert site is not None, dump
    return [page for page in pages if page], site


def run_round(number: int) -> None:
    """Try some thousand pages and some repeated pieces."""
    check_damaged_pages(number)
    limits = settings(
        max_examples=EXAMPLES_PER_ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    seed(number)(limits(given(PIECES, SITES)(check_page)))()
    repeated = given(
        st.lists(FRAGMENTS, min_size=1, max_size=4).map("".join),
        st.integers(200, MAX_REPEATS),
        SITES,
    )
    few = settings(limits, max_examples=EXAMPLES_PER_ROUND // 20)
    seed(number)(few(repeated(check_time)))()


def main() -> None:
    """Run rounds until the time is up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="stop after this many")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    args = parser.parse_args()
    started, rounds = time.monotonic(), 0
    while rounds == 0 or time.monotonic() - started < args.seconds:
        run_round(args.seed + rounds)
        rounds += 1
    num_pages = rounds * (EXAMPLES_PER_ROUND + DAMAGED_PER_ROUND)
    print(f"{num_pages} pages in {time.monotonic() - started:.0f} s: no failure")


if __name__ == "__main__":
    main()
