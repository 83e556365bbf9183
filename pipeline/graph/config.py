"""The options of `graph` and `subset`."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.errors import ConfigError

METHODS = ("links", "breadth")


@dataclass(frozen=True, slots=True)
class GraphConfig:
    """How the graph is cut into tasks; the graph itself has no choices.

    Attributes:
        nodes_per_part: nodes in a part of nodes and of edges; bounds the memory of a task.
        links_per_batch: links (of whole documents) that are resolved at once, at least; bounds
            memory as well, and the more there are, the nearer their places in the index.
    """

    nodes_per_part: int = 1 << 17
    links_per_batch: int = 1 << 19

    def __post_init__(self) -> None:
        for key in ("nodes_per_part", "links_per_batch"):
            value = getattr(self, key)
            if value < 1:
                raise ConfigError(f"expected {key} of at least 1, found {value}: change it")


@dataclass(frozen=True, slots=True)
class SubsetConfig:
    """Which documents a subset keeps.

    Attributes:
        around: the title to start from.
        size: documents to keep.
        method: `links` grows by the strongest ties, `breadth` ring by ring.
    """

    around: str = field(default="", metadata={"help": "where to start", "metavar": "TITLE"})
    size: int = field(default=1000, metadata={"help": "documents to keep", "metavar": "N"})
    method: str = field(default="links", metadata={"help": "how it grows", "choices": METHODS})

    def __post_init__(self) -> None:
        if not self.around:
            raise ConfigError("expected around to be a title, found nothing: name a page")
        if self.size < 1:
            raise ConfigError(f"expected size of at least 1, found {self.size}: change it")
        if self.method not in METHODS:
            raise ConfigError(
                f"expected method to be one of {', '.join(METHODS)}, found {self.method!r}"
            )
