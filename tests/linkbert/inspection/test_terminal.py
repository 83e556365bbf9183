from linkbert.inspection.terminal import printable, rows_of, table_of, wrapped


def test_what_steers_a_terminal_is_made_visible() -> None:
    hostile = "title\x1b]0;owned\x07 \u202ereversed\x9b31m"
    assert not any(char in printable(hostile) for char in "\x1b\x07\u202e\x9b")
    assert printable("नमस्ते\u200dक") == "नमस्ते\u200dक"


def test_rows_align_and_show_what_they_are_given() -> None:
    assert rows_of([("a", 1), ("longer", 0.25), ("yes", True)]) == (
        "  a       1\n  longer  0.25\n  yes     yes"
    )


def test_a_table_without_rows_is_its_header() -> None:
    assert table_of(["one", "two"], []) == "  one  two"


def test_wrapped_lines_keep_within_the_width_and_indented() -> None:
    lines = wrapped("word " * 60 + "\nnext").split("\n")
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "  next"
