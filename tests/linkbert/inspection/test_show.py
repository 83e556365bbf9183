import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from linkbert.inspection.show import show
from linkbert.inspection.show_page import mark_links
from pipeline.engine.stage import Job
from pipeline.sample.config import SampleConfig
from pipeline.sample.stage import SAMPLE
from schemas.tables.instances import LINKED, RELATIONS
from tests.pipeline.linked_corpus import make_corpus, read_rows
from tests.running import run_inline


def test_links_are_marked_where_they_stand_and_placeless_ones_left_out() -> None:
    links = [
        {"start_char": 9, "end_char": 12, "target_title": "Mat"},
        {"start_char": None, "end_char": None, "target_title": "Hidden"},
        {"start_char": 0, "end_char": 3, "target_title": "Cat"},
    ]
    assert mark_links("Cat on a mat.", links) == "[Cat -> Cat] on a [mat -> Mat]."
    assert mark_links("Cat on a mat.", links, ["no edge: red", "", "Felis"]) == (
        "[Cat -> Felis] on a [mat -> no edge: red]."
    )


def test_a_text_without_links_is_itself() -> None:
    assert mark_links("Nothing here.", []) == "Nothing here."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("show")
    corpus = make_corpus(root / "corpus", 120)
    config = SampleConfig(validation_fraction=0.2)
    run_inline(Job(SAMPLE, str(root / "shards"), config, (str(corpus),)))
    return root


def decoded(shards: Path, ids: bytes) -> str:
    tokenizer = Tokenizer.from_file(str(shards / "tokenizer" / "tokenizer.json"))
    return str(tokenizer.decode(np.frombuffer(ids, "<u2").tolist()))


def test_shards_show_a_pair_of_each_relation_as_training_sees_it(made: Path) -> None:
    shards = made / "shards"
    text = show(shards)
    summary, *pairs = text.split("\n\n")
    train = read_rows(shards / "train")
    assert f"train              {len(train)} instances (contiguous " in summary
    assert [pair.split(":")[0] for pair in pairs] == list(RELATIONS)
    titles = {row["node_id"]: row["title"] for row in read_rows(made / "corpus" / "nodes")}
    shown = " ".join(text.split())
    for pair in pairs:
        head = pair.splitlines()[0].split(": ")[1].split(", linked by")[0]
        matching = [
            row
            for row in train
            if head == f"{titles[row['source_id']]} + {titles[row['target_id']]}"
            and decoded(shards, row["token_ids"][2 : 2 * row["num_tokens_a"] + 2]) in shown
            and decoded(shards, row["token_ids"][2 * row["num_tokens_a"] + 4 : -2]) in shown
        ]
        assert matching, head
    linked = pairs[LINKED]
    target = linked.splitlines()[0].split(" + ")[1].split(",")[0]
    assert f'linked by "{target}"' in linked
    assert f"[{target} -> {target}]" in " ".join(linked.split("A  ")[0].split())


def test_shards_without_their_corpus_show_what_they_hold(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "shards", tmp_path / "shards")
    first = read_rows(tmp_path / "shards" / "train")[0]
    shown = " ".join(show(tmp_path / "shards" / "train", limit=1).split())
    assert f"documents {first['source_id']} + {first['target_id']}" in shown
    assert (
        decoded(tmp_path / "shards", first["token_ids"][2:][: 2 * first["num_tokens_a"]]) in shown
    )
