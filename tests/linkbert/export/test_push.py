"""What `push` would upload, and that it does: to a hub on this machine."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from linkbert.export.push import files_of, push
from schemas.errors import ConfigError, SchemaError, StageError
from tests.linkbert.shards_folder import write_shards

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")


@dataclass
class Hub:
    """What a fake hub has been told, and how it answers."""

    files: dict[str, bytes] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    private: bool | None = None
    token: str = "secret"
    url: str = ""

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        if token != f"Bearer {self.token}":
            return 401, {"error": "Invalid username or password."}
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            if self.private is None:
                self.private = self.created[-1].get("visibility") == "private" or bool(
                    self.created[-1].get("private")
                )
            return 200, {"url": f"{self.url}/me/mine", "name": "me/mine", "id": "1"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            told = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for each in asked
            ]
            return 200, {"files": told}
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return 200, {"commitUrl": f"{self.url}/me/mine/commit/1", "commitOid": "1"}
        if path.startswith(("/api/models/me/mine", "/api/datasets/me/mine")):
            return 200, {"id": "me/mine", "private": self.private, "sha": "0" * 40, "siblings": []}
        return 404, {"error": f"{method} {path}"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    fake = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = self.headers.get("Authorization", "")
            status, value = fake.answer(self.command, self.path, body, token)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 (the names that the server calls)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        from huggingface_hub import HfApi

        fake.url = f"http://127.0.0.1:{server.server_port}"
        given = {"endpoint": fake.url, "token": "secret"}
        own_init = HfApi.__init__
        monkeypatch.setattr(
            HfApi, "__init__", lambda self, **options: own_init(self, **(given | options))
        )
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "README.md", "tokenizer.json"):
        (folder / name).write_text(f"{{}} {name}")
    (folder / ".lock").write_text("")
    (folder / "_state").mkdir()
    return folder


def test_a_model_goes_up_file_by_file_without_notes(
    hub: Hub, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "linkbert"):
        result = push(model, "me/mine", private=True)
    names = {"config.json", "model.safetensors", "README.md", "tokenizer.json"}
    assert hub.files == {name: (model / name).read_bytes() for name in names}
    assert (result.repo_type, result.private, result.num_files) == ("model", True, 4)
    told = caplog.messages
    assert told[0].startswith("to model me/mine at http://127.0.0.1")
    assert {line.split(",")[0].strip() for line in told[1:5]} == names


def test_shards_go_up_as_a_dataset(hub: Hub, tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "shards")
    (shards / "README.md").write_text("card")
    (shards / "_state").mkdir(exist_ok=True)
    (shards / "_state" / "note.json").write_text("{}")
    result = push(shards, "me/mine")
    assert result.repo_type == "dataset"
    assert hub.created[0]["type"] == "dataset"
    assert "README.md" in hub.files
    assert any(name.startswith("train/part-") for name in hub.files)
    assert not [name for name in hub.files if name.startswith("_state")]


def test_a_repository_that_is_public_is_not_taken_for_a_private_one(hub: Hub, model: Path) -> None:
    hub.private = False
    with pytest.raises(ConfigError, match="expected me/mine to be private, found it public"):
        push(model, "me/mine", private=True)
    assert hub.files == {}


def test_a_token_that_the_hub_refuses_is_one_line(hub: Hub, model: Path) -> None:
    hub.token = "another"
    with pytest.raises(StageError, match="401") as stop:
        push(model, "me/mine")
    assert "\n" not in str(stop.value)


def test_a_name_that_is_none_is_one_line(hub: Hub, model: Path) -> None:
    with pytest.raises(ConfigError, match="OWNER/NAME"):
        push(model, "not a name!/x/y")


def test_what_is_neither_model_nor_shards_is_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(SchemaError, match="found neither"):
        files_of(tmp_path)
    (model / "link").symlink_to("/etc/passwd")
    with pytest.raises(SchemaError, match="expected a file to upload"):
        files_of(model)
