"""The options of `download`: what is out of range is one line that names the key and the value."""

from typing import Any

import pytest

from pipeline.download.config import DownloadConfig
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"date": "2026-01-01"}, "date as YYYYMMDD, found '2026-01-01':"),
        ({"mirror": "ftp://example.org"}, "mirror to begin with https:// or http://, found 'ftp"),
        ({"contact": "my name"}, "contact to be an address without blanks"),
        ({"contact": "a@b\r\nX: 1"}, "without blanks"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DownloadConfig(**options)
