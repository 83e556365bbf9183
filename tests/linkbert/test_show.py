from linkbert.show_page import mark_links


def test_links_are_marked_where_they_stand_and_placeless_ones_left_out() -> None:
    links = [
        {"start_char": 9, "end_char": 12, "target_title": "Mat"},
        {"start_char": None, "end_char": None, "target_title": "Hidden"},
        {"start_char": 0, "end_char": 3, "target_title": "Cat"},
    ]
    assert mark_links("Cat on a mat.", links) == "[Cat -> Cat] on a [mat -> Mat]."
    assert mark_links("Cat on a mat.", links, ["no edge: red", "", "Felis"]) == (
        "[Cat -> Felis] on a [mat -> no edge: red]."
    )


def test_a_text_without_links_is_itself() -> None:
    assert mark_links("Nothing here.", []) == "Nothing here."
