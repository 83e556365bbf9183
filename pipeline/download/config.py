"""The options of `download`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from schemas.errors import ConfigError

WIKIMEDIA = "https://dumps.wikimedia.org"


@dataclass(frozen=True, slots=True)
class DownloadConfig:
    """Which dump, and from where.

    Attributes:
        date: of the dump, YYYYMMDD.
        mirror: address of a server laid out like dumps.wikimedia.org.
        contact: an e-mail address or page, sent with each request.
    """

    date: str | None = field(
        default=None, metadata={"help": "YYYYMMDD; else the newest that is complete"}
    )
    mirror: str = field(
        default=WIKIMEDIA, metadata={"help": "server to load from", "metavar": "URL"}
    )
    contact: str | None = field(
        default=None,
        metadata={
            "help": "e-mail or page that the servers may turn to, as they ask of many requests; "
            "else none is sent",
            "metavar": "ADDRESS",
        },
    )

    def __post_init__(self) -> None:
        if self.date is not None and not re.fullmatch(r"[0-9]{8}", self.date):
            raise ConfigError(f"expected date as YYYYMMDD, found {self.date!r}: change it")
        if not re.fullmatch(r"https?://[^\s]+", self.mirror):
            raise ConfigError(
                f"expected mirror to begin with https:// or http://, found {self.mirror!r}"
            )
        if self.contact is not None and not re.fullmatch(r"[\x21-\x7e]+", self.contact):
            raise ConfigError(
                f"expected contact to be an address without blanks, found {self.contact!r}"
            )
