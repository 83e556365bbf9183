"""Data from strangers is data: nothing in it runs, escapes its folder, or fills the memory."""

import ast
import gzip
import io
import json
import lzma
import os
import pickle
import subprocess
import sys
import zlib
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard

from linkbert.cli.commands import main
from linkbert.inspection.check import check
from pipeline.engine.run import run_job
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.link_graph import LinkGraph
from pipeline.graph.stage import GRAPH
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.stage import INGEST
from pipeline.parse.config import ParseConfig
from pipeline.parse.stage import PARSE
from schemas.errors import LinkBertError, SchemaError, StageError
from schemas.manifest import parse_manifest, read_manifest
from tests.conftest import REPOSITORY
from tests.running import run_inline

PAGE = """<page><title>{title}</title><ns>0</ns><id>{page_id}</id><revision><id>1</id>
<timestamp>2026-01-01T00:00:00Z</timestamp><model>wikitext</model>
<text bytes="{num_bytes}">{text}</text></revision></page>
"""


def page(title: str, page_id: object = 1, text: str = "Bread.", num_bytes: object = 6) -> str:
    return PAGE.format(title=title, page_id=page_id, text=text, num_bytes=num_bytes)


def dump_of(folder: Path, *pages: str, head: str = "") -> Path:
    path = folder / "dump.xml"
    path.write_text(f"{head}<mediawiki>{''.join(pages)}</mediawiki>")
    return path


def parse(folder: Path, dump: Path) -> Any:
    return run_inline(Job(PARSE, str(folder / "corpus"), ParseConfig(), (str(dump),)))


