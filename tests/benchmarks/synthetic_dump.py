"""Write a made but realistic dump of any size: the same bytes for the same size and seed.

    python -m tests.benchmarks.synthetic_dump DUMP.xml.bz2 --megabytes 2000

It has the proportions of English Wikipedia, so that a run extrapolates in one multiplication: of 20
pages 7 are articles, 10 redirects and 3 of other namespaces; there are about 18 kB of XML and 29
links an article. Words follow Zipf's law, lengths of articles a log-normal one, targets of links a
power law; a fifth of the links is red, a quarter goes through a redirect. The markup is that of
today: infoboxes, citations, tables, images, hatnotes, lists, comments. The file is multistream bz2
of 100 pages a stream; memory does not grow with it.
"""

from __future__ import annotations

import argparse
import bz2
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from xml.sax.saxutils import escape

import numpy as np

PAGES_PER_STREAM = 100
PAGES_PER_ROUND = 20
ARTICLES_PER_ROUND = 7
REDIRECTS_PER_ROUND = 10

XML_BYTES_PER_ROUND = 116_500
"""The mean over large dumps: a dump of N bytes asked for has about N bytes."""

_NUM_WORDS = 100_000
_TITLE_WORDS = 9_973  # prime: two of them make 99 million titles
_WORDS_PER_LINK = 25
_WORDS_PER_CITATION = 28
_WORDS_PER_SENTENCE = 19
_SHARE_RED, _SHARE_REDIRECT = 0.2, 0.25
_POWER = 3.0

_HEADER = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" \
xml:lang="en">
  <siteinfo>
    <sitename>Made Wiki</sitename>
    <dbname>madewiki</dbname>
    <base>https://made.example.org/wiki/Main_Page</base>
    <generator>MediaWiki 1.45.0</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">File</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
      <namespace key="14" case="first-letter">Category</namespace>
    </namespaces>
  </siteinfo>
"""
_FOOTER = "</mediawiki>\n"


@dataclass(frozen=True, slots=True)
class Wiki:
    """The size of a made wiki in rounds of 20 pages, and its seed."""

    num_rounds: int
    seed: int = 0

    @property
    def num_articles(self) -> int:
        """How many pages are articles."""
        return self.num_rounds * ARTICLES_PER_ROUND

    @property
    def num_redirects(self) -> int:
        """How many pages are redirects."""
        return self.num_rounds * REDIRECTS_PER_ROUND


def wiki_of(num_bytes: int, seed: int = 0) -> Wiki:
    """Return the wiki whose XML has about so many bytes."""
    return Wiki(max(5, round(num_bytes / XML_BYTES_PER_ROUND)), seed)


def write_dump(path: str, wiki: Wiki, processes: int = 1) -> int:
    """Write a wiki as multistream bz2; return the bytes of XML."""
    num_bytes = 0
    with open(path, "wb") as file, multiprocessing.Pool(processes) as pool:
        for text in (_HEADER,):
            file.write(bz2.compress(text.encode()))
            num_bytes += len(text.encode())
        num_pages = wiki.num_rounds * PAGES_PER_ROUND
        streams = ((wiki, first) for first in range(0, num_pages, PAGES_PER_STREAM))
        for length, data in pool.imap(_stream, streams, chunksize=8):
            file.write(data)
            num_bytes += length
        file.write(bz2.compress(_FOOTER.encode()))
    return num_bytes + len(_FOOTER)


def pages(wiki: Wiki, first: int, stop: int) -> Iterator[str]:
    """Yield the XML of pages by their numbers, each made from nothing but seed and number."""
    for number in range(first, stop):
        rng = np.random.default_rng([wiki.seed, number])
        turn, place = divmod(number, PAGES_PER_ROUND)
        if place < ARTICLES_PER_ROUND:
            title = article_title(turn * ARTICLES_PER_ROUND + place)
            yield _page_xml(number, title, 0, _article(wiki, rng, title))
        elif place < ARTICLES_PER_ROUND + REDIRECTS_PER_ROUND:
            title = redirect_title(turn * REDIRECTS_PER_ROUND + place - ARTICLES_PER_ROUND)
            yield _page_xml(number, title, 0, "", article_title(_popular(rng, wiki.num_articles)))
        else:
            space = 10 if place == PAGES_PER_ROUND - 1 else 14
            title = f"{'Template' if space == 10 else 'Category'}:{_two_words(number)}"
            yield _page_xml(number, title, space, " ".join(_words(rng, 1_200)))


def _stream(task: tuple[Wiki, int]) -> tuple[int, bytes]:
    wiki, first = task
    stop = min(first + PAGES_PER_STREAM, wiki.num_rounds * PAGES_PER_ROUND)
    xml = "".join(pages(wiki, first, stop)).encode()
    return len(xml), bz2.compress(xml)


def _page_xml(number: int, title: str, space: int, text: str, target: str = "") -> str:
    day = number % 28 + 1
    redirect = f'\n    <redirect title="{escape(target)}" />' if target else ""
    body = escape(f"#REDIRECT [[{target}]]\n\n{{{{R from move}}}}" if target else text)
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{space}</ns>
    <id>{number + 1}</id>{redirect}
    <revision>
      <id>{number * 7 + 11}</id>
      <parentid>{number * 7 + 5}</parentid>
      <timestamp>2026-05-{day:02d}T10:{number % 60:02d}:00Z</timestamp>
      <contributor>
        <username>Editor {number % 5000}</username>
        <id>{number % 5000}</id>
      </contributor>
      <comment>/* {title.split()[0]} */ copy-edit, add a source</comment>
      <origin>{number * 7 + 11}</origin>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="{len(body)}" sha1="{number:031x}" xml:space="preserve">{body}</text>
      <sha1>{number:031x}</sha1>
    </revision>
  </page>
"""


