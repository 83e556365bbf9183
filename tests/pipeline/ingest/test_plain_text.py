"""Plain text is parted at blank lines; what is no UTF-8 is a reject."""

from pipeline.ingest.entries import Document, Malformed
from pipeline.ingest.plain_text import read_text


def test_a_blank_line_ends_a_document_and_several_are_one() -> None:
    lines = [b"\xef\xbb\xbfOne,\n", b"two.\n", b" \n", b"\n", b"Three.\r\n", b"\xff\n", b"Four."]
    entries = list(read_text(enumerate(lines), 3, "book"))
    documents = [entry for entry in entries if isinstance(entry, Document)]
    assert [entry.text for entry in documents] == ["One,\ntwo.", "Three.\nFour."]
    assert [entry.key for entry in documents] == ["00003-0000000001", "00003-0000000002"]
    assert [entry.offset for entry in entries if isinstance(entry, Malformed)] == [5]
