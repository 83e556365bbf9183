"""PubMed and MEDLINE XML: abstracts with their parts, and citations as links without a place.

The BioLinkBERT corpus of LinkBERT (arXiv:2203.15827), section 6. The format is NLM's
PubmedArticleSet (https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from pipeline.ingest.entries import (
    MAX_TEXT_CHARS,
    MAX_TITLE_BYTES,
    TEXT_TOO_LONG,
    TITLE_TOO_LONG,
    Deletion,
    Document,
    DocumentLink,
    Entry,
    Malformed,
    Section,
)
from schemas.errors import DumpError
from schemas.tables.pages import CITATION

_ROOTS = ("PubmedArticleSet", "MedlineCitationSet", "PubmedArticle")
_SECTION_LEVEL = 2
# 18 digits fit a column of 64 bits; PubMed has come to 8.
_PMID = re.compile(r"\d{1,18}", re.ASCII)
_DETAIL_CHARS = 40


def read_pubmed(file: IO[bytes], where: str) -> Iterator[Entry]:
    """Read a PubmedArticleSet article by article; a damaged end leaves what came before.

    The MedlineCitationSet of before 2017 has the citation without its wrapper. Books of the set are
    no articles, and are counted.

    Args:
        file: the uncompressed XML.
        where: its path, for messages.

    Raises:
        DumpError: the file is something else.
    """
    root: ElementTree.Element | None = None
    try:
        for event, element in ElementTree.iterparse(file, ("start", "end")):
            if root is None:
                root = _checked_root(element, where)
            if event == "start":
                continue
            if element.tag == "PubmedArticle":
                yield parse_article(element)
                # The set keeps every child otherwise.
                root.clear()
            elif element.tag == "MedlineCitation" and root.tag == "MedlineCitationSet":
                article = ElementTree.Element("PubmedArticle")
                article.append(element)
                yield parse_article(article)
                root.clear()
            elif element.tag == "PubmedBookArticle":
                pmid = element.findtext("BookDocument/PMID") or ""
                yield Malformed("book", f"PMID {pmid[:_DETAIL_CHARS]}")
                root.clear()
            elif element.tag == "DeleteCitation":
                for withdrawn in element.iterfind("PMID"):
                    yield Deletion((withdrawn.text or "").strip())
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        # The last two are of an encoding that does not exist, or is not for XML.
        if root is None:
            raise DumpError(
                f"expected PubMed XML, found something else in {where} ({error}): "
                "give a PubmedArticleSet file, or another --format"
            ) from error
        yield Malformed("malformed_xml", str(error))


def _checked_root(element: ElementTree.Element, where: str) -> ElementTree.Element:
    if element.tag not in _ROOTS:
        raise DumpError(
            f"expected the root {_ROOTS[0]}, found {element.tag} in {where}: "
            "give a PubMed or MEDLINE file, not a PMC full text"
        )
    return element


def parse_article(article: ElementTree.Element) -> Document | Malformed:
    """Return an article's abstract with its citations; the key is its PMID.

    >>> article = ElementTree.fromstring(
    ...     "<PubmedArticle><MedlineCitation><PMID>7</PMID>"
    ...     "<Article><ArticleTitle>Cats</ArticleTitle>"
    ...     "<Abstract><AbstractText Label='AIM'>To <i>purr</i>.</AbstractText></Abstract>"
    ...     "</Article></MedlineCitation></PubmedArticle>"
    ... )
    >>> document = parse_article(article)
    >>> document.key, document.title, document.text, document.sections[0].title
    ('7', 'Cats', 'To purr.', 'AIM')
    """
    written = (article.findtext("MedlineCitation/PMID") or "").strip()
    if not _PMID.fullmatch(written):
        return Malformed("bad_id", f"expected a PMID, found {written[:_DETAIL_CHARS]!r}")
    pmid = str(int(written))
    title = _text_of(article.find("MedlineCitation/Article/ArticleTitle"))
    title = title or _text_of(article.find("MedlineCitation/Article/VernacularTitle"))
    if not title:
        return Malformed("empty_title", f"PMID {pmid}")
    if len(title.encode()) > MAX_TITLE_BYTES:
        return Malformed(TITLE_TOO_LONG, f"PMID {pmid}: {len(title):,} characters")
    text, sections = _abstract(article.find("MedlineCitation/Article/Abstract"))
    if len(text) > MAX_TEXT_CHARS:
        return Malformed(TEXT_TOO_LONG, f"PMID {pmid}: {len(text):,} characters")
    document = Document(pmid, True, title, text, sections=sections)
    seen: set[str] = set()
    for target in _cited(article):
        if not _PMID.fullmatch(target):
            document.dropped["citation_without_pmid"] += 1
        elif (cited := str(int(target))) in seen:
            # The same reference often stands in both lists.
            document.dropped["citation_repeated"] += 1
        else:
            seen.add(cited)
            link = DocumentLink(None, None, "", None, cited, CITATION)
            document.links.append(link)
    return document


def _abstract(abstract: ElementTree.Element | None) -> tuple[str, list[Section]]:
    paragraphs: list[str] = []
    sections: list[Section] = []
    length = 0
    for part in abstract.findall("AbstractText") if abstract is not None else ():
        text = _text_of(part)
        if text:
            label = part.get("Label", "").strip()
            if label:
                sections.append(Section(label, _SECTION_LEVEL, length))
            paragraphs.append(text)
            length += len(text) + len("\n\n")
    return "\n\n".join(paragraphs), sections


def _cited(article: ElementTree.Element) -> Iterator[str]:
    for reference in article.iterfind("PubmedData//Reference"):
        ids = [
            (each.text or "").strip()
            for each in reference.iterfind("ArticleIdList/ArticleId")
            if each.get("IdType") == "pubmed"
        ]
        yield ids[0] if ids else ""
    for correction in article.iterfind("MedlineCitation/CommentsCorrectionsList/*"):
        # Comments and errata are other relations than citing.
        if correction.get("RefType") == "Cites":
            yield (correction.findtext("PMID") or "").strip()


def _text_of(element: ElementTree.Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())
