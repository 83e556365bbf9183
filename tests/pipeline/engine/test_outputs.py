from pathlib import Path

import numpy as np
import pytest

from pipeline.engine import outputs
from pipeline.engine.outputs import load_finished, load_manifest, verify_folder, verify_part
from schemas.errors import StageError
from tests.pipeline.engine.counting_stage import counting_job
from tests.running import run_inline


def test_a_folder_is_finished_with_its_manifest(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="run `linkbert graph` first"):
        load_manifest(str(tmp_path / "nodes"))
    run_inline(counting_job(tmp_path))
    assert load_finished(str(tmp_path / "edges")).rows_out == 15


def test_each_file_is_verified_by_one_task_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_inline(counting_job(tmp_path))
    seen: list[str] = []
    monkeypatch.setattr(
        outputs, "verify_file", lambda folder, entry, stage: seen.append(entry.name)
    )
    for first in range(3):
        verify_folder(str(tmp_path / "edges"), first, 3)
    assert sorted(seen) == [f"part-0000{index}.parquet" for index in range(5)]


def test_a_part_that_no_manifest_names_is_refused(tmp_path: Path) -> None:
    run_inline(counting_job(tmp_path))
    with pytest.raises(StageError, match="found it in no manifest"):
        verify_part(str(tmp_path / "edges"), "part-00009.parquet")


def test_rows_that_do_not_add_up_are_a_fault_of_the_stage(tmp_path: Path) -> None:
    job = counting_job(tmp_path)
    with pytest.raises(StageError, match="found 3 in, 0 out"):
        outputs.write_folder_manifest(job, "edges", [], table="edges", rows_in=3)


def test_an_array_of_another_length_than_said_never_appears(tmp_path: Path) -> None:
    job = counting_job(tmp_path)
    with pytest.raises(StageError, match=r"expected 3 values for totals/a\.npy, found 2"):
        outputs.save_chunks(job, "totals/a.npy", np.int32, 3, [np.zeros(2, np.int32)])
    assert list((tmp_path / "totals").iterdir()) == []
