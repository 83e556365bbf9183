"""A corpus of titles that try to break a page."""

from pathlib import Path

import pytest

from tests.linkbert.inspection.odd_corpus import write_odd_corpus


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_odd_corpus(tmp_path_factory.mktemp("odd"))
