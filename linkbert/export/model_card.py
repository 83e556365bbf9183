"""README.md of an exported model: what it learned from, how, how well, and under which licence.

The front matter is what the Hugging Face hub reads (its documentation, "Model Cards"), written by a
YAML library. Names from dumps are strangers' text: in the card they are text, too, whatever
Markdown or HTML they spell.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from linkbert.export.network_files import max_positions_of, shape_of
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
        _front_matter(described),
        _introduction(described, state),
        _corpora(described["facts"]["corpora"]),
        _training(described, state),
        _validation(validation),
        "## Use\n" + _USE,
        _limits(described),
    ]
    (folder / CARD_NAME).write_text("\n".join(sections), encoding="utf-8")


def _front_matter(described: dict[str, Any]) -> str:
    corpora = described["facts"]["corpora"]
    kind = shape_of(described["model"])["kind"]
    found: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "tags": list(dict.fromkeys(["linkbert", str(kind), "masked-lm", "document-relations"])),
        "language": _distinct(corpus.get("language") for corpus in corpora),
        "license": _licence_id(corpora),
        "datasets": _distinct(_dataset(corpus) for corpus in corpora),
        "base_model": described.get("base_model"),
    }
    told = {key: value for key, value in found.items() if value}
    lines: str = yaml.safe_dump(told, allow_unicode=True, sort_keys=False)
    return f"---\n{lines}---\n"


def _distinct(values: Iterable[Any]) -> list[str]:
    return sorted({_one_line(str(value)) for value in values if value})


def _dataset(corpus: dict[str, Any]) -> str:
    """Return a name of a corpus as the hub spells names: letters, digits, dots and dashes."""
    parts = (_first(corpus, ("dbname", "name", "sitename")), corpus.get("dump_date"))
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(str(part) for part in parts if part)).strip("-.")


_LICENCES = {
    r"CC[ -]BY[ -]SA[ -]4\.0": "cc-by-sa-4.0",
    r"CC[ -]BY[ -]SA[ -]3\.0": "cc-by-sa-3.0",
    r"CC[ -]BY[ -]4\.0": "cc-by-4.0",
    r"CC0": "cc0-1.0",
    r"GFDL": "gfdl",
}
"""The hub's names of licences that corpora come under, by what the tables say."""


def _licence_id(corpora: list[dict[str, Any]]) -> str | list[str]:
    """Return the hub's name of the corpora's licence; `other` where one is unknown.

    >>> _licence_id([{"licence": "CC BY-SA 3.0 and GFDL"}])
    ['cc-by-sa-3.0', 'gfdl']
    >>> _licence_id([{"licence": "CC BY-SA 4.0"}, {}])
    'other'
    """
    named: list[str] = []
    for corpus in corpora:
        told = str(_first(corpus, ("license", "licence")) or "")
        known = [name for pattern, name in _LICENCES.items() if re.search(pattern, told, re.I)]
        if not known:
            return "other"
        named += known
    distinct = list(dict.fromkeys(named)) or ["other"]
    return distinct[0] if len(distinct) == 1 else distinct


def _introduction(described: dict[str, Any], state: TrainingState) -> str:
    model = shape_of(described["model"])
    kind = "BERT" if model["kind"] == "bert" else str(model["kind"])
    return (
        f"# A link-aware {kind}\n\n"
        f"A {kind} encoder ({model['num_layers']} layers, hidden size {model['hidden_size']}, "
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
    start = "random weights" if identity["init"] is None else "an existing encoder"
    start += f", {_shown(described['base_model'])}" if described.get("base_model") else ""
    rows = [
        ("start", start),
        ("steps", f"{state.step:,} of {config['max_steps']:,}"),
        ("tokens seen", f"{state.tokens:,}"),
        ("instances seen, by relation", seen),
        ("instances in the shards, by relation", _mix(facts.get("relations", {}))),
        ("instances in the shards", f"{facts['num_instances']:,}, {facts['num_epochs']} epochs"),
        ("longest sequence", f"{facts['max_length']} tokens"),
        ("sequences per step", f"{config['batch_size']:,}"),
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
    positions = max_positions_of(described["model"])
    lines = [
        "## Limits\n",
        "The model repeats what its corpus says, errors and biases included; it is an encoder to "
        "fine-tune, not a source of facts.",
    ]
    is_new = described["identity"]["init"] is None
    if is_new and described["facts"]["max_length"] < positions:
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
    return f"{value:,}" if isinstance(value, int) else as_text(str(value))


def as_text(text: str) -> str:
    r"""Escape a stranger's text so that Markdown and HTML show it as it is, on one line.

    >>> as_text("<b>Wiki</b> | [x](y)")
    '&lt;b&gt;Wiki&lt;/b&gt; \\| \\[x\\]\\(y\\)'
    """
    # An apostrophe stays: its entity has a sign of Markdown in it, and would be shown as it is.
    quoted = html.escape(_one_line(text), quote=False).replace('"', "&quot;")
    return _MARKDOWN.sub(r"\\\1", quoted)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$]|(?<=^)[-.]|://|(?<=\w)@)")
"""What Markdown reads: its signs, and what makes links of addresses."""
