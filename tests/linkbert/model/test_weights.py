"""A table of weight files as they are published, sound ones and others."""

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from linkbert.model import weights
from linkbert.model.weights import Shapes, read_weights, weight_files
from schemas.errors import CheckpointError

WEIGHTS = {"bert.a": torch.arange(6.0).view(2, 3), "bert.b": torch.ones(2, dtype=torch.int64)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


@pytest.fixture
def tried_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try pickles in this process: a new one that loads torch takes three CPU seconds."""

    def why_it_fails(program: str, path: str, **limits: float) -> str | None:
        assert "weights_only=True" in program
        assert limits.keys() == {"seconds", "memory_bytes"}
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            return str(error)
        return None

    monkeypatch.setattr(weights, "why_it_fails", why_it_fails)


def save(folder: Path, form: str) -> None:
    """Write the weights whole or in two parts, as safetensors or pickles."""
    name = "model.safetensors" if "safetensors" in form else "pytorch_model.bin"
    parts = {name: WEIGHTS}
    if "parts" in form:
        parts = {f"part-{key}.{name}": {key: value} for key, value in WEIGHTS.items()}
        where = {key: file for file, part in parts.items() for key in part}
        (folder / f"{name}.index.json").write_text(json.dumps({"weight_map": where}))
    for file, part in parts.items():
        if "safetensors" in form:
            save_file(part, folder / file)
        else:
            torch.save(part, folder / file, _use_new_zipfile_serialization="old" not in form)


@pytest.mark.usefixtures("tried_here")
@pytest.mark.parametrize(
    "form", ["safetensors", "safetensors in parts", "pickle", "old pickle", "pickle in parts"]
)
def test_every_form_gives_the_same_weights(tmp_path: Path, form: str) -> None:
    save(tmp_path, form)
    seen: list[Shapes] = []
    found = read_weights(tmp_path, seen.append)
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)
    assert seen == [{"bert.a": (2, 3), "bert.b": (2,)}]


class Payload:
    """What a pickle can do: make a file when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("form", ["plain pickle", "zip", "beside weights"])
def test_a_malicious_pickle_is_one_line_and_runs_nothing(
    tmp_path: Path, form: str, request: pytest.FixtureRequest
) -> None:
    if form != "zip":  # one stands for all that a process of its own reads
        request.getfixturevalue("tried_here")
    trace = tmp_path / "ran"
    path = tmp_path / "pytorch_model.bin"
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(Payload(trace)))
    else:
        torch.save({**WEIGHTS, "bert.c": Payload(trace)}, path,
                   _use_new_zipfile_serialization=form == "zip")  # fmt: skip
    with pytest.raises(CheckpointError, match="expected a pickle of weights") as caught:
        read_weights(tmp_path)
    assert "\n" not in str(caught.value)
    assert form != "zip" or "found one that asks for posix.mkdir in" in str(caught.value)
    assert not trace.exists()


def test_an_archive_that_unfolds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(WEIGHTS, path)
    with zipfile.ZipFile(path) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in entries.items():
            target.writestr(name, bytes(1 << 20) if name.endswith("/0") else data)
    with pytest.raises(CheckpointError, match="compressed records"):
        read_weights(tmp_path)


def header(text: bytes, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(8, "little") + text


ENTRY = b'{"bert.a": {"dtype": "F32", "shape": %s, "data_offsets": %s}}'


@pytest.mark.usefixtures("tried_here")
@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("model.safetensors", b"", "a header of 0 bytes in a file of 0"),
        ("model.safetensors", b"abc", "in a file of 3"),
        ("model.safetensors", header(b"{}", 2**62), "a header of 4,611,686,018,427,387,904 bytes"),
        ("model.safetensors", header(b"[]"), "a header that is not a JSON object"),
        ("model.safetensors", header(b"\xff\xff"), "expected safetensors"),
        ("model.safetensors", header(b"{" * 50_000), "expected safetensors"),
        ("model.safetensors", header(ENTRY % (b"[2]", b"[0, 8]")), "beyond the end of the file"),
        ("model.safetensors", header(ENTRY % (b"[9]", b"[0, 0]")), "not of the size of its shape"),
        ("model.safetensors", header(ENTRY % (b"[-1]", b"[0, 0]")), "an invalid shape"),
        ("model.safetensors", header(ENTRY % (b"[1e3]", b"[0, 0]")), "an invalid shape"),
        ("model.safetensors", header(b'{"bert.a": 1}'), "expected safetensors"),
        ("model.safetensors", POINTER, "git lfs pull"),
        ("pytorch_model.bin", POINTER, "git lfs pull"),
        ("pytorch_model.bin", b"", "expected a pickle of weights"),
        ("pytorch_model.bin", pickle.dumps([1, 2]), "expected a pickle of weights"),
        ("pytorch_model.bin", b"\x80\x02" + b"(" * 1000, "expected a pickle of weights"),
        ("model.safetensors.index.json", b"{}", "expected the names of weight files"),
        ("model.safetensors.index.json", b"[1]", "expected a JSON object, found a list"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../x"}}', "'../x'"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "none.safetensors"}}', "none.saf"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": 7}}', "expected the names"),
        ("flax_model.msgpack", b"", "found neither"),
    ],
)
def test_files_that_are_no_weights_are_one_line(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_weights(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_transformers_order_of_files_is_kept_and_the_relation_head_is_last(tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "model.safetensors", "drp.safetensors", "other.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in weight_files(tmp_path)] == [
        "model.safetensors", "drp.safetensors",
    ]  # fmt: skip
