"""What Flink says of a job and how it is stopped, by its REST interface.

https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/rest_api/
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from schemas.errors import StageError

_ANSWER_SECONDS = 5.0
_ENDS = frozenset({"FINISHED", "CANCELED", "FAILED"})


def overview(master: str) -> dict[str, Any]:
    """Return what the cluster has.

    Raises:
        StageError: it does not answer.
    """
    return _ask(f"{master}/overview")


def job_named(master: str, name: str) -> dict[str, Any] | None:
    """Return what Flink says of a job: `jid`, `name` and `state`; None if it knows none.

    Raises:
        StageError: it does not answer.
    """
    jobs = _ask(f"{master}/jobs/overview")["jobs"]
    return next((job for job in jobs if job["name"] == name), None)


def cancel(master: str, name: str) -> None:
    """Cancel a job by Flink's own interface; Beam's way asks a path that Flink does not have."""
    found = job_named(master, name)
    if found is not None and found["state"] not in _ENDS:
        _ask(f"{master}/jobs/{found['jid']}?mode=cancel", "PATCH")


def root_cause(master: str, name: str) -> str:
    """Return the root exception of a job as Flink keeps it, empty if it has none."""
    try:
        found = job_named(master, name)
        if found is None:
            return ""
        told = _ask(f"{master}/jobs/{found['jid']}/exceptions")
    except StageError:
        return ""
    return str(told.get("root-exception") or "")


def _ask(url: str, method: str = "GET") -> dict[str, Any]:
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
            return dict(json.loads(answer.read() or b"{}"))
    except (OSError, ValueError) as error:
        raise StageError(
            f"expected Flink to answer at {url}, found {_reason(error)}: start it "
            "(bin/start-cluster.sh), or name another with --flink_master"
        ) from error


def _reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(inner) or type(inner).__name__


def has_ended(master: str, name: str) -> bool:
    """Tell whether a job has certainly ended."""
    try:
        found = job_named(master, name)
    except StageError:
        return False
    return found is None or found["state"] in _ENDS
