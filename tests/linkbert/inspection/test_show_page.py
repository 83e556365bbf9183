"""One page as `linkbert show CORPUS --page TITLE` prints it."""

import subprocess
import sys
from pathlib import Path

import pytest

from linkbert.inspection.corpus import Corpus
from linkbert.inspection.show_page import show_page
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from schemas.errors import GraphError
from tests.pipeline.corpora import link, page, redirect, write_corpus
from tests.running import run_inline

TEXT = "Cats eat mice, old mice, ghosts, cats and chats.\n\nA part of Help."


def placed(target: str, anchor: str, kind: str = "body", **more: object) -> dict[str, object]:
    start = TEXT.index(anchor)
    return link(target, kind, start_char=start, end_char=start + len(anchor), **more)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    links = [
        placed("Mouse", "mice", target_fragment="Tail"),
        placed("Old mouse", "old mice"),
        placed("Ghost", "ghosts"),
        placed("Cat", "cats"),
        placed("fr:Chat", "chats", "interwiki"),
        placed("Help:Parts", "Help", namespace=12),
        link("Dog", "hatnote"),
        link("Mouse", "caption"),
    ]
    pages = [
        page(1, "Cat", links, text=TEXT, categories=["Pets"]),
        page(2, "Mouse", ["Cat"]),
        page(3, "Dog", ["Cat", "Mouse"]),
        page(4, "Alone"),
    ]
    redirects = [
        redirect(5, "Old mouse", "Mice"),
        redirect(6, "Mice", "Mouse"),
        redirect(7, "Dead", "Ghost"),
    ]
    write_corpus(tmp_path, [pages[:1], pages[1:]], redirects)
    run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    return Corpus(tmp_path)


def test_a_page_shows_where_every_link_leads_and_why_others_do_not(corpus: Corpus) -> None:
    shown = show_page(corpus, "Cat")
    text = " ".join(shown.split())
    assert (
        "Cats eat [mice -> Mouse#Tail], [old mice -> Mouse (redirected from Old mouse)], "
        "[ghosts -> Ghost (red)], [cats -> Cat (to itself)] and "
        "[chats -> fr:Chat (interwiki)]. A part of [Help -> Help:Parts (other namespace)]."
    ) in text
    assert (
        "4 of 8 lead to a document (1 by redirect); "
        "1 red, 1 to itself, 1 other namespace, 1 interwiki"
    ) in text
    assert "in-degree 2 documents link to it out-degree 2 documents it links to" in text
    assert "categories Pets" in text
    assert "hatnote Dog caption Mouse" in text


def test_paragraphs_stay_apart(corpus: Corpus) -> None:
    assert "\n\n  A part of" in show_page(corpus, "Cat")


def test_neighbours_come_the_most_linked_first(corpus: Corpus) -> None:
    _, linked, linking = show_page(corpus, "Cat").split("most linked of the documents ")
    assert [row.split() for row in linked.splitlines()[2:4]] == [
        ["Mouse", "2", "1"],
        ["Dog", "1", "2"],
    ]
    assert [row.split()[0] for row in linking.splitlines()[2:4]] == ["Mouse", "Dog"]


def test_a_redirect_shows_the_page_at_its_end(corpus: Corpus) -> None:
    assert show_page(corpus, "Old mouse").startswith("Mouse (redirected from Old mouse)\n")


@pytest.mark.parametrize("title", ["Dead", "Ghost", "cat", ""])
def test_a_title_that_leads_nowhere_is_one_line_with_titles_alike(
    corpus: Corpus, title: str
) -> None:
    with pytest.raises(GraphError, match="expected the title of a document") as caught:
        show_page(corpus, title)
    if title == "cat":
        assert "'Cat'" in str(caught.value)


def test_a_page_without_links_has_no_lists(corpus: Corpus) -> None:
    shown = show_page(corpus, "Alone")
    assert "0 of 0 lead to a document" in shown
    assert "most linked" not in shown
    assert "without a place" not in shown


def test_nothing_in_a_corpus_steers_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J\x9b31m\u202egnp\x07\x00\r"
    links = [link(f"T{evil}", "hatnote"), link(f"R{evil}", start_char=0, end_char=4)]
    pages = [
        page(1, f"S{evil}", links, text=f"Some text{evil}", categories=[evil], source_key=evil),
        page(2, f"T{evil}\nx"),
    ]
    write_corpus(tmp_path, [pages], [redirect(3, f"R{evil}", f"T{evil}\nx")])
    run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    shown = show_page(Corpus(tmp_path), f"S{evil}")
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "redirected from R" in shown
    # A title takes one line.
    assert any(line.strip().startswith("T") and "x" in line for line in shown.splitlines())


def test_marks_of_scripts_pass(tmp_path: Path) -> None:
    title = "می\u200cخواهم \u200fעברית\u200e क्\u200dष"
    write_corpus(tmp_path, [[page(1, title)]])
    run_inline(Job(GRAPH, str(tmp_path), GraphConfig()))
    assert show_page(Corpus(tmp_path), title).startswith(f"{title}\n")


def test_an_error_does_not_steer_the_terminal_and_a_closed_pipe_is_no_error(corpus: Corpus) -> None:
    command = [sys.executable, "-m", "linkbert", "show", str(corpus.path)]
    failed = subprocess.run([*command, "--page", "\x1b[2J"], capture_output=True, text=True)
    assert failed.returncode == 1
    assert "\x1b" not in failed.stderr
    piped = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert piped.stdout is not None
    piped.stdout.close()
    assert piped.stderr is not None
    assert piped.stderr.read() == b""
    piped.stderr.close()
    assert piped.wait() == 0
