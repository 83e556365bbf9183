"""The options of `ingest`: what is out of range is one line that names the key and the value."""

from typing import Any

import pytest

from pipeline.ingest.config import IngestConfig
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "csv"}, "expected format to be one of jsonl, pubmed, text, found 'csv'"),
        ({"titles": ""}, "expected titles to be one of wiki, exact, found ''"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        IngestConfig(**options)
