"""Pages pass from range to range exactly once, wherever the bytes are cut."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.parse import splitter
from pipeline.parse.splitter import (
    STRAY,
    TOO_LARGE,
    TRUNCATED,
    UNCLOSED,
    PageSplitter,
    RangeFacts,
    RawPage,
    check_chain,
)
from schemas.errors import StageError

HEADER = b"<mediawiki><siteinfo><sitename>S</sitename></siteinfo>\n"
PAGES = [b"<page><title>%d</title>%s</page>" % (n, b"x" * (n * 7)) for n in range(9)]
DUMP = HEADER + b"\n ".join(PAGES) + b"\n</mediawiki>\n"


def split_at(
    dump: bytes, cuts: list[int], piece: int = 10
) -> tuple[list[RawPage], list[RangeFacts]]:
    pages, facts = [], []
    edges = [0, *sorted(cuts), len(dump)]
    for start, end in itertools.pairwise(edges):
        splitter = PageSplitter(pieces(dump[start:end], piece), pieces(dump[end:], piece), 1 << 20)
        pages += list(splitter.pages())
        facts.append(splitter.facts)
    return pages, facts


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(DUMP)), max_size=8), piece=st.sampled_from([1, 2, 5, 64, 9999])
)
def test_any_cuts_give_every_page_once_in_order(cuts: list[int], piece: int) -> None:
    pages, facts = split_at(DUMP, cuts, piece)
    assert [page.data for page in pages if page.fault != STRAY] == PAGES
    assert not any(page.fault for page in pages)
    assert check_chain(facts, "dump") == 0
    assert sum(fact.num_tags for fact in facts) == DUMP.count(b"<page>")


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(DUMP)), max_size=5), at=st.integers(0, len(DUMP)))
def test_dump_that_ends_anywhere_loses_its_last_page_only(cuts: list[int], at: int) -> None:
    pages, facts = split_at(DUMP[:at], [cut for cut in cuts if cut < at])
    whole = [page.data for page in pages if not page.fault]
    assert whole == PAGES[: len(whole)]
    assert sum(page.fault == TRUNCATED for page in pages) <= 1
    assert sum(page.fault != STRAY for page in pages) == DUMP[:at].count(b"<page>")
    check_chain(facts, "dump")


def test_offsets_lead_to_the_page() -> None:
    pages, _ = split_at(DUMP, [])
    assert all(DUMP[page.offset :].startswith(page.data) for page in pages)


def test_unclosed_page_ends_where_the_next_begins() -> None:
    dump = DUMP.replace(PAGES[3], PAGES[3].removesuffix(b"</page>"))
    pages, facts = split_at(dump, [200, 300])
    assert [page.fault for page in pages].count(UNCLOSED) == 1
    assert [page.data for page in pages if not page.fault] == PAGES[:3] + PAGES[4:]
    check_chain(facts, "dump")


@pytest.mark.parametrize("piece", [100, 1 << 20])
def test_older_revisions_of_a_long_history_are_pruned(piece: int) -> None:
    history = b"".join(b"<revision><id>%d</id>%s</revision>" % (n, b"y" * 99) for n in range(50))
    dump = DUMP.replace(b"<title>4</title>", b"<title>4</title>" + history)
    splitter = PageSplitter(pieces(dump, piece), [], 1000)
    pages = list(splitter.pages())
    assert len(pages) == 9
    assert not any(page.fault for page in pages)
    assert b"<title>4</title>" in pages[4].data
    assert b"<id>49</id>" in pages[4].data
    assert pages[4].num_pruned > 30
    assert pages[4].num_pruned + pages[4].data.count(b"<revision>") == 50
    assert dump[pages[5].offset :].startswith(PAGES[5])


@pytest.mark.parametrize("piece", [50, 5000])
def test_page_that_does_not_fit_is_given_up_alone(piece: int) -> None:
    dump = DUMP.replace(b"<title>4</title>", b"<title>4</title>" + b"z" * 3000)
    splitter = PageSplitter(pieces(dump, piece), [], 1000)
    pages = list(splitter.pages())
    kept = [page.data for page in pages if not page.fault]
    assert [page.fault for page in pages].count(TOO_LARGE) == 1
    assert kept == PAGES[:4] + PAGES[5:]
    assert splitter.facts.num_pages == splitter.facts.num_tags == 9


def test_content_outside_pages_is_stray() -> None:
    dump = DUMP.replace(PAGES[5], PAGES[5].replace(b"<page>", b"<pgae>"))
    pages, facts = split_at(dump, [])
    (stray,) = [page for page in pages if page.fault == STRAY]
    assert b"<title>5</title>" in stray.data
    check_chain(facts, "dump")


def test_content_lost_at_the_head_of_a_range_is_a_loose_end() -> None:
    dump = DUMP.replace(PAGES[5], PAGES[5].replace(b"<page>", b"<pgae>"))
    _, facts = split_at(dump, [dump.index(b"<pgae>")])
    assert check_chain(facts, "dump") == 1


def test_joined_dumps_are_read_through() -> None:
    pages, facts = split_at(DUMP + DUMP, [])
    assert [page.data for page in pages] == PAGES + PAGES
    assert check_chain(facts, "dump") == 0


@pytest.mark.parametrize("change", [{"num_pages": 1}, {"first_page": 3}, {"next_page": 77}])
def test_chain_that_does_not_close_is_an_error(change: dict[str, int]) -> None:
    cut = DUMP.index(PAGES[4]) + 9
    _, facts = split_at(DUMP, [cut], 1 << 20)
    check_chain(facts, "dump")
    index = 0 if "next_page" in change else 1
    facts[index] = replace(facts[index], **change)
    with pytest.raises(StageError, match="please report it"):
        check_chain(facts, "dump")


def test_gap_is_looked_through_once_however_many_comments_begin_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = []
    look = splitter._past_furniture

    def watched(content: bytes, place: int) -> int | None:
        looked_at.append(place)
        return look(content, place)

    monkeypatch.setattr(splitter, "_past_furniture", watched)
    for gap, num_looks, fault in (
        (b"<!--" * 20_000, 1, STRAY),
        (b"<siteinfo>" * 9_000, 1, STRAY),
        (b"<!-- a -->" * 5_000, 5_000, None),
    ):
        looked_at.clear()
        found = list(PageSplitter([PAGES[1] + gap + PAGES[2]], [], 1 << 20).pages())
        assert len(looked_at) == num_looks
        assert [page.fault for page in found if page.fault] == ([fault] if fault else [])
