import numpy as np

from linkbert.loader.masking import (
    InstanceKeys,
    MaskingRule,
    Masks,
    draw_masks,
    masking_rule,
    segment_keys,
)
from schemas.pair_frame import PairFrame

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
VOCAB_SIZE = 1000
FRAME = PairFrame.of_bert(SPECIAL)


def rule(seed: int = 0) -> MaskingRule:
    return masking_rule(seed, range(VOCAB_SIZE), FRAME, (0.15, 0.8, 0.1))


def keys(source: list[int], target: list[int], mask_pass: int = 0) -> InstanceKeys:
    zeros = np.zeros(len(source), np.int32)
    return InstanceKeys(
        np.full(len(source), mask_pass, np.int64),
        zeros,
        np.array(source, np.int32),
        zeros,
        np.array(target, np.int32),
        zeros,
    )


def draw(identities: InstanceKeys, num_a: list[int], num_b: list[int], seed: int = 0) -> Masks:
    spans = np.array(num_a, np.int32), np.array(num_b, np.int32)
    lengths = spans[0] + spans[1] + 3
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    drawn = rule(seed)
    return draw_masks(drawn, segment_keys(drawn, identities), starts, spans)


def within(masks: Masks, start: int, stop: int) -> list[tuple[int, int]]:
    pairs = zip(masks.positions_M.tolist(), masks.replacements_M.tolist(), strict=True)
    return [(place - start, token) for place, token in pairs if start <= place < stop]


def test_shares_are_those_of_bert() -> None:
    num = 400
    masks = draw(keys(list(range(num)), list(range(num))), [254] * num, [254] * num)
    num_masked = len(masks.positions_M)
    assert abs(num_masked / (num * 508) - 0.15) < 0.003
    assert abs(np.mean(masks.replacements_M == SPECIAL["mask"]) - 0.8) < 0.01
    assert abs(np.mean(masks.replacements_M == -1) - 0.1) < 0.01
    random = masks.replacements_M[(masks.replacements_M != 4) & (masks.replacements_M >= 0)]
    assert random.min() >= 5
    assert random.max() < VOCAB_SIZE
    assert len(np.unique(random)) > 0.9 * VOCAB_SIZE


def test_special_tokens_are_never_masked() -> None:
    masks = draw(keys([1, 2], [3, 4]), [5, 3], [4, 6])
    places = {0, 6, 11, 12, 16, 23}
    assert not places & set(masks.positions_M.tolist())
    many = draw(keys(list(range(999)), [0] * 999), [2] * 999, [1] * 999)
    assert set((many.positions_M % 6).tolist()) == {1, 2, 4}


def test_positions_are_distinct() -> None:
    masks = draw(keys([1, 2, 3], [3, 4, 5]), [90, 40, 70], [20, 90, 10])
    assert len(set(masks.positions_M.tolist())) == len(masks.positions_M) > 20


def test_mask_of_a_does_not_depend_on_b() -> None:
    one = draw(keys([7], [1]), [60], [60])
    other = draw(keys([7], [2]), [60], [13])
    assert within(one, 1, 61) == within(other, 1, 61) != []
    assert within(one, 62, 75) != within(other, 62, 75)


def test_mask_of_b_depends_on_a() -> None:
    one, other = draw(keys([7], [1]), [60], [60]), draw(keys([8], [1]), [60], [60])
    assert within(one, 62, 122) != within(other, 62, 122)


def test_masks_do_not_depend_on_the_batch() -> None:
    together = draw(keys([5, 7], [6, 1]), [11, 60], [200, 60])
    alone = draw(keys([7], [1]), [60], [60])
    assert within(together, 214, 337) == within(alone, 0, 123)


def test_masks_differ_by_pass_and_seed() -> None:
    base = draw(keys([7], [1]), [60], [60])
    assert draw(keys([7], [1], mask_pass=1), [60], [60]).positions_M.tolist() != list(
        base.positions_M
    )
    assert draw(keys([7], [1]), [60], [60], seed=1).positions_M.tolist() != list(base.positions_M)


