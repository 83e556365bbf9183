"""Make options from a stage's config dataclass, and the config from the options.

A field whose metadata has `help` becomes an option with the same name, type and default:

    links: str = field(default="hyperlink", metadata={"help": "...", "choices": LINK_MODES})

Other metadata keys are `metavar`, `choices` and `is_file`: then the option names a file, whose text
becomes the value of the field. A field without `help` can be set from Python only.
"""

from __future__ import annotations

import argparse
import types
import typing
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError

_METAVARS: dict[type, str] = {int: "N", float: "X", str: "NAME"}


def add_fields(
    parser: argparse.ArgumentParser,
    config_class: type,
    *,
    required: Collection[str] = (),
    left_out: Collection[str] = (),
) -> None:
    """Add an option for each field of a config that has a help text.

    Args:
        parser: of the command.
        config_class: the stage's dataclass.
        required: fields that the user must give although the dataclass has a default.
        left_out: fields that the command sets itself.
    """
    hints = typing.get_type_hints(config_class)
    for field in fields(config_class):
        if "help" in field.metadata and field.name not in left_out:
            given = _type_arguments(hints[field.name], field)
            if field.name in required:
                given |= {"required": True}
            else:
                given["default"] = _default(field)
            option = "--" + field.name.replace("_", "-")
            parser.add_argument(option, help=field.metadata["help"], **given)


def config_of(config_class: Any, args: argparse.Namespace, **changes: Any) -> Any:
    """Build a config from the options named after its fields.

    Args:
        config_class: the stage's dataclass.
        args: the parsed options; those with other names are ignored.
        **changes: values that the command sets itself.
    """
    by_name = {field.name: field for field in fields(config_class)}
    given = {name: value for name, value in vars(args).items() if name in by_name} | changes
    for name, value in given.items():
        if value and "is_file" in by_name[name].metadata:
            given[name] = _text_of(value)
    frozen = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return config_class(**frozen)


def _text_of(path: str) -> str:
    """Return the text of a file that an option names."""
    try:
        # Windows editors put a byte order mark before UTF-8.
        return Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected a text file in UTF-8 at {path}, but cannot read it as one: {error}"
        ) from error


def whole_number(least: int, most: int = 10**9) -> Callable[[str], int]:
    """Return an argparse type for whole numbers within a range.

    >>> whole_number(1)("7")
    7
    """

    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.removeprefix("-").isdecimal() else None
        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least:,} to {most:,}, found {text!r}"
            )
        return number

    return read


def _type_arguments(hint: Any, field: Field[Any]) -> dict[str, Any]:
    """Return the arguments that tell argparse a field's type."""
    if hint is bool:
        return {"action": "store_true"}
    given: dict[str, Any] = {}
    if typing.get_origin(hint) is tuple:
        members = typing.get_args(hint)
        given["nargs"] = "+" if members[-1] is Ellipsis else len(members)
        hint = members[0]
    elif isinstance(hint, types.UnionType):  # such as `str | None`
        [hint] = (member for member in typing.get_args(hint) if member is not types.NoneType)
    if hint is not str:
        given["type"] = hint
    if "choices" in field.metadata:
        return {**given, "choices": field.metadata["choices"]}
    return {**given, "metavar": field.metadata.get("metavar", _METAVARS[hint])}


def _default(field: Field[Any]) -> Any:
    value = field.default if field.default_factory is MISSING else field.default_factory()
    return list(value) if isinstance(value, tuple) else value
