import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engine.outputs import load_manifest
from pipeline.tokenizer import stage, wordpiece
from pipeline.tokenizer.config import TokenizerConfig
from pipeline.tokenizer.long_texts import PIECE_CHARS
from pipeline.tokenizer.stage import load_tokenizer
from schemas.errors import ConfigError
from tests.conftest import REPOSITORY
from tests.pipeline.corpora import page, write_corpus
from tests.pipeline.tokenizer.multilingual import (
    HOSTILE,
    assert_own_ids,
    auto_ids,
    cased_and_uncased,
    train,
    write_texts,
)
from tests.running import run_inline, tokenizer_job


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "corpus")


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


def test_auto_tokenizer_gives_the_same_ids(tmp_path: Path) -> None:
    """That of transformers 4.57 does too: see `tests/linkbert/export/test_export.py`."""
    for folder, ours in cased_and_uncased(tmp_path).items():
        assert_own_ids(ours, auto_ids(folder, HOSTILE))


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
