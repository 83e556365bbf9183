"""What becomes of each page of a range: a row of pages, redirects or rejects, or a counted drop.

raw page ─ parse_page ─ namespace, model ─┬─ redirect_target ── redirects
                                          ├─ extract ───────── pages
   any fault on the way ── rejects        └─ counts by reason
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from pipeline.parse.cpu_limit import CpuLimit, CpuLimitExceeded
from pipeline.parse.page_xml import Page, PageError, parse_page, peek_namespace
from pipeline.parse.rows import PageRows
from pipeline.parse.splitter import STRAY, RawPage
from pipeline.wiki.site_info import SiteInfo
from pipeline.wiki.titles import Target, namespace_of_title, normalise_page_title
from pipeline.wikitext.extract import Extraction, extract, redirect_target
from schemas.parquet import TableWriter

PAGES_READ = "pages_read"
PAGES = "pages"
REDIRECTS = "redirects"
REJECTED = "rejected_"
OTHER_NAMESPACE = "namespace_"
OTHER_MODEL = "model_"
LINKS = "links_"
LINKS_DROPPED = "dropped_links_"
OLDER_REVISIONS = "older_revisions"
WITHOUT_ID = "pages_without_id"

CPU_LIMIT = "cpu_limit"
CRASHED = "crashed"
FAILED = "extraction_failed"

_WIKITEXT = "wikitext"
_KIND = attrgetter("kind")
_DETAIL_CHARS = 200
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
    """

    def __init__(
        self,
        site: SiteInfo,
        namespaces: Iterable[int],
        source_name: str,
        writers: dict[str, TableWriter],
        limit: CpuLimit,
        crashing: frozenset[int] = frozenset(),
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.last_timestamp = ""
        self._site, self._namespaces = site, frozenset(namespaces)
        self._source_name, self._limit, self._crashing = source_name, limit, crashing
        self._pages = PageRows(writers["pages"])
        self._redirects = _Rows(writers["redirects"])
        self._rejects = _Rows(writers["rejects"])

    def add(self, raw: RawPage) -> None:
        """Sort one page; nothing that a page holds stops the others."""
        self.counts[PAGES_READ] += 1
        try:
            self._sort(raw)
        except PageError as error:
            self._reject(raw, error.reason, str(error), error.page)

    def flush(self) -> None:
        """Write what is gathered."""
        self._pages.flush()
        self._redirects.flush()
        self._rejects.flush()

    def _sort(self, raw: RawPage) -> None:
        if raw.fault:
            raise _fault_error(raw)
        namespace = peek_namespace(raw.data)
        if namespace is not None and namespace not in self._namespaces:
            # Half of a dump: not read any further.
            self.counts[f"{OTHER_NAMESPACE}{namespace}"] += 1
            return
        page = parse_page(raw.data)
        if raw.offset in self._crashing:
            raise PageError(CRASHED, "its text kills the process that extracts it", page)
        self.counts[OLDER_REVISIONS] += page.num_revisions - 1 + raw.num_pruned
        namespace = page.namespace
        if namespace is None:
            namespace = namespace_of_title(page.title, self._site)
        if namespace not in self._namespaces:
            self.counts[f"{OTHER_NAMESPACE}{namespace}"] += 1
        elif page.model != _WIKITEXT:
            self.counts[f"{OTHER_MODEL}{page.model}"] += 1
        else:
            self._keep(page, normalise_page_title(page.title, namespace, self._site))

    def _keep(self, page: Page, title: str) -> None:
        page_id = page.page_id
        if page_id is None:
            self.counts[WITHOUT_ID] += 1
            page_id = made_page_id(title)
        target, extraction = self._extract(page, title)
        self.last_timestamp = max(self.last_timestamp, page.timestamp)
        if extraction is not None:
            self.counts[PAGES] += 1
            self._count_links(extraction)
            self._pages.add(page_id, title, page, extraction)
            return
        self.counts[REDIRECTS] += 1
        self._redirects.add(
            page_id=page_id,
            title=title,
            target_title=target.title if target else "",
            target_fragment=target.fragment if target else None,
            target_namespace=target.namespace if target else 0,
            is_interwiki=target.is_interwiki if target else False,
        )

    def _extract(self, page: Page, title: str) -> tuple[Target | None, Extraction | None]:
        """Return where a page redirects to, or else what it holds.

        Nothing is counted or kept here: what goes wrong is the page's fault, and its alone.
        """
        try:
            with self._limit.piece:
                target = redirect_target(page.text, page.redirect_title, self._site)
                if target is not None or page.redirect_title is not None:
                    return target, None
                extraction = extract(page.text, title, self._site)
                # A text that no UTF-8 can hold is found here, not among the rows of other pages.
                extraction.text.encode()
                return None, extraction
        except CpuLimitExceeded as error:
            limit = f"more than {self._limit.seconds:g} CPU seconds"
            raise PageError(CPU_LIMIT, f"{limit} for {len(page.text)} characters", page) from error
        except Exception as error:
            raise PageError(FAILED, f"{type(error).__name__}: {error}", page) from error

    def _count_links(self, extraction: Extraction) -> None:
        for kind, number in Counter(map(_KIND, extraction.links)).items():
            self.counts[LINKS + kind] += number
        for reason, number in extraction.dropped.items():
            self.counts[LINKS_DROPPED + reason] += number

    def _reject(self, raw: RawPage, reason: str, detail: str, page: Page | None) -> None:
        self.counts[REJECTED + reason] += 1
        self._rejects.add(
            source_path=self._source_name,
            offset=raw.offset,
            page_id=page.page_id if page else None,
            title=(page.title if page else None) or None,
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
    """Return the error of a page that the splitter could not cut whole, with what it shows."""
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
