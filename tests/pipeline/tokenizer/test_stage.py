import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.outputs import load_manifest
from pipeline.tokenizer import stage, wordpiece
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.long_texts import PIECE_CHARS
from pipeline.tokenizer.stage import load_tokenizer
from schemas.errors import ConfigError
from tests.forked import Forked
from tests.pipeline.corpora import page, write_corpus
from tests.running import run_inline, tokenizer_job

REPOSITORY = Path(__file__).parents[3]
COMPATIBILITY = REPOSITORY / ".compat"

TEXTS = [
    "Latgola is a region of Latvia. Latgolys volūda is spoken there.",
    "हिन्दी एक भाषा है। Tiếng Việt là ngôn ngữ.",
    "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย",
    "The region of Latvia is spoken of: the language, the languages.",
] * 4


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    pages = [page(index + 1, f"P{index}", text=text) for index, text in enumerate(TEXTS)]
    return write_corpus(tmp_path / "corpus", [pages[:7], pages[7:]])


def train(corpus: Path, **options: object) -> bytes:
    config = TokenizerConfig(vocab_size=300, **options)  # type: ignore[arg-type]
    run_inline(tokenizer_job([str(corpus)], config), overwrite=True)
    return (corpus / "tokenizer" / "tokenizer.json").read_bytes()


def test_two_processes_train_the_same_file(corpus: Path) -> None:
    """Whatever Python's hashes are; those of the tokenizers package differ in every process."""
    script = (
        "import sys; from pipeline.tokenizer.config import TokenizerConfig;"
        "from tests.running import run_inline, tokenizer_job;"
        "run_inline(tokenizer_job([sys.argv[1]], TokenizerConfig(vocab_size=300)), True)"
    )
    found = set()
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-c", script, str(corpus)]
        subprocess.run(command, check=True, env=environment)
        found.add((corpus / "tokenizer" / "tokenizer.json").read_bytes())
    assert len(found) == 1


def test_one_text_gives_pieces_and_a_bounded_share_of_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No text can end the trainer, whatever it holds: it gets no more of it at once, or in all."""
    monkeypatch.setattr(stage, "_MAX_TEXT_CHARS", PIECE_CHARS + 1)
    pages = [page(1, "Long", text="word " * 400_000), page(2, "Short", text="a word")]
    corpus = write_corpus(tmp_path / "corpus", [pages])
    sizes = [len(text) for text in stage.sampled_texts([str(corpus)], 1 << 40, "train")]
    assert [size // 1000 for size in sizes] == [524, 524, 0]


def test_vocabulary_begins_with_the_special_tokens(corpus: Path) -> None:
    train(corpus)
    facts = load_manifest(str(corpus / "tokenizer")).extra
    assert facts["special_ids"] == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    assert facts["vocab_size"] <= 300
    assert facts["token_dtype"] == "<u2"


@pytest.mark.parametrize("lowercase", [False, True])
def test_marks_stay_on_their_letters(corpus: Path, lowercase: bool) -> None:
    train(corpus, lowercase=lowercase)
    tokenizer = load_tokenizer(str(corpus))
    decoded = tokenizer.decode(tokenizer.encode("हिन्दी Việt", add_special_tokens=False).ids)
    assert decoded.replace(" ", "").lower() == "हिन्दीviệt"


def test_strip_accents_drops_them_only_when_asked(corpus: Path) -> None:
    train(corpus, lowercase=True, strip_accents=True)
    assert load_manifest(str(corpus / "tokenizer")).extra["strips_accents"]
    assert load_tokenizer(str(corpus)).normalizer.normalize_str("Việt") == "viet"


def test_a_thai_sentence_is_not_one_unknown_word(corpus: Path) -> None:
    train(corpus)
    tokenizer = load_tokenizer(str(corpus))
    encoded = tokenizer.encode("เมืองหลวงฮของประเทศ" * 12, add_special_tokens=False)
    unknown = encoded.tokens.count("[UNK]")
    assert unknown == 12, encoded.tokens
    assert len(encoded.tokens) > 100


def test_text_that_spells_special_tokens_is_ordinary(corpus: Path) -> None:
    train(corpus)
    tokenizer = load_tokenizer(str(corpus))
    ids = tokenizer.encode("is [SEP] of [MASK]", add_special_tokens=False).ids
    assert not {2, 3, 4} & set(ids)


def test_a_taken_vocabulary_keeps_its_ids(corpus: Path, tmp_path: Path) -> None:
    tokens = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "region", "latvia", "of"]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + "\n")
    job = tokenizer_job([str(corpus)], TokenizerConfig(is_taken=True), str(tmp_path))
    summary = run_inline(job)
    tokenizer = load_tokenizer(str(corpus))
    assert tokenizer.encode("Region of Latvia").ids == [3, 6, 8, 7, 4]
    assert not summary["is_cased"]
    assert summary["special_ids"]["unk"] == 2


def test_a_vocabulary_that_does_not_fit_is_warned_of(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*wordpiece.SPECIAL_TOKENS, "of"]))
    job = tokenizer_job([str(corpus)], TokenizerConfig(is_taken=True), str(tmp_path))
    [warning] = run_inline(job)["warnings"]
    assert "[UNK]" in warning


def test_a_taken_tokenizer_json_is_taken_without_truncation(corpus: Path, tmp_path: Path) -> None:
    first = train(corpus)
    tokenizer = wordpiece.parse_tokenizer(first.decode())
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_str())
    config = TokenizerConfig(is_taken=True)
    run_inline(tokenizer_job([str(corpus)], config, str(tmp_path / "tokenizer.json")), True)
    assert (corpus / "tokenizer" / "tokenizer.json").read_bytes() == first


def test_nothing_to_take_is_one_line(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--from"):
        run_inline(tokenizer_job([str(corpus)], TokenizerConfig(is_taken=True), str(tmp_path)))


def test_options_of_training_do_not_go_with_a_taken_tokenizer() -> None:
    with pytest.raises(ConfigError, match="--from"):
        TokenizerConfig(is_taken=True, lowercase=True)


HOSTILE = [
    *TEXTS[:4],
    "Text that spells [SEP] and [MASK], [CLS][PAD] or [UNK].",
    "Žemaitija (1918–1940), naïve café's 東京 \u200b𝔘, İstanbul, e\u0301, ﬁ",
    "भाषा।Việt\u00a0Nam\tไทยไทย ភាសាខ្មែរ ျမန္မာ བོད་སྐད།",
    "",
]

AUTO_TOKENIZER = """
import json, sys
from transformers import AutoTokenizer
texts = json.load(sys.stdin)
found = []
for folder in sys.argv[1:]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found.append([
        [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts],
        [dict(tokenizer(text, texts[0])) for text in texts],
    ])
