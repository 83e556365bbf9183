"""Long texts come in pieces that add up; words that are none to WordPiece are not trained on."""

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models

from pipeline.tokenizer import long_texts, wordpiece
from pipeline.tokenizer.long_texts import MAX_WORD_CHARS, text_pieces, without_long_words


@given(st.text(st.sampled_from("ab \n"), max_size=200), st.integers(2, 20))
def test_pieces_follow_each_other_and_none_is_tiny_or_long(text: str, size: int) -> None:
    pieces = list(text_pieces(text, size))
    assert [begin for begin, _ in pieces] == [0, *(end for _, end in pieces[:-1])]
    assert pieces[-1][1] == len(text)
    if len(pieces) > 1:
        assert all(size // 2 <= end - begin <= size + size // 2 for begin, end in pieces)


def test_piece_ends_at_a_line_sooner_than_at_a_word() -> None:
    assert list(text_pieces("a b c\nd e f g h i j", 10)) == [(0, 6), (6, 19)]
    assert list(text_pieces("x" * 40, 10)) == [(0, 10), (10, 20), (20, 30), (30, 40)]


RULES = wordpiece._with_rules(models.WordPiece(unk_token="[UNK]"), False, False)


def test_only_words_above_the_longest_are_left_out() -> None:
    longest, longer = "a" * MAX_WORD_CHARS, "b" * (MAX_WORD_CHARS + 1)
    assert without_long_words(f"one {longest} two", RULES) == f"one {longest} two"
    assert without_long_words(f"one {longer} two", RULES).split() == ["one", "two"]
    # Signs part words, and so does every character of Chinese.
    address = f"{longest}/{longer}/c"
    assert without_long_words(address, RULES).split() == [longest, "/", "/", "c"]
    chinese = "\u6c34" * 300
    assert without_long_words(chinese, RULES) == chinese


def test_what_is_trained_on_grows_no_faster_than_the_text(monkeypatch: object) -> None:
    """The package's work on a word is the square of its length: it never gets a long one."""
    seen = []

    def texts() -> list[str]:
        return ["low lower " + "x" * 200_000 + " lowest"] * 9

    original = long_texts.without_long_words

    def watched(text: str, tokenizer: object) -> str:
        seen.append(original(text, tokenizer))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(wordpiece, "without_long_words", watched)  # type: ignore[attr-defined]
    tokenizer = wordpiece.train_wordpiece(texts, 40)
    assert max(len(word) for text in seen for word in text.split()) <= MAX_WORD_CHARS
    assert tokenizer.encode("lower", add_special_tokens=False).tokens == ["lower"]
