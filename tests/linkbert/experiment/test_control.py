"""The positive control: what its corpus holds by construction, and that training finds it."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from linkbert.api import run_experiment
from linkbert.experiment.control import (
    CONTROL_SEGMENTS,
    CONTROL_VOCABULARY,
    FACT_WORDS,
    ControlSize,
    control_documents,
    control_experiment,
    write_documents,
)
from pipeline.engine.stage import Job
from pipeline.graph.config import GraphConfig
from pipeline.graph.stage import GRAPH
from pipeline.ingest.config import IngestConfig
from pipeline.ingest.stage import INGEST
from pipeline.segment.stage import SEGMENT
from tests.pipeline.linked_corpus import read_rows
from tests.running import run_inline, tokenizer_job

MINIATURE = (
    "max_steps=450", "warmup_steps=40", "batch_size=32", "intermediate_size=128", "threads=1",
)  # fmt: skip

SMALL = ControlSize(num_places=60, num_stories=40)


def facts_of(text: str) -> list[str]:
    return sorted(word for word in re.findall(r"[a-z]+", text.lower()) if word in FACT_WORDS)


def test_a_paragraph_repeats_the_facts_of_the_place_that_it_links_to() -> None:
    documents = list(control_documents(SMALL))
    places = {each["title"]: each for each in documents if not each["links"]}
    stories = [each for each in documents if each["links"]]
    assert (len(places), len(stories)) == (60, 40)
    for story in stories:
        told = [facts_of(paragraph) for paragraph in story["text"].split("\n\n")]
        assert told.count([]) == 1
        linked = [places[link["target"]] for link in story["links"]]
        assert [each for each in told if each] == [facts_of(place["text"]) for place in linked]
        for link in story["links"]:
            assert story["text"][link["start"] : link["end"]] == link["target"]
    assert {len(set(facts_of(place["text"]))) for place in places.values()} == {8}


def test_a_name_tells_nothing_of_facts() -> None:
    documents = list(control_documents(ControlSize(num_stories=1)))
    places = [each for each in documents if each["id"].startswith("place")]
    assert len({each["title"] for each in places}) == len(places) == 1000
    by_word: dict[str, Counter[str]] = {}
    for each in places:
        for word in each["title"].split():
            by_word.setdefault(word, Counter()).update(facts_of(each["text"]))
    # A word of a name that told a fact would have one of 128 values in an eighth of its facts.
    assert max(max(found.values()) / found.total() for found in by_word.values()) < 0.08


def test_the_same_seed_gives_the_same_documents_and_another_gives_others() -> None:
    found = [list(control_documents(replace(SMALL, seed=seed))) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A control corpus of half its size, up to its segments."""
    root = tmp_path_factory.mktemp("control") / "corpus"
    write_documents(root / "documents.jsonl", ControlSize(num_places=250, num_stories=500))
    config = IngestConfig(format="jsonl")
    run_inline(Job(INGEST, str(root), config, (str(root / "documents.jsonl"),)))
    run_inline(Job(GRAPH, str(root), GraphConfig()))
    run_inline(tokenizer_job([str(root)], CONTROL_VOCABULARY))
    run_inline(Job(SEGMENT, str(root), CONTROL_SEGMENTS))
    return root


def test_every_word_is_one_token_and_every_paragraph_one_segment(corpus: Path) -> None:
    lines = (corpus / "documents.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    words = set(re.findall("[a-z]+", " ".join(texts).lower()))
    tokenizer = json.loads((corpus / "tokenizer" / "tokenizer.json").read_text())
    assert words | set(FACT_WORDS) <= set(tokenizer["model"]["vocab"])
    rows = read_rows(corpus / "segments")
    assert len(rows) == sum(len(text.split("\n\n")) for text in texts)
    assert {len(row["target_ids"]) for row in rows if row["num_tokens"] == 21} == {1}


@pytest.mark.end_to_end
def test_linked_pairs_teach_a_model_to_read_the_linked_page(corpus: Path, tmp_path: Path) -> None:
    """Graph, sampler, trainer and measure together: with random links this is 0.01 nat."""
    control = control_experiment(str(corpus))
    config = replace(
        control,
        arms=("linkbert",),
        seeds=(0,),
        mix=(1.0, 1.0, 4.0),
        overrides=(*control.overrides, *MINIATURE),
        num_resamples=200,
    )
    run_experiment(config, tmp_path / "out", quiet=True)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    measured = results["measures"]["validation_closed"]["arms"]["linkbert"]
    for name in ("alone_minus_linked_focus", "gain_focus"):
        assert measured[name]["value"] > 0.3, measured[name]
        assert measured[name]["interval"][0] > 0.15, measured[name]