def in_small_process(code: str, folder: Path, megabytes: int = 1500) -> subprocess.CompletedProcess:
    """Run code where no more than so much memory can be had."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20},) * 2)\n"
    return subprocess.run(
        [sys.executable, "-c", limit + code, str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )


BOMB = (
    "<!DOCTYPE x [<!ENTITY a0 'boom boom boom boom '>"
    + "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12))
    + "]>"
)


def test_entities_in_a_page_are_not_expanded(tmp_path: Path) -> None:
    dump = dump_of(tmp_path, page("Rye", text="&a11;"), page("Oat", 2), head=BOMB)
    summary = parse(tmp_path, dump)
    assert summary["rejected"] == {"malformed_xml": 1}
    assert summary["pages"] == 1


def test_a_page_that_brings_its_own_entities_is_rejected(tmp_path: Path) -> None:
    inner = f"<page>{BOMB}<title>Rye</title><ns>0</ns><id>1</id></page>"
    assert parse(tmp_path, dump_of(tmp_path, inner, page("Oat", 2)))["pages"] == 1


def test_a_bomb_of_entities_in_pubmed_is_refused_in_little_memory(tmp_path: Path) -> None:
    article = "<PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>&a11;"
    article += "</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
    path = tmp_path / "bomb.xml"
    path.write_text(f"{BOMB}<PubmedArticleSet>{article}</PubmedArticleSet>")
    code = (
        "import sys; from pipeline.ingest.pubmed import read_pubmed\n"
        "for entry in read_pubmed(open(sys.argv[1] + '/bomb.xml', 'rb'), 'bomb.xml'): print(entry)"
    )
    result = in_small_process(code, tmp_path)
    assert "limit on input amplification" in result.stdout + result.stderr
    assert len(result.stdout) < 10_000


def test_an_external_entity_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the secret")
    external = f'<!DOCTYPE x [<!ENTITY file SYSTEM "file://{tmp_path}/secret">]>'
    path = tmp_path / "entity.xml"
    path.write_text(
        f"{external}<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article>"
        "<ArticleTitle>&file;</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
        "</PubmedArticleSet>"
    )
    job = Job(INGEST, str(tmp_path / "corpus"), IngestConfig(format="pubmed"), (str(path),))
    try:
        run_inline(job)
    except LinkBertError:
        return
    for part in (tmp_path / "corpus").rglob("*.parquet"):
        assert "the secret" not in str(pq.read_table(part).to_pylist())


TRAVERSALS = ("../../escaped", "/etc/escaped", "..\\escaped", "a/../../escaped", "C:escaped", "~/e")


def test_titles_never_become_paths(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    dump = dump_of(folder, *(page(title, n + 1) for n, title in enumerate((*TRAVERSALS, "Rye"))))
    parse(folder, dump)
    run_inline(Job(GRAPH, str(folder / "corpus"), GraphConfig()))
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"deeper"}
    assert not [path for path in folder.rglob("*") if "escaped" in path.name]


def test_the_name_inside_a_compressed_file_is_ignored(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    plain = dump_of(folder, page("Rye")).read_bytes()
    data = io.BytesIO()
    with gzip.GzipFile("../../escaped", "wb", fileobj=data) as file:
        file.write(plain)
    (folder / "dump.xml.gz").write_bytes(data.getvalue())
    assert parse(folder, folder / "dump.xml.gz")["pages"] == 1
    assert not [path for path in tmp_path.rglob("*") if "escaped" in path.name]


@pytest.mark.parametrize("magic", [b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"ustar"])
def test_archives_are_not_unpacked(tmp_path: Path, magic: bytes) -> None:
    (tmp_path / "dump.xml").write_bytes(magic + bytes(100))
    with pytest.raises(LinkBertError, match="expected"):
        parse(tmp_path, tmp_path / "dump.xml")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "gs://bucket/x", "", "..\\x"])
def test_a_manifest_names_no_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    parse(tmp_path, dump_of(tmp_path, page("Rye")))
    values = asdict(read_manifest(tmp_path / "corpus/pages"))
    values["files"][0]["name"] = name
    with pytest.raises(SchemaError, match="expected names of files below the folder"):
        parse_manifest(json.dumps(values).encode(), "here")


EVIL = "\x1b]0;owned\x07\x1b[2J\u202eRye\x9b31m"


def test_nothing_that_steers_a_terminal_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"id": EVIL, "title": EVIL, "text": f"Bread. {EVIL} more", "links": []},
        {"id": "b", "title": "Oat", "text": "Oat bread.", "links": [
            {"start": 0, "end": 3, "target": EVIL}]},
    ]  # fmt: skip
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, lines)))
    corpus = str(tmp_path / "corpus")
    assert main(["ingest", str(tmp_path / "d.jsonl"), "--out", corpus, "--format", "jsonl"]) == 0
    assert main(["graph", corpus]) == 0
    for arguments in (
        ["show", corpus],
        ["show", corpus, "--page", EVIL],
        ["show", corpus, "--page", "Oat"],
        ["show", corpus, "--page", f"{EVIL} unknown"],
        ["show", f"{corpus}/pages"],
        ["show", f"{corpus}/nodes"],
        ["show", f"{corpus}/pages/part-00000.parquet"],
        ["check", corpus],
        ["check", f"{corpus}/{EVIL}"],
    ):
        main(arguments)
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert "Oat" in said
    steering = [char for char in said if char not in "\n\t" and ord(char) in _CONTROLS]
    assert steering == []


_CONTROLS = frozenset({*range(0x20), *range(0x7F, 0xA0), 0x202E})


def test_numbers_too_large_for_their_column_are_no_numbers(tmp_path: Path) -> None:
    huge = "9" * 5000
    pages = [page("Rye", huge), page("Oat", 10**30), page("Bun", 3, num_bytes=huge), page("Bap", 4)]
    summary = parse(tmp_path, dump_of(tmp_path, *pages))
    assert summary["pages_read"] == 4
    assert summary["pages"] >= 2


def test_a_namespace_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    keys = "".join(f'<namespace key="{key}">N</namespace>' for key in ("x", "9" * 5000, "1"))
    head = f"<siteinfo><dbname>w</dbname><namespaces>{keys}</namespaces></siteinfo>"
    dump = tmp_path / "dump.xml"
    dump.write_text(f"<mediawiki>{head}{page('Rye')}</mediawiki>")
    assert parse(tmp_path, dump)["pages"] == 1


def test_a_window_of_gigabytes_is_refused(tmp_path: Path) -> None:
    plain = dump_of(tmp_path, page("Rye")).read_bytes()
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=30)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "a.zst").write_bytes(compressor.compress(plain) + compressor.flush())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    (tmp_path / "a.xz").write_bytes(_xz_that_asks_for(plain, filters))
    for name in ("a.zst", "a.xz"):
        with pytest.raises(LinkBertError, match="expected whole"):
            parse(tmp_path, tmp_path / name)


def _xz_that_asks_for(data: bytes, filters: list[dict[str, int]]) -> bytes:
    """Compress with a small dictionary, then raise what the block's header asks for."""
    filters = [{**filters[0], "dict_size": 1 << 20}]
    whole = bytearray(lzma.compress(data, filters=filters, check=lzma.CHECK_NONE))
    # Stream header of 12 bytes; block header: size, flags, filter id, its size, dictionary, ...
    assert whole[12:16] == bytes([2, 0, 0x21, 1])
    whole[16] = 38  # 2 GB
    length = (whole[12] + 1) * 4
    whole[12 + length - 4 : 12 + length] = zlib.crc32(whole[12 : 12 + length - 4]).to_bytes(
        4, "little"
    )
    return bytes(whole)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    parse(tmp_path, dump_of(tmp_path, page("Rye", text="[[Oat]]"), page("Oat", 2)))
    run_inline(Job(GRAPH, str(tmp_path / "corpus"), GraphConfig()))
    return tmp_path / "corpus"


