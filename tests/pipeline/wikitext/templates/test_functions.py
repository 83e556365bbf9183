"""Functions of templates write units and dates as their language does."""

from __future__ import annotations

from pipeline.wikitext.templates.rules import rules_of


def test_a_function_of_a_user_s_table_knows_the_units_and_dates_of_the_package() -> None:
    own = """
        [[function]]
        names = ["am"]
        function = "date"
        order = "day month year"
        [[function]]
        names = ["maß"]
        function = "convert"
    """
    assert rules_of("de", own).render("am|3|5|2001").text == "3. Mai 2001"
    assert rules_of("de", own).render("maß|5|km2").text == "5 km²"
