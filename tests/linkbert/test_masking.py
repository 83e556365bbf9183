import numpy as np

from linkbert.masking import InstanceKeys, MaskingRule, Masks, draw_masks, masking_rule

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
VOCAB_SIZE = 1000


def rule(seed: int = 0) -> MaskingRule:
    return masking_rule(seed, VOCAB_SIZE, SPECIAL, (0.15, 0.8, 0.1))


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
    return draw_masks(rule(seed), identities, starts, spans)


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


def test_masks_are_the_same_on_every_machine() -> None:
    masks = draw(keys([3], [1]), [30], [30])
    assert masks.positions_M.tolist() == GOLDEN_POSITIONS
    assert masks.replacements_M.tolist() == GOLDEN_REPLACEMENTS


GOLDEN_POSITIONS = [3, 11, 14, 17, 20, 32, 49]
GOLDEN_REPLACEMENTS = [396, 4, 4, 4, 4, 853, 4]
