"""Every job builds for Dataflow offline, and what is staged runs on its requirements alone."""

import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from apache_beam.internal import cloudpickle_pickler, pickler

from linkbert.cli.commands import main
from pipeline.dataflow.launch import command_line
from pipeline.storage import files, remote
from tests.conftest import REPOSITORY

CORPUS, SHARDS = "gs://my-bucket/corpus", "gs://my-bucket/shards"
COMMANDS = {
    "parse": ["parse", "gs://my-bucket/enwiki-*.xml.bz2", "--out", CORPUS],
    "ingest": ["ingest", "gs://my-bucket/notes.jsonl", "--out", CORPUS, "--format", "jsonl"],
    "graph": ["graph", CORPUS],
    "subset": ["subset", CORPUS, "--around", "Rye", "--size", "9", "--out", f"{CORPUS}2"],
    "tokenizer": ["tokenizer", CORPUS],
    "segment": ["segment", CORPUS],
    "sample gather": ["sample", CORPUS, "--out", SHARDS, "--join", "gather"],
    "sample shuffle": ["sample", CORPUS, "--out", SHARDS, "--join", "shuffle"],
    "sample two": ["sample", CORPUS, f"{CORPUS}2:none", "--out", SHARDS],
}
DATAFLOW = [
    "--",
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=europe-west4",
    "--temp_location=gs://my-bucket/tmp",
    "--staging_location=gs://my-bucket/staging",
    "--no_auth",
]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "schemas", "pipeline", "linkbert")


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    """Let neither the network nor a file of the job be touched."""
    # Here, because to load it takes seconds that a process without these tests can save.
    pytest.importorskip("google.cloud.storage", reason="the extra gcp is not installed")

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"building a job reached for {args[:2]}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        for name in ("open_read", "write_whole", "exists", "size", "matching", "delete"):
            patch.setattr(remote, name, refuse)
        patch.setattr(files, "open_read", refuse)
        yield


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the package is built from, so that no build ends up beside it."""
    folder = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_each_job_builds_without_network_or_data(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = "--sdk_container_image=europe-docker.pkg.dev/my-project/linkbert/worker:1"
    status = main([*COMMANDS[name], "--json", *DATAFLOW, "--dry_run=True", image])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert json.loads(printed.out) == {"job": "built, not submitted"}
    assert pickler.desired_pickle_lib is cloudpickle_pickler


def test_a_path_that_no_worker_sees_is_refused_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    assert main(["graph", str(corpus), *DATAFLOW, "--setup_file=./setup.py"]) == 1
    expected = f"expected paths that Dataflow's workers can open, found {corpus}"
    assert expected in capsys.readouterr().err
    assert not list(corpus.iterdir())


def test_a_job_without_its_package_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", CORPUS, *DATAFLOW]) == 1
    assert "expected --setup_file=./setup.py" in capsys.readouterr().err


@pytest.fixture(scope="module")
def template(sources: Path) -> dict[str, bytes]:
    """Stage the template of the parse job, once; return what would be uploaded."""
    caught: dict[str, bytes] = {}

    def stage_file(
        self: Any, folder: str, name: str, stream: Any, *args: Any, **kwargs: Any
    ) -> None:
        caught[f"{folder}/{name}"] = stream.read()

    from apache_beam.runners.dataflow.internal import apiclient

    where = "gs://my-bucket/templates/parse.json"
    setup = f"--setup_file={sources / 'setup.py'}"
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(apiclient.DataflowApplicationClient, "stage_file", stage_file)
        assert main([*COMMANDS["parse"], *DATAFLOW, setup, f"--template_location={where}"]) == 0
    assert f"template written to {where}" in printed.getvalue()
    return caught


@pytest.mark.end_to_end
def test_the_template_holds_the_job_and_no_main_session(
    template: dict[str, bytes],
) -> None:
    job = json.loads(template["gs://my-bucket/templates/parse.json"])
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert options["number_of_worker_harness_threads"] == 1
    names = {path.rsplit("/", 1)[1] for path in template}
    assert "workflow.tar.gz" in names
    assert not any("main_session" in name for name in names)
    [graph] = [data for path, data in template.items() if path.endswith("pipeline.pb")]
    assert b"OpenJob" in graph
    assert b"__main__" not in graph


@pytest.mark.end_to_end
def test_the_staged_package_runs_where_only_its_requirements_are(
    template: dict[str, bytes], tmp_path: Path
) -> None:
    [package] = [data for path, data in template.items() if path.endswith("workflow.tar.gz")]
    (tmp_path / "workflow.tar.gz").write_bytes(package)
    with tarfile.open(tmp_path / "workflow.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = [path for path in tmp_path.iterdir() if path.is_dir()]
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "install_lib", "--install-dir", tmp_path / "lib"],
        cwd=unpacked,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    result = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, str(tmp_path / "lib"), *_requirements()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 50


def _requirements() -> list[str]:
    found = re.search(r"CORE = \[(.*?)\n\]", (REPOSITORY / "setup.py").read_text(), re.DOTALL)
    assert found is not None
    return re.findall(r'"([\w-]+)', found[1])


# In a new process: no package but those that install_requires names, and theirs, can be imported;
# then every module up to the shards is, the data files are read and a page goes through.
_IMPORT_ALL = """
import importlib, importlib.metadata as metadata, pkgutil, re, sys
library, *wanted = sys.argv[1:]
owners = metadata.packages_distributions()
allowed = set()
while wanted:
    name = re.sub("[-_.]+", "-", wanted.pop()).lower()
    if name not in allowed:
        allowed.add(name)
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another platform
        plain = [line for line in needed if "extra ==" not in line]
        wanted += [re.match("[A-Za-z0-9._-]+", line)[0] for line in plain]

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        names = {re.sub("[-_.]+", "-", owner).lower() for owner in owners.get(top, ())}
        if names and not names & allowed and "linkbert" not in names:
            raise ModuleNotFoundError(f"{name} is not among the requirements of the package")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, library)
