import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import BertWordPieceTokenizer

from pipeline import wordpiece
from pipeline.stage import load_manifest
from pipeline.tokenizer import TokenizerConfig, load_tokenizer, tokenizer_job
from schemas.errors import ConfigError
from tests.pipeline.corpora import page, write_corpus
from tests.running import run_inline

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
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from pipeline.tokenizer import *; from tests.running import run_inline;"
        "run_inline(tokenizer_job([sys.argv[1]], TokenizerConfig(vocab_size=300)), True)"
    )
    root = str(Path(__file__).parents[2])
    found = set()
    for _ in range(3):
        subprocess.run([sys.executable, "-c", script, str(corpus), root], check=True)
        found.add((corpus / "tokenizer" / "tokenizer.json").read_bytes())
    assert len(found) == 1


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


@pytest.mark.parametrize(
    ("vocab", "message"),
    [("[PAD]\n[UNK]\n[CLS]\n[SEP]\nx", r"\[MASK\]"), ("x\nx\ny", "repeated")],
)
def test_a_vocabulary_of_another_kind_is_refused(vocab: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wordpiece.parse_vocab(vocab)


def test_nothing_to_take_is_one_line(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--from"):
        run_inline(tokenizer_job([str(corpus)], TokenizerConfig(is_taken=True), str(tmp_path)))


def test_options_of_training_do_not_go_with_a_taken_tokenizer() -> None:
    with pytest.raises(ConfigError, match="--from"):
        TokenizerConfig(is_taken=True, lowercase=True)


def test_an_uncased_google_vocabulary_gives_the_ids_of_its_own_rules(shared_data: Path) -> None:
    path = shared_data / "vocab" / "bert-base-uncased-vocab.txt"
    ours = wordpiece.encoding_form(wordpiece.parse_vocab(path.read_text(encoding="utf-8")))
    theirs = BertWordPieceTokenizer(str(path), lowercase=True)
    for text in ["Žemaitija (1918–1940), naïve café's 東京 \u200b𝔘", "U.S. don't 10,000 μm²"]:
        assert ours.encode(text).ids == theirs.encode(text).ids


def test_a_vocabulary_without_latin_letters_keeps_its_marks() -> None:
    tokenizer = wordpiece.parse_vocab("\n".join([*wordpiece.SPECIAL_TOKENS, "हिन्दी"]))
    assert tokenizer.encode("हिन्दी", add_special_tokens=False).ids == [5]


def test_trained_tokenizer_gives_the_same_ids_through_transformers(
    corpus: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    train(corpus)
    path = corpus / "tokenizer" / "tokenizer.json"
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path))
    ours = load_tokenizer(str(corpus))
    for text in TEXTS[:4]:
        assert ours.encode(text, "of").ids == theirs(text, "of")["input_ids"]


def test_rare_characters_of_equal_count_are_not_drawn_by_a_hash_map() -> None:
    rare = [chr(ord("А") + index) * 2 for index in range(60)]
    texts = ["low lower lowest", *rare] * 9
    trained = (wordpiece.train_wordpiece(lambda: texts, 100) for _ in range(5))
    found = {wordpiece.serialise(tokenizer) for tokenizer in trained}
    assert len(found) == 1
