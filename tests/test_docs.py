"""What the README and the docs tell to type runs, and the site builds."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import linkbert
from linkbert.cli import main
from linkbert.cli.options import build_parser
from linkbert.training.config import PRESETS
from tests.docs_pages import (
    DUMP,
    QUICK_START,
    README,
    REPOSITORY,
    blocks,
    commands,
    pages,
    shell_lines,
)
from tests.forked import Forked
from tests.pipeline.chain import some_pages

pytestmark = pytest.mark.end_to_end

NEEDS_A_NETWORK = ("download", "push")
TINY = (
    "max_steps=4", "batch_size=4", "validation_instances=32", "num_layers=1", "hidden_size=32",
    "num_heads=1", "intermediate_size=32", "max_position_embeddings=128", "tensorboard=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a reader of the pages works in, with the files that they say are there."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / DUMP).write_bytes(some_pages(5))  # with the page that the docs look at
    [(_, documents)] = blocks(REPOSITORY / "docs/stages/ingest.md", "json")
    (folder / "documents.jsonl").write_text(documents)
    (folder / "sentences.csv").write_text("text,label\n" + "upe,good\nkolns,bad\n" * 4)
    return folder


@pytest.fixture(scope="module")
def typed(folder: Path) -> set[tuple[str, ...]]:
    """The commands that were run: first the quick start's, which make what other pages look at.

    What several pages tell to type runs once.
    """
    typed: set[tuple[str, ...]] = set()
    with contextlib.chdir(folder):
        type_page(QUICK_START, typed)
    return typed


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_what_a_page_tells_to_type_runs(
    page: Path, folder: Path, typed: set[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the dump is a smaller one under the same name, and the model is a tiny one."""
    monkeypatch.chdir(folder)
    type_page(page, typed)


def type_page(page: Path, typed: set[tuple[str, ...]]) -> None:
    """Run what a page tells to type, but for what was typed before."""
    for language, body in blocks(page, "console", "python", "py"):
        if language != "console" and (body,) not in typed:
            exec(compile(body, page.name, "exec"), {})
            typed.add((body,))
        for argv in commands(body) if language == "console" else ():
            # The preset changes the size of the model alone, and that is a tiny one here.
            words = tuple(word for word in argv if word not in PRESETS)
            if words not in typed:
                run(argv)
                typed.add(words)


def run(argv: list[str]) -> None:
    if argv == ["demo"] or "--" in argv:  # run by test_end_to_end; built by the test below
        return
    if argv[0] in NEEDS_A_NETWORK or argv[:2] == ["run", "simplewiki"]:
        build_parser().parse_args(argv)
        return
    if argv[0] in ("run", "pretrain"):
        argv = [*argv, *(word for setting in TINY for word in ("--set", setting))]
    if argv[0] == "run":
        argv += ["--vocab-size", "2000"]
    assert main([*argv, "--quiet"]) == 0, argv


def test_the_notebook_runs_from_dump_to_fill_mask(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a kernel of its own, which begins with what it would import for twelve CPU seconds."""
    nbclient = pytest.importorskip("nbclient", reason="the extra dev is not installed")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(REPOSITORY / "docs/notebook.ipynb", 4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if not cell.outputs] == [cells[0].source]
    cells[0].source += f"\ndump, vocab_size, max_steps = {str(folder / DUMP)!r}, 500, 2"
    monkeypatch.setattr("jupyter_client.launcher.Popen", Forked)
    at = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=None, resources=at).execute()
    guesses = cells[-2].outputs[-1].text.splitlines()
    assert [bool(re.match(r"0\.\d{3} Latgola irā", guess)) for guess in guesses] == [True] * 5


def test_the_cloud_commands_build_their_jobs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is submitted, and the package is not built each time."""
    pytest.importorskip("google.cloud.storage", reason="the extra gcp is not installed")
    monkeypatch.chdir(REPOSITORY)
    consoles = [body for _, body in blocks(REPOSITORY / "docs/dataflow.md", "console")]
    typed = [line for body in consoles for line in shell_lines(body)]
    variables = dict(
        found.groups() for line in typed if (found := re.match(r'([A-Z]+)="?(.*?)"?$', line))
    )
    built = []
    for argv in (argv for body in consoles for argv in commands(body)):
        words = [word for each in argv for word in expand(each, variables).split()]
        image = ["--sdk_container_image=europe-docker.pkg.dev/my-project/linkbert/worker:1"]
        options = [word for word in words if not word.startswith("--setup_file")]
        assert main([*options, *image, "--dry_run=True", "--no_auth"]) == 0, words
        built.append(argv[0])
    assert set(built) == {"parse", "graph", "tokenizer", "segment", "sample"}
    assert capsys.readouterr().out.count("built, not submitted") == len(built)


def expand(word: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$([A-Z]+)", lambda found: variables[found[1]], word)


def test_the_demo_stands_at_the_top_of_the_readme() -> None:
    assert "make demo" in "\n".join(README.read_text().splitlines()[:20])


@pytest.mark.parametrize("target", ["demo", "test", "bench", "torture", "check", "docs"])
def test_the_make_targets_of_the_readme_exist(target: str) -> None:
    assert f"make {target}" in README.read_text()
    subprocess.run(["make", "-n", target], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.mark.parametrize("page", [README, REPOSITORY / "docs/stages/ingest.md"])
def test_the_shown_records_are_valid_and_their_offsets_cut_the_anchors(page: Path) -> None:
    [(_, documents)] = blocks(page, "json")
    for line in documents.splitlines():
        record = json.loads(line)
        for link in record["links"]:
            assert record["text"][link["start"] : link["end"]].lower() == link["target"].lower()


@pytest.mark.parametrize("page", [*pages(), REPOSITORY / ".github/CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`((?:tests|pipeline|linkbert|schemas)/[a-z0-9_/.]+)`", page.read_text())
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_the_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        if not target.startswith("http"):
            assert (REPOSITORY / target.split("#")[0]).exists(), target


def test_the_site_builds_with_every_link_and_documents_every_public_name(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "api.html").read_text()
    places = [getattr(linkbert, name) for name in linkbert.__all__]
    missing = [
        place.__qualname__
        for place in places
        if f'id="{place.__module__}.{place.__qualname__}"' not in page
    ]
    assert missing == []
