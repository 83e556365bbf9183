"""Which files make the newest complete dump of a wiki: `dumpstatus.json` of each of its dates.

The list of jobs and files is described at
https://meta.wikimedia.org/wiki/Data_dumps/Status_format.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urljoin

import requests

from pipeline.download.fetch import RemoteFile
from schemas.errors import DumpError

# Parts or the whole, as the size of the wiki asks; those that can be read in many places at once
# first.
_JOBS = ("articlesmultistreamdump", "articlesdump")
_SECONDS = 30.0
_MAX_STATUS_BYTES = 1 << 26


def find_dump(
    session: requests.Session, mirror: str, wiki: str, date: str | None
) -> tuple[str, list[RemoteFile]]:
    """Return the date and the files of a dump.

    Args:
        session: with the headers to send.
        mirror: address of the server.
        wiki: its database name, such as `simplewiki`.
        date: of the dump; None for the newest that is complete.

    Raises:
        DumpError: there is no such wiki, or no complete dump of it.
    """
    root = f"{mirror.rstrip('/')}/{wiki}/"
    dates = [date] if date else _dates(session, root, wiki)
    for candidate in dates:
        files = _files_of(session, f"{root}{candidate}/", mirror)
        if files:
            return candidate, files
    asked = f"the dump of {date}" if date else f"a complete dump among {', '.join(dates[:3])}"
    raise DumpError(
        f"expected {asked} of {wiki}, found none whose articles are done at {root}: choose "
        "another --date, or wait until it is made"
    )


def _dates(session: requests.Session, root: str, wiki: str) -> list[str]:
    """Return the dates of a wiki's dumps, newest first, from the index of its folder."""
    text = _get(session, root, f"a wiki named {wiki}")
    dates = sorted(set(re.findall(r'href="(?:[^"]*/)?([0-9]{8})/?"', text)), reverse=True)
    if not dates:
        raise DumpError(
            f"expected dumps of {wiki}, found no date at {root}: check the name, such as "
            "simplewiki, or give another --mirror"
        )
    return dates


def _files_of(session: requests.Session, folder: str, mirror: str) -> list[RemoteFile]:
    """Return the files of the articles, none where they are not done."""
    try:
        text = _get(session, f"{folder}dumpstatus.json", "the status of a dump", may_lack=True)
        jobs = json.loads(text)["jobs"] if text else {}
        for name in _JOBS:
            job = jobs.get(name, {})
            files = [
                _file(file_name, values, folder)
                for file_name, values in sorted(job.get("files", {}).items())
                if file_name.endswith(".xml.bz2")
            ]
            if job.get("status") == "done" and files:
                return files
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DumpError(
            f"expected the status of a dump, found damage at {folder}dumpstatus.json ({error}): "
            "try another --mirror or --date"
        ) from error
    return []


def _file(name: str, values: dict[str, Any], folder: str) -> RemoteFile:
    sha1, num_bytes = str(values["sha1"]), int(values["size"])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(f"a file named {name!r}")
    if not re.fullmatch(r"[0-9a-f]{40}", sha1) or num_bytes < 1:
        raise ValueError(f"{name} of {num_bytes} bytes with the SHA-1 {sha1!r}")
    return RemoteFile(name, urljoin(folder, name), num_bytes, sha1)


def _get(session: requests.Session, url: str, expected: str, *, may_lack: bool = False) -> str:
    try:
        answer = session.get(url, timeout=_SECONDS, stream=True)
        with answer:
            if answer.status_code == 404 and may_lack:
                return ""
            if answer.status_code != 200:
                raise DumpError(
                    f"expected {expected} at {url}, found status {answer.status_code} "
                    f"({answer.reason}): check the name, or give another --mirror"
                )
            return bytes(answer.raw.read(_MAX_STATUS_BYTES, decode_content=True)).decode()
    except requests.RequestException as error:
        raise DumpError(
            f"expected {expected} at {url}, found no answer ({type(error).__name__}): check the "
            "network, or give another --mirror"
        ) from error
