"""Tokenizers trained on texts of many scripts, and what AutoTokenizer makes of them."""

import shutil
from pathlib import Path
from typing import Any

from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.stage import load_tokenizer
from tests.pipeline.corpora import page, write_corpus
from tests.running import run_inline, tokenizer_job

TEXTS = [
    "Latgola is a region of Latvia. Latgolys volūda is spoken there.",
    "हिन्दी एक भाषा है। Tiếng Việt là ngôn ngữ.",
    "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย",
    "The region of Latvia is spoken of: the language, the languages.",
]
HOSTILE = [
    *TEXTS,
    "Text that spells [SEP] and [MASK], [CLS][PAD] or [UNK].",
    "Žemaitija (1918–1940), naïve café's 東京 \u200b𝔘, İstanbul, e\u0301, ﬁ",
    "भाषा।Việt\u00a0Nam\tไทยไทย ភាសាខ្មែរ ျမန္မာ བོད་སྐད།",
    "",
]


def write_texts(root: Path) -> Path:
    """Write a corpus of the texts up to its pages."""
    pages = [page(index + 1, f"P{index}", text=text) for index, text in enumerate(TEXTS * 4)]
    return write_corpus(root, [pages[:7], pages[7:]])


def train(corpus: Path, **options: object) -> bytes:
    config = TokenizerConfig(vocab_size=300, **options)  # type: ignore[arg-type]
    run_inline(tokenizer_job([str(corpus)], config), overwrite=True)
    return (corpus / "tokenizer" / "tokenizer.json").read_bytes()


def cased_and_uncased(root: Path) -> dict[str, Any]:
    """Write both kinds of a tokenizer; return what our own code reads, by folder."""
    corpus, found = write_texts(root / "corpus"), {}
    for name, options in (("cased", {}), ("uncased", {"lowercase": True, "strip_accents": True})):
        train(corpus, **options)
        folder = shutil.copytree(corpus / "tokenizer", root / name)
        found[str(folder)] = load_tokenizer(str(corpus))
    return found


def auto_ids(folder: str, texts: list[str]) -> list[Any]:
    """Return what AutoTokenizer makes of texts, alone and in pairs with the first."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [
        [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts],
        [dict(tokenizer(text, texts[0])) for text in texts],
    ]


def assert_own_ids(ours: Any, found: list[Any]) -> None:
    """Hold what AutoTokenizer made of `HOSTILE` against our own reading of the tokenizer."""
    alone, pairs = found
    assert alone == [ours.encode(text, add_special_tokens=False).ids for text in HOSTILE]
    for text, pair in zip(HOSTILE, pairs, strict=True):
        encoded = ours.encode(text, HOSTILE[0])
        assert pair["input_ids"] == encoded.ids
        assert pair["token_type_ids"] == encoded.type_ids
