"""Shards framed as RoBERTa frames a pair."""

from pathlib import Path

import pytest

from schemas.pair_frame import PairFrame
from tests.linkbert.shards_folder import SPECIAL_IDS, write_shards

ROBERTA_FRAME = PairFrame((2,), (3, 3), (3,), False, 0, 4, 1, tuple(SPECIAL_IDS.values()))


@pytest.fixture(scope="session")
def roberta_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("roberta") / "shards", frame=ROBERTA_FRAME)
