"""A page of megabytes is cut in pieces, in little memory, and loses no token and no link."""

import numpy as np

from pipeline.segment import long_pages
from pipeline.segment.config import SegmentConfig
from pipeline.segment.cutting import targets_by_segment
from pipeline.segment.inputs import LinkedText
from pipeline.segment.long_pages import cut_pages
from pipeline.tokenizer.encoder import SentenceEncoder
from pipeline.tokenizer.wordpiece import encoding_form, train_wordpiece

LIMITS = SegmentConfig(30, 4)


def encoder() -> SentenceEncoder:
    return SentenceEncoder(
        encoding_form(train_wordpiece(lambda: ["a word is one. "] * 9, 60)), "<u2"
    )


def linked_text(text: str, node_id: int = 0) -> LinkedText:
    none = np.zeros(0, np.int64)
    anchors = [(start, start + 4) for start in range(2, len(text) - 20, 15)]
    return LinkedText(node_id, text, anchors, none, none.astype(np.int32), 0)


def test_long_page_is_cut_as_its_pieces_are_and_covers_all(monkeypatch: object) -> None:
    groups = []
    original = long_pages._cut_group

    def watched(pieces, *rest):  # type: ignore[no-untyped-def]
        groups.append(sum(piece.stop - piece.begin for piece in pieces))
        return original(pieces, *rest)

    monkeypatch.setattr(long_pages, "_cut_group", watched)  # type: ignore[attr-defined]
    text = "a word is one.\n" * 100_000
    pages = [linked_text("a word.", 1), linked_text(text, 2), linked_text("one.", 3)]
    found: dict[int, list] = {}
    for page, cut in cut_pages(pages, encoder(), LIMITS):
        found.setdefault(page.node_id, []).append(cut)
    assert list(found) == [1, 2, 3]
    assert len(found[2]) > 1
    assert max(groups) <= 3 * long_pages.PIECE_CHARS // 2
    segments = [segment for cut in found[2] for segment in cut.segments]
    covered = "".join(text[segment.start_char : segment.end_char] for segment in segments)
    assert covered.replace("\n", "") == text.replace("\n", "")
    sizes = [segment.end_token - segment.start_token for segment in segments]
    assert 4 <= min(sizes) <= max(sizes) <= 30
    assert sum(sizes) == sum(len(cut.token_ids) for cut in found[2])


def test_targets_are_found_by_one_pass_over_the_links() -> None:
    rng = np.random.default_rng(0)
    starts = np.sort(rng.integers(0, 10_000, 50))
    link_starts = np.sort(rng.integers(-1, 10_000, 400))
    targets = rng.integers(0, 30, 400)
    found = targets_by_segment(starts, link_starts, targets)
    owners = np.maximum(np.searchsorted(starts, link_starts, side="right") - 1, 0)
    for index, each in enumerate(found):
        own = targets[((owners == index) & (link_starts >= 0)) | (link_starts < 0)]
        assert each.tolist() == sorted(set(own.tolist()))
