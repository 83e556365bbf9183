"""What is written of a network, and what run.json says of its shape."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file

from linkbert.export.network_files import max_positions_of, shape_of, write_network
from linkbert.model.network import LinkBert, ModelConfig

CONFIG = ModelConfig(
    vocab_size=20, hidden_size=8, num_layers=1, num_heads=2, intermediate_size=16,
    max_position_embeddings=12,
)  # fmt: skip
WORDS = "bert.embeddings.word_embeddings.weight"


def test_rows_that_pad_the_vocabulary_stay_unless_they_are_cut(tmp_path: Path) -> None:
    weights = LinkBert(CONFIG).state_dict()
    sizes = []
    for num_rows in (None, 15):
        sizes.append(
            write_network(tmp_path, asdict(CONFIG), weights, {"special_ids": {"pad": 3}}, num_rows)
        )
        written = load_file(tmp_path / "model.safetensors")
        assert torch.equal(written[WORDS], weights["encoder.embeddings.word.weight"][:num_rows])
        assert len(written["cls.predictions.bias"]) == (num_rows or 20)
        config = json.loads((tmp_path / "config.json").read_text())
        assert (config["vocab_size"], config["pad_token_id"]) == (num_rows or 20, 3)
    assert sizes[0] - sizes[1] == 5 * (8 + 1)  # an embedding and a bias per row
    head = load_file(tmp_path / "drp.safetensors")
    assert head["drp.weight"].shape == (3, 8)
    assert sizes[1] == sum(tensor.numel() for tensor in (*written.values(), *head.values()))


def test_the_shape_of_either_kind_of_network_is_told_alike() -> None:
    values = {"model_type": "distilbert", "vocab_size": 9, "max_position_embeddings": 30}
    family = {"family": {"values": values, "pad_id": 0, "has_token_types": False}}
    assert max_positions_of(asdict(CONFIG)) == 12
    assert max_positions_of(family) == 28  # two stay for padding
    assert shape_of(asdict(CONFIG)) == {**asdict(CONFIG), "kind": "bert"}
    unknown = {"num_layers": "?", "hidden_size": "?"}
    assert shape_of(family) == {"kind": "distilbert", "vocab_size": 9, **unknown}
