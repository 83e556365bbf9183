"""BERT exactly as Hugging Face's BertForPreTraining computes it, with a 3-way relation head.

In: a `Batch` of instances without padding. Out: the sums of both losses. The only difference from
the usual implementation is what it does not compute: the tokens of all sequences are stored end to
end, so no padding passes through the network, and the vocabulary is scored at masked positions only
(for small networks these two would be most of the cost). Pretraining objectives: LinkBERT
(arXiv:2203.15827), section 4.2, L = L_MLM + L_DRP.

Shapes, as suffixes of tensor names:

    N  tokens of all sequences of a batch, end to end    H  hidden size
    B  sequences                                         V  vocabulary
    T  tokens of the longest sequence                    A  attention heads
    M  masked positions                                  D  size of a head, H / A
    R  relations, 3
"""

# Fields carry their shapes in capitals.
# ruff: noqa: N815

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from linkbert.model.attention import BatchLayout, attend
from linkbert.model.cross_entropy import linear_cross_entropy
from linkbert.model.dropout import Dropout
from schemas.tables.instances import RELATIONS

INITIAL_STD = 0.02
"""Standard deviation of initial weights (BERT, arXiv:1810.04805, its released code)."""

NUM_TOKEN_TYPES = 2


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of the network, and its dropout while training."""

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.0
    layer_norm_epsilon: float = 1e-12  # BERT's
    initial_std: float = INITIAL_STD

    @property
    def max_positions(self) -> int:
        """Number of tokens in the longest sequence."""
        return self.max_position_embeddings


class Batch(NamedTuple):
    """Masked instances stored end to end, each of them `[CLS] A [SEP] B [SEP]`."""

    token_ids_N: Tensor  # int32, masked positions already replaced
    position_ids_N: Tensor  # int16 or wider, from 0 in each sequence
    token_types_N: Tensor  # uint8 or wider, 1 from segment B on
    lengths_B: Tensor  # int32, tokens of each sequence
    masked_positions_M: Tensor  # int64 into N, distinct, in any order
    labels_M: Tensor  # int64, the tokens that were there
    relations_B: Tensor  # int64, 0 contiguous, 1 random, 2 linked
    max_length: int  # at least the longest sequence

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """Return the batch in memory from which `to` copies to a GPU without waiting."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {
            name: change(value)
            for name, value in self._asdict().items()
            if isinstance(value, Tensor)
        }
        return self._replace(**changed)


class Losses(NamedTuple):
    """Sums over a batch, float32 scalars; divide by the counts of the whole global batch."""

    mlm_sum: Tensor
    drp_sum: Tensor
    mlm_correct: Tensor
    drp_correct: Tensor


class Embeddings(nn.Module):
    """Sum of word, position and token type embeddings, normalised."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden_size = config.hidden_size
        self.word = nn.Embedding(config.vocab_size, hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, hidden_size)
        self.token_type = nn.Embedding(NUM_TOKEN_TYPES, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=config.layer_norm_epsilon)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, token_ids_N: Tensor, position_ids_N: Tensor, token_types_N: Tensor) -> Tensor:
        """Return hidden_NH."""
        # The order of Hugging Face's additions, on which floating-point sums depend.
        hidden_NH = self.word(token_ids_N) + self.token_type(token_types_N.int())
        hidden_NH = hidden_NH + self.position(position_ids_N.int())
        dropped_NH: Tensor = self.dropout(self.norm(hidden_NH))
        return dropped_NH


class Layer(nn.Module):
    """One transformer layer, normalised after each residual sum, as in BERT."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden_size, epsilon = config.hidden_size, config.layer_norm_epsilon
        self.num_heads = config.num_heads
        self.attention_dropout = config.attention_dropout
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.attention_output = nn.Linear(hidden_size, hidden_size)
        self.attention_norm = nn.LayerNorm(hidden_size, eps=epsilon)
        self.intermediate = nn.Linear(hidden_size, config.intermediate_size)
        self.output = nn.Linear(config.intermediate_size, hidden_size)
        self.output_norm = nn.LayerNorm(hidden_size, eps=epsilon)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, hidden_NH: Tensor, layout: BatchLayout) -> Tensor:
        """Return hidden_NH of the next layer."""
        qkv_N3AD = self.query_key_value(hidden_NH).unflatten(-1, (3, self.num_heads, -1))
        dropout_prob = self.attention_dropout if self.training else 0.0
        context_NH = attend(qkv_N3AD, layout, dropout_prob)
        attended_NH = self.dropout(self.attention_output(context_NH))
        hidden_NH = self.attention_norm(attended_NH + hidden_NH)
        output_NH = self.dropout(self.output(functional.gelu(self.intermediate(hidden_NH))))
        normalised_NH: Tensor = self.output_norm(output_NH + hidden_NH)
        return normalised_NH


class Encoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))

    def forward(self, batch: Batch, layout: BatchLayout) -> Tensor:
        """Return hidden_NH of the last layer."""
        *_, hidden_NH = self.hidden_states(batch, layout)
        return hidden_NH

    def hidden_states(self, batch: Batch, layout: BatchLayout) -> Iterator[Tensor]:
        """Yield hidden_NH of the embeddings and of each layer."""
        hidden_NH = self.embeddings(batch.token_ids_N, batch.position_ids_N, batch.token_types_N)
        yield hidden_NH
        for layer in self.layers:
            hidden_NH = layer(hidden_NH, layout)
            yield hidden_NH


class MaskedTokenHead(nn.Module):
    """Transform hidden states into vectors that score the vocabulary by their word embeddings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.transform = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))  # one per score

    def forward(self, hidden_MH: Tensor) -> Tensor:
        """Return hidden_MH."""
        normalised_MH: Tensor = self.norm(functional.gelu(self.transform(hidden_MH)))
        return normalised_MH


class RelationHead(nn.Module):
    """Document relation prediction from [CLS], through BERT's pooler."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self.classifier = nn.Linear(config.hidden_size, len(RELATIONS))

    def forward(self, hidden_BH: Tensor) -> Tensor:
        """Return logits_BR from the hidden states of [CLS]."""
        logits_BR: Tensor = self.classifier(torch.tanh(self.pooler(hidden_BH)))
        return logits_BR


class LinkBert(nn.Module):
    """The encoder with both pretraining heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.masked_token_head = MaskedTokenHead(config)
        self.relation_head = RelationHead(config)

    def forward(self, batch: Batch) -> Losses:
        """Return the summed losses of a batch."""
        hidden_MH, drp_logits_BR = self._masked_and_relations(batch)
        mlm_sum, mlm_correct = linear_cross_entropy(
            hidden_MH,
            self.encoder.embeddings.word.weight,
            self.masked_token_head.bias,
            batch.labels_M,
        )
        return Losses(
            mlm_sum,
            functional.cross_entropy(drp_logits_BR.float(), batch.relations_B, reduction="sum"),
            mlm_correct,
            (drp_logits_BR.detach().argmax(-1) == batch.relations_B).sum(dtype=torch.float32),
        )

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mlm_logits_MV at the masked positions and drp_logits_BR."""
        hidden_MH, drp_logits_BR = self._masked_and_relations(batch)
        return self._vocabulary_logits(hidden_MH), drp_logits_BR

    def masked_token_logits(self, hidden_NH: Tensor, positions_M: Tensor) -> Tensor:
        """Return logits_MV at the positions given."""
        return self._vocabulary_logits(
            self.masked_token_head(hidden_NH.index_select(0, positions_M))
        )

    def _masked_and_relations(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return hidden_MH of the masked token head, and drp_logits_BR."""
        layout = BatchLayout.of(batch.lengths_B, batch.max_length, len(batch.token_ids_N))
        hidden_NH = self.encoder(batch, layout)
        hidden_MH = self.masked_token_head(hidden_NH.index_select(0, batch.masked_positions_M))
        return hidden_MH, self.relation_head(hidden_NH.index_select(0, layout.starts_B))

    def _vocabulary_logits(self, hidden_MH: Tensor) -> Tensor:
        word_VH = self.encoder.embeddings.word.weight
        return functional.linear(hidden_MH, word_VH, self.masked_token_head.bias)


def initialise(model: LinkBert, seed: int) -> None:
    """Draw initial weights as BERT does: normal, zero biases, unit norms."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=model.config.initial_std, generator=generator)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def num_parameters(config: ModelConfig) -> int:
    """Return how many weights a network has, without building it.

    >>> num_parameters(ModelConfig(30522, 128, 2, 2, 512, 512))
    4433597
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    square, norm = hidden * hidden + hidden, 2 * hidden
    layer = 4 * square + 2 * norm + 2 * hidden * inner + hidden + inner
    rows = config.vocab_size + config.max_position_embeddings + NUM_TOKEN_TYPES
    encoder = rows * hidden + norm + config.num_layers * layer
    heads = square + norm + config.vocab_size + square + len(RELATIONS) * (hidden + 1)
    return encoder + heads
