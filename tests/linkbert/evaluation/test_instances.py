"""Reports of held-out instances, on figures small enough to add up by hand."""

import numpy as np
import pytest

from linkbert.evaluation.instances import drp_report, mlm_report
from linkbert.training.validation import SplitFigures

# Of each instance: MLM loss and hits summed, masked tokens, DRP loss, predicted relation.
FIGURES = SplitFigures(
    np.array([[2.0, 1, 2, 0.5, 0], [3.0, 0, 1, 1.5, 2], [1.0, 3, 3, 1.0, 2]]),
    np.array([0, 0, 2], np.int8),
    np.array([0, 0, 1]),
)


def test_drp_is_held_against_the_most_frequent_relation_and_the_guess() -> None:
    found = drp_report(FIGURES, 0.4)
    assert found["num_instances"] == 3
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(1.0)
    assert found["most_frequent_relation"] == pytest.approx(2 / 3)
    assert found["guess_from_kind_of_a"] == 0.4
    assert found["confusion"]["contiguous"] == {"contiguous": 1, "random": 0, "linked": 1}
    assert found["confusion"]["linked"] == {"contiguous": 0, "random": 0, "linked": 1}


def test_mlm_is_per_masked_token_in_all_and_by_relation() -> None:
    found = mlm_report(FIGURES)
    assert list(found) == ["all", "contiguous", "linked"]
    assert found["all"] == {
        "num_instances": 3,
        "loss": pytest.approx(1.0),
        "perplexity": pytest.approx(np.e),
        "accuracy": pytest.approx(4 / 6),
    }
    assert found["contiguous"]["loss"] == pytest.approx(5 / 3)
    assert found["linked"]["accuracy"] == 1.0
