from pathlib import Path

import numpy as np

from schemas.tables.instances import LINKED
from tests.pipeline.sample.sampling import sample


def test_similar_documents_can_stand_in_for_links(corpus: Path, tmp_path: Path) -> None:
    rows = sample(tmp_path / "tfidf", corpus, links="tfidf")
    linked = {(row["source_id"], row["target_id"]) for row in rows if row["relation"] == LINKED}
    assert linked
    # No document has more than its five most similar ones.
    assert np.bincount([source for source, _ in linked]).max() <= 5
    keys = [(row["source_id"], row["source_segment"]) for row in rows]
    usual = sample(tmp_path / "hyperlink", corpus)
    assert keys == [(row["source_id"], row["source_segment"]) for row in usual]
