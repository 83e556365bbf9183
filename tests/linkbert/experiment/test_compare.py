"""Verdicts on scores whose truth is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linkbert.evaluation.link_context import PairScores
from linkbert.experiment.compare import ZERO, Scores, compare
from linkbert.experiment.config import load_experiment
from schemas.errors import StageError

ARTICLES = np.repeat(np.arange(30), 4)


def scores_of(
    gain: float,
    contiguous: float,
    seed: int,
    arm_noise: float = 0.0,
    *,
    harm: float = 0.0,
    has_focus: bool = False,
) -> PairScores:
    """Scores in which a linked partner is worth `gain` nats per token, all or in part because a
    random one does `harm`; noise is shared by arms."""
    shared = np.random.default_rng(seed)
    size = len(ARTICLES)
    num_masked = shared.integers(5, 15, size)
    num_in_b = num_masked // 3
    base = 5.0 * num_masked + shared.normal(0, 1, size)
    own = np.random.default_rng(seed + int(1e6 * abs(gain)) + 7)
    noise = own.normal(0, arm_noise, size) * num_masked
    help_of_linked = (gain - harm) * num_masked
    losses = np.stack(
        [
            base - help_of_linked + noise,
            base + harm * num_masked,
            base + contiguous * num_masked,
            base,
        ],
        axis=1,
    )
    in_b = losses * (num_in_b / num_masked)[:, None]
    has_contiguous = np.ones(size, np.bool_)
    focus, num_focus = (losses / 2, num_masked) if has_focus else (0 * losses, 0 * num_masked)
    return PairScores(
        ARTICLES, losses, in_b, num_masked, num_in_b, has_contiguous, focus, num_focus
    )


def planted(
    gains: dict[str, float], noise: float = 0.02, contiguous: float = 0.0, **how: Any
) -> Scores:
    return {
        arm: {
            seed: {
                split: scores_of(gain, contiguous if arm == "linkbert" else 0.0, seed, noise, **how)
                for split in ("validation", "validation_closed")
            }
            for seed in (0, 1)
        }
        for arm, gain in gains.items()
    }


def by_name(found: dict) -> dict:  # type: ignore[type-arg]
    return {
        (each["kind"], each["measure"], each["against"], each["split"]): each
        for each in found["contrasts"]
    }


def test_a_planted_gain_is_found_with_its_size() -> None:
    found = by_name(compare(planted({"bert": 0.0, "linkbert": 0.05, "random-links": 0.01}), 200))
    for control, expected in (("bert", 0.05), ("random-links", 0.04)):
        each = found["primary", "gain", control, "validation_closed"]
        assert each["verdict"] == "supported"
        assert each["difference"] == pytest.approx(expected, abs=0.01)
        assert each["sentence"].startswith("Supported: linkbert gains more")
        assert len(each["by_seed"]) == 2


def test_a_null_is_called_one() -> None:
    found = by_name(compare(planted({"bert": 0.03, "linkbert": 0.03}, noise=0.0), 200))
    each = found["primary", "gain", "bert", "validation_closed"]
    assert each["difference"] == pytest.approx(0.0)
    assert each["verdict"] == "not shown"
    assert each["sentence"].startswith(
        "Not shown, the interval holds both answers: whether linkbert gains more"
    )


def test_the_opposite_is_called_a_contradiction() -> None:
    found = by_name(compare(planted({"bert": 0.05, "linkbert": 0.0}), 200))
    each = found["primary", "gain", "bert", "validation_closed"]
    assert each["verdict"] == "contradicted"
    assert each["sentence"].startswith("Contradicted: linkbert gains less from a linked partner")


def test_a_gain_that_comes_from_the_harm_of_a_random_partner_is_told_apart() -> None:
    gains = {"bert": 0.0, "linkbert": 0.05}
    helped = by_name(compare(planted(gains), 200))
    harmed = by_name(compare(planted(gains, harm=0.05), 200))
    key, alone = ("primary", "gain", "bert", "validation_closed"), "validation_closed"
    assert helped[key]["verdict"] == harmed[key]["verdict"] == "supported"
    each = helped["primary", "alone_minus_linked", ZERO, alone]
    assert each["verdict"] == "supported"
    assert each["difference"] == pytest.approx(0.05, abs=0.01)
    assert "better beside a linked partner than alone (value +0.0" in each["sentence"]
    assert harmed["primary", "alone_minus_linked", ZERO, alone]["verdict"] == "not shown"
    each = harmed["primary", "alone_minus_random", ZERO, alone]
    assert each["sentence"].startswith(
        "Contradicted: linkbert guesses tokens worse beside a random partner than alone"
    )


def test_words_of_focus_add_hypotheses_of_their_own() -> None:
    gains = {"bert": 0.0, "linkbert": 0.05}
    assert not any("focus" in name for _, name, _, _ in by_name(compare(planted(gains), 50)))
    found = by_name(compare(planted(gains, has_focus=True), 200))
    each = found["primary", "gain_focus", "bert", "validation_closed"]
    assert each["verdict"] == "supported"
    assert each["difference"] == pytest.approx(0.025, abs=0.01)


@pytest.mark.parametrize(("worse", "verdict"), [(0.0, "kept"), (0.05, "broken")])
def test_the_guard_is_about_two_hundredths_of_a_nat(worse: float, verdict: str) -> None:
    found = by_name(compare(planted({"bert": 0.0, "linkbert": 0.0}, contiguous=worse), 200))
    each = found["guard", "nll_contiguous", "bert", "validation_closed"]
    assert each["verdict"] == verdict
    assert "p_holm" not in each


def test_secondary_p_values_are_corrected_for_their_number() -> None:
    found = compare(planted({"bert": 0.0, "linkbert": 0.05, "random-links": 0.01}), 400)
    secondary = [each for each in found["contrasts"] if each["kind"] == "secondary"]
    assert len(secondary) == 8
    assert all(each["p_holm"] >= each["p"] for each in secondary)
    assert min(each["p_holm"] for each in secondary) == pytest.approx(
        8 * min(each["p"] for each in secondary)
    )


def test_arms_that_scored_other_tokens_are_refused() -> None:
    scores = planted({"bert": 0.0, "linkbert": 0.0})
    other = scores["linkbert"][0]["validation_closed"]
    other.num_masked[0] += 1
    with pytest.raises(StageError, match="same tokens"):
        compare(scores, 10)


BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_prepared_experiments_are_valid(path: Path) -> None:
    config = load_experiment(path)
    assert config.arms == ("bert", "linkbert", "random-links")
    pretraining = config.pretraining("linkbert")
    assert pretraining.max_position_embeddings in (128, 512)
    assert not config.warm_up_steps or config.warming_up().freeze_encoder
