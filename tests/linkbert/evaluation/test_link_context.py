"""Link-context gain against hand-computed figures and models of known behaviour."""

import numpy as np
import pytest
import torch

from linkbert.evaluation.evaluate import BERT_MASKING
from linkbert.evaluation.held_out import HeldOutPair, held_out_pairs
from linkbert.evaluation.link_context import (
    CONDITIONS,
    batch_of,
    measures,
    score_pairs,
    summarise_scores,
)
from linkbert.loader.dataset import open_split
from linkbert.loader.masking import masking_rule
from linkbert.model.network import Batch, LinkBert, ModelConfig, initialise
from linkbert.model.pretrained import LinkBertForPreTraining
from linkbert.training.config import PretrainConfig
from linkbert.training.optimizer import Precision
from tests.linkbert.shards_folder import FACTS, FRAME, write_shards

VOCAB_SIZE = 64
RULE = masking_rule(0, range(VOCAB_SIZE), FRAME, BERT_MASKING)
FP32 = Precision("fp32", "cpu")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[HeldOutPair]:
    folder = write_shards(tmp_path_factory.mktemp("pairs") / "shards", num_instances=600)
    return held_out_pairs(open_split(folder / "validation"), FACTS, 1000, 0)


def model_of(seed: int = 0) -> LinkBert:
    shape = ModelConfig(VOCAB_SIZE, 16, 1, 2, 32, max_position_embeddings=32)
    model = LinkBert(shape)
    initialise(model, seed)
    return model.eval()


def test_the_same_tokens_of_a_are_masked_beside_every_partner(pairs: list[HeldOutPair]) -> None:
    found = [batch_of(pairs, condition, 1, RULE) for condition in CONDITIONS]
    labels = [batch.labels_M.tolist() for batch, _ in found]
    owners = [owner_M.tolist() for _, owner_M in found]
    assert len(labels[0]) > 100
    assert all(each == labels[0] for each in labels)
    assert all(each == owners[0] for each in owners)


def test_b_is_not_masked_and_lies_where_it_should(pairs: list[HeldOutPair]) -> None:
    batch, _ = batch_of(pairs[:2], "linked", 0, RULE)
    pair = pairs[0]
    length = len(pair.a) + len(pair.linked) + 3
    assert batch.lengths_B[0] == length
    first = batch.token_ids_N[:length].tolist()
    assert first[len(pair.a) + 2 :] == [*pair.linked.tolist(), FRAME.sep_id]
    types = batch.token_types_N[:length].tolist()
    assert types == [0] * (len(pair.a) + 2) + [1] * (len(pair.linked) + 1)
    alone, _ = batch_of(pairs[:2], "alone", 0, RULE)
    assert alone.lengths_B[0] == len(pair.a) + 2
    assert set(alone.token_types_N.tolist()) == {0}


def test_the_losses_are_those_of_the_padded_model_token_by_token(pairs: list[HeldOutPair]) -> None:
    model = model_of()
    scores = score_pairs(model, pairs[:3], RULE, passes=2, precision=FP32)
    padded = LinkBertForPreTraining(model).eval()
    for column, condition in enumerate(CONDITIONS):
        for row, pair in enumerate(pairs[:3]):
            if condition == "contiguous" and pair.contiguous is None:
                assert scores.losses[row, column] == 0
                continue
            total = in_b = 0.0
            for mask_pass in range(2):
                batch, _ = batch_of([pair], condition, mask_pass, RULE)
                with torch.no_grad():
                    logits = padded(
                        batch.token_ids_N[None].long(),
                        token_type_ids=batch.token_types_N[None].long(),
                    ).mlm_logits_BTV[0]
                for position, label in zip(
                    batch.masked_positions_M.tolist(), batch.labels_M.tolist(), strict=True
                ):
                    loss = -logits[position].log_softmax(-1)[label].item()
                    total += loss
                    in_b += loss * (label in pair.linked.tolist())
            assert scores.losses[row, column] == pytest.approx(total, rel=1e-5)
            assert scores.losses_in_b[row, column] == pytest.approx(in_b, rel=1e-5)


