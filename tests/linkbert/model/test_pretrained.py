import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForPreTraining

import linkbert
from linkbert.export.export import export
from linkbert.model.pretrained import LinkBertForPreTraining
from schemas.errors import ConfigError


@pytest.fixture(scope="module")
def folder(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    export(finished_run, out)
    return out


def test_public_class_is_at_the_top(folder: Path) -> None:
    assert linkbert.LinkBertForPreTraining is LinkBertForPreTraining


def test_relation_head_comes_back(folder: Path, finished_run: Path) -> None:
    model = LinkBertForPreTraining.from_pretrained(folder)
    saved = load_file(finished_run / "checkpoints" / "step-00000020" / "model.safetensors")
    found = model.network.state_dict()
    assert saved.keys() == found.keys()
    assert all(torch.equal(saved[name], found[name]) for name in saved)


def test_relation_probabilities_depend_on_both_texts_and_their_order(folder: Path) -> None:
    model = LinkBertForPreTraining.from_pretrained(folder)
    one = model.relation_probabilities("w1 w2", "w3")
    assert sum(one.values()) == pytest.approx(1)
    assert one != model.relation_probabilities("w3", "w1 w2")
    assert one == model.relation_probabilities("w1 w2", "w3")


def test_long_texts_are_cut_and_special_tokens_in_text_are_text(folder: Path) -> None:
    model = LinkBertForPreTraining.from_pretrained(folder)
    model.relation_probabilities("w1 " * 500, "w2 " * 500)
    spelled = model.relation_probabilities("w1 [SEP] w2", "w3")
    assert spelled != model.relation_probabilities("w1 w2", "w3")
    assert model.tokenizer is not None
    assert 3 not in model.tokenizer.encode("w1 [SEP]", add_special_tokens=False).ids


def test_padding_on_the_left_is_refused(folder: Path) -> None:
    model = LinkBertForPreTraining.from_pretrained(folder)
    with pytest.raises(ValueError, match="expected padding on the right"):
        model(torch.tensor([[0, 2, 3]]), torch.tensor([[0, 1, 1]]))


def other_bert(folder: Path, **changes: object) -> BertForPreTraining:
    shape: dict[str, object] = {"vocab_size": 64, **changes}
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        **shape,
    )
    model = BertForPreTraining(config)
    model.save_pretrained(folder)
    return model


def test_folder_of_another_make_can_be_trained_further(tmp_path: Path) -> None:
    """Half precision, several files, a buffer of old versions, another epsilon."""
    from linkbert.training.learner import model_config_for
    from linkbert.training.trainer import pretrain
    from tests.linkbert.conftest import small_config
    from tests.linkbert.shards_folder import write_shards

    shards, folder = write_shards(tmp_path / "shards", vocab_size=50), tmp_path / "other"
    theirs = other_bert(folder, vocab_size=50, layer_norm_eps=1e-5)
    weights = {k: v.half() for k, v in load_file(folder / "model.safetensors").items()}
    weights["bert.embeddings.position_ids"] = torch.arange(32)[None]
    (folder / "model.safetensors").unlink()
    names = [f"model-{part:05d}-of-00002.safetensors" for part in (1, 2)]
    halves = [dict(list(weights.items())[part::2]) for part in (0, 1)]
    for name, half in zip(names, halves, strict=True):
        save_file(half, folder / name, metadata={"format": "pt"})
    where = {key: name for name, half in zip(names, halves, strict=True) for key in half}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    tokens = [*["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], *(f"w{i}" for i in range(45))]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")

    config = small_config("max_steps=2", "learning_rate=1e-9")
    facts = {"vocab_size": 50, "max_length": 31}
    assert model_config_for(config, facts, folder).layer_norm_epsilon == 1e-5
    pretrain(shards, tmp_path / "run", config, init=folder)
    saved = load_file(tmp_path / "run" / "checkpoints" / "step-00000002" / "model.safetensors")
    words = theirs.bert.embeddings.word_embeddings.weight
    assert (saved["encoder.embeddings.word.weight"] - words).abs().max() < 1e-3
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert described["model"]["layer_norm_epsilon"] == 1e-5
    (folder / "vocab.txt").write_text("\n".join([*tokens[:-1], "other"]) + "\n")
    with pytest.raises(ConfigError, match="the first difference at id 49"):
        pretrain(shards, tmp_path / "again", config, init=folder)
