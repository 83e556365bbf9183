"""The report in a real headless Chromium; skipped where there is none."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkbert.export.model_card import write_card
from linkbert.report import write_report
from linkbert.training.checkpoint import TrainingState
from pipeline.sample.card import dataset_card
from tests import rendered
from tests.linkbert.export.test_model_card import described
from tests.linkbert.inspection.odd_corpus import TITLES, write_odd_corpus
from tests.pipeline.sample.test_card import described as described_shards

sync_api = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]
WIDE, PHONE = (1200, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def report(demo: Path) -> Path:
    return Path(write_report(demo).report)


@pytest.fixture(scope="module")
def odd_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_odd_corpus(tmp_path_factory.mktemp("odd"))
    return Path(write_report(root, around=TITLES[1]).report)


def open_page(browser: Any, path: Path, size: tuple[int, int], scheme: str = "light") -> Any:
    """Open a file; whatever it logs or asks of a network is in `page.troubles`."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.troubles = []
    page.on("console", lambda message: page.troubles.append(message.text))
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("dialog", lambda dialog: (page.troubles.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: _note_request(page, request.url))
    page.goto(path.as_uri())
    return page


def _note_request(page: Any, url: str) -> None:
    if not url.startswith(("file:", "data:")):
        page.troubles.append(url)


@pytest.mark.parametrize("size", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_trouble_and_fits_the_width(
    browser: Any, report: Path, odd_report: Path, tmp_path: Path, size: Any, scheme: str
) -> None:
    for path in (report, odd_report):
        page = open_page(browser, path, size, scheme)
        page.screenshot(path=tmp_path / "whole.png", full_page=True)
        assert page.troubles == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert (tmp_path / "whole.png").stat().st_size > 50_000
        page.close()


def test_dark_mode_turns_ground_and_plots(browser: Any, report: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        page = open_page(browser, report, WIDE, scheme)
        seen[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('figure svg text')).fill]"
        )
        page.close()
    assert seen["light"][0] == "rgb(255, 255, 255)"
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1]


def test_searching_leaves_the_pages_that_hold_all_words(browser: Any, report: Path) -> None:
    page = open_page(browser, report, WIDE)
    whole = page.locator("#examples-list details:visible").count()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("latgolā reiga")
    found = page.locator("#examples-list details:visible")
    assert 0 < found.count() < whole
    assert page.locator("#examples-count").inner_text() == f"{found.count()} of {whole} pages"
    # Marks may be left out, as on a keyboard that lacks them.
    with_marks = found.count()
    page.locator("input[type=search]").fill("LATGOLA reiga")
    assert found.count() >= with_marks
    page.locator("input[type=search]").fill("")
    assert found.count() == whole
    assert page.troubles == []
    page.close()


def test_an_address_cut_off_in_a_character_leaves_the_search_at_work(
    browser: Any, report: Path
) -> None:
    page = open_page(browser, report, WIDE)
    page.evaluate("location.hash = '#%E0%A4%A'")
    page.reload()
    page.locator("input[type=search]").fill("no such word")
    assert page.locator("#examples-list details:visible").count() == 0
    assert page.troubles == []
    page.close()


def test_a_link_leads_from_one_example_page_to_another(browser: Any, report: Path) -> None:
    page = open_page(browser, report, PHONE)
    first = page.locator("#examples-list details:has(.prose a)").first
    # With the keyboard alone: the heading of a page opens it.
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    anchor = first.locator(".prose a").first
    target = anchor.get_attribute("href")
    anchor.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("id => document.querySelector(id).open", arg=target)
    assert page.url.endswith(target)
    assert page.evaluate("document.activeElement.parentElement.id") == target[1:]
    assert page.locator(target).locator(".prose").is_visible()
    assert page.troubles == []
    page.close()


def test_a_search_does_not_hide_where_a_link_leads(browser: Any, odd_report: Path) -> None:
    page = open_page(browser, odd_report, WIDE)
    page.locator("input[type=search]").fill("nothing that is there")
    assert page.locator("#examples-list details:visible").count() == 0
    page.evaluate("location.hash = '#page-2'")
    page.wait_for_function("document.querySelector('#page-2').open")
    assert page.locator("#page-2").is_visible()
    page.close()


def test_titles_of_any_direction_and_with_markup_read_as_they_are(
    browser: Any, odd_report: Path
) -> None:
    page = open_page(browser, odd_report, WIDE)
    summaries = page.locator("#examples-list summary bdi").all_inner_texts()
    expected = [title.replace("\u202e", "\ufffd").replace("\x1b", "\ufffd") for title in TITLES]
    assert sorted(summaries) == sorted(expected)
    arabic = page.locator("#page-1 .prose p").first
    page.locator("#page-1 summary").click()
    assert arabic.evaluate("node => getComputedStyle(node).direction") == "rtl"
    latin = page.locator("#page-9")
    latin.locator("summary").click()
    assert latin.locator(".prose p").first.evaluate("node => getComputedStyle(node).direction") == (
        "ltr"
    )
    assert page.troubles == []
    page.close()


def test_everything_is_there_without_a_script(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#examples-list details").count() == 24
    assert page.locator("figure svg").count() >= 10
    context.close()


def test_cards_of_hostile_fields_run_nothing_and_ask_for_nothing(
    browser: Any, finished_run: Path, tmp_path: Path
) -> None:
    """The cards of a model and of shards, rendered by rules that let HTML through."""
    shown = []
    for text in rendered.HOSTILE:
        fields = dict.fromkeys(("sitename", "language", "dump_date", "license", "licence"), text)
        shown.append(rendered.rendered(dataset_card(described_shards(**fields), {"seed": text})))
        write_card(tmp_path, described(finished_run, **fields), TrainingState(), {})
        shown.append(rendered.rendered((tmp_path / "README.md").read_text()))
    (tmp_path / "cards.html").write_text("<!doctype html><meta charset=utf-8>" + "".join(shown))
    page = open_page(browser, tmp_path / "cards.html", WIDE)
    assert page.troubles == []
    assert page.evaluate("window.ran") is None
    assert page.locator("table").count() == 5 * len(rendered.HOSTILE)
    assert page.locator("script, iframe, img, svg, style, a, [onerror]").count() == 0
    page.close()
