"""A corpus of titles and texts that try to break a page: markup, scripts of every direction."""

from pathlib import Path

from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from tests.pipeline.corpora import link, page, redirect, write_corpus
from tests.running import run_inline

EVIL = '<script>alert("x")</script>&amp;"\'><img src=x onerror=alert(1)>'
TITLES = [
    EVIL,
    "القاهرة (مصر)",
    "ירושלים & <b>",
    "東京都",
    "हिन्दी भाषा",
    "می\u200cخواهم",
    "a\u202egnp.exe\x1b[31m",
    "]]><!--",
    "</style></title></details>",
    "$x_1$ \\alpha {%s}",
]


def write_odd_corpus(root: Path) -> Path:
    """Write a corpus in which every odd title links to the next two, and build its graph."""
    pages = []
    for number, title in enumerate(TITLES):
        targets = [TITLES[(number + step) % len(TITLES)] for step in (1, 2)]
        text, links = f"{title} links to ", []
        for target in targets:
            links.append(link(target, start_char=len(text), end_char=len(text) + len(target)))
            text += f"{target}, "
        text += "\n\nand to nothing"
        links.append(link("Nowhere <i>", start_char=len(text) - 7, end_char=len(text)))
        links.append(link(TITLES[0], "hatnote"))
        pages.append(page(number + 1, title, links, text=text, categories=["<u>"]))
    write_corpus(root, [pages[:4], pages[4:]], [redirect(90, "Old & <new>", TITLES[1])])
    run_inline(Job(GRAPH, str(root), GraphConfig()))
    return root
