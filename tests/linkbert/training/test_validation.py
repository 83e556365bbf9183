from pathlib import Path

import numpy as np
import pytest
import torch

from linkbert.loader.dataset import open_split
from linkbert.loader.masking import masking_rule
from linkbert.model.network import LinkBert, ModelConfig, initialise
from linkbert.training.distributed import Ranks
from linkbert.training.optimizer import choose_precision
from linkbert.training.validation import (
    SplitFigures,
    Validator,
    accuracy_interval,
    instance_figures,
    summarise,
)
from schemas.pair_frame import PairFrame
from tests.linkbert.loader.test_batches import maker
from tests.linkbert.shards_folder import SPECIAL_IDS


@pytest.fixture
def model() -> LinkBert:
    network = LinkBert(ModelConfig(64, 32, 1, 2, 64, 32))
    initialise(network, 0)
    return network.train()


def validator(shards: Path, micro_batch_size: int = 7, max_instances: int = 1000) -> Validator:
    device = torch.device("cpu")
    return Validator(
        splits={name: open_split(shards / name) for name in ("validation", "validation_closed")},
        rule=masking_rule(0, range(64), PairFrame.of_bert(SPECIAL_IDS), (0.15, 0.8, 0.1)),
        token_dtype="<u2",
        micro_batch_size=micro_batch_size,
        max_instances=max_instances,
        precision=choose_precision("fp32", device),
        ranks=Ranks(0, 1, device),
    )


def test_figures_do_not_depend_on_the_micro_batch(shards: Path, model: LinkBert) -> None:
    one, other = (validator(shards, size).run(model)["validation"] for size in (1, 32))
    assert one["mlm_loss"] == pytest.approx(other["mlm_loss"], abs=1e-5)
    assert one["drp_accuracy"] == other["drp_accuracy"]
    assert one["by_relation"].keys() == {"contiguous", "random", "linked"}


def test_model_is_left_training_and_its_empty_split_unmentioned(
    shards: Path, model: LinkBert
) -> None:
    assert list(validator(shards).run(model)) == ["validation"]
    assert model.training


def test_at_most_so_many_instances_are_computed(shards: Path, model: LinkBert) -> None:
    assert validator(shards, max_instances=10).run(model)["validation"]["num_instances"] == 10


def test_figures_of_instances_add_up_to_the_losses_of_training(
    shards: Path, model: LinkBert
) -> None:
    (batch,) = maker(shards, micro_batch_size=99).make(0, 20).micro_batches
    model.eval()
    with torch.no_grad():
        figures, losses = instance_figures(model, batch), model(batch)
    sums = figures.sum(0).tolist()
    assert sums[0] == pytest.approx(losses.mlm_sum.item(), rel=1e-5)
    assert sums[1] == losses.mlm_correct.item()
    assert sums[2] == len(batch.labels_M)
    assert sums[3] == pytest.approx(losses.drp_sum.item(), rel=1e-5)


def test_means_are_weighted_by_masked_tokens() -> None:
    figures = np.array([[6.0, 1, 2, 0.5, 0], [3.0, 0, 1, 1.5, 2], [0.0, 3, 3, 1.0, 1]])
    found = summarise(SplitFigures(figures, np.array([0, 1, 1], np.int8), np.array([0, 1, 2])))
    assert (found["mlm_loss"], found["mlm_accuracy"]) == (9 / 6, 4 / 6)
    assert (found["drp_loss"], found["drp_accuracy"]) == (1.0, 2 / 3)
    assert found["by_relation"]["random"]["drp_accuracy"] == 0.5
    assert "linked" not in found["by_relation"]


def test_interval_widens_when_instances_share_articles() -> None:
    rng = np.random.default_rng(0)
    per_article = np.repeat(rng.random(40) < 0.5, 10)  # all right or all wrong
    low, high = accuracy_interval(per_article, np.repeat(np.arange(40), 10))
    alone_low, alone_high = accuracy_interval(per_article, np.arange(400))
    assert high - low > 2 * (alone_high - alone_low)
    expected = 2 * 1.96 * np.sqrt(per_article.mean() * (1 - per_article.mean()) / 400)
    assert alone_high - alone_low == pytest.approx(expected, rel=0.15)
    assert low < per_article.mean() < high
