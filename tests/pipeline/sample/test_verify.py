import shutil
from pathlib import Path

import pytest

from schemas.errors import StageError
from tests.pipeline.sample.sampling import sample_job
from tests.running import run_inline


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("nodes/part-00000.parquet", "graph"),
        ("csr/out_indices.npy", "graph"),
        ("csr/in_indptr.npy", "graph"),
        ("segments/part-00001.parquet", "segment"),
        ("tokens/part-00002.ids", "segment"),
        ("tokenizer/tokenizer.json", "tokenizer"),
    ],
)
def test_a_flipped_byte_or_a_lost_file_is_named(
    corpus: Path, tmp_path: Path, name: str, stage: str
) -> None:
    damaged = tmp_path / "corpus" / name
    shutil.copytree(corpus, tmp_path / "corpus")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 4
    damaged.write_bytes(data)
    job = sample_job(tmp_path / "s", tmp_path / "corpus")
    with pytest.raises(StageError, match=f"found other bytes at .*{name}: run `linkbert {stage}`"):
        run_inline(job)
    damaged.unlink()
    with pytest.raises(StageError, match=f"found none at .*{name}"):
        run_inline(job)


def test_a_stray_part_is_named(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "corpus")
    parts = tmp_path / "corpus" / "segments"
    shutil.copy(parts / "part-00000.parquet", parts / "part-00009.parquet")
    with pytest.raises(StageError, match=r"part-00009\.parquet beside them"):
        run_inline(sample_job(tmp_path / "s", tmp_path / "corpus"))
