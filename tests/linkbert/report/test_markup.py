"""Pieces of the page: cells by what they hold, ids that stay distinct."""

from linkbert.report.markup import Chapter, ReportSection, table


def test_figures_stand_to_the_right_and_words_to_the_left() -> None:
    found = table(["arm", "pairs"], [["bert", "1,234"], ["linkbert", ""]])
    assert '<th scope="col">arm</th><th scope="col" class="number">pairs</th>' in found
    assert '<td>linkbert</td><td class="number"></td>' in found


def test_a_chapter_renamed_renames_its_links() -> None:
    body = '<a href="#page-1"></a><p id="page-1" aria-controls="x">url(#c1)</p>'
    chapter = Chapter("corpus", "C", [ReportSection("s", "S", body)]).renamed("-2")
    assert chapter.sections[0].body == (
        '<a href="#page-1-2"></a><p id="page-1-2" aria-controls="x-2">url(#c1-2)</p>'
    )
