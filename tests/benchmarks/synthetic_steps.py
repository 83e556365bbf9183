"""Training steps of synthetic instances for the benchmarks, masked as in training."""

import numpy as np
import torch
from transformers import BertConfig, BertForPreTraining

from linkbert.loader.batches import StepBatch
from linkbert.loader.masking import InstanceKeys, draw_masks, masking_rule, segment_keys
from linkbert.model.network import Batch, ModelConfig
from schemas.pair_frame import PairFrame

SPECIAL_IDS = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}


def step_batch(
    model: ModelConfig,
    num_micro_batches: int,
    sequences: int,
    lengths: tuple[int, int],
    is_sorted: bool = True,
) -> StepBatch:
    """Make a step of micro-batches of so many sequences, each with a length from the range.

    Sequences are sorted by length as in training, or come as drawn.
    """
    rng = np.random.default_rng(0)
    drawn = rng.integers(lengths[0], lengths[1] + 1, num_micro_batches * sequences)
    if is_sorted:
        drawn = -np.sort(-drawn)
    parts = [drawn[i : i + sequences] for i in range(0, len(drawn), sequences)]
    batches = [_batch(model, part.astype(np.int32), rng) for part in parts]
    relations = np.bincount(
        torch.cat([batch.relations_B for batch in batches]).numpy(), minlength=3
    )
    return StepBatch(
        micro_batches=batches,
        num_masked=sum(len(batch.labels_M) for batch in batches),
        num_instances=len(drawn),
        num_tokens=int(drawn.sum()),
        relation_counts=tuple(relations.tolist()),
    )


def _batch(model: ModelConfig, lengths: np.ndarray, rng: np.random.Generator) -> Batch:
    rule = masking_rule(
        0, range(model.vocab_size), PairFrame.of_bert(SPECIAL_IDS), (0.15, 0.8, 0.1)
    )
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    num_a = (lengths - 3) // 2
    spans = num_a, lengths - 3 - num_a
    ids = [rng.integers(0, 1 << 20, len(lengths)).astype(np.int32) for _ in range(5)]
    keys = segment_keys(rule, InstanceKeys(np.zeros(len(lengths), np.int64), *ids))
    masks = draw_masks(rule, keys, starts, spans)
    tokens = rng.integers(5, model.vocab_size, int(lengths.sum())).astype(np.int32)
    labels = tokens[masks.positions_M].astype(np.int64)
    changed = masks.replacements_M >= 0
    tokens[masks.positions_M[changed]] = masks.replacements_M[changed]
    positions = np.arange(len(tokens)) - np.repeat(starts, lengths)
    types = positions >= np.repeat(num_a + 2, lengths)
    return Batch(
        token_ids_N=torch.from_numpy(tokens),
        position_ids_N=torch.from_numpy(positions.astype(np.int32)),
        token_types_N=torch.from_numpy(types.astype(np.int32)),
        lengths_B=torch.from_numpy(lengths),
        masked_positions_M=torch.from_numpy(masks.positions_M),
        labels_M=torch.from_numpy(labels),
        relations_B=torch.from_numpy(rng.integers(0, 3, len(lengths))),
        max_length=int(lengths.max()),
    )


def hugging_face_model(model: ModelConfig) -> BertForPreTraining:
    """Return BertForPreTraining of the same shape and dropout, with its fastest attention."""
    config = BertConfig(
        vocab_size=model.vocab_size,
        hidden_size=model.hidden_size,
        num_hidden_layers=model.num_layers,
        num_attention_heads=model.num_heads,
        intermediate_size=model.intermediate_size,
        max_position_embeddings=model.max_position_embeddings,
        hidden_dropout_prob=model.hidden_dropout,
        attention_probs_dropout_prob=model.attention_dropout,
    )
    config._attn_implementation = "sdpa"
    return BertForPreTraining(config).train()


def hugging_face_inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """Return the same batch, padded, with the same masks, as BertForPreTraining takes it."""
    places = torch.arange(batch.max_length)
    mask = places < batch.lengths_B[:, None]
    labels = torch.full((len(batch.token_ids_N),), -100)
    labels[batch.masked_positions_M] = batch.labels_M

    def padded(values: torch.Tensor, filler: int) -> torch.Tensor:
        grid = torch.full(mask.shape, filler, dtype=torch.int64)
        grid[mask] = values.long()
        return grid

    inputs = {
        "input_ids": padded(batch.token_ids_N, 0),
        "token_type_ids": padded(batch.token_types_N, 0),
        "labels": padded(labels, -100),
        # It knows two classes; the cost is the same.
        "next_sentence_label": batch.relations_B % 2,
    }
    if not bool(mask.all()):
        inputs["attention_mask"] = mask.long()
    return inputs
