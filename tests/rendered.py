"""Cards as a reader of Markdown shows them, and what in them is more than text."""

from html.parser import HTMLParser

import pytest

HOSTILE = [
    "<script>window.ran=1</script>",
    "<img src=x onerror=window.ran=1>",
    "<svg/onload=window.ran=1>",
    "</td></table><iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<a href='javascript:window.ran=1'>click</a>",
    "<details open ontoggle=window.ran=1>",
    "[click](javascript:window.ran=1)",
    "[click](data:text/html,<script>window.ran=1</script>)",
    "[a]: javascript:window.ran=1\n\n[a]",
    "<javascript:window.ran=1>",
    "![x](http://evil.example/track.png)",
    "```\n</code><script>window.ran=1</script>",
    "a | b\n| c | d |\n\n# Heading\n\n<style>*{display:none}</style>",
    "---\nlicense: mit\n---\n<script>window.ran=1</script>",
    "&lt;script&gt;window.ran=1&lt;/script&gt;",
    "&#60;script&#62;window.ran=1&#60;/script&#62;",
    "\\<script>window.ran=1</script>",
    "<!--", "<![CDATA[", "<?php", "http://evil.example www.evil.example a@evil.example",
]  # fmt: skip
"""Fields of a dump: HTML, Markdown, either escaped once, and what would end a cell or a block."""

_HARMLESS = (
    "p", "h1", "h2", "h3", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "pre",
    "code", "em", "strong",
)  # fmt: skip


def rendered(card: str) -> str:
    """Return the HTML of a card without its front matter, by rules that let HTML through."""
    markdown_it = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
    body = card.split("\n---\n", 1)[1]
    reader = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return str(reader.render(body))


class _Looking(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = [name for name, _ in attrs if name not in ("class", "style", "start")]
        if tag not in _HARMLESS or named:
            self.found.append(self.get_starttag_text() or tag)

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"<!{decl}")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read_html(html: str) -> tuple[list[str], str]:
    """Return the tags of a card that are more than headings, tables and code; and its text."""
    looking = _Looking()
    looking.feed(html)
    looking.close()
    return looking.found, "".join(looking.text)
