import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sample.pairs.splits import log_factorial


@given(st.integers(0, 3000))
def test_log_factorials_are_exact(number: int) -> None:
    import math

    assert float(log_factorial(number)) == pytest.approx(math.lgamma(number + 1), rel=1e-13)