count = 0
for package in ("schemas", "pipeline"):
    root = importlib.import_module(package)
    assert root.__path__[0].startswith(library), root.__path__
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        importlib.import_module(module.name)
        count += 1
from pipeline.wiki.site_info import default_site
from pipeline.wikitext.extract import extract
assert extract("{{convert|12|km}} of [[Rye|rye]]", "Corn", default_site()).text
print(count)
"""


FOLDER = REPOSITORY / "pipeline/dataflow"


def test_the_image_runs_the_pinned_beam_and_copies_what_there_is() -> None:
    recipe = (FOLDER / "Dockerfile").read_text()
    [version] = re.findall(r"FROM apache/beam_python3.11_sdk:(\S+)", recipe)
    assert f"apache-beam=={version}" in (REPOSITORY / "constraints.txt").read_text().splitlines()
    copied = [line.split()[1:-1] for line in recipe.splitlines() if re.match(r"COPY \w", line)]
    assert {name for names in copied for name in names} == {*SOURCES, "constraints.txt"}
    [launched] = re.findall(r"PY_FILE=/linkbert/(\S+)", recipe)
    assert (REPOSITORY / launched).is_file()


def test_the_flex_template_names_parameters_as_dataflow_wants_them() -> None:
    """https://cloud.google.com/dataflow/docs/guides/templates/using-flex-templates#metadata."""
    metadata = json.loads((FOLDER / "flex_template.json").read_text())
    assert set(metadata) == {"name", "description", "parameters"}
    for parameter in metadata["parameters"]:
        assert {"name", "label", "helpText"} <= set(parameter)
        assert set(parameter) <= {"name", "label", "helpText", "isOptional", "regexes"}
    [command] = [each for each in metadata["parameters"] if each["name"] == "command"]
    for arguments in COMMANDS.values():
        assert re.match(command["regexes"][0], shlex.join(arguments))
    assert not re.match(command["regexes"][0], "pretrain gs://my-bucket/shards")


def test_the_launcher_builds_the_job_of_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = "--sdk_container_image=europe-docker.pkg.dev/my-project/linkbert/worker:1"
    given = [f"--command={shlex.join(COMMANDS['parse'])}", *DATAFLOW[1:], image, "--dry_run=True"]
    assert main(command_line(given)) == 0
    assert "built, not submitted" in capsys.readouterr().out
