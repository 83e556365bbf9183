"""Pieces of the report's HTML: everything that comes from a corpus is escaped here.

Titles and texts may be in any script and may contain markup or control characters. They are shown
as text, each isolated so that a right-to-left title does not reorder its neighbours.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from linkbert.inspection.terminal import printable

_FIGURE = re.compile(r"[-−+]?[\d,]+(\.\d+)?%?|")
_IDS = re.compile(r'(?:id="|href="#|url\(#|aria-controls="|aria-describedby=")[\w-]+')


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A part of the report with a heading; `body` is HTML."""

    name: str
    heading: str
    body: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """The report on one folder.

    Attributes:
        name: its id in the page.
        heading: its heading.
        sections: its parts.
        verdict: the outcome, in one or two sentences that only repeat figures.
    """

    name: str
    heading: str
    sections: list[ReportSection]
    verdict: str = ""

    def renamed(self, suffix: str) -> Chapter:
        """Return the chapter with a suffix on every id and on every link to one."""
        sections = [
            ReportSection(
                section.name + suffix,
                section.heading,
                _IDS.sub(rf"\g<0>{suffix}", section.body),
            )
            for section in self.sections
        ]
        return Chapter(self.name + suffix, self.heading, sections, self.verdict)


def escape(text: object) -> str:
    r"""Return any text as HTML, with markup and control characters made harmless.

    >>> escape("<b>&\x1b")
    '&lt;b&gt;&amp;\ufffd'
    """
    return html.escape(printable(str(text)))


def title_of(text: object) -> str:
    """Return a title as HTML that keeps its own direction."""
    return f"<bdi>{escape(text).replace(chr(10), ' ')}</bdi>"


def number_of(value: object) -> str:
    """Return a number in readable form, as HTML.

    >>> number_of(12345), number_of(0.12345), number_of("x")
    ('12,345', '0.1235', 'x')
    """
    return escape(number_of_plain(value))


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """Return names and values as a list."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{title_of(number_of_plain(value))}</dd></div>"
        for name, value in rows
    )
    return f'<dl class="facts">{items}</dl>'


def number_of_plain(value: object) -> str:
    """Return a number in readable form, or a text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table of cells that are HTML already; it scrolls if it is too wide for the page.

    Columns that contain only numbers are aligned to the right.
    """
    lines = list(rows)
    kinds = [_cell_class([row[place] for row in lines]) for place in range(len(header))]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for kind, name in zip(kinds, header, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for kind, cell in zip(kinds, row, strict=True))}"
        "</tr>"
        for row in lines
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(caption or "table")}"><table>{title}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell_class(cells: Sequence[str]) -> str:
    is_figures = any(cells) and all(_FIGURE.fullmatch(cell) for cell in cells)
    return ' class="number"' if is_figures else ""


def bars(
    rows: Sequence[tuple[str, float]], caption: str, *, kind: str = "", shares: bool = True
) -> str:
    """Return one bar per row, in proportion to its value, with the value beside it.

    Args:
        rows: label (HTML) and value.
        caption: what is shown.
        kind: a CSS class that sets the colour of the bars.
        shares: whether to give each value's share of the total as well.
    """
    most = max((value for _, value in rows), default=0) or 1
    total = sum(value for _, value in rows) or 1
    lines = "".join(
        f"<tr><th scope='row'>{label}</th><td class='number'>{number_of(value)}</td>"
        f"{_share_cell(value / total) if shares else ''}"
        f"<td class='bar {kind}'><i style='width:{100 * value / most:.1f}%'></i></td></tr>"
        for label, value in rows
    )
    return f"<table class='bars'><caption>{escape(caption)}</caption>{lines}</table>"


def _share_cell(share: float) -> str:
    return f"<td class='number'>{share:.1%}</td>"


def heading_of(kind: str, folder: Path) -> str:
    """Return the heading of a chapter: only the kind if the folder is named after it.

    >>> heading_of("Corpus", Path("demo/corpus")), heading_of("Corpus", Path("simple"))
    ('Corpus', 'Corpus: simple')
    """
    name = folder.resolve().name
    return kind if name in ("corpus", "shards", "run") else f"{kind}: {name}"


def figure(svg: str, caption: str) -> str:
    """Return a plot with its caption."""
    return (
        f'<figure><div role="img" aria-label="{escape(caption)}">{svg}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def figures(items: Sequence[str]) -> str:
    """Return plots side by side, if the page is wide enough."""
    return f'<div class="figures">{"".join(items)}</div>'


def _summary(chapters: Sequence[Chapter]) -> str:
    """Return the verdicts of all chapters, to be read before anything else."""
    items = "".join(
        f'<li><a href="#{chapter.name}">{title_of(chapter.heading)}</a>: '
        f"{escape(chapter.verdict)}</li>"
        for chapter in chapters
        if chapter.verdict
    )
    return f'<section class="summary" aria-label="summary"><ul>{items}</ul></section>'


def page(heading: str, chapters: Sequence[Chapter]) -> str:
    """Return the whole self-contained HTML file."""
    folder = resources.files("linkbert.report")
    style, script = ((folder / name).read_text("utf-8") for name in ("style.css", "script.js"))
    contents = "".join(
        f'<li><a href="#{chapter.name}">{title_of(chapter.heading)}</a><ul>'
        + "".join(
            f'<li><a href="#{section.name}">{escape(section.heading)}</a></li>'
            for section in chapter.sections
        )
        + "</ul></li>"
        for chapter in chapters
    )
    body = "".join(
        f'<section id="{chapter.name}" class="chapter"><h2>{title_of(chapter.heading)}</h2>'
        + "".join(
            f'<section id="{section.name}"><h3>{escape(section.heading)}</h3>{section.body}'
            "</section>"
            for section in chapter.sections
        )
        + "</section>"
        for chapter in chapters
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{escape(heading)}</title>'
        f"<style>{style}</style></head><body>"
        '<a class="skip" href="#main">skip to the report</a>'
        f"<header><h1>{title_of(heading)}</h1></header>{_summary(chapters)}"
        f'<nav aria-label="contents"><ul>{contents}</ul></nav>'
        f'<main id="main">{body}</main><script>{script}</script></body></html>\n'
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow: what came in, what went on, and what became of the rest."""

    label: str
    came_in: int
    went_on: int
    unit: str
    lost: dict[str, int]


def flow(steps: Iterable[Step]) -> str:
    """Return the steps as a list of boxes with counts; everything that is lost has a name."""
    boxes = []
    for step in steps:
        lost = "".join(
            f"<li>{escape(name)}: {number_of(count)}</li>"
            for name, count in sorted(step.lost.items(), key=lambda item: -item[1])
            if count
        )
        share = min(step.went_on / step.came_in, 1.0) if step.came_in else 0.0
        boxes.append(
            f"<li>{escape(step.label)}: <b>{number_of(step.came_in)}</b> → "
            f"<b>{number_of(step.went_on)}</b> {escape(step.unit)}"
            f'<div class="meter"><i style="width:{100 * share:.1f}%"></i></div>'
            f"{f'<ul>{lost}</ul>' if lost else ''}</li>"
        )
    return f'<ol class="flow">{"".join(boxes)}</ol>'
