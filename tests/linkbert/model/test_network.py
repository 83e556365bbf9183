"""Our network computes what Hugging Face's BertForPreTraining computes."""

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForPreTraining

from linkbert.model.attention import BatchLayout, attend
from linkbert.model.huggingface import from_hugging_face, hugging_face_config, to_hugging_face
from linkbert.model.network import Batch, LinkBert, ModelConfig, initialise
from linkbert.model.pretrained import LinkBertForPreTraining
from linkbert.training.config import PRESETS, load_config
from linkbert.training.learner import model_config_for

SHAPES = {"tiny": (128, 2, 2), "mini": (256, 4, 4)}
VOCAB_SIZE = 300
LENGTHS = {"padded": [40, 17, 29, 8], "unpadded": [24, 24, 24, 24]}
TOLERANCE = 1e-5


class Pair:
    """A random BertForPreTraining and our network with its weights."""

    def __init__(self, size: str) -> None:
        hidden_size, num_layers, num_heads = SHAPES[size]
        torch.manual_seed(7)
        self.theirs = BertForPreTraining(
            BertConfig(
                vocab_size=VOCAB_SIZE,
                hidden_size=hidden_size,
                num_hidden_layers=num_layers,
                num_attention_heads=num_heads,
                intermediate_size=4 * hidden_size,
                max_position_embeddings=64,
            )
        ).eval()
        for parameter in self.theirs.parameters():  # no zero biases, no unit norms
            torch.nn.init.normal_(parameter, std=0.05)
        config = ModelConfig(VOCAB_SIZE, hidden_size, num_layers, num_heads, 4 * hidden_size, 64)
        self.ours = LinkBert(config).eval()
        self.num_layers = num_layers
        weights = from_hugging_face(self.theirs.state_dict(), num_layers)
        self.ours.load_state_dict(weights)