def _article(wiki: Wiki, rng: np.random.Generator, title: str) -> str:
    num_words = int(np.clip(rng.lognormal(6.0, 1.1), 30, 20_000))
    words = _words(rng, num_words)
    ends = _mark_up(wiki, rng, words)
    paragraphs = [" ".join(words[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    parts = [_infobox(rng, title), f"'''{title}''' is {paragraphs[0]}"]
    for index, paragraph in enumerate(paragraphs[1:]):
        if index % 3 == 0:
            parts.append(f"\n== {words[index].strip('[].,').title()} ==")
            parts.extend(_furniture(wiki, rng))
        parts.append(paragraph)
    parts.append("\n== References ==\n{{Reflist|30em}}\n\n{{Authority control}}")
    categories = [f"[[Category:{_two_words(int(n))}]]" for n in rng.integers(0, 4000, 6)]
    return "\n\n".join([*parts, "\n".join(categories)])


def _mark_up(wiki: Wiki, rng: np.random.Generator, words: list[str]) -> list[int]:
    """Put links, citations and full stops among the words; return where paragraphs end."""
    num_words = len(words)
    for place in rng.integers(0, num_words, max(1, num_words // _WORDS_PER_LINK)).tolist():
        title, word = _target(wiki, rng), words[place]
        form = place % 4
        if form == 0:
            words[place] = f"[[{title}]]"
        elif form == 1:
            words[place] = f"[[{title[0].lower()}{title[1:]}]]s"
        else:
            words[place] = f"[[{title}|{word.strip('[]|')} {words[place - 1].strip('[]|')}]]"
    for place in rng.integers(0, num_words, num_words // _WORDS_PER_CITATION).tolist():
        words[place] += _citation(rng)
    for place in rng.integers(0, num_words, num_words // 120).tolist():
        words[place] += _INLINE[place % len(_INLINE)]
    stops = np.cumsum(rng.poisson(_WORDS_PER_SENTENCE, num_words // _WORDS_PER_SENTENCE + 1) + 3)
    places = [*stops[stops < num_words - 1].tolist(), num_words - 1]
    for place in places:
        words[place] += "."
        if place + 1 < num_words:
            words[place + 1] = words[place + 1][:1].upper() + words[place + 1][1:]
    return [place + 1 for place in places[3:-1:4]] + [num_words]


_INLINE = (
    " {{convert|12|km|mi}}",
    " {{lang|la|terra}}",
    "&nbsp;km",
    "<!-- check this -->",
    " ''and'' <small>more</small>",
    " {{circa|1850}}",
    " {{citation needed|date=May 2026}}",
    " <math>x^2 + y^2</math>",
)


def _citation(rng: np.random.Generator) -> str:
    number = int(rng.integers(0, 100_000))
    if number % 3 == 0:
        return f'<ref name="s{number % 9}" />'
    title = " ".join(_words(rng, 6))
    return (
        f"<ref>{{{{cite web |last={_word(number)} |first=A. |title={title} "
        f"|url=https://example.org/{number} |date={number % 28 + 1} May 2020 "
        f"|website={_word(number // 7)} |access-date=3 June 2026}}}}</ref>"
    )


def _infobox(rng: np.random.Generator, title: str) -> str:
    rows = "\n".join(
        f"| {_word(200 + index)} = {' '.join(_words(rng, 3))}"
        for index in range(rng.integers(8, 25))
    )
    return (
        f"{{{{Short description|{_word(50)} of {_word(90)}}}}}\n"
        f"{{{{Use dmy dates|date=May 2026}}}}\n{{{{Infobox place\n| name = {title}\n{rows}\n}}}}"
    )


def _furniture(wiki: Wiki, rng: np.random.Generator) -> Iterator[str]:
    """Yield what stands between paragraphs: now and then a hatnote, image, list or table."""
    kind = int(rng.integers(0, 8))
    if kind == 0:
        yield f"{{{{Main|{_target(wiki, rng)}}}}}"
    elif kind == 1:
        caption = " ".join(_words(rng, 8))
        yield f"[[File:{_word(kind + 300)}.jpg|thumb|upright|{caption} [[{_target(wiki, rng)}]]]]"
    elif kind == 2:
        yield "\n".join(f"* [[{_target(wiki, rng)}]], {' '.join(_words(rng, 5))}" for _ in range(5))
    elif kind == 3:
        rows = "\n".join(
            f"|-\n| {_word(row)} || [[{_target(wiki, rng)}]] || {row * 17}" for row in range(6)
        )
        yield f'{{| class="wikitable sortable"\n! Name !! Place !! Number\n{rows}\n|}}'


def _target(wiki: Wiki, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < _SHARE_RED:
        return f"{_two_words(_popular(rng, wiki.num_articles))} (missing)"
    if kind < _SHARE_RED + _SHARE_REDIRECT:
        return redirect_title(_popular(rng, wiki.num_redirects))
    return article_title(_popular(rng, wiki.num_articles))


def _popular(rng: np.random.Generator, size: int) -> int:
    """Draw a number below `size` by a power law; popular ones lie anywhere."""
    return int(size * rng.random() ** _POWER) * 7_919 % size


def article_title(number: int) -> str:
    """Return the title of an article, another for every number below 99 million."""
    return _two_words(number)


def redirect_title(number: int) -> str:
    """Return the title of a redirect."""
    return _two_words(number).replace(" ", "-")


def _two_words(number: int) -> str:
    high, low = divmod(number, _TITLE_WORDS)
    return f"{_word(low).capitalize()} {_word((high + low * 31) % _TITLE_WORDS)}"


def _words(rng: np.random.Generator, count: int) -> list[str]:
    """Draw words by Zipf's law: the one of rank r comes up in proportion to 1 / r."""
    ranks = np.exp(rng.random(count) * np.log(_NUM_WORDS)).astype(np.int64) - 1
    return list(_vocabulary()[ranks])


def _word(number: int) -> str:
    return str(_vocabulary()[number % _NUM_WORDS])


@cache
def _vocabulary() -> np.ndarray:
    """Return distinct words by rank, short ones first, some with letters beyond ASCII."""
    rng = np.random.default_rng(20_220_815)
    drawn = zip(*(rng.choice(sounds, _NUM_WORDS * 4).tolist() for sounds in _SOUNDS), strict=True)
    syllables = map("".join, drawn)
    words: dict[str, None] = {}
    while len(words) < _NUM_WORDS:
        num_syllables = 1 + (len(words) > 400) + (len(words) > 30_000)
        words["".join(next(syllables) for _ in range(num_syllables))] = None
    return np.array(list(words), dtype=object)


_SOUNDS = (
    [*"bcdfghklmnprstvw", "br", "ch", "cl", "dr", "fl", "gr", "pl", "sh", "st", "th", "tr"],
    [*"aeioaeioaei", "ai", "ea", "ou", "é", "ö", "ā"],
    ["", "", "", "n", "r", "s", "l", "t", "nd", "st", "ck"],
)


def main() -> None:
    """Write a dump and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    parser.add_argument("--megabytes", type=int, default=100, help="of XML")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    wiki = wiki_of(args.megabytes * 10**6, args.seed)
    num_bytes = write_dump(args.path, wiki, args.processes)
    print(
        f"{args.path}: {num_bytes / 1e6:,.1f} MB of XML, "
        f"{os.path.getsize(args.path) / 1e6:,.1f} MB on disk, "
        f"{wiki.num_articles:,} articles, {wiki.num_redirects:,} redirects"
    )


if __name__ == "__main__":
    main()
