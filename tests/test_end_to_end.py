"""From the bundled dump to a model on disk, as a user runs it."""

import json
import re
import shutil
from pathlib import Path

import pytest

import linkbert
from linkbert.cli.commands import main
from schemas.manifest import read_manifest
from tests.running import DEMO_STEPS

pytestmark = pytest.mark.end_to_end


def test_the_closing_table_agrees_with_the_manifests(demo: Path) -> None:
    printed = (demo.parent / "printed.txt").read_text()
    rows = dict(line.split("  ", 1) for line in printed.split("\n\n")[0].splitlines())
    table = {name.strip(): value.strip() for name, value in rows.items()}
    for row, folder in {"pages": "pages", "redirects": "redirects", "edges": "edges"}.items():
        assert table[row] == f"{read_manifest(demo / 'corpus' / folder).rows_out:,}"
    assert table["pages"] == "903"
    train = read_manifest(demo / "shards/train")
    assert table["instances"].startswith(f"{train.rows_out:,} (contiguous ")
    assert "95 % interval" in table["DRP accuracy, validation"]
    assert "for a guess from A alone" in printed
    assert table["model"] == str(demo / "model")


def test_the_readme_shows_what_the_demo_prints(demo: Path) -> None:
    """All that does not depend on how long it trained; sums of floats differ by machine."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    table, pairs = (demo.parent / "printed.txt").read_text().split("three pairs it trained on")
    learned = ("loss", "DRP accuracy", " ", "model")
    rows = [line for line in table.splitlines() if line and not line.startswith(learned)]
    assert len(rows) == 9
    assert [row for row in rows if row not in readme] == []
    linked = pairs.split("\nnext: ")[0].split("\n\n")[-1]
    assert linked.startswith("linked: ")
    assert linked in readme


def test_three_pairs_are_shown_one_of_each_relation(demo: Path) -> None:
    pairs = (demo.parent / "printed.txt").read_text().split("three pairs it trained on")[1]
    pairs, following = pairs.split("\nnext: ")
    assert f"linkbert report {demo}" in following
    for shown in pairs.split("\nthe same from English Wikipedia"):
        heads = re.findall("^(?:contiguous|random|linked): .*", shown, re.MULTILINE)
        assert [head.split(":")[0] for head in heads] == ["contiguous", "random", "linked"]
        assert 'linked by "' in heads[2]
        target = heads[2].split(" + ")[1].split(", linked by")[0]
        assert f" -> {target}]" in " ".join(shown.split(heads[2])[1].split())


def test_the_same_command_again_says_finished_and_changes_nothing(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*.parquet")}
    assert main(["demo", "--out", str(demo), *DEMO_STEPS, "--json"]) == 0
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*.parquet")} == before
    results = json.loads(capsys.readouterr().out)
    assert list(results) == [
        "parse", "graph", "tokenizer", "segment", "sample", "pretrain", "export",
    ]  # fmt: skip
    assert results["pretrain"]["was_finished"]


def test_check_proves_the_folder_and_finds_one_flipped_byte(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(demo, tmp_path / "copy")
    assert main(["check", str(copy), "--quiet"]) == 0
    victim = next((copy / "corpus/edges").glob("*.parquet"))
    whole = victim.read_bytes()
    victim.write_bytes(bytes([*whole[:40], whole[40] ^ 1, *whole[41:]]))
    assert main(["check", str(copy / "corpus"), "--quiet"]) == 1
    assert str(victim) in capsys.readouterr().err


def test_the_model_reads_back_with_its_relation_head(demo: Path) -> None:
    model = linkbert.LinkBertForPreTraining.from_pretrained(demo / "model")
    probabilities = model.relation_probabilities("Latgola", "Reiga")
    assert list(probabilities) == ["contiguous", "random", "linked"]
    assert sum(probabilities.values()) == pytest.approx(1.0)


def test_a_page_shows_its_links_where_they_stand(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(demo / "corpus"), "--page", "Latgola"]) == 0
    shown = capsys.readouterr().out
    assert "[Dzierkaļu kolns -> Dzierkaļu kolns]" in shown
    assert "in-degree" in shown


@pytest.mark.parametrize(
    "path",
    [".", "corpus", "corpus/pages", "corpus/redirects", "corpus/nodes", "corpus/edges",
     "corpus/mentions", "corpus/segments", "shards/train", "shards/validation", "model",
     "corpus/edges/part-00000.parquet", "shards/train/_manifest.json"],
)  # fmt: skip
def test_everything_can_be_shown(demo: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(demo / path), "--limit", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 2


def test_an_unknown_title_names_one_that_begins_alike(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(demo / "corpus"), "--page", "Latgolanope"]) == 1
    assert "there is 'Latgola', " in capsys.readouterr().err