@pytest.fixture(params=sorted(SHAPES), scope="module")
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def padded_inputs(lengths: list[int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    width = max(lengths)
    places = torch.arange(width).expand(len(lengths), width)
    mask = (places < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, VOCAB_SIZE, (len(lengths), width), generator=generator) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": (places >= 9).long() * mask}


@pytest.mark.parametrize("padding", sorted(LENGTHS))
def test_hidden_states_and_logits_equal_hugging_face(pair: Pair, padding: str) -> None:
    inputs = padded_inputs(LENGTHS[padding])
    with torch.no_grad():
        expected = pair.theirs(**inputs, output_hidden_states=True)
        found = LinkBertForPreTraining(pair.ours)(**inputs)
    mask = inputs["attention_mask"].bool()
    assert len(found.hidden_states) == len(expected.hidden_states)
    for ours, theirs in zip(found.hidden_states, expected.hidden_states, strict=True):
        assert (ours - theirs)[mask].abs().max() < TOLERANCE
    assert (found.mlm_logits_BTV - expected.prediction_logits)[mask].abs().max() < TOLERANCE
    two_way = found.drp_logits_BR[:, :2]
    assert (two_way - expected.seq_relationship_logits).abs().max() < TOLERANCE


@pytest.mark.parametrize("padding", sorted(LENGTHS))
def test_loss_and_gradients_equal_hugging_face(pair: Pair, padding: str) -> None:
    inputs = padded_inputs(LENGTHS[padding])
    mask = inputs["attention_mask"].bool()
    generator = torch.Generator().manual_seed(2)
    chosen = (torch.rand(mask.shape, generator=generator) < 0.2) & mask
    chosen[0, 0] = True
    labels = torch.where(chosen, (inputs["input_ids"] + 1) % VOCAB_SIZE, -100)
    pair.theirs.zero_grad()
    expected = pair.theirs(**inputs, labels=labels).prediction_logits
    their_loss = torch.nn.functional.cross_entropy(expected.flatten(0, 1), labels.flatten())
    their_loss.backward()

    flat = chosen[mask].nonzero().squeeze(1)
    lengths = torch.tensor(LENGTHS[padding], dtype=torch.int32)
    batch = Batch(
        token_ids_N=inputs["input_ids"][mask].int(),
        position_ids_N=torch.arange(mask.shape[1]).expand_as(mask)[mask].int(),
        token_types_N=inputs["token_type_ids"][mask].int(),
        lengths_B=lengths,
        masked_positions_M=flat,
        labels_M=labels[mask][flat],
        relations_B=torch.zeros(len(lengths), dtype=torch.int64),
        max_length=int(lengths.max()),
    )
    pair.ours.zero_grad()
    our_loss = pair.ours(batch).mlm_sum / len(flat)
    our_loss.backward()
    assert abs(our_loss.item() - their_loss.item()) < TOLERANCE
    gradients = {name: weight.grad for name, weight in pair.ours.named_parameters()}
    zeros = {name: torch.zeros_like(weight) for name, weight in pair.ours.named_parameters()}
    ours, _ = to_hugging_face(
        {name: zeros[name] if grad is None else grad for name, grad in gradients.items()},
        pair.num_layers,
    )
    for name, weight in pair.theirs.named_parameters():
        if not name.startswith(("cls.seq_relationship", "bert.pooler")):
            assert weight.grad is not None
            assert (ours[name] - weight.grad).abs().max() < TOLERANCE, name


def test_weights_go_to_hugging_face_and_back(pair: Pair) -> None:
    weights, head = to_hugging_face(pair.ours.state_dict(), pair.num_layers)
    theirs = pair.theirs.state_dict()
    assert {name for name in theirs if name not in weights} == {
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
        "cls.seq_relationship.weight",
        "cls.seq_relationship.bias",
    }
    assert all(torch.equal(weights[name], theirs[name]) for name in weights)
    back = from_hugging_face({**weights, **head}, pair.num_layers)
    assert all(torch.equal(back[name], tensor) for name, tensor in pair.ours.state_dict().items())


def test_relation_head_keeps_what_next_sentence_prediction_learned(pair: Pair) -> None:
    two_way = pair.theirs.cls.seq_relationship.weight
    three_way = pair.ours.relation_head.classifier.weight
    assert torch.equal(three_way[:2], two_way)
    assert torch.allclose(three_way[2], two_way.mean(0))


def test_sequences_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    qkv = torch.randn(7, 3, 2, 4)
    together = attend(qkv, BatchLayout.of(torch.tensor([3, 4]), 4, 7), 0.0)
    alone = attend(qkv[:3], BatchLayout.of(torch.tensor([3]), 3, 3), 0.0)
    assert torch.allclose(together[:3], alone, atol=1e-6)


def test_gradients_pass_the_padded_grid_exactly() -> None:
    torch.manual_seed(0)
    qkv = torch.randn(5, 3, 1, 2, dtype=torch.float64, requires_grad=True)
    layout = BatchLayout.of(torch.tensor([2, 3]), 3, 5)
    assert torch.autograd.gradcheck(lambda x: attend(x, layout, 0.0), (qkv,))


@pytest.mark.parametrize("deviation", [0.02, 0.1])
def test_initial_weights_depend_on_the_seed_and_their_deviation_alone(deviation: float) -> None:
    config = load_config("demo", ["hidden_size=16", "num_layers=1", f"initial_std={deviation}"])
    shape = model_config_for(config, {"vocab_size": 50, "max_length": 127})
    assert hugging_face_config(shape, pad_id=0)["initializer_range"] == deviation
    models = [LinkBert(shape) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        initialise(model, seed)
    first, same, other = (model.encoder.embeddings.word.weight for model in models)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.std().item() == pytest.approx(deviation, rel=0.2)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_exports_the_weights_that_hugging_face_expects(preset: str) -> None:
    config = load_config(preset)
    shape = model_config_for(config, {"vocab_size": VOCAB_SIZE, "max_length": 127})
    with torch.device("meta"):  # names and shapes alone: large would take gigabytes
        ours = LinkBert(shape)
        theirs = BertForPreTraining(BertConfig(**hugging_face_config(shape, pad_id=0)))
    expected = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    weights, head = to_hugging_face(ours.state_dict(), shape.num_layers)
    ours_only = {name: tensor.shape for name, tensor in weights.items()}
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    two_way = {"cls.seq_relationship.weight", "cls.seq_relationship.bias"}
    assert ours_only == {name: expected[name] for name in set(expected) - tied - two_way}
    assert head["drp.weight"].shape == (3, shape.hidden_size)
    back = from_hugging_face({**weights, **head}, shape.num_layers)
    state = ours.state_dict()
    assert {name: tensor.shape for name, tensor in back.items()} == {
        name: tensor.shape for name, tensor in state.items()
    }


def test_sizes_are_those_of_the_paper() -> None:
    millions = {}
    for preset in ("tiny", "base", "large"):
        facts = {"vocab_size": 30_522, "max_length": 512}
        with torch.device("meta"):
            model = LinkBert(model_config_for(load_config(preset), facts))
        millions[preset] = sum(weight.numel() for weight in model.parameters()) / 1e6
    assert millions == pytest.approx({"tiny": 4.4, "base": 110, "large": 336}, rel=0.02)
