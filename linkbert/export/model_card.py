"""README.md of an exported model: what it learned from, how, how well, and under which licence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linkbert.training.checkpoint import TrainingState
from schemas.tables.instances import RELATIONS

CARD_NAME = "README.md"

_PAPER = "LinkBERT (Yasunaga, Leskovec and Liang, ACL 2022, arXiv:2203.15827)"

_CORPUS_ROWS = (
    ("wiki", ("sitename", "dbname", "name")),
    ("language", ("language",)),
    ("dump of", ("dump_date",)),
    ("licence of the text", ("license", "licence")),
    ("pages", ("num_pages",)),
    ("redirects", ("num_redirects",)),
    ("documents of the link graph", ("num_nodes",)),
    ("edges of the link graph", ("num_edges",)),
)

_USE = """
```python
from transformers import AutoModel, AutoTokenizer, pipeline

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModel.from_pretrained("FOLDER")
pipeline("fill-mask", model="FOLDER")("... [MASK] ...")
```

The relation of two texts, through this project's own class, which reads `drp.safetensors`:

```python
from linkbert import LinkBertForPreTraining

model = LinkBertForPreTraining.from_pretrained("FOLDER")
model.relation_probabilities("text of A", "text of B")
```
"""


def write_card(
    folder: Path,
    described: dict[str, Any],
    state: TrainingState,
    validation: dict[str, dict[str, Any]],
) -> None:
    """Write the model card of a checkpoint into an exported folder."""
    sections = [
        _front_matter(described["facts"]["corpora"]),
        _introduction(described, state),
        _corpora(described["facts"]["corpora"]),
        _training(described, state),
        _validation(validation),
        "## Use\n" + _USE,
        _limits(described),
    ]
    (folder / CARD_NAME).write_text("\n".join(sections), encoding="utf-8")


def _front_matter(corpora: list[dict[str, Any]]) -> str:
    languages = sorted({corpus["language"] for corpus in corpora if corpus.get("language")})
    lines = ["---", "library_name: transformers", "pipeline_tag: fill-mask"]
    lines += ["tags:", "- linkbert", "- bert"]
    if languages:
        lines += ["language:", *(f"- {language}" for language in languages)]
    return "\n".join([*lines, "---", ""])


def _introduction(described: dict[str, Any], state: TrainingState) -> str:
    model = described["model"]
    return (
        "# A link-aware BERT\n\n"
        f"A BERT encoder ({model['num_layers']} layers, hidden size {model['hidden_size']}, "
        f"vocabulary {model['vocab_size']:,}) pretrained as in {_PAPER}: masked language modelling "
        "and document relation prediction over pairs of segments that are contiguous, random or "
        f"linked. Trained for {state.step:,} steps, {state.tokens:,} tokens seen. Both heads are "
        "included.\n"
    )


def _corpora(corpora: list[dict[str, Any]]) -> str:
    lines = ["## Corpus\n"]
    for corpus in corpora:
        found = [(label, _first(corpus, keys)) for label, keys in _CORPUS_ROWS]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {label} | {_shown(value)} |" for label, value in found]
        lines.append("")
    return "\n".join(lines)


def _training(described: dict[str, Any], state: TrainingState) -> str:
    identity, facts = described["identity"], described["facts"]
    config = identity["config"]
    seen = _mix(dict(zip(RELATIONS, state.relation_counts, strict=True)))
    start = "random weights" if identity["init"] is None else "a BERT checkpoint"
    rows = [
        ("start", start),
        ("steps", f"{state.step:,} of {config['max_steps']:,}"),
        ("tokens seen", f"{state.tokens:,}"),
        ("instances seen, by relation", seen),
        ("instances in the shards, by relation", _mix(facts.get("relations", {}))),
        ("instances in the shards", f"{facts['num_instances']:,}, {facts['num_epochs']} epochs"),
        ("longest sequence", f"{facts['max_length']} tokens"),
        ("sequences a step", f"{config['batch_size']:,}"),
        ("peak learning rate, warm-up", f"{config['learning_rate']:g}, {config['warmup_steps']:,}"),
        ("optimizer", f"AdamW, betas ({config['adam_beta1']}, {config['adam_beta2']}), "
                      f"weight decay {config['weight_decay']}"),
        ("masked", f"{config['mask_prob']:.0%} of tokens, drawn anew each epoch"),
        ("seed", str(identity["seed"])),
    ]  # fmt: skip
    return "\n".join(
        ["## Training\n", "| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows), ""]
    )


def _mix(counts: dict[str, int]) -> str:
    """Return counts as shares.

    >>> _mix({"contiguous": 1, "random": 1, "linked": 2})
    'contiguous 25.0 % (1), random 25.0 % (1), linked 50.0 % (2)'
    """
    total = max(1, sum(counts.values()))
    named = [(name, counts[name]) for name in RELATIONS if name in counts]
    return ", ".join(f"{name} {100 * count / total:.1f} % ({count:,})" for name, count in named)


def _validation(validation: dict[str, dict[str, Any]]) -> str:
    if not validation:
        return "## Evaluation\n\nThis checkpoint was not validated.\n"
    head = "| held-out articles | instances | MLM loss | MLM accuracy | DRP accuracy | chance |"
    lines = ["## Evaluation\n", head, "|---|---|---|---|---|---|"]
    for name, found in validation.items():
        low, high = found["interval"]
        lines.append(
            f"| {name} | {found['num_instances']:,} | {found['mlm_loss']:.3f} "
            f"| {found['mlm_accuracy']:.3f} | {found['drp_accuracy']:.3f} "
            f"({low:.3f} to {high:.3f}) | {found['chance']:.3f} |"
        )
    lines.append(
        "\nIn brackets: 95 % interval, by resampling articles. Chance: the best accuracy possible "
        "from the kind of the first segment alone (whether it has a successor and a usable link).\n"
    )
    return "\n".join(lines)


def _limits(described: dict[str, Any]) -> str:
    config = described["identity"]["config"]
    lines = [
        "## Limits\n",
        "The model repeats what its corpus says, errors and biases included; it is an encoder to "
        "fine-tune, not a source of facts.",
    ]
    if described["facts"]["max_length"] < config["max_position_embeddings"]:
        lines.append(
            f"Positions from {described['facts']['max_length']} on were never trained."
        )  # fmt: skip
    lines.append("The licence of the text above governs what may be done with the weights.")
    return "\n\n".join(lines) + "\n"


def _first(values: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((values[key] for key in keys if values.get(key) not in (None, "")), None)


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else str(value)
