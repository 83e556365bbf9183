"""A bounded version of `make torture`: the bundled dump, one kill per stage.

`graph` is killed in the test of S3 and `sample` in that of its joins.
"""

import random
import shutil
from pathlib import Path

import pytest

from tests.pipeline.chain import LTGWIKI, ltgwiki_chain
from tests.running import run_inline
from tests.torture import Chain, assert_same, torture_stage

pytestmark = pytest.mark.end_to_end


def test_kills_at_random_moments_change_no_byte(tmp_path: Path) -> None:
    calm, disturbed = (Chain(str(LTGWIKI), tmp_path / name, 2) for name in ("calm", "disturbed"))
    choice = random.Random(7)
    *corpus, _ = ltgwiki_chain(calm.root)
    for job in corpus:
        stage = job.stage.name
        run_inline(job)
        if stage in ("parse", "segment"):
            tally = torture_stage(disturbed, stage, calm, 2.0, 1, choice)
            assert sum(tally.kills.values()) == 1
        else:
            shutil.copytree(calm.root, disturbed.root, dirs_exist_ok=True)


def test_the_comparison_sees_one_changed_byte(tmp_path: Path) -> None:
    for name in ("calm", "disturbed"):
        part = tmp_path / name / "corpus/pages/part-00000.parquet"
        part.parent.mkdir(parents=True)
        part.write_bytes(name[:1].encode())
    with pytest.raises(AssertionError, match="part-00000"):
        assert_same(tmp_path / "calm", tmp_path / "disturbed", "parse")
