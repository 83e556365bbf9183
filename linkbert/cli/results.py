"""Print the result of a command, as JSON or as lines for a person."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from linkbert.inspection.terminal import rows_of, table_of

_ONE_LINE_CHARS = 80


def print_result(args: argparse.Namespace, result: Mapping[str, Any]) -> None:
    """Print the result of a command in the form that its options ask for."""
    if args.json:
        print(json.dumps(result, ensure_ascii=False, default=str))
    else:
        # The log has shown the warnings.
        shown = {name: value for name, value in result.items() if name != "warnings"}
        print("\n".join(_lines(shown)))


def _lines(result: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    r"""Yield the lines of a result: plain values first, then nested ones.

    >>> rows = {"a": {"num_rows": 1}, "b": {"num_rows": 2}}
    >>> print("\n".join(_lines({"by_kind": rows, "n": 3})))
    n  3
    by kind
      kind  rows
      a        1
      b        2
    """
    short = {name: _in_a_line(value) for name, value in result.items()}
    plain = [(_label(name), value) for name, value in short.items() if value is not None]
    if plain:
        yield rows_of(plain, indent)
    for name in (name for name, value in short.items() if value is None):
        yield f"{indent}{_label(name)}"
        below = result[name]
        if _is_table(below):
            yield _table(name, below, f"{indent}  ")
        else:
            yield from _lines(below, f"{indent}  ")


def _in_a_line(value: Any) -> object | None:
    """Return a value as it follows its name on a line; None if it needs lines of its own."""
    if isinstance(value, Mapping) and list(value) == ["value", "interval"] and value["interval"]:
        low, high = value["interval"]
        return f"{_measured(value['value'])} ({_measured(low)} to {_measured(high)})"
    if isinstance(value, list | tuple):
        return ", ".join(_short(each) for each in value) or "none"
    if not isinstance(value, Mapping):
        return "none" if value is None else value
    if any(isinstance(each, Mapping) for each in value.values()):
        return None
    # Namespaces are numbers: "10 555" would read as one.
    shown = ", ".join(
        f"{_label(name)}{':' if name.isdecimal() else ''} {_short(each)}"
        for name, each in value.items()
    )
    return (shown or "none") if len(shown) <= _ONE_LINE_CHARS else None


def _is_table(value: Mapping[str, Any]) -> bool:
    """Tell whether all values have the same keys, each with a plain value."""
    rows = list(value.values())
    return all(isinstance(row, Mapping) for row in rows) and all(
        list(row) == list(rows[0]) and not any(isinstance(v, Mapping | list) for v in row.values())
        for row in rows
    )


def _table(name: str, value: Mapping[str, Any], indent: str) -> str:
    header = [_label(name).removeprefix("by "), *map(_label, next(iter(value.values())))]
    return table_of(header, [[_label(key), *row.values()] for key, row in value.items()], indent)


def _label(name: str) -> str:
    """Return a key as words: "instances" for `num_instances`, "loss linked" for `nll_linked`."""
    return name.removeprefix("num_").replace("nll_", "loss_").replace("_", " ")


def _measured(value: float) -> str:
    """Format a figure that has an interval; further decimals would mean nothing."""
    return f"{round(value, 4) + 0.0:.4f}"


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
