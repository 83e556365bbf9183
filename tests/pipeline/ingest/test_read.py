"""Lines of an input belong to the range of their first byte; damage is told by its place."""

from __future__ import annotations

import gzip
import io
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeline.ingest.read import _lines, _open_input, check_redirects
from schemas.errors import DumpError

CONTENT = b"one\ntwo\n\nthree\nlast without an end"


@pytest.mark.parametrize("cut", range(len(CONTENT) + 1))
def test_two_ranges_hold_each_line_once(cut: int) -> None:
    found = [
        line
        for start, stop in ((0, cut), (cut, None))
        for line in _lines(io.BytesIO(CONTENT), "a.jsonl", start, stop)
    ]
    assert b"".join(line for _, line in found) == CONTENT
    assert all(CONTENT.startswith(line, offset) for offset, line in found)


def test_damage_of_a_compressed_file_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"line\n" * 10_000)[:-20])
    with (
        pytest.raises(DumpError, match=r"near byte \d+ of .*a\.jsonl\.gz"),
        _open_input(str(path)) as file,
    ):
        list(_lines(file, str(path), 0, None))


DOCUMENT = '{"id": 1, "title": "A", "text": "a"}\n'


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (
            DOCUMENT * 2,
            r"start of .*r\.jsonl \(its first record: a document\).*before --redirects",
        ),
        ('{"from": "B", "to": "A"}\n', "first record: bad id"),
        ("B\tA\n", "first record: malformed json"),
        (DOCUMENT + '{"source": "B", "target": "A"}\n', ""),
        ("", ""),
    ],
)
def test_a_file_that_begins_with_no_redirect_is_refused(
    tmp_path: Path, lines: str, found: str
) -> None:
    (tmp_path / "r.jsonl").write_text(lines)
    with pytest.raises(DumpError, match=found) if found else nullcontext():
        check_redirects([str(tmp_path / "*.jsonl"), str(tmp_path / "missing"), str(tmp_path)])
