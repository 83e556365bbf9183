"""Count what became of the pages of a range, in numbers that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

_MAX_KINDS = 200
"""Kinds listed in a summary; no real wiki has so many namespaces, but a made-up dump may."""

_MAX_TEMPLATES = 500

OTHER_KINDS = "others"


@dataclass(slots=True)
class PageCounts:
    """Counts of pages, and of the links on those that were kept.

    Attributes:
        pages_read: all that begin in the range.
        pages: kept, with their text.
        redirects: kept as redirects.
        other_namespaces: left out, by the number of their namespace.
        other_models: left out, by their content model.
        rejected: by reason.
        older_revisions: ignored, because only the last revision of a page counts.
        without_id: kept pages and redirects that had no id and were given one.
        links: on kept pages, by kind.
        links_dropped: by reason.
        templates: calls in prose of templates without a rule, which left nothing, by name.
        template_calls: the first call of each, as written.
    """

    pages_read: int = 0
    pages: int = 0
    redirects: int = 0
    other_namespaces: Counter[str] = field(default_factory=Counter)
    other_models: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    older_revisions: int = 0
    without_id: int = 0
    links: Counter[str] = field(default_factory=Counter)
    links_dropped: Counter[str] = field(default_factory=Counter)
    templates: Counter[str] = field(default_factory=Counter)
    template_calls: dict[str, str] = field(default_factory=dict)

    def note_templates(self, calls: Iterable[tuple[str, str]]) -> None:
        """Count calls of templates without a rule, each a name and what stood between braces."""
        for name, call in calls:
            self.templates[name] += 1
            self.template_calls.setdefault(name, call)

    def most_dropped(self) -> dict[str, dict[str, Any]]:
        """Return the templates that left a hole in prose most often, with a call of each."""
        return {
            name: {"calls": number, "example": self.template_calls[name]}
            for name, number in _most_common(self.templates, _MAX_KINDS)
        }

    def to_json(self) -> dict[str, Any]:
        """Return the counts as a task's record holds them."""
        # Not asdict, which would rebuild a Counter from its pairs, and so count the pairs.
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        # Only the most frequent templates: a large dump has too many rare ones for a record.
        values["templates"] = dict(_most_common(self.templates, _MAX_TEMPLATES))
        values["template_calls"] = {name: self.template_calls[name] for name in values["templates"]}
        return {name: dict(v) if isinstance(v, Counter) else v for name, v in values.items()}

    @staticmethod
    def total(counts: Iterable[Mapping[str, Any]]) -> PageCounts:
        """Add up the counts of records.

        >>> one = {"pages_read": 1, "other_namespaces": {"10": 1}}
        >>> total = PageCounts.total([one, one])
        >>> total.pages_read, total.other_namespaces
        (2, Counter({'10': 2}))
        """
        total = PageCounts()
        for record in counts:
            for name, number in record.items():
                if name == "template_calls":
                    total.template_calls = {**number, **total.template_calls}
                elif isinstance(number, Mapping):
                    getattr(total, name).update(number)
                else:
                    setattr(total, name, getattr(total, name) + number)
        return total

    def summary(self) -> dict[str, Any]:
        """Return what became of the pages read; the numbers below `pages_read` add up to it."""
        return {
            "pages_read": self.pages_read,
            "pages": self.pages,
            "redirects": self.redirects,
            "other_namespaces": by_kind(self.other_namespaces),
            "other_models": by_kind(self.other_models),
            "rejected": by_kind(self.rejected),
        }


def _most_common(counter: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """Return the largest counts, with ties ordered by name so that the result is reproducible."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]


def by_kind(counter: Mapping[str, int]) -> dict[str, int]:
    """Return counts by kind, ordered by name; if there are too many, sum up the rarest as others.

    >>> by_kind({"b": 2, "a": 1})
    {'a': 1, 'b': 2}
    """
    ranked = sorted(counter, key=lambda kind: (-counter[kind], kind))
    kept = {kind: counter[kind] for kind in sorted(ranked[:_MAX_KINDS]) if counter[kind]}
    rest = sum(counter[kind] for kind in ranked[_MAX_KINDS:])
    return kept | ({OTHER_KINDS: rest} if rest else {})
