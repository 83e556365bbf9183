"""Feed made-up wikitext to the extraction until the time is up; the first failure ends it.

    python -m tests.fuzz_wikitext [--seconds 60] [--seed 0]

The pieces are those of markup, nested and repeated at random, which hypothesis then makes smaller.
Checked are the places of links, what may not be in a text, and that time stays linear: a page
twice as long, the same page twice, may take no more than eight times as long.
"""

from __future__ import annotations

import argparse
import re
import time

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pipeline.wikitext import extract
from tests.pipeline.test_wikitext import FRAGMENTS, SITES

EXAMPLES_PER_ROUND = 2_000
MAX_REPEATS = 2_000
MIN_SECONDS = 0.2
MAX_RATIO = 8.0

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


def run_round(number: int) -> None:
    """Try some thousand pages and some repeated pieces."""
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
    print(f"{rounds * EXAMPLES_PER_ROUND} pages in {time.monotonic() - started:.0f} s: no failure")


if __name__ == "__main__":
    main()
