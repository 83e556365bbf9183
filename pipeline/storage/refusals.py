"""What a store's refusal means: whether it passes by itself, and the line that a person needs.

Each client wraps its errors in its own way, and Beam wraps them again; what counts is the HTTP
status somewhere in them, or the name of a broken connection.
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.errors import StageError

_TRANSIENT_CODES = frozenset({408, 429, 500, 502, 503, 504})
# What the clients of stores raise when a connection breaks or ends early; each wraps its own.
_TRANSIENT_NAMES = frozenset({"HTTPClientError", "IncompleteReadError", "ProtocolError"})
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or add `-- --no_auth` for public data",
}


def explained(error: Exception, path: str) -> Exception:
    """Return the line that a person needs for a store's refusal; the error itself if it is none."""
    text = " ".join(_texts_of(error))
    codes = set(codes_of(error))
    bucket = "/".join(path.split("/")[:3])
    if "credentials" in text.lower():
        advice = _CREDENTIALS.get(path.split("://")[0], "see the documentation of the store")
        return StageError(f"expected credentials for {bucket}, found none: {advice}")
    if "get filesystem" in text or "Missing boto3" in text:
        return StageError(
            f"expected a store that Beam can open, found {bucket}: give gs:// (pip install "
            "'linkbert[gcp]'), s3:// (pip install 'linkbert[aws]') or a path of this machine"
        )
    if "NoSuchBucket" in text or "bucket does not exist" in text:
        return StageError(f"expected a bucket {bucket}, found none: create it, or check the name")
    if codes & {401, 403}:
        return StageError(
            f"expected the right to use {path}, found that the store refuses ({text}): check the "
            "credentials and what they may list, read, write and delete"
        )
    if 404 in codes or isinstance(error, FileNotFoundError):
        return StageError(f"expected an object {path}, found none (404): check the path")
    if "endpoint" in text.lower() or is_transient(error):
        return StageError(
            f"expected the store of {path} to answer, found {text}: check the network and the "
            "endpoint"
        )
    return error


def is_transient(error: BaseException) -> bool:
    """Tell whether a request that failed so may succeed a moment later.

    >>> is_transient(TimeoutError()), is_transient(FileNotFoundError())
    (True, False)
    """
    codes = set(codes_of(error))
    if codes:
        return bool(codes & _TRANSIENT_CODES)
    return any(
        isinstance(each, ConnectionError | TimeoutError)
        or any(base.__name__ in _TRANSIENT_NAMES for base in type(each).__mro__)
        for each in _chain_of(error)
    )


def _chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those in it, also where Beam keeps them in a dict or only as context."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        # BeamIOError keeps a dict of the errors by path.
        for detail in (getattr(inner, "exception_details", None) or {}).values():
            if isinstance(detail, BaseException):
                yield from _chain_of(detail)
        inner = inner.__cause__ or inner.__context__


def codes_of(error: BaseException) -> Iterator[int]:
    """Yield the HTTP status in an error of any store's client, also where Beam wrapped it."""
    for each in _chain_of(error):
        for name in ("code", "status_code"):
            value = getattr(each, name, None)
            if isinstance(value, int):
                yield int(value)
        # As botocore keeps it.
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            yield from (response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0),)


def _texts_of(error: BaseException) -> Iterator[str]:
    seen: list[str] = []
    for each in _chain_of(error):
        if getattr(each, "exception_details", None):  # only wraps what follows
            continue
        text = " ".join(str(getattr(each, "message", None) or each).split())
        if text and not any(text in other for other in seen):
            seen.append(text)
            yield text
