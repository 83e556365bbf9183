"""The options of `segment`: what is out of range is one line that names the key and the value."""

from typing import Any

import pytest

from pipeline.segment.config import SegmentConfig
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_tokens": 1}, "max_tokens from 2 to 8192, found 1:"),
        ({"max_tokens": 8193}, "found 8193:"),
        ({"min_tokens": 0}, "min_tokens of at least 1, found 0"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SegmentConfig(**options)


def test_the_shortest_segment_is_at_most_half_of_the_longest() -> None:
    assert SegmentConfig(max_tokens=254, min_tokens=32).shortest == 32
    assert SegmentConfig(max_tokens=20, min_tokens=32).shortest == 10
