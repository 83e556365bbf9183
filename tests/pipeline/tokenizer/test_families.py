"""Tokenizers of other families: their own ids and frame, from `--from` to check and show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, pre_tokenizers

from linkbert.inspection.check import check
from linkbert.inspection.pairs import PairReader
from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from pipeline.tokenizer.encoder import SentenceEncoder, parts_at_blanks
from pipeline.tokenizer.frame import frame_of
from pipeline.tokenizer.stage import load_tokenizer
from pipeline.tokenizer.wordpiece import encoding_form
from schemas.errors import StageError
from schemas.pair_frame import PairFrame
from schemas.word_marks import begins_word
from tests.pipeline.linked_corpus import make_corpus, make_pages, read_rows
from tests.pipeline.tokenizer.families import FAMILIES, write_folder
from tests.running import run_inline

TEXTS = [row["text"] for row in make_pages(30)]
HARD = [
    *TEXTS[:3],
    "naïve café's 東京タワー, Straße ΟΔΟΣ  two  blanks\tand a tab ﬁ 𝔘 👩‍🚀",
    "[SEP] <mask> a[CLS]b </s><s> [MASK]",
    " begins with a blank, ends with one ",
    "",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = FAMILIES[family](TEXTS)
    folder = write_folder(tmp_path / "hf", tokenizer, split_special_tokens=True)
    theirs = PreTrainedTokenizerFast.from_pretrained(folder)
    ours = SentenceEncoder(encoding_form(tokenizer), "<u4")
    # Their Unigram finds special tokens in a text that spells them; ours must not.
    texts = [text for text in HARD if family != "unigram" or "<s>" not in text]
    expected = [theirs(text, add_special_tokens=False)["input_ids"] for text in texts]
    for _ in range(2):
        assert [ids.tolist() for ids in ours.encode(texts)] == expected
    assert parts_at_blanks(ours.tokenizer) == (family == "wordpiece")


def _splits_at_blanks_alone(texts: list[str]) -> Tokenizer:
    tokenizer = FAMILIES["wordpiece"](texts)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.normalizer = None
    return tokenizer


@pytest.mark.parametrize("make", [*FAMILIES.values(), _splits_at_blanks_alone])
def test_text_that_spells_special_tokens_is_ordinary(make: Callable[..., Tokenizer]) -> None:
    tokenizer = make(TEXTS)
    frame = frame_of(tokenizer)
    spelled = [tokenizer.id_to_token(token_id) for token_id in frame.special_ids]
    plain = tokenizer.encode("river town", add_special_tokens=False).ids
    encoder = SentenceEncoder(encoding_form(tokenizer), "<u4")
    found = encoder.encode([*spelled, f"a{spelled[2]}b {spelled[-1]}", "river town"])
    assert not set(np.concatenate(found).tolist()) & ({*frame.special_ids} - {frame.unk_id})
    assert found[-1].tolist() == plain


@pytest.mark.parametrize("family", FAMILIES)
def test_a_word_has_one_beginning(family: str) -> None:
    tokenizer = FAMILIES[family](TEXTS)
    for text in TEXTS[:5]:
        words = text.replace(".", "").split()
        ids = tokenizer.encode(" " + " ".join(words), add_special_tokens=False).ids
        assert begins_word(tokenizer)[ids].sum() == len(words)


@pytest.fixture(scope="module", params=FAMILIES)
def shards(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shards of a corpus whose tokenizer was taken from a folder of the family."""
    root = tmp_path_factory.mktemp(request.param)
    folder = write_folder(root / "hf", FAMILIES[request.param](TEXTS))
    make_corpus(root / "corpus", 60, taken_from=str(folder))
    config = SampleConfig(validation_fraction=0.1)
    run_inline(Job(SAMPLE, str(root / "shards"), config, (str(root / "corpus"),)))
    return root / "shards"


