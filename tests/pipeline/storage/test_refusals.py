import pytest

from pipeline.storage.refusals import explained, is_transient


class AnswerError(Exception):
    def __init__(self, code: int, message: str = "no") -> None:
        super().__init__(message)
        self.code = code


class WrappedError(Exception):
    def __init__(self, inner: Exception) -> None:
        super().__init__("Match operation failed")
        self.exception_details = {"s3://bucket/x": inner}


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (AnswerError(500), True), (AnswerError(503), True), (AnswerError(429), True),
        (AnswerError(404), False),
        (WrappedError(AnswerError(503)), True), (WrappedError(AnswerError(403)), False),
        (ConnectionResetError(), True), (ValueError(), False),
    ],
)  # fmt: skip
def test_what_passes_by_itself_is_told_by_the_status_inside(error: Exception, passes: bool) -> None:
    assert is_transient(error) == passes


@pytest.mark.parametrize(
    ("path", "error", "line"),
    [
        ("s3://b/x", ValueError("Unable to locate credentials"), "set AWS_ACCESS_KEY_ID"),
        ("gs://b/x", ValueError("Your default credentials were not found"), "-- --no_auth"),
        ("s3://b/x", AnswerError(404, "NoSuchBucket"), "expected a bucket s3://b, found none"),
        ("gs://b/x", WrappedError(AnswerError(403)), "expected the right to use gs://b/x"),
        ("gs://b/x", AnswerError(404), r"found none \(404\)"),
        ("s3://b/x", ConnectionResetError("reset"), "check the network"),
    ],
)
def test_a_refusal_is_a_line_with_what_to_do(path: str, error: Exception, line: str) -> None:
    with pytest.raises(Exception, match=line):
        raise explained(error, path)


def test_an_error_that_is_no_refusal_stays() -> None:
    error = KeyError("a fault of ours")
    assert explained(error, "gs://b/x") is error
