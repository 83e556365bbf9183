"""An exported model with both of its heads, for use from Python.

In: a folder that `linkbert export` wrote, or any encoder's. Out: hidden states, vocabulary scores
and the relation of two texts (LinkBERT, arXiv:2203.15827, section 4.2).
"""

# Fields carry their shapes in capitals.
# ruff: noqa: N815

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from linkbert.model.attention import BatchLayout
from linkbert.model.families import FamilyModel, Network
from linkbert.model.family_folder import family_config, load_family
from linkbert.model.huggingface import load_folder
from linkbert.model.network import Batch
from linkbert.model.vocabulary import read_tokenizer
from schemas.model_folder import CONFIG_NAME, TOKENIZER_NAME, check_encoder, read_object
from schemas.tables.instances import RELATIONS


def load_network(folder: Path, facts: dict[str, Any] | None = None) -> Network:
    """Load the network of a folder: a BERT as our own network, any other through transformers.

    Args:
        folder: one that `linkbert export` wrote, or any encoder's.
        facts: from the manifest of the shards that the network is used on, if there are any.

    Raises:
        CheckpointError: the folder does not hold an encoder, or is damaged.
    """
    path = folder / CONFIG_NAME
    if check_encoder(read_object(path), str(path)) == "bert":
        return load_folder(folder)[0]
    return load_family(folder, family_config(folder, facts, {}), longest=None).eval()


class PretrainingOutput(NamedTuple):
    """What the model computes for a padded batch; padding positions hold zeros."""

    hidden_states: tuple[Tensor, ...]  # of the embeddings and each layer, [B, T, H]
    mlm_logits_BTV: Tensor
    drp_logits_BR: Tensor


class LinkBertForPreTraining(nn.Module):
    """A pretrained encoder with its masked token and relation heads.

    Attributes:
        network: the network that pretraining trained.
        tokenizer: turns text into ids; None if the folder has no tokenizer.json.
    """

    def __init__(self, network: Network, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> LinkBertForPreTraining:
        """Load an exported folder in evaluation mode, without dropout.

        Raises:
            CheckpointError: the folder does not hold an encoder, or is damaged.
        """
        path = Path(folder) / TOKENIZER_NAME
        tokenizer = read_tokenizer(path) if path.is_file() else None
        return cls(load_network(path.parent), tokenizer).eval()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> PretrainingOutput:
        """Compute all outputs for a batch in the form that Hugging Face's tokenizers return.

        Args:
            input_ids: integers [B, T], padded on the right.
            attention_mask: [B, T], 0 at padding; None means all ones.
            token_type_ids: [B, T], 1 from text B on; None means all zeros.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        is_token = mask.bool()
        batch = _unpadded(input_ids, is_token, types)
        if isinstance(self.network, FamilyModel):
            return PretrainingOutput(*self.network.outputs(batch))
        layout = BatchLayout.of(batch.lengths_B, batch.max_length, len(batch.token_ids_N))
        hidden = tuple(self.network.encoder.hidden_states(batch, layout))
        everywhere = torch.arange(len(batch.token_ids_N), device=input_ids.device)
        return PretrainingOutput(
            tuple(_padded(hidden_NH, is_token) for hidden_NH in hidden),
            _padded(self.network.masked_token_logits(hidden[-1], everywhere), is_token),
            self.network.relation_head(hidden[-1].index_select(0, layout.starts_B)),
        )

    @torch.no_grad()
    def relation_probabilities(self, a: str, b: str) -> dict[str, float]:
        """Return the probabilities that B is contiguous to A, random, or linked from A.

        Each text is truncated to half of the model's positions.
        """
        if self.tokenizer is None:
            raise ValueError("expected tokenizer.json in the folder, found none")
        # As in training, "[SEP]" in a text is ordinary text.
        self.tokenizer.encode_special_tokens = True
        num_special = self.tokenizer.num_special_tokens_to_add(is_pair=True)
        limit = (self.network.config.max_positions - num_special) // 2
        of_a, of_b = (self.tokenizer.encode(text, add_special_tokens=False) for text in (a, b))
        of_a.truncate(limit)
        of_b.truncate(limit)
        pair = self.tokenizer.post_process(of_a, of_b)
        device = next(self.parameters()).device
        input_ids, token_type_ids = (
            torch.tensor([values], device=device) for values in (pair.ids, pair.type_ids)
        )
        logits_BR = self(input_ids, token_type_ids=token_type_ids).drp_logits_BR
        return dict(zip(RELATIONS, logits_BR[0].softmax(-1).tolist(), strict=True))


def _unpadded(input_ids: Tensor, is_token: Tensor, token_type_ids: Tensor) -> Batch:
    lengths_B = is_token.sum(1)
    places_BT = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    if not bool((is_token == (places_BT < lengths_B[:, None])).all()):
        raise ValueError("expected padding on the right, found it elsewhere")
    empty = torch.zeros(0, dtype=torch.int64, device=input_ids.device)
    return Batch(
        token_ids_N=input_ids[is_token],
        position_ids_N=places_BT[is_token],
        token_types_N=token_type_ids[is_token],
        lengths_B=lengths_B,
        masked_positions_M=empty,
        labels_M=empty,
        relations_B=empty,
        max_length=int(lengths_B.max()),
    )


def _padded(values_NX: Tensor, is_token: Tensor) -> Tensor:
    padded = values_NX.new_zeros(*is_token.shape, values_NX.shape[-1])
    padded[is_token] = values_NX
    return padded
