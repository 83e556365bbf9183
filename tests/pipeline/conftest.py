"""What every engine and store must equal."""

from pathlib import Path

import pytest

from tests.pipeline.chain import mini_chain
from tests.running import run_inline


@pytest.fixture(scope="session")
def inline_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the mini chain, run in this process, for reading."""
    root = tmp_path_factory.mktemp("inline") / "chain"
    for job in mini_chain(root):
        run_inline(job)
    return root
