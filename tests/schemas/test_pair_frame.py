import json

from schemas.pair_frame import PairFrame

ROBERTA = PairFrame((0,), (2, 2), (2,), False, 1, 4, None, (0, 1, 2, 4, 9))


def test_a_manifest_without_a_frame_holds_bert_s() -> None:
    ids = {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}
    frame = PairFrame.from_facts({"special_ids": ids})
    assert frame.wrap([7], [8, 9]) == [101, 7, 102, 8, 9, 102]
    assert frame.roles() == ids
    assert frame.special_ids == (0, 100, 101, 102, 103)
    assert frame.has_token_types


def test_a_frame_survives_the_manifest() -> None:
    facts = json.loads(json.dumps(ROBERTA.to_facts()))
    assert PairFrame.from_facts(facts) == ROBERTA
    assert facts["special_ids"] == {"pad": 1, "cls": 0, "sep": 2, "mask": 4}


def test_lengths_follow_the_frame() -> None:
    pair = ROBERTA.wrap([7, 7], [8])
    assert len(pair) == 3 + ROBERTA.num_special
    assert pair[2 + ROBERTA.num_before_b] == 8
