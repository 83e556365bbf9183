"""The README's commands run and its outputs are real."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from linkbert.cli.commands import main

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
BUNDLED = REPOSITORY / "linkbert/data/ltgwiki-2017-pages-articles.xml.bz2"
DUMP_OF_THE_README = "simplewiki-20261101-pages-articles-multistream.xml.bz2"

pytestmark = pytest.mark.end_to_end


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """Return the README's commands of one program, continued lines joined, prompts dropped."""
    lines = [
        line.removeprefix("$ ") for line in _joined_consoles().splitlines() if line.startswith("$ ")
    ]
    parts = [part for line in lines for part in line.split(" && ")]
    return [shlex.split(part) for part in parts if shlex.split(part)[0] == program]


def test_the_local_commands_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the dump is a smaller one under the same name, and training is cut to a few steps."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(BUNDLED, DUMP_OF_THE_README)
    [documents] = [block for block in blocks("json") if '"links"' in block]
    Path("documents.jsonl").write_text(documents)
    ran = []
    for _, *argv in commands("linkbert"):
        if "--" in argv or argv == ["demo"]:  # on a cloud; run by test_end_to_end
            continue
        if argv[0] in ("run", "pretrain"):
            argv += ["--set", "max_steps=4", "--set", "validation_instances=64"]
        if argv[0] == "run":
            argv += ["--vocab-size", "2000", "--set", "batch_size=4"]
        assert main([*argv, "--quiet"]) == 0, argv
        ran.append(argv[0])
    assert {"parse", "graph", "tokenizer", "segment", "sample", "pretrain", "export"} <= set(ran)
    assert {"run", "show", "check", "ingest"} <= set(ran)
    for code in blocks("python"):
        if code != whole_chain():
            exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "'linked'" in printed
    [instance] = [line for line in printed.splitlines() if line.startswith("[CLS]")]
    assert instance.count("[SEP]") == 2
    assert instance[-2:] in (" 0", " 1", " 2")


def whole_chain() -> str:
    """Return the Python example that runs all stages."""
    [code] = [block for block in blocks("python") if "linkbert.parse(" in block]
    return code


def test_the_chain_from_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(BUNDLED, DUMP_OF_THE_README)
    exec(compile(whole_chain(), "README.md", "exec"), {})
    pages, relations, steps, page = capsys.readouterr().out.splitlines()[:4]
    assert re.match(r"903 pages, 19\d\d edges; most linked: \['Latgola', ", pages)
    assert "'linked': " in relations
    assert steps.startswith("4 steps, loss ")
    assert page.startswith("Latgola ")


@pytest.mark.parametrize(
    "target", ["demo", "experiment", "test", "bench", "bench-large", "torture", "check", "format"]
)
def test_the_make_targets_of_the_readme_exist(target: str) -> None:
    assert f"make {target}" in README
    subprocess.run(["make", "-n", target], cwd=REPOSITORY, check=True, capture_output=True)


def test_the_cloud_commands_build_their_jobs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is submitted, and the package is not built each time."""
    pytest.importorskip("google.cloud.storage", reason="the extra gcp is not installed")
    monkeypatch.chdir(REPOSITORY)
    variables = dict(re.findall(r'^\$ ([A-Z]+)="?(.*?)"?$', _joined_consoles(), re.MULTILINE))
    built = []
    for _, *argv in commands("linkbert"):
        if "--" in argv:
            words = [word for each in argv for word in _expand(each, variables).split()]
            image = ["--sdk_container_image=europe-docker.pkg.dev/my-project/linkbert/worker:1"]
            options = [word for word in words if not word.startswith("--setup_file")]
            assert main([*options, *image, "--dry_run=True", "--no_auth"]) == 0, words
            built.append(argv[0])
    assert set(built) == {"parse", "graph", "tokenizer", "segment", "sample"}
    assert capsys.readouterr().out.count("built, not submitted") == len(built)


def _joined_consoles() -> str:
    return "\n".join(blocks("console")).replace("\\\n", " ")


def _expand(word: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$([A-Z]+)", lambda found: variables[found[1]], word)


def test_the_demo_command_stands_in_the_first_twelve_lines_with_its_output() -> None:
    head = README.splitlines()[:12]
    assert any("make demo" in line for line in head)


def test_the_ingested_record_is_valid_and_its_offsets_cut_the_anchor() -> None:
    [documents] = [block for block in blocks("json") if '"links"' in block]
    for line in documents.splitlines():
        record = json.loads(line)
        for link in record["links"]:
            assert record["text"][link["start"] : link["end"]].lower() == link["target"].lower()