# Tokens from 500 on continue a word.
IS_CONTINUATION = np.arange(VOCAB_SIZE) >= 500


def draw_whole_words(
    identities: InstanceKeys, texts: list[tuple[list[int], list[int]]], seed: int = 0
) -> Masks:
    probs = (0.15, 0.8, 0.1)
    whole = masking_rule(seed, range(VOCAB_SIZE), FRAME, probs, IS_CONTINUATION)
    tokens = np.array([t for a, b in texts for t in (2, *a, 3, *b, 3)], np.int32)
    spans = tuple(np.array([len(text[side]) for text in texts], np.int32) for side in (0, 1))
    lengths = spans[0] + spans[1] + 3
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return draw_masks(whole, segment_keys(whole, identities), starts, spans, tokens)


def random_text(seed: int, num_tokens: int) -> list[int]:
    return np.random.default_rng(seed).integers(5, VOCAB_SIZE, num_tokens).tolist()


def test_words_are_masked_whole_or_not_at_all() -> None:
    texts = [(random_text(i, 150), random_text(1000 + i, 100)) for i in range(300)]
    masks = draw_whole_words(keys(list(range(300)), list(range(300))), texts)
    masked = set(masks.positions_M.tolist())
    start = 0
    num_words = num_masked_words = num_masked = 0
    for a, b in texts:
        for first, text in ((start + 1, a), (start + len(a) + 2, b)):
            begins = [i for i, t in enumerate(text) if i == 0 or not IS_CONTINUATION[t]]
            for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
                hits = sum(first + i in masked for i in range(begin, end))
                assert hits in (0, end - begin)
                num_words += 1
                num_masked_words += hits > 0
                num_masked += hits
        start += len(a) + len(b) + 3
    assert num_masked == len(masks.positions_M)  # nothing outside A and B
    assert abs(num_masked_words / num_words - 0.15) < 0.006
    assert abs(num_masked / (300 * 250) - 0.15) < 0.008
    assert abs(np.mean(masks.replacements_M == SPECIAL["mask"]) - 0.8) < 0.02


def test_whole_word_mask_of_a_depends_neither_on_b_nor_on_the_batch() -> None:
    a, b, other = random_text(1, 60), random_text(2, 60), random_text(3, 13)
    one = draw_whole_words(keys([7], [1]), [(a, b)])
    again = draw_whole_words(keys([7], [2]), [(a, other)])
    assert within(one, 1, 61) == within(again, 1, 61) != []
    together = draw_whole_words(keys([5, 7], [6, 1]), [(b, other), (a, b)])
    assert within(together, 76, 199) == within(one, 0, 123)
    assert within(draw_whole_words(keys([7], [1]), [(a, b)], seed=1), 0, 123) != within(one, 0, 123)


def test_first_token_of_a_word_is_masked_as_without_whole_words() -> None:
    a, b = random_text(1, 200), random_text(2, 200)
    whole = dict(within(draw_whole_words(keys([7], [1]), [(a, b)]), 1, 201))
    plain = dict(within(draw(keys([7], [1]), [200], [200]), 1, 201))
    begins = [i for i, token in enumerate(a) if i == 0 or not IS_CONTINUATION[token]]
    assert {i: whole[i] for i in begins if i in whole} == {
        i: plain[i] for i in begins if i in plain
    }


def test_masks_are_the_same_on_every_machine() -> None:
    masks = draw(keys([3], [1]), [30], [30])
    assert masks.positions_M.tolist() == GOLDEN_POSITIONS
    assert masks.replacements_M.tolist() == GOLDEN_REPLACEMENTS


GOLDEN_POSITIONS = [3, 11, 14, 17, 20, 32, 49]
GOLDEN_REPLACEMENTS = [396, 4, 4, 4, 4, 853, 4]
