"""The options of `tokenizer`: what is out of range is one line that names the key and the value."""

from typing import Any

import pytest

from pipeline.tokenizer.config import TokenizerConfig, TokenizerSources
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vocab_size": 99}, "vocab_size from 100 to 1048576, found 99:"),
        ({"sample_bytes": 0}, "sample_bytes of at least 1, found 0:"),
        (
            {"is_taken": True, "lowercase": True},
            "or --strip-accents together with --from",
        ),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TokenizerConfig(**options)


def test_the_sources_of_a_job_are_told_apart_again() -> None:
    for taken in (None, "vocab.txt"):
        sources = TokenizerSources(("corpus", "other"), taken)
        config = TokenizerConfig(is_taken=taken is not None)
        assert TokenizerSources.of(sources.paths(), config) == sources
