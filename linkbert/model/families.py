"""Encoders of families other than BERT, through transformers: ModernBERT, XLM-R, DeBERTa and kin.

They have the same two losses as `linkbert.model.network` (LinkBERT, arXiv:2203.15827, section 4.2)
and the same two calls: a batch gives `Losses`, or logits. transformers computes the encoder and the
masked token head. The relation head reads the first token through a dense layer and tanh, as BERT's
pooler does. Families in `_HEADS` score the vocabulary at masked positions only, which saves most of
the cost of a large vocabulary; all others score it everywhere, with equal losses.

Shapes: `linkbert.model.network`. Code in a model's folder is never loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from linkbert.model.network import Batch, LinkBert, Losses
from schemas.tables.instances import RELATIONS

_HEADS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "camembert": lambda model, hidden: model.lm_head(hidden),
    "deberta-v2": lambda model, hidden: model.cls(hidden),
    "electra": lambda model, hidden: model.generator_lm_head(model.generator_predictions(hidden)),
    "modernbert": lambda model, hidden: model.decoder(model.head(hidden)),
    "roberta": lambda model, hidden: model.lm_head(hidden),
    "xlm-roberta": lambda model, hidden: model.lm_head(hidden),
}
"""By model_type: how a family scores the vocabulary from hidden states."""


@dataclass(frozen=True, slots=True)
class FamilyConfig:
    """A network of transformers, and how pairs are laid out for it.

    Attributes:
        values: its config.json.
        pad_id: token id that fills a batch; it is never attended to.
        has_token_types: whether text B has token type 1, if the network takes token types.
    """

    values: dict[str, Any]
    pad_id: int
    has_token_types: bool

    @property
    def kind(self) -> str:
        """The model_type."""
        return str(self.values["model_type"])

    @property
    def vocab_size(self) -> int:
        """Number of rows of the word embeddings."""
        return int(self.values["vocab_size"])

    @property
    def max_positions(self) -> int:
        """Number of tokens in the longest sequence; some families reserve two positions."""
        return int(self.values.get("max_position_embeddings", 512)) - 2


class FamilyModel(nn.Module):
    """An encoder of any family with its masked token head and our relation head.

    Attributes:
        config: that it was built from.
        masked_lm: the AutoModelForMaskedLM.
        is_sparse: whether the vocabulary is scored at masked positions only.
    """

    def __init__(self, config: FamilyConfig, masked_lm: Any) -> None:
        super().__init__()
        self.config, self.masked_lm = config, masked_lm
        self.is_sparse = _has_known_head(config.kind, masked_lm)
        hidden_size = int(masked_lm.config.hidden_size)
        self.pooler = nn.Linear(hidden_size, hidden_size)
        self.classifier = nn.Linear(hidden_size, len(RELATIONS))
        takes = inspect.signature(masked_lm.base_model.forward).parameters
        self._takes_types = (
            config.has_token_types
            and "token_type_ids" in takes
            and (getattr(masked_lm.config, "type_vocab_size", 0) or 0) > 1
        )

    def forward(self, batch: Batch) -> Losses:
        """Return the summed losses of a batch."""
        mlm_logits_MV, drp_logits_BR = self.logits(batch)
        mlm_logits_MV, drp_logits_BR = mlm_logits_MV.float(), drp_logits_BR.float()
        labels_M, relations_B = batch.labels_M, batch.relations_B
        return Losses(
            functional.cross_entropy(mlm_logits_MV, labels_M, reduction="sum"),
            functional.cross_entropy(drp_logits_BR, relations_B, reduction="sum"),
            (mlm_logits_MV.detach().argmax(-1) == labels_M).sum(dtype=torch.float32),
            (drp_logits_BR.detach().argmax(-1) == relations_B).sum(dtype=torch.float32),
        )

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mlm_logits_MV at the masked positions and drp_logits_BR."""
        is_token_BT, inputs = self._on_grid(batch)
        if self.is_sparse:
            hidden_BTH = self.masked_lm.base_model(**inputs)[0]
            hidden_MH = hidden_BTH[is_token_BT].index_select(0, batch.masked_positions_M)
            logits_MV = _HEADS[self.config.kind](self.masked_lm, hidden_MH)
        else:
            hidden_BTH, output = self._everywhere(inputs)
            logits_MV = output.logits[is_token_BT].index_select(0, batch.masked_positions_M)
        return logits_MV, self.relation_logits(hidden_BTH[:, 0])

    def relation_logits(self, hidden_BH: Tensor) -> Tensor:
        """Return drp_logits_BR from the hidden states of the first tokens."""
        logits_BR: Tensor = self.classifier(torch.tanh(self.pooler(hidden_BH)))
        return logits_BR

    def _everywhere(self, inputs: dict[str, Any]) -> tuple[Tensor, Any]:
        """Return hidden_BTH of the encoder and what transformers returns, from one pass."""
        hidden: list[Tensor] = []
        hook = self.masked_lm.base_model.register_forward_hook(
            lambda module, given, output: hidden.append(output[0])
        )
        try:
            output = self.masked_lm(**inputs)
        finally:
            hook.remove()
        return hidden[0], output

    def outputs(self, batch: Batch) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Return hidden states of each layer [B, T, H], mlm_logits_BTV and drp_logits_BR."""
        is_token_BT, inputs = self._on_grid(batch)
        last_BTH, output = self._everywhere({**inputs, "output_hidden_states": True})
        padding_BT1 = ~is_token_BT[..., None]
        return (
            tuple(each.masked_fill(padding_BT1, 0.0) for each in output.hidden_states),
            output.logits.masked_fill(padding_BT1, 0.0),
            self.relation_logits(last_BTH[:, 0]),
        )

    def _on_grid(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Lay a batch out on a padded grid; return is_token_BT and transformers' inputs."""
        places_T = torch.arange(batch.max_length, device=batch.lengths_B.device)
        is_token_BT = places_T < batch.lengths_B[:, None]
        ids_BT = torch.full(is_token_BT.shape, self.config.pad_id, device=places_T.device)
        ids_BT[is_token_BT] = batch.token_ids_N.long()
        inputs = {"input_ids": ids_BT, "attention_mask": is_token_BT.long()}
        if self._takes_types:
            types_BT = torch.zeros_like(ids_BT)
            types_BT[is_token_BT] = batch.token_types_N.long()
            inputs["token_type_ids"] = types_BT
        return is_token_BT, inputs


Network = LinkBert | FamilyModel
"""A network to train: a batch gives `Losses`, or the logits of both heads."""


def _has_known_head(kind: str, masked_lm: Any) -> bool:
    # The newer form of DeBERTa scores with another module, which needs the embeddings as well.
    return kind in _HEADS and (kind != "deberta-v2" or hasattr(masked_lm, "cls"))


def relation_head(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a `FamilyModel` that drp.safetensors holds, by their names there."""
    return {f"drp.{name}": weights[ours].contiguous() for ours, name in RELATION_NAMES.items()}


RELATION_NAMES = {
    "pooler.weight": "pooler.weight",
    "pooler.bias": "pooler.bias",
    "classifier.weight": "weight",
    "classifier.bias": "bias",
}
