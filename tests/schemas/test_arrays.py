"""Arrays are mapped, never unpickled, and damage is one line."""

from pathlib import Path

import numpy as np
import pytest

from schemas.arrays import map_array
from schemas.errors import SchemaError


def test_an_array_is_a_view_of_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5, dtype="<i4"))
    found = map_array(tmp_path / "a.npy")
    assert found.tolist() == [0, 1, 2, 3, 4]
    assert type(found) is np.ndarray
    assert not found.flags.writeable


def test_objects_and_cut_files_are_one_line_that_says_where(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([print], object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(b"")
    np.save(tmp_path / "whole.npy", np.arange(500))
    (tmp_path / "c.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-8])
    for name in "abc":
        with pytest.raises(SchemaError, match="damage in s3://bucket/csr"):
            map_array(tmp_path / f"{name}.npy", "s3://bucket/csr")