print(json.dumps(found))
"""


def ids_through_transformers(folders: list[Path], packages: Path | None = None) -> list[Any]:
    """Return per folder the ids, alone and in pairs, of AutoTokenizer in a process of its own."""
    before = [str(packages)] if packages else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(before), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", AUTO_TOKENIZER, *map(str, folders)]
    start, pipe = subprocess.Popen if packages else Forked, subprocess.PIPE
    with start(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        printed, said = process.communicate(json.dumps(HOSTILE))
    assert process.returncode == 0, said
    return list(json.loads(printed.splitlines()[-1]))


@pytest.mark.parametrize("version", ["installed", "4.57"])
def test_auto_tokenizer_gives_the_same_ids(corpus: Path, tmp_path: Path, version: str) -> None:
    if version == "4.57" and not COMPATIBILITY.is_dir():
        pytest.skip("the older transformers is not installed: make test does so")
    folders, tokenizers = [], []
    for name, options in (("cased", {}), ("uncased", {"lowercase": True, "strip_accents": True})):
        train(corpus, **options)
        folders.append(Path(shutil.copytree(corpus / "tokenizer", tmp_path / name)))
        tokenizers.append(load_tokenizer(str(corpus)))
    packages = COMPATIBILITY / "transformers4" if version == "4.57" else None
    found = ids_through_transformers(folders, packages)
    for ours, (alone, pairs) in zip(tokenizers, found, strict=True):
        assert alone == [ours.encode(text, add_special_tokens=False).ids for text in HOSTILE]
        for text, pair in zip(HOSTILE, pairs, strict=True):
            encoded = ours.encode(text, HOSTILE[0])
            assert pair["input_ids"] == encoded.ids
            assert pair["token_type_ids"] == encoded.type_ids


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "folder", "folder of vocab.txt"])
def test_every_form_of_a_tokenizer_can_be_taken(corpus: Path, tmp_path: Path, name: str) -> None:
    trained = wordpiece.parse_tokenizer(train(corpus).decode())
    source = tmp_path / "source"
    source.mkdir()
    if "vocab" in name:
        vocab = sorted(trained.get_vocab().items(), key=lambda item: item[1])
        (source / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in vocab))
    else:
        (source / "tokenizer.json").write_text(trained.to_str())
        (source / "config.json").write_text("{}")
    path = source if "folder" in name else source / name
    run_inline(tokenizer_job([str(corpus)], TokenizerConfig(is_taken=True), str(path)), True)
    taken = load_tokenizer(str(corpus))
    wordpiece.encoding_form(trained)
    for text in HOSTILE:
        assert taken.encode(text).ids == trained.encode(text).ids
