import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.segment.sentences import Unit, join_within, split_units


def sentences(text: str) -> list[str]:
    return [text[unit.start_char : unit.end_char] for unit in split_units(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He met J. R. Smith. They left.", ["He met J. R. Smith.", "They left."]),
        ("Mr. Ito met Dr. Berg. No.", ["Mr. Ito met Dr. Berg.", "No."]),
        ("See e.g. Paris. Then go.", ["See e.g. Paris.", "Then go."]),
        ("It cost 3.5 million. Much!", ["It cost 3.5 million.", "Much!"]),
        ('He said "No." She said yes.', ['He said "No."', "She said yes."]),
        ("Really?! Yes… Perhaps.", ["Really?!", "Yes…", "Perhaps."]),
        ("一。二！「三。」四", ["一。", "二！", "「三。」", "四"]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
        ("item one\nitem two\n\nNext", ["item one", "item two", "Next"]),
        ("approx. two. three", ["approx. two. three"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_of_many_scripts(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_lines_end_paragraphs_and_stops_do_not() -> None:
    flags = [unit.ends_paragraph for unit in split_units("One. Two.\nThree. Four.")]
    assert flags == [False, True, False, True]


@given(st.text(alphabet="aB. !?\n。\u3000।\"')", max_size=60))
def test_nothing_but_blanks_lies_between_sentences(text: str) -> None:
    units = split_units(text)
    position = 0
    for unit in units:
        assert not text[position : unit.start_char].strip()
        assert unit.start_char < unit.end_char
        cut = text[unit.start_char : unit.end_char]
        assert cut == cut.strip()
        position = unit.end_char
    assert not text[position:].strip()


def test_no_anchor_is_cut() -> None:
    text = "On U.S. Route No. Five. And on."
    units = [Unit(0, 7, False), Unit(8, 23, False), Unit(24, 31, True)]
    joined = join_within(units, [(3, 22)])
    assert [text[unit.start_char : unit.end_char] for unit in joined] == [
        "On U.S. Route No. Five.",
        "And on.",
    ]


def test_an_anchor_over_three_sentences_joins_all() -> None:
    units = [Unit(0, 2, False), Unit(3, 5, True), Unit(6, 9, True)]
    assert join_within(units, [(0, 7)]) == [Unit(0, 9, True)]


def test_blanks_before_the_end_of_a_line_belong_to_no_sentence() -> None:
    """Also after a full stop that ends nothing, as that of an initial."""
    assert sentences("By J. \u3000\nThen. Now") == ["By J.", "Then.", "Now"]
