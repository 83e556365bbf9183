"""A corpus as one small file that `sample` can work from: tokens, targets, degrees, tokenizer.

    CORPUS ──pack──▶ FILE (tar of xz) ──unpack──▶ a folder with the tables that `sample` reads

Pages and mentions are left out, and so are the tokens of `segments`, because `tokens` has them.
Manifests stay as they are, so sampling from the unpacked folder gives the same bytes as sampling
from the corpus; `linkbert check` rightly calls the folder incomplete. `_packed.json` has the
digests of the files as they are in the pack, for `sample` to verify.
"""

from __future__ import annotations

import io
import lzma
import os
import shutil
import tarfile
import uuid
from hashlib import sha256

import pyarrow.parquet as pq

from pipeline.engine.outputs import load_manifest
from pipeline.storage import files
from schemas.errors import StageError
from schemas.manifest import MANIFEST_NAME, PACKED_NAME, encode_json, write_whole

_TABLES = ("nodes", "csr", "segments", "tokens", "tokenizer")
_NODE_COLUMNS = ("in_degree",)
_SEGMENT_COLUMNS = ("node_id", "segment_index", "num_tokens", "target_ids")

# Ids are pairs of bytes: these settings let xz model the two bytes of a pair separately.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 1, "pb": 1}]


def pack_corpus(corpus: str, out: str) -> int:
    """Write a corpus up to `segment` as one file; return its bytes.

    Raises:
        StageError: the corpus is unfinished.
    """
    with (
        write_whole(out) as file,
        lzma.open(file, "wb", filters=_FILTERS) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        pages = files.join(corpus, "pages", MANIFEST_NAME)
        _add(tar, f"pages/{MANIFEST_NAME}", files.read_bytes(pages))
        digests: dict[str, tuple[int, str]] = {}
        for table in _TABLES:
            manifest = load_manifest(files.join(corpus, table))
            for name in (MANIFEST_NAME, *(entry.name for entry in manifest.files)):
                content = _content(table, files.join(corpus, table, name))
                _add(tar, f"{table}/{name}", content)
                digests[f"{table}/{name}"] = len(content), sha256(content).hexdigest()
        _add(tar, PACKED_NAME, encode_json(digests))
    return os.path.getsize(out)


def _content(table: str, path: str) -> bytes:
    if path.endswith(".offsets.npy"):
        # `sample` does not read them: the sizes of the segments say the same.
        return b""
    if not path.endswith(".parquet"):
        return files.read_bytes(path)
    columns = _NODE_COLUMNS if table == "nodes" else _SEGMENT_COLUMNS
    content = pq.read_table(path, columns=list(columns), use_threads=False)
    buffer = io.BytesIO()
    # Uncompressed, because xz compresses the whole better than its parts.
    pq.write_table(content, buffer, compression="none")
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def unpack_corpus(packed: str, folder: str) -> None:
    """Unpack into a folder, which appears only when complete; an existing one is left as it is.

    Raises:
        StageError: the file is not a packed corpus.
    """
    if os.path.isdir(folder):
        return
    aside = f"{folder}.{uuid.uuid4().hex}.tmp"
    try:
        with tarfile.open(packed, "r:xz") as tar:
            tar.extractall(aside, filter="data")
        load_manifest(files.join(aside, "tokens"))
        if not files.exists(files.join(aside, PACKED_NAME)):
            raise StageError(
                f"expected a packed corpus with digests of its files, found none in {packed}: pack "
                "it again with `linkbert experiment FILE.toml --pack PACKED`"
            )
        os.replace(aside, folder)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise StageError(
            f"expected a packed corpus, found {error} in {packed}: pack it again with "
            "`linkbert experiment FILE.toml --pack PACKED`"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def corpus_fingerprint(corpus: str) -> str:
    """Return the fingerprint of what `sample` reads of a corpus, packed or not."""
    return load_manifest(files.join(corpus, "segments")).fingerprint()