def test_an_array_of_an_absurd_length_is_refused(corpus: Path) -> None:
    path = corpus / "csr/out_indices.npy"
    header = {"descr": "<i4", "fortran_order": False, "shape": (1 << 60,)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(SchemaError, match=r"out_indices\.npy"), LinkGraph.open(str(corpus)):
        pass
    assert str(path) in check(corpus).problems[0]


class Trap:
    """Something whose pickle does harm when it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["TRAP"],)


def test_a_pickle_in_an_array_is_not_loaded(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    trap = np.empty(1, object)
    trap[0] = Trap()
    num_opened = 0
    for path in sorted(corpus.rglob("*.npy")):
        whole = path.read_bytes()
        np.save(path, trap, allow_pickle=True)
        with suppress(SchemaError), LinkGraph.open(str(corpus)) as graph:
            num_opened += bool(graph.num_nodes)
        main(["show", str(corpus), "--page", "Rye"])
        assert main(["check", str(corpus), "--quiet"]) == 1
        path.write_bytes(whole)
    assert num_opened < len(list(corpus.rglob("*.npy"))) / 2
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(Trap()))
    assert (tmp_path / "sprung").exists(), "the trap would have sprung"


def test_no_code_loads_pickles_or_evaluates_text() -> None:
    found = set()
    for package in ("schemas", "pipeline", "linkbert"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in _FORBIDDEN:
                    given = {ast.unparse(each) for each in node.keywords}
                    # Tensors and plain containers alone; anything else is refused unrun.
                    if "weights_only=True" not in given:
                        found.add(f"{path.name}: {ast.unparse(node.func)}")
                if isinstance(node, ast.keyword) and ast.unparse(node) in _FORBIDDEN:
                    found.add(f"{path.name}: {ast.unparse(node)}")
    assert found == set()


_FORBIDDEN = {
    "pickle.load", "pickle.loads", "torch.load", "eval", "exec", "os.system", "marshal.loads",
    "joblib.load", "yaml.load", "dill.load", "cloudpickle.load", "shelve.open", "compile",
    "allow_pickle=True", "shell=True",
}  # fmt: skip


@pytest.mark.parametrize("name", ["pages", "_state", "_state/parse", "_state/_lock"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_is_a_link_is_refused(tmp_path: Path, name: str, overwrite: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("mine")
    link = tmp_path / "corpus" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere / "mine" if name.endswith("_lock") else elsewhere)
    dump = dump_of(tmp_path, page("Rye"))
    job = Job(PARSE, str(tmp_path / "corpus"), ParseConfig(), (str(dump),))
    with pytest.raises(StageError, match="found a symbolic link"):
        run_job(job, workers=1, overwrite=overwrite)
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]
    assert (elsewhere / "mine").read_text() == "mine"


def test_a_part_that_is_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    dump = dump_of(tmp_path, page("Rye"))
    parse(tmp_path, dump)
    (tmp_path / "mine").write_text("mine")
    part = tmp_path / "corpus/pages/part-00000.parquet"
    part.unlink()
    part.symlink_to(tmp_path / "mine")
    (tmp_path / "corpus/_state/parse/_summary.json").unlink()
    parse(tmp_path, dump)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not part.is_symlink()
