"""The options of `graph` and `subset`: what is out of range is one line that names the key."""

from typing import Any

import pytest

from pipeline.graph.config import GraphConfig, SubsetConfig
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (GraphConfig, {"nodes_per_part": 0}, "nodes_per_part of at least 1, found 0:"),
        (GraphConfig, {"links_per_batch": -1}, "links_per_batch of at least 1, found -1:"),
        (SubsetConfig, {}, "around to be a title, found nothing"),
        (SubsetConfig, {"around": "Riga", "size": 0}, "size of at least 1, found 0"),
        (SubsetConfig, {"around": "Riga", "method": "x"}, "one of links, breadth, found 'x'"),
    ],
)
def test_a_value_out_of_range_is_named(kind: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        kind(**options)
