"""The options of `parse`: what is out of range is one line that names the key and the value."""

from typing import Any

import pytest

from pipeline.parse.config import ParseConfig
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"namespaces": ()}, "at least one namespace, found none"),
        ({"page_cpu_seconds": 0.0}, "page_cpu_seconds above 0, found 0"),
        ({"max_page_bytes": 10}, "max_page_bytes from 1,024 to 268,435,456, found 10:"),
        (
            {"language": "no language"},
            "such as ltg or zh-hant, found 'no language'",
        ),
        ({"templates": "[x"}, "TOML"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ParseConfig(**options)
