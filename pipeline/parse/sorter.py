"""Decide what each page of a range becomes: a row of pages, redirects or rejects, or a drop.

raw page ─ parse_page ─ namespace, model ─┬─ redirect_target ── redirects
                                          ├─ extract ───────── pages
   any fault on the way ── rejects        └─ counts by reason
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from pipeline.parse.counts import PageCounts
from pipeline.parse.guards import CpuLimit, CpuLimitExceeded
from pipeline.parse.page_xml import Page, PageError, parse_page, peek_namespace
from pipeline.parse.rows import PageRows, parse_timestamp
from pipeline.parse.splitter import STRAY, RawPage
from pipeline.wiki.site_info import SiteInfo
from pipeline.wiki.titles import (
    MAX_TITLE_BYTES,
    Target,
    namespace_of_title,
    normalise_page_title,
)
from pipeline.wikitext.extract import Extraction, extract, redirect_target
from pipeline.wikitext.templates.rules import Rules
from schemas.parquet import TableWriter

CPU_LIMIT = "cpu_limit"
CRASHED = "crashed"
FAILED = "extraction_failed"
BAD_MODEL = "bad_model"
LONG_TITLE = "title_too_long"

_WIKITEXT = "wikitext"
# MediaWiki keeps at most 64 bytes; the names go into the summary, and so to a terminal.
_MODEL = re.compile(r"[\w.+:/ -]{1,64}", re.ASCII)
_KIND = attrgetter("kind")
_DETAIL_CHARS = 200
_TITLE_CHARS = 255
_ROW_GROUP_ROWS = 1 << 16


class PageSorter:
    """Sort the pages of one range into the parts of three tables, and count.

    Args:
        site: the wiki.
        namespaces: ids of those whose pages are kept.
        source_name: the dump's file name, for rejects.
        writers: of the parts, by table.
        limit: on the CPU time for the text of one page.
        crashing: offsets of the pages whose text kills the process that extracts it.
        rules: what templates show; the default is the rules for the wiki's language.
    """

    def __init__(
        self,
        site: SiteInfo,
        namespaces: Iterable[int],
        source_name: str,
        writers: dict[str, TableWriter],
        limit: CpuLimit,
        *,
        crashing: frozenset[int] = frozenset(),
        rules: Rules | None = None,
    ) -> None:
        self.counts = PageCounts()
        self.last_timestamp = ""
        self._site, self._namespaces = site, frozenset(namespaces)
        self._source_name, self._limit, self._crashing = source_name, limit, crashing
        self._rules = rules
        self._pages = PageRows(writers["pages"])
        self._redirects = _Rows(writers["redirects"])
        self._rejects = _Rows(writers["rejects"])

    def add(self, raw: RawPage) -> None:
        """Sort one page; no content of a page can stop the others."""
        self.counts.pages_read += 1
        try:
            self._sort(raw)
        except PageError as error:
            self._reject(raw, error.reason, str(error), error.page)

    def flush(self) -> None:
        """Write the rows collected so far."""
        self._pages.flush()
        self._redirects.flush()
        self._rejects.flush()

    def _sort(self, raw: RawPage) -> None:
        if raw.fault:
            raise _fault_error(raw)
        namespace = peek_namespace(raw.data)
        if namespace is not None and namespace not in self._namespaces:
            # Half of the pages of a dump; they are not read any further.
            self.counts.other_namespaces[str(namespace)] += 1
            return
        page = parse_page(raw.data)
        if raw.offset in self._crashing:
            raise PageError(CRASHED, "its text kills the process that extracts it", page)
        self.counts.older_revisions += page.num_revisions - 1 + raw.num_pruned
        namespace = page.namespace
        if namespace is None:
            namespace = namespace_of_title(page.title, self._site)
        if namespace not in self._namespaces:
            self.counts.other_namespaces[str(namespace)] += 1
        elif page.model == _WIKITEXT:
            self._keep(page, self._checked_title(page, namespace))
        elif _MODEL.fullmatch(page.model):
            self.counts.other_models[page.model] += 1
        else:
            found = f"{page.model[:_DETAIL_CHARS]!r}"
            raise PageError(BAD_MODEL, f"expected the name of a content model, found {found}", page)

    def _checked_title(self, page: Page, namespace: int) -> str:
        title = normalise_page_title(page.title, namespace, self._site)
        # The namespace does not count: https://www.mediawiki.org/wiki/Manual:Page_title.
        prefix = self._site.namespace_names.get(namespace, "")
        longest = MAX_TITLE_BYTES + (len(f"{prefix}:".encode()) if prefix else 0)
        if len(title.encode()) > longest:
            found = f"{len(title.encode())} bytes"
            raise PageError(LONG_TITLE, f"expected at most {longest}, found {found}", page)
        return title

    def _keep(self, page: Page, title: str) -> None:
        page_id = page.page_id
        if page_id is None:
            self.counts.without_id += 1
            page_id = made_page_id(title)
        target, extraction = self._extract(page, title)
        if parse_timestamp(page.timestamp) is not None:
            self.last_timestamp = max(self.last_timestamp, page.timestamp)
        if extraction is not None:
            self.counts.pages += 1
            self._count_links(extraction)
            self._pages.add(page_id, title, page, extraction)
            return
        self.counts.redirects += 1
        self._redirects.add(
            page_id=page_id,
            title=title,
            target_title=target.title if target else "",
            target_fragment=target.fragment if target else None,
            target_namespace=target.namespace if target else 0,
            is_interwiki=target.is_interwiki if target else False,
        )

    def _extract(self, page: Page, title: str) -> tuple[Target | None, Extraction | None]:
        """Return where a page redirects to, or what it holds, within the CPU limit."""
        try:
            return self._limit.run(self._read_text, page, title)
        except CpuLimitExceeded as error:
            limit = f"more than {self._limit.seconds:g} CPU seconds"
            raise PageError(CPU_LIMIT, f"{limit} for {len(page.text)} characters", page) from error
        except Exception as error:
            raise PageError(FAILED, f"{type(error).__name__}: {error}", page) from error

    def _read_text(self, page: Page, title: str) -> tuple[Target | None, Extraction | None]:
        """Read a page; count and keep nothing here, because the limit may strike anywhere."""
        target = redirect_target(page.text, page.redirect_title, self._site)
        if target is not None or page.redirect_title is not None:
            return target, None
        extraction = extract(page.text, title, self._site, self._rules)
        # A text that cannot be encoded fails here, not later with the rows of other pages.
        extraction.text.encode()
        return None, extraction

    def _count_links(self, extraction: Extraction) -> None:
        self.counts.links.update(map(_KIND, extraction.links))
        self.counts.links_dropped.update(extraction.dropped)
        self.counts.note_templates(extraction.unruled)

    def _reject(self, raw: RawPage, reason: str, detail: str, page: Page | None) -> None:
        self.counts.rejected[reason] += 1
        self._rejects.add(
            source_path=self._source_name,
            offset=raw.offset,
            page_id=page.page_id if page else None,
            title=(page.title[:_TITLE_CHARS] if page else None) or None,
            reason=reason,
            detail=" ".join(detail.split())[:_DETAIL_CHARS],
        )


def made_page_id(title: str) -> int:
    """Return the id of a page whose export has none: negative, from its title alone.

    >>> made_page_id("Cat") == made_page_id("Cat") < 0
    True
    """
    digest = hashlib.blake2b(title.encode(), digest_size=7).digest()
    return -1 - int.from_bytes(digest, "big")


def _fault_error(raw: RawPage) -> PageError:
    """Return the error for a page that the splitter could not cut out whole."""
    if raw.fault == STRAY:
        excerpt = raw.data.decode("utf-8", "replace").strip()
        return PageError(STRAY, f"between pages: {excerpt}")
    try:
        page: Page | None = parse_page(raw.data)
    except PageError as error:
        page = error.page
    return PageError(raw.fault, f"{len(raw.data)} bytes from its tag on", page)


class _Rows:
    """Rows of a flat table on their way into a part."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._columns: dict[str, list[Any]] = {name: [] for name in writer.schema.names}
        self._num_rows = 0

    def add(self, **row: Any) -> None:
        for name, value in row.items():
            self._columns[name].append(value)
        self._num_rows += 1
        if self._num_rows >= _ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        self._writer.write(self._columns)
        self._columns = {name: [] for name in self._columns}
        self._num_rows = 0
