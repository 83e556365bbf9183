from pathlib import Path

import pytest

from pipeline.engine import beam
from pipeline.engine.outputs import versions_here
from schemas.errors import StageError
from tests.pipeline.engine.counting_stage import counting_job


@pytest.mark.parametrize("name", ["linkbert", "python", "apache-beam"])
def test_a_worker_of_another_version_refuses_its_first_element(tmp_path: Path, name: str) -> None:
    launcher = {**versions_here(), name: "0.0.1"}
    expected = rf"{name} {versions_here()[name]} instead of 0\.0\.1: install the same"
    with pytest.raises(StageError, match=expected):
        beam._open_state((counting_job(tmp_path), launcher), overwrite=False)
    assert not list(tmp_path.iterdir())


def test_a_worker_of_the_launcher_s_versions_begins(tmp_path: Path) -> None:
    job, records = beam._open_state((counting_job(tmp_path), versions_here()), overwrite=False)
    assert (job.root, records) == (str(tmp_path), {})
