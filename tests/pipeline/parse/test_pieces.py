"""Pieces of a file hold its bytes once, in order, and mostly begin with a page."""

from pathlib import Path

import pytest

from pipeline.parse.pieces import gathered, piece_path, read_piece, split_into_pieces

PAGES = b"".join(b"<page>%d %s</page>\n" % (n, b"x" * (n % 50)) for n in range(500))


@pytest.mark.parametrize("chunk", [7, 300, 100_000])
@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_pieces_hold_every_byte_once(tmp_path: Path, chunk: int, size: int) -> None:
    chunks = iter([PAGES[i : i + chunk] for i in range(0, len(PAGES), chunk)])
    lengths = split_into_pieces(chunks, str(tmp_path), size)
    read = [b"".join(read_piece(piece_path(str(tmp_path), k))) for k in range(len(lengths))]
    assert b"".join(read) == PAGES
    assert [len(piece) for piece in read] == lengths
    assert all(lengths)


def test_pieces_begin_with_a_page(tmp_path: Path) -> None:
    chunks = iter([PAGES[i : i + 300] for i in range(0, len(PAGES), 300)])
    for index in range(len(split_into_pieces(chunks, str(tmp_path), 1000))):
        assert next(read_piece(piece_path(str(tmp_path), index))).startswith(b"<page>")


def test_tiny_pieces_are_gathered_so_that_a_page_is_not_copied_for_each() -> None:
    tiny = [b"%04d" % n for n in range(50_000)]
    found = list(gathered(iter(tiny)))
    assert b"".join(found) == b"".join(tiny)
    assert len(found) == -(-200_000 // (1 << 16))
    large = [b"x" * 100_000] * 3
    assert list(gathered(iter(large))) == large