class CopyingModel:
    """Guesses a masked token among those it sees in the sequence, with a known preference."""

    training = False

    def eval(self) -> None: ...

    def train(self, mode: bool) -> None: ...

    def logits(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        ends = batch.lengths_B.long().cumsum(0)
        logits = torch.zeros(len(batch.labels_M), VOCAB_SIZE)
        for row, position in enumerate(batch.masked_positions_M):
            owner = int(torch.bucketize(position, ends, right=True))
            start = int(ends[owner - 1]) if owner else 0
            for token in set(batch.token_ids_N[start : int(ends[owner])].tolist()):
                logits[row, token] = 3.0
        return logits, torch.zeros(len(ends), 3)


def test_a_model_that_copies_gains_on_tokens_in_b_and_loses_on_the_others(
    pairs: list[HeldOutPair],
) -> None:
    model = CopyingModel()
    scores = score_pairs(model, pairs, RULE, passes=1, precision=FP32)  # type: ignore[arg-type]
    found = summarise_scores(scores, 200, 0)
    assert found["gain_in_b"]["interval"][0] > 0.3
    assert found["gain_in_b"]["value"] > found["gain"]["value"] > found["gain_not_in_b"]["value"]
    helped = found["alone_minus_linked_in_b"]
    assert helped["interval"][0] > 0.3
    assert helped["value"] > found["alone_minus_linked"]["value"]


def test_equal_partners_gain_nothing_and_the_parts_add_up(pairs: list[HeldOutPair]) -> None:
    from dataclasses import replace

    alike = [replace(pair, random=pair.linked) for pair in pairs]
    sums, counts = measures(score_pairs(model_of(), alike, RULE, passes=1, precision=FP32))
    assert np.abs(sums["gain"]).max() < 1e-9
    sums, counts = measures(score_pairs(model_of(), pairs, RULE, passes=1, precision=FP32))
    assert np.abs(sums["gain"]).max() > 1e-5
    assert np.allclose(sums["gain"], sums["gain_in_b"] + sums["gain_not_in_b"])
    assert np.array_equal(counts["gain"], counts["gain_in_b"] + counts["gain_not_in_b"])
    assert 0 < counts["gain_in_b"].sum() < counts["gain"].sum()


def test_what_a_partner_helps_and_harms_adds_up_to_the_gain(pairs: list[HeldOutPair]) -> None:
    scores = score_pairs(model_of(), pairs, RULE, passes=1, precision=FP32)
    sums, counts = measures(scores)
    assert np.abs(sums["alone_minus_linked"]).max() > 1e-5
    assert np.allclose(sums["gain"], sums["alone_minus_linked"] - sums["alone_minus_random"])
    assert np.array_equal(counts["alone_minus_linked"], counts["gain"])
    assert "gain_focus" not in sums


def test_the_next_segment_is_held_against_a_alone_where_there_is_one(
    pairs: list[HeldOutPair],
) -> None:
    scores = score_pairs(model_of(), pairs, RULE, passes=1, precision=FP32)
    sums, counts = measures(scores)
    has_next = scores.has_contiguous
    assert 0 < has_next.sum() < len(pairs)
    assert np.array_equal(counts["alone_minus_contiguous"], scores.num_masked * has_next)
    assert not sums["alone_minus_contiguous"][~has_next].any()
    helped = (sums["nll_alone"] - sums["nll_contiguous"])[has_next]
    assert np.array_equal(sums["alone_minus_contiguous"][has_next], helped)


def test_words_of_focus_are_counted_by_themselves(pairs: list[HeldOutPair]) -> None:
    model = CopyingModel()
    focus = np.arange(8, 20, dtype=np.int32)
    scores = score_pairs(model, pairs, RULE, passes=1, precision=FP32, focus_ids=focus)  # type: ignore[arg-type]
    everything = np.arange(VOCAB_SIZE, dtype=np.int32)
    whole = score_pairs(model, pairs, RULE, passes=1, precision=FP32, focus_ids=everything)  # type: ignore[arg-type]
    assert 0 < scores.num_focus.sum() < scores.num_masked.sum()
    assert np.array_equal(whole.losses_focus, whole.losses)
    assert np.array_equal(whole.num_focus, whole.num_masked)
    labels = np.concatenate(
        [
            batch_of(pairs[start : start + 64], "linked", 0, RULE)[0].labels_M.numpy()
            for start in range(0, len(pairs), 64)
        ]
    )
    assert scores.num_focus.sum() == np.isin(labels, focus).sum()
    sums, _ = measures(scores)
    assert sums["gain_focus"].sum() == pytest.approx(
        sums["alone_minus_linked_focus"].sum() - sums["alone_minus_random_focus"].sum()
    )


def test_half_precision_gives_nearly_the_same_losses(pairs: list[HeldOutPair]) -> None:
    found = [
        score_pairs(model_of(), pairs, RULE, passes=1, precision=Precision(name, "cpu"))
        for name in ("fp32", "bf16")
    ]
    assert not np.array_equal(found[0].losses, found[1].losses)
    assert found[0].losses == pytest.approx(found[1].losses, rel=0.01)


def test_contiguous_counts_only_where_there_is_a_next_segment(pairs: list[HeldOutPair]) -> None:
    scores = score_pairs(model_of(), pairs, RULE, passes=1, precision=FP32)
    _, counts = measures(scores)
    missing = np.array([pair.contiguous is None for pair in pairs])
    assert missing.any()
    assert counts["nll_contiguous"][missing].sum() == 0
    assert np.array_equal(counts["nll_contiguous"][~missing], counts["gain"][~missing])


def test_a_preset_masks_as_the_evaluation_does() -> None:
    from linkbert.evaluation.evaluate import BERT_MASKING

    fields = PretrainConfig.__dataclass_fields__
    names = ("mask_prob", "mask_token_prob", "random_token_prob")
    assert tuple(fields[name].default for name in names) == BERT_MASKING
