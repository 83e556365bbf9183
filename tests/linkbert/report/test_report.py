"""The report's HTML: whole, closed in itself, escaped, and with figures that add up."""

import json
import re
from pathlib import Path

import pytest

from linkbert.cli.commands import main
from linkbert.inspection.corpus import Corpus
from linkbert.report import write_report
from schemas.errors import GraphError, SchemaError
from tests.linkbert.inspection.odd_corpus import EVIL, TITLES, write_odd_corpus
from tests.linkbert.report.outline import outline_of


@pytest.fixture(scope="module")
def odd_report(odd: Path) -> Path:
    return Path(write_report(odd, odd.parent / "odd.html", around=TITLES[3]).report)


def test_titles_with_markup_are_text(odd_report: Path) -> None:
    outline = outline_of(odd_report)
    assert outline.tags.count("script") == 1
    assert "img" not in outline.tags
    assert "b" in outline.tags  # of the flow
    text = "".join(outline.text)
    assert EVIL in text
    for title in TITLES:
        assert title.replace("\u202e", "\ufffd").replace("\x1b", "\ufffd") in text
    assert "\u202e" not in odd_report.read_text(encoding="utf-8")
    assert "\x1b" not in odd_report.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(odd_report: Path) -> None:
    outline = outline_of(odd_report)
    assert outline.addresses == []
    outside = [link for link in outline.links if not link.startswith("#")]
    assert outside == ["data:,"]
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", odd_report.read_text())


def test_every_link_has_its_place_and_ids_are_distinct(odd_report: Path) -> None:
    outline = outline_of(odd_report)
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    assert any(link.startswith("#page-") for link in outline.links)
    text = odd_report.read_text()
    used = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'aria-\w+="(examples[\w-]+)"', text)
    assert len(used) > 2
    assert set(used) <= set(outline.ids)


def test_the_same_folder_gives_the_same_bytes(odd: Path, odd_report: Path) -> None:
    again = odd.parent / "again.html"
    write_report(odd, again, around=TITLES[3])
    assert again.read_bytes() == odd_report.read_bytes()


def test_folders_of_one_kind_keep_their_links_apart(odd: Path) -> None:
    folder = odd.parent / "both"
    folder.mkdir(exist_ok=True)
    for name in ("one", "two"):
        write_odd_corpus(folder / name)
    outline = outline_of(Path(write_report(folder).report))
    assert len(set(outline.ids)) == len(outline.ids)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)


def test_what_is_no_folder_of_ours_and_an_unknown_title_are_one_line(
    odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SchemaError, match="expected a corpus, a data set, a run or"):
        write_report(tmp_path)
    with pytest.raises(SchemaError, match="expected a corpus, a data set, a run or"):
        write_report(tmp_path / "missing")
    with pytest.raises(GraphError, match="expected the title of a document"):
        write_report(odd, tmp_path / "x.html", around="Nobody")
    assert not (tmp_path / "x.html").exists()
    assert main(["report", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_says_where_the_report_lies(
    odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.html"
    assert main(["report", str(odd), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == str(out)
    assert said["num_bytes"] == out.stat().st_size


def test_each_chapter_has_its_verdict_on_top(odd: Path, odd_report: Path) -> None:
    text = odd_report.read_text()
    summary = text[text.index('<section class="summary"') : text.index("<nav")]
    corpus = Corpus(odd)
    num_pages = corpus.manifest("pages").rows_out
    assert f"{num_pages:,} documents" in summary
    fates = corpus.manifest("mentions").extra["fates"]
    leads = fates["resolved"] + fates["redirect"]
    assert f"{leads:,} of {sum(fates.values()):,} links lead to one of them" in summary
