"""README.md of a shards folder: what `datasets.load_dataset(folder)` and a stranger need to know.

The YAML on top follows https://huggingface.co/docs/hub/datasets-cards. Its values are written as
JSON, which YAML reads as it is: `no` stays a language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from schemas.tables.instances import SCHEMA

CARD_NAME = "README.md"

_LICENCES = (
    ("CC BY-SA 4.0", "cc-by-sa-4.0"),
    ("CC BY-SA 3.0", "cc-by-sa-3.0"),
    ("GFDL", "gfdl"),
    ("CC BY 2.5 or 4.0", "cc-by-2.5"),
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"),
          (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip
_LARGEST = "n>1T"

_USE = """
## Use

```python
from datasets import load_dataset

pairs = load_dataset("FOLDER")  # or the name of the repository
```

`token_ids` holds the ids of a pair with its special tokens, little-endian, {width} bytes each
(`numpy.frombuffer(row["token_ids"], "{dtype}")`); `tokenizer/tokenizer.json` is what they were made
with. `num_tokens_a` counts those of the first segment. `relation` is 0 for contiguous, 1 for random
and 2 for linked. `linkbert show FOLDER --jsonl` writes the pairs as text, `linkbert pretrain
FOLDER` trains on them.
"""


def dataset_card(described: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    """Return the card of a shards folder.

    Args:
        described: the `extra` of the manifest of each split, by its name.
        config: what `sample` was asked for.
    """
    train = described["train"]
    sections = [
        f"---\n{_front_matter(described)}\n---\n\n# Pairs of linked text segments\n",
        "Pairs of text segments that are contiguous, random or linked, for masked language "
        "modelling and document relation prediction as in LinkBERT (Yasunaga, Leskovec and Liang, "
        "ACL 2022, arXiv:2203.15827). Made by `linkbert sample`.\n",
        "## Splits\n",
        _splits(described),
        "The articles of `validation` were drawn at random, those of `validation_closed` in linked "
        "clusters; neither occurs in `train`. A guess that knows only what kind of segment comes "
        f"first gets {train['drp_class_accuracy']:.1%} of the relations of `train` right.\n",
        "## Sources\n",
        _table(
            ("wiki", "language", "dump of", "links", "licence of the text"),
            [
                (
                    corpus["sitename"] or corpus["dbname"],
                    *(corpus[key] for key in ("language", "dump_date", "links", "licence")),
                )
                for corpus in train["corpora"]
            ],
        ),
        "## How it was made\n",
        _table(
            ("option", "value"),
            # How tokens came to the shards changes nothing in them, so nothing in their card.
            [(name, str(config[name])) for name in sorted(config) if name != "join"],
        ),
        _USE.format(dtype=train["token_dtype"], width=train["token_dtype"][-1]).lstrip(),
    ]  # fmt: skip
    return "\n".join(sections)


def _front_matter(described: Mapping[str, Mapping[str, Any]]) -> str:
    train = described["train"]
    total = sum(sum(extra["instances_per_epoch"]) for extra in described.values())
    languages = {str(corpus["language"]) for corpus in train["corpora"]}
    paths = [
        {"split": name, "path": f"{name}/*.parquet"}
        for name, extra in described.items()
        if sum(extra["instances_per_epoch"])
    ]
    values = {
        "license": sorted({_licence(corpus["licence"]) for corpus in train["corpora"]}),
        "language": sorted(code for code in languages if re.fullmatch(r"[a-z]{2,3}", code)),
        "task_categories": ["fill-mask"],
        "tags": ["linkbert", "wikipedia", "link-graph"],
        "size_categories": [next((name for top, name in _SIZES if total < top), _LARGEST)],
        "configs": [{"config_name": "default", "data_files": paths}],
        "dataset_info": {"features": [{"name": f.name, "dtype": str(f.type)} for f in SCHEMA]},
    }
    return "\n".join(f"{name}: {json.dumps(value)}" for name, value in values.items() if value)


def _licence(text: str) -> str:
    """Return what the hub calls a licence.

    >>> _licence("CC BY-SA 4.0 and GFDL (https://dumps.wikimedia.org/legal.html)")
    'cc-by-sa-4.0'
    """
    return next((name for ours, name in _LICENCES if text.startswith(ours)), "other")


def _splits(described: Mapping[str, Mapping[str, Any]]) -> str:
    relations = list(described["train"]["relations"])
    return _table(
        ("split", "pairs", "epochs", *relations),
        [
            (
                name,
                f"{sum(extra['instances_per_epoch']):,}",
                str(extra["num_epochs"]),
                *(f"{extra['relations'].get(relation, 0):,}" for relation in relations),
            )
            for name, extra in described.items()
        ],
    )


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *(tuple(map(plain, row)) for row in rows)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), ""])


def plain(text: str) -> str:
    """Return a stranger's text so that no reader of Markdown or HTML finds a mark in it.

    >>> plain("<b>Wiki | x</b>")
    '&#60;b&#62;Wiki &#124; x&#60;/b&#62;'
    """
    return "".join(
        character if character.isalnum() or character in " .,:-()/'+" else f"&#{ord(character)};"
        for character in text
    )
