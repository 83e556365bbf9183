from pathlib import Path

from tests.pipeline.corpora import write_corpus
from tests.pipeline.linked_corpus import finish_corpus, make_pages, read_rows
from tests.pipeline.sample.sampling import sample


def test_parts_of_the_corpus_change_no_pair(corpus: Path, tmp_path: Path) -> None:
    """Segments stored in another order give the same instances."""
    pages = make_pages(200)
    other = write_corpus(tmp_path / "other", [pages[150:], pages[:20], pages[20:150]])
    finish_corpus(other, taken_from=str(corpus))
    one = sample(tmp_path / "a", corpus)
    assert sample(tmp_path / "b", other) == one


def test_held_out_documents_can_be_limited_by_number(corpus: Path, tmp_path: Path) -> None:
    sample(tmp_path / "s", corpus, validation_documents=7)
    for split in ("validation", "validation_closed"):
        rows = read_rows(tmp_path / "s" / split)
        # A last cluster of one would keep no link.
        assert len({row["source_id"] for row in rows}) in (6, 7), split


def test_held_out_documents_are_seen_by_no_training_pair(shards: Path) -> None:
    seen = {row[name] for row in read_rows(shards / "train") for name in ("source_id", "target_id")}
    open_rows = read_rows(shards / "validation")
    closed = read_rows(shards / "validation_closed")
    assert open_rows
    assert closed
    assert not seen & {row["source_id"] for row in open_rows}
    assert not seen & {row[name] for row in closed for name in ("source_id", "target_id")}
    assert seen & {row["target_id"] for row in open_rows}
