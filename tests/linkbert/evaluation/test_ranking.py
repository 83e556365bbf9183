"""Ranking linked segments among hard negatives."""

from pathlib import Path

import numpy as np
import pytest

from linkbert.evaluation.evaluate import EvaluationOptions, evaluate
from linkbert.evaluation.ranking import (
    NUM_NEGATIVES,
    RankingScores,
    make_queries,
    ranking_report,
    ranks_of,
)
from linkbert.export.export import export
from linkbert.loader.dataset import Split, open_split
from schemas.errors import SchemaError
from tests.linkbert.shards_folder import FACTS, NUM_SPECIAL, write_shards

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("ranking") / "shards", num_instances=600)


@pytest.fixture(scope="module")
def held_out(folder: Path) -> Split:
    return open_split(folder / "validation")


def test_each_query_has_its_linked_segment_first_and_31_distinct_others(held_out: Split) -> None:
    queries = make_queries(held_out, FACTS, 10, NUM_NEGATIVES, None)
    assert len(queries) == 10
    for query in queries:
        keys = {candidate.tobytes() for candidate in query.candidates}
        assert len(keys) == len(query.candidates) == 32
        # In the made shards a linked B counts on from A's first token.
        assert query.candidates[0][0] == query.a[0] + NUM_SPECIAL


def test_negatives_share_more_words_with_a_than_segments_do_on_average(held_out: Split) -> None:
    queries = make_queries(held_out, FACTS, 20, 8, None)
    everything = [candidate for query in queries for candidate in query.candidates[1:]]

    def shared(a: np.ndarray, b: np.ndarray) -> int:  # type: ignore[type-arg]
        return len(set(a.tolist()) & set(b.tolist()))

    hard = np.mean([shared(query.a, each) for query in queries for each in query.candidates[1:]])
    any_other = np.mean([shared(query.a, each) for query in queries for each in everything])
    assert hard > any_other + 1


def test_too_few_segments_are_an_error(tmp_path: Path) -> None:
    split = open_split(write_shards(tmp_path / "few") / "validation")
    with pytest.raises(SchemaError, match="31 other segments"):
        make_queries(split, FACTS, 10, NUM_NEGATIVES, None)


def test_ranks_are_pessimistic_about_ties() -> None:
    assert ranks_of(np.zeros((1, 32))).tolist() == [32]
    assert ranks_of(np.array([[3.0, 1.0, 2.0]])).tolist() == [1]


def test_the_report_holds_hand_computed_means() -> None:
    scores = RankingScores(np.array([0, 0, 1]), np.array([1, 2, 4]))
    found = ranking_report(scores, 50, 0)
    assert found["mrr"]["value"] == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert found["recall_at_1"]["value"] == pytest.approx(1 / 3)
    assert found["mrr_by_chance"] == pytest.approx(0.1268, abs=1e-4)


def test_a_model_is_fine_tuned_and_ranked_the_same_way_twice(
    folder: Path, finished_run: Path, tmp_path: Path
) -> None:
    export(finished_run, tmp_path / "model")
    options = EvaluationOptions(max_pairs=6, train_pairs=20, num_resamples=20)
    first = evaluate("ranking", tmp_path / "model", folder, options)
    assert first == evaluate("ranking", tmp_path / "model", folder, options)
    assert first["validation"]["num_queries"] == 6
    assert 1 / 32 <= first["validation"]["mrr"]["value"] <= 1