def test_pairs_are_framed_as_the_tokenizer_frames_two_texts(shards: Path) -> None:
    tokenizer = load_tokenizer(str(shards))
    extra = load_manifest(str(shards / "train")).extra
    frame = PairFrame.from_facts(extra)
    framed = tokenizer.encode("river town", "stone bridge").ids
    a, b = (
        tokenizer.encode(text, add_special_tokens=False).ids
        for text in ("river town", "stone bridge")
    )
    assert frame.wrap(a, b) == framed
    assert extra["max_length"] == 2 * 62 + frame.num_special
    for row in read_rows(shards / "train"):
        ids = np.frombuffer(row["token_ids"], extra["token_dtype"]).tolist()
        start_b = row["num_tokens_a"] + frame.num_before_b
        a, b = ids[len(frame.before) : start_b - len(frame.between)], ids[start_b:]
        assert frame.wrap(a, b[: len(b) - len(frame.after)]) == ids
        assert not set(a) & {*frame.before, *frame.between, *frame.after, frame.mask_id}


def test_check_finds_nothing_and_show_reads_the_text(shards: Path) -> None:
    assert check(shards).problems == []
    reader = PairReader(shards / "train")
    texts = {row["node_id"]: row for row in read_rows(shards.parent / "corpus" / "segments")}
    assert texts
    pages = [row["text"] for row in read_rows(shards.parent / "corpus" / "pages")]
    for row in read_rows(shards / "train")[:20]:
        for decoded, node in zip(
            reader.decode(row), (row["source_id"], row["target_id"]), strict=True
        ):
            words = decoded.lower().replace(" .", ".").split()
            assert " ".join(words) in " ".join(pages[node].lower().split())


def test_segments_have_the_ids_of_their_text(shards: Path) -> None:
    corpus = shards.parent / "corpus"
    tokenizer = load_tokenizer(str(corpus))
    dtype = load_manifest(str(corpus / "tokens")).extra["token_dtype"]
    pages = [row["text"] for row in read_rows(corpus / "pages")]
    for row in read_rows(corpus / "segments")[:40]:
        text = pages[row["node_id"]]
        blank = " " if row["start_char"] else ""
        span = blank + " ".join(text[row["start_char"] : row["end_char"]].split())
        ids = tokenizer.encode(span, add_special_tokens=False).ids
        assert np.frombuffer(row["token_ids"], dtype).tolist() == ids


def test_the_settings_of_the_shards_let_transformers_make_the_same_pair(shards: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(shards / "tokenizer")
    frame = PairFrame.from_facts(load_manifest(str(shards / "train")).extra)
    pair = theirs("river town", "stone bridge")
    assert pair["input_ids"] == load_tokenizer(str(shards)).encode("river town", "stone bridge").ids
    assert ("token_type_ids" in pair) == frame.has_token_types
    assert (theirs.mask_token_id, theirs.pad_token_id) == (frame.mask_id, frame.pad_id)


def test_corpora_with_other_frames_do_not_go_together(tmp_path: Path) -> None:
    tokenizer = FAMILIES["modern_bpe"](TEXTS)
    folders = [
        write_folder(tmp_path / name, tokenizer, model_input_names=names)
        for name, names in (("a", ["input_ids"]), ("b", ["input_ids", "token_type_ids"]))
    ]
    corpora = [
        str(make_corpus(tmp_path / f"corpus-{folder.name}", 30, taken_from=str(folder)))
        for folder in folders
    ]
    with pytest.raises(StageError, match="one tokenizer for all corpora"):
        run_inline(Job(SAMPLE, str(tmp_path / "out"), SampleConfig(), tuple(corpora)))


def test_ids_above_two_bytes_are_kept(tmp_path: Path) -> None:
    tokenizer = FAMILIES["unigram"](TEXTS)
    rules = json.loads(tokenizer.to_str())
    rules["model"]["vocab"] += [[f"▁filler{number}", -50.0] for number in range(70_000)]
    rules["model"]["vocab"].append(["▁tall", -1.0])
    folder = write_folder(tmp_path / "hf", tokenizer)
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    corpus = make_corpus(tmp_path / "corpus", 30, taken_from=str(folder))
    facts = load_manifest(str(corpus / "tokens")).extra
    assert facts["token_dtype"] == "<u4"
    assert facts["vocab_size"] == len(rules["model"]["vocab"])
    encoder = SentenceEncoder(load_tokenizer(str(corpus)), "<u4")
    assert encoder.encode(["tall"])[0].tolist() == [facts["vocab_size"] - 1]
