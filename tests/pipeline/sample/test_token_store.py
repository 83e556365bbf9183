from pathlib import Path

import numpy as np
import pytest

from pipeline.sample.token_store import TokenRuns, open_store


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
def test_files_read_as_one_long_store(tmp_path: Path, dtype: str) -> None:
    contents = [np.arange(10, 15, dtype=dtype), np.zeros(0, dtype), np.arange(20, 29, dtype=dtype)]
    paths = [str(tmp_path / f"{index}.ids") for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        content.tofile(path)
    runs = TokenRuns(np.array([11, 0, 5, 4]), np.array([3, 5, 2, 1]))
    with open_store(paths, np.dtype(dtype)) as store:
        found = [np.frombuffer(piece, dtype).tolist() for piece in store.slices(runs)]
    assert store.bases.tolist() == [0, 5, 5, 14]
    assert found == [[26, 27, 28], [10, 11, 12, 13, 14], [20, 21], [14]]
