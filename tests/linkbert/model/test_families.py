"""Encoders of other families learn the same two tasks; tiny random models of each."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from linkbert.evaluation.evaluate import EvaluationOptions, evaluate
from linkbert.export.export import export
from linkbert.loader.batches import BatchMaker, Share
from linkbert.loader.dataset import InstanceReader, open_split
from linkbert.loader.masking import masking_rule
from linkbert.model.families import FamilyModel
from linkbert.model.family_folder import family_config, load_family
from linkbert.model.network import Batch
from linkbert.model.pretrained import LinkBertForPreTraining
from linkbert.training.trainer import pretrain
from schemas.pair_frame import PairFrame
from tests.linkbert.conftest import small_config
from tests.linkbert.model.conftest import ROBERTA_FRAME
from tests.linkbert.shards_folder import FRAME, NUM_STARTS, write_shards
from tests.linkbert.training.test_trainer import lines, stop_after, weights

SHAPE: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 40, "pad_token_id": 0, "bos_token_id": 2,
    "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3,
}  # fmt: skip

FAMILIES: dict[str, dict[str, Any]] = {
    "roberta": {"type_vocab_size": 1},
    "xlm-roberta": {"type_vocab_size": 1},
    "camembert": {"type_vocab_size": 1},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 8},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"],
                   "position_biased_input": False, "type_vocab_size": 0},
    "electra": {"embedding_size": 16},
    # Not named: scored at all positions.
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48},
    "mpnet": {},
}  # fmt: skip


def folder_of(kind: str, folder: Path, tokenizer: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**SHAPE, **FAMILIES[kind], **changes})
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    shutil.copy(tokenizer, folder / "tokenizer.json")
    return folder


def frame_of(kind: str) -> PairFrame:
    return ROBERTA_FRAME if ("bert" in kind and "ro" in kind) or kind == "camembert" else FRAME


@pytest.fixture(scope="module", params=[FRAME, ROBERTA_FRAME], ids=["bert", "roberta"])
def framed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("framed") / "shards", frame=request.param)


def facts_of(shards: Path) -> dict[str, Any]:
    extra: dict[str, Any] = open_split(shards / "train").manifest.extra
    return extra


def a_batch(shards: Path) -> Batch:
    frame = PairFrame.from_facts(facts_of(shards))
    rule = masking_rule(0, range(64), frame, (0.15, 0.8, 0.1))
    reader = InstanceReader(open_split(shards / "train"), 0)
    (batch,) = BatchMaker(reader, rule, "<u2", Share(0, 1, 99)).make(0, 12).micro_batches
    return batch


def load(kind: str, shards: Path, folder: Path) -> FamilyModel:
    folder_of(kind, folder, shards / "tokenizer" / "tokenizer.json")
    facts = facts_of(shards)
    return load_family(folder, family_config(folder, facts, {}), facts["max_length"])


@pytest.mark.parametrize("kind", list(FAMILIES))
def test_losses_are_the_same_scored_at_masked_positions_and_everywhere(
    kind: str, roberta_shards: Path, tmp_path: Path
) -> None:
    model = load(kind, roberta_shards, tmp_path).eval()
    batch = a_batch(roberta_shards)
    with torch.no_grad():
        first = model(batch)
        assert model.is_sparse is (kind not in ("distilbert", "mpnet"))
        model.is_sparse = False
        second = model(batch)
    for one, other in zip(first, second, strict=True):
        assert one.item() == pytest.approx(other.item(), abs=1e-5, rel=1e-5)
    assert first.mlm_sum.item() / len(batch.labels_M) == pytest.approx(np.log(64), rel=0.1)


def test_losses_are_those_of_one_sequence_at_a_time(framed: Path, tmp_path: Path) -> None:
    """Padding changes nothing, and positions, types and masks are those of transformers."""
    model = load("electra", framed, tmp_path).eval()
    batch = a_batch(framed)
    with torch.no_grad():
        together = model(batch)
        ends = batch.lengths_B.cumsum(0).tolist()
        total = 0.0
        for start, end in zip([0, *ends], ends, strict=False):
            inside = (batch.masked_positions_M >= start) & (batch.masked_positions_M < end)
            labels = torch.full((1, end - start), -100)
            labels[0, batch.masked_positions_M[inside] - start] = batch.labels_M[inside]
            found = model.masked_lm(
                input_ids=batch.token_ids_N[start:end].long()[None],
                token_type_ids=batch.token_types_N[start:end].long()[None],
                labels=labels,
            )
            total += found.loss.item() * int(inside.sum()) if inside.any() else 0.0
    assert together.mlm_sum.item() == pytest.approx(total, rel=1e-5)
    has_types = PairFrame.from_facts(facts_of(framed)).has_token_types
    assert bool(batch.token_types_N.any()) is has_types


@pytest.mark.parametrize("kind", ["roberta", "modernbert"])
@pytest.mark.end_to_end
def test_a_family_trains_resumes_exactly_exports_and_is_evaluated(
    kind: str, roberta_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = roberta_shards
    folder = folder_of(kind, tmp_path / "hf", shards / "tokenizer" / "tokenizer.json")
    config = small_config("max_steps=8", "checkpoint_every=3", "keep_checkpoints=9")
    pretrain(shards, tmp_path / "whole", config, seed=3, init=folder)
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            pretrain(shards, tmp_path / "run", config, seed=3, init=folder)
    result = pretrain(shards, tmp_path / "run", config, seed=3, init=folder)
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    assert result.last_loss < result.first_loss

    export(tmp_path / "run", tmp_path / "model")
    reloaded, told = transformers.AutoModelForMaskedLM.from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not told["missing_keys"]
    assert reloaded.config.model_type == kind
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer("w1 w2", "w3")["input_ids"] == ROBERTA_FRAME.wrap([6, 7], [8])
    for name in ("mlm", "drp"):
        found = evaluate(name, tmp_path / "model", shards, EvaluationOptions())["validation"]  # type: ignore[arg-type]
        trained = result.validation["validation"]
        value = found["all"]["loss"] if name == "mlm" else found["loss"]
        assert value == pytest.approx(trained[f"{name}_loss"], rel=1e-4)
    ours = LinkBertForPreTraining.from_pretrained(tmp_path / "model")
    assert sum(ours.relation_probabilities("w1 w2", "w3").values()) == pytest.approx(1)
    given = tokenizer(["w1 w2 w3", "w4"], padding=True, return_tensors="pt")
    with torch.no_grad():
        mine, theirs = ours(given["input_ids"], given["attention_mask"]), reloaded(**given)
    is_token = given["attention_mask"].bool()
    assert torch.allclose(mine.mlm_logits_BTV[is_token], theirs.logits[is_token], atol=1e-5)


def test_a_vocabulary_beyond_16_bits_is_trained(tmp_path: Path) -> None:
    size = 70_000
    shards = write_shards(tmp_path / "shards", num_instances=24, num_epochs=1, vocab_size=size)
    tokenizer = shards / "tokenizer" / "tokenizer.json"
    folder = folder_of("xlm-roberta", tmp_path / "hf", tokenizer, vocab_size=size, hidden_size=8)
    reader = InstanceReader(open_split(shards / "train"), 0)
    ids = np.frombuffer(reader.read(0, 24).column("token_ids").to_pylist()[0], "<u4")
    assert ids[1] >= size - NUM_STARTS  # an id that 16 bits would have cut
    result = pretrain(shards, tmp_path / "run", small_config("max_steps=2"), init=folder)
    assert result.first_loss == pytest.approx(np.log(size) + np.log(3), rel=0.05)
    export(tmp_path / "run", tmp_path / "model")
    assert load_file(tmp_path / "model" / "model.safetensors")[
        "roberta.embeddings.word_embeddings.weight"
    ].shape == (size, 8)
    assert (tmp_path / "model" / "drp.safetensors").is_file()
