from typing import Any

import pytest

from pipeline.sample.config import SampleConfig, split_source
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    "options",
    [
        {"links": "hyperlinks"},
        {"seed": -1},
        {"seed": 10**22},
        {"epochs": 0},
        {"validation_fraction": 1.0},
        {"mix": (0, 0, 0)},
        {"mix": (1, 1)},
        {"mix": (float("nan"), 1, 1)},
        {"mix": (float("inf"), 1, 1)},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        SampleConfig(**options)


def test_a_source_may_name_its_links() -> None:
    assert split_source("/a/b:none", "hyperlink") == ("/a/b", "none")
    assert split_source("gs://a/b/", "hyperlink") == ("gs://a/b", "hyperlink")
