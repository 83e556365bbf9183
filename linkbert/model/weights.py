"""Read the weights of any model folder, safely: which files hold them, their shapes, their values.

    model.safetensors     one file, or parts that model.safetensors.index.json names
    pytorch_model.bin     the same as pickles, read as weights: nothing in them is executed
    drp.safetensors       the relation head that `linkbert export` writes beside them

Files are tried in the same order as in transformers. Headers are read before weights, so that
shapes can be checked before memory is allocated for them. A pickle is first read in a process of
its own (`schemas.limited`).
"""

from __future__ import annotations

import json
import math
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from schemas.errors import CheckpointError
from schemas.limited import why_it_fails
from schemas.model_folder import read_object, refuse_pointer

WEIGHTS_NAME = "model.safetensors"
PICKLE_NAME = "pytorch_model.bin"
RELATION_HEAD_NAME = "drp.safetensors"

Weights = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]

_MAX_HEADER_BYTES = 100_000_000  # the library's own limit
_HEAD_BYTES = 200
_ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2,
    "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
_ZIP_MAGIC = b"PK\x03\x04"
_TRY_PICKLE = """
import pickle, re, torch
try:
    torch.load(sys.argv[1], map_location="cpu", weights_only=True)
except pickle.UnpicklingError as error:
    # Not torch's whole message, which advises to trust the file.
    asked = re.search(r"GLOBAL ([\\w.]+)", str(error))
    other = re.search(r"Unsupported [\\w ]+", str(error))
    reason = f"one that asks for {asked[1]}" if asked else other[0] if other else "no weights"
    raise ValueError(reason)
"""
_TRY_SECONDS, _TRY_BASE_BYTES = 300, 4 << 30


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold the weights of a folder, the relation head last.

    Raises:
        CheckpointError: there are none, or an index names files that are not in the folder.
    """
    for name in (WEIGHTS_NAME, PICKLE_NAME):
        if (folder / name).is_file():
            found = [folder / name]
            break
        if (folder / f"{name}.index.json").is_file():
            found = _parts(folder, f"{name}.index.json")
            break
    else:
        raise CheckpointError(
            f"expected weights as {WEIGHTS_NAME} or {PICKLE_NAME}, found neither in {folder}: "
            "download the whole folder, or convert other formats with save_pretrained"
        )
    head = folder / RELATION_HEAD_NAME
    return [*found, head] if head.is_file() else found


def _parts(folder: Path, index_name: str) -> list[Path]:
    index = folder / index_name
    places = read_object(index).get("weight_map")
    values = list(places.values()) if isinstance(places, dict) else []
    names = set(values) if all(isinstance(value, str) for value in values) else set()
    # Only names of files in the folder itself, never a path that leads elsewhere.
    wrong = [name for name in names if Path(name).name != name]
    missing = [name for name in names if not wrong and not (folder / name).is_file()]
    if not names or wrong or missing:
        found = (sorted(wrong or missing) or ["none"])[0]
        raise CheckpointError(
            f"expected the names of weight files in the folder, found {found!r} in {index}: "
            "download the whole folder"
        )
    return [folder / name for name in sorted(names)]


def read_weights(folder: Path, check: Callable[[Shapes], None] = lambda shapes: None) -> Weights:
    """Read all weights of a folder, with the relation head if there is one.

    Args:
        folder: a Hugging Face folder.
        check: gets the shape of every weight before any safetensors file is read, and may raise.

    Raises:
        CheckpointError: a file is missing, cut off, damaged, or does not hold weights.
    """
    weights: Weights = {}
    shapes: Shapes = {}
    files = weight_files(folder)
    for path in files:
        if path.suffix == ".safetensors":
            shapes.update(_header_shapes(path))
        else:
            weights.update(_unpickled(path))
    shapes |= {name: tuple(tensor.shape) for name, tensor in weights.items()}
    check(shapes)
    for path in files:
        if path.suffix == ".safetensors":
            weights.update(_load(path))
    return weights


def check_files(folder: Path) -> None:
    """Check the weight files of a folder as `read_weights` does, but read only their headers.

    Raises:
        CheckpointError: see `read_weights`.
    """
    for path in weight_files(folder):
        if path.suffix == ".safetensors":
            _header_shapes(path)
        else:
            _try_pickle(path)


def read_relation_head(folder: Path) -> Weights:
    """Read drp.safetensors of a folder that `linkbert export` wrote.

    Raises:
        CheckpointError: it is damaged.
    """
    _header_shapes(folder / RELATION_HEAD_NAME)
    return _load(folder / RELATION_HEAD_NAME)


def _load(path: Path) -> Weights:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"expected weights, found {error} in {path}: download the file again"
        ) from error


def _header_shapes(path: Path) -> Shapes:
    """Read the header of a safetensors file and check it against the size of the file."""
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            head = file.read(_HEAD_BYTES)
            refuse_pointer(head, str(path))
            header_bytes = int.from_bytes(head[:8], "little")
            if size < 8 or not 2 <= header_bytes <= min(size - 8, _MAX_HEADER_BYTES):
                raise ValueError(f"a header of {header_bytes:,} bytes in a file of {size:,}")
            file.seek(8)
            header = json.loads(file.read(header_bytes).decode())
        return dict(_shapes_in(header, size - 8 - header_bytes))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"expected safetensors, found {' '.join(str(error).split())[:200]} in {path}: it is "
            "cut off or damaged, download it again"
        ) from error


def _shapes_in(header: Any, data_bytes: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    if not isinstance(header, dict):
        raise ValueError("a header that is not a JSON object")
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        numbers = (*shape, start, stop)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"an invalid shape or place of {name!r}")
        item_bytes = _ITEM_BYTES.get(entry["dtype"])
        if item_bytes is None:
            raise ValueError(f"numbers of type {entry['dtype']!r}")
        if stop > data_bytes or stop - start != math.prod(shape) * item_bytes:
            raise ValueError(
                f"{name!r} beyond the end of the file, or not of the size of its shape"
            )
        yield name, tuple(shape)


def _unpickled(path: Path) -> Weights:
    """Read a pickle as weights; refuse anything else that it asks for, and execute nothing."""
    is_zip = _try_pickle(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise _no_pickle(path, str(error)) from error
    if not (isinstance(found, dict) and found and all(map(_is_weight, found.items()))):
        raise _no_pickle(path, "it holds something else")
    return dict(found)


def _try_pickle(path: Path) -> bool:
    """Try a pickle in a process of its own; return whether it is a zip archive, as torch writes."""
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    refuse_pointer(head, str(path))
    is_zip = head.startswith(_ZIP_MAGIC)
    reason = _why_no_archive(path) if is_zip else None
    if reason is None:
        memory = _TRY_BASE_BYTES + 3 * path.stat().st_size
        reason = why_it_fails(_TRY_PICKLE, str(path), seconds=_TRY_SECONDS, memory_bytes=memory)
    if reason is not None:
        raise _no_pickle(path, reason)
    return is_zip


def _no_pickle(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        "expected a pickle of weights and nothing else, found "
        f"{' '.join(reason.split())[:200]} in {path}: do not trust it; use safetensors, or "
        "another source"
    )


def _why_no_archive(path: Path) -> str | None:
    """Return what is wrong with a zip archive of weights, which torch never compresses."""
    try:
        with zipfile.ZipFile(path) as archive:
            is_packed = any(entry.compress_type for entry in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return str(error)
    return "compressed records, which may expand without bound" if is_packed else None


def _is_weight(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)
