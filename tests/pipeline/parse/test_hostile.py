"""Hostile pages are rejected one by one, whatever they hold, and stop no other."""

from pathlib import Path

import pytest

from schemas.errors import ConfigError, DumpError
from tests.pipeline.parse.test_stage import parse_dump, rows

HEAD = (
    '<mediawiki xml:lang="en"><siteinfo><dbname>twiki</dbname><namespaces>'
    '<namespace key="0" /><namespace key="14">Category</namespace></namespaces></siteinfo>\n'
)


def page(title: str, *, ns: str = "0", id: str = "7", revision: str = "8", rest: str = "") -> str:
    return (
        f"<page><title>{title}</title><ns>{ns}</ns><id>{id}</id><revision><id>{revision}</id>"
        f"<timestamp>2026-01-01T00:00:00Z</timestamp>{rest}"
        f"<text>{title} is [[First]].</text></revision></page>\n"
    )


HOSTILE = {
    "namespace of thousands of digits": (page("A", ns="9" * 5000), "bad_number"),
    "negative one": (page("A", ns="-" + "9" * 5000), "bad_number"),
    "namespace beyond 32 bits": (page("A", ns="2147483648"), "bad_number"),
    "namespace in other digits": (page("A", ns="\u0660"), "bad_number"),
    "namespace of letters": (page("A", ns="zero"), "bad_number"),
    "id of thousands of digits": (page("A", id="1" * 5000), "bad_number"),
    "id of thousands of zeros": (page("A", id="0" * 5000 + "7"), "bad_number"),
    "id beyond 64 bits": (page("A", id="9223372036854775808"), "bad_number"),
    "id in other digits": (page("A", id="\uff17"), "bad_number"),
    "revision beyond 64 bits": (page("A", revision="9" * 19), "bad_number"),
    "title of 256 bytes": (page("A" * 256), "title_too_long"),
    "title of 128 letters of two bytes": (page("\u0101" * 128), "title_too_long"),
    "model with a control character": (page("A", rest="<model>a\x9b2J</model>"), "bad_model"),
    "endless model": (page("A", rest=f"<model>{'m' * 10_000}</model>"), "bad_model"),
    "page above the limit": (page("A", rest=f"<comment>{'c' * 20_000}</comment>"), "too_large"),
}


def dump_with(tmp_path: Path, hostile: str) -> Path:
    path = tmp_path / "hostile.xml"
    path.write_text(HEAD + page("First") + hostile + page("Last", id="9") + "</mediawiki>\n")
    return path


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_page_is_rejected_and_stops_no_other(tmp_path: Path, kind: str) -> None:
    hostile, reason = HOSTILE[kind]
    summary = parse_dump(tmp_path / "out", dump_with(tmp_path, hostile), max_page_bytes=16_384)
    assert summary["rejected"] == {reason: 1}
    assert [row["title"] for row in rows(tmp_path / "out", "pages")] == ["First", "Last"]
    [reject] = rows(tmp_path / "out", "rejects")
    assert reject["reason"] == reason
    assert len(reject["detail"]) <= 200
    assert f" as {reason} (" in summary["warnings"][0]


HARMLESS = {
    "deep elements": page("A", rest="<x>" * 5000 + "</x>" * 5000),
    "title of 255 bytes": page("A" * 255),
    "id of 64 bits": page("A", id="9223372036854775807"),
    "year one of the east": page("A").replace("2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
    "last year of the west": page("A").replace("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"),
    "no time": page("A").replace("2026-01-01T00:00:00Z", "9" * 5000),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_odd_but_harmless_page_is_kept(tmp_path: Path, kind: str) -> None:
    summary = parse_dump(tmp_path / "out", dump_with(tmp_path, HARMLESS[kind]))
    assert (summary["pages"], summary["rejected"]) == (3, {})
    assert summary["dump_date"] in ("2026-01-01", "9999-12-31")


@pytest.mark.parametrize("name", ["ns5000.xml", "nsneg5000.xml", "gap_comment.xml.xz"])
def test_shared_hostile_dumps_are_read(tmp_path: Path, shared_data: Path, name: str) -> None:
    path = shared_data.parent / "cases" / "hostile" / name
    if not path.exists():
        pytest.skip("the shared hostile dumps are not here")
    summary = parse_dump(tmp_path, path)
    assert sum(summary["rejected"].values()) >= 1
    assert summary["pages"] >= 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("-", "found standard input"),
        ("https://example.org/dump.xml", "found an address of the web"),
        (".", r"found a folder at \.: name the files in it, such as \./\*\.bz2"),
        ("/dev/null", "found a device"),
    ],
)
def test_what_cannot_be_read_twice_is_named(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(DumpError, match=message):
        parse_dump(tmp_path / "out", source)


def test_languages_and_namespaces_that_do_not_exist_are_told(tmp_path: Path) -> None:
    dump = dump_with(tmp_path, "")
    summary = parse_dump(tmp_path / "out", dump, namespaces=(0, 9999), language="xx_nope")
    assert "no namespace 9999: its own are 0, 14" in summary["warnings"][0]
    assert "the language xx_nope is not known" in summary["warnings"][1]
    assert "warnings" not in parse_dump(tmp_path / "known", dump, language="pt-BR")
    for options in ({"language": "x y"}, {"max_page_bytes": 0}, {"max_page_bytes": 1 << 40}):
        with pytest.raises(ConfigError):
            parse_dump(tmp_path / "refused", dump, **options)
