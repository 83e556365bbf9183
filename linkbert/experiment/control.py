"""The positive control: a made corpus in which knowing the linked page helps by construction.

Each *place* has a page that states eight facts about it. *Stories* link to places, one per
paragraph, and repeat the facts of the place. Facts are drawn at random, so that only the place's
own page reveals them: not its name, nor the rest of the story, nor any other page. No segment
states a fact twice, and no two segments of a document are about the same place: only a linked
partner contains what another segment repeats. So only training on linked pairs teaches a model to
look for it there.

    place   Tavon Relis shows crimson herons, oak benches, copper bells and granite towers.
                                              ▼ a link to the place's page
    story   That year the old miller praised Tavon Relis for copper bells and granite towers near
            crimson herons by oak benches.
            No widow found the narrow bridge at noon.

Held-out places have facts that no training text states. A model that reads the linked page guesses
them in the story; one that does not cannot do better than chance, one in sixteen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linkbert.experiment.config import ExperimentConfig
from pipeline.segment.config import SegmentConfig
from pipeline.tokenizer.config import TokenizerConfig
from schemas.manifest import write_whole

_FACTS = [
    words.split()
    for words in (
        "amber black blue brown crimson golden green grey orange pink purple scarlet silver violet"
        " white yellow",
        "bears boars cranes deer eagles falcons foxes goats hares herons lions owls ravens stags"
        " swans wolves",
        "alder ash aspen beech birch cedar cypress elm fir larch maple oak pine poplar spruce"
        " willow",
        "barrels beams benches boats carts chairs chests doors floors ladders masts oars shelves"
        " stools tables wheels",
        "brass bronze chrome cobalt copper gilt iron lead nickel pewter platinum steel tin titanium"
        " tungsten zinc",
        "anchors bells blades bowls chains coins cups gates hinges kettles knives locks nails"
        " plates pots rings",
        "basalt chalk clay coral flint gneiss granite jade limestone marble onyx quartz sandstone"
        " schist slate shale",
        "altars arches castles cellars columns forts halls houses mills palaces pillars stairs"
        " temples tombs towers walls",
    )
]

CONTROL_VOCABULARY = TokenizerConfig(vocab_size=1000, lowercase=True)
"""Every word is one token."""

CONTROL_SEGMENTS = SegmentConfig(max_tokens=24, min_tokens=8)
"""The page of a place is one segment, and so is each paragraph of a story."""

FACT_WORDS = tuple(word for words in _FACTS for word in words)
"""The words of facts; they occur nowhere else in the corpus."""

# Variants of a sentence have the same length and order: a model this small learns to find a word in
# the other segment by its position long before it learns to find it by its surroundings.
_PLACES = (
    "{name} shows {0} {1} , {2} {3} , {4} {5} and {6} {7}",
    "{name} has {0} {1} , {2} {3} , {4} {5} or {6} {7}",
    "{name} keeps {0} {1} , {2} {3} , {4} {5} and {6} {7}",
)
_VISITS = (
    "{time} the {adjective} {person} {felt} {name} for {4} {5} and {6} {7} near {0} {1} by {2} {3}",
    "{time} a {adjective} {person} {felt} {name} where {4} {5} of {6} {7} face {0} {1} or {2} {3}",
    "{time} one {adjective} {person} {felt} {name} , {4} {5} , {6} {7} and {0} {1} on {2} {3}",
)
_FILLERS = (
    "{time} the {adjective} {person} {did} the {thing} and the {adjective} {thing}",
    "no {person} {did} the {adjective} {thing} {time} but a {person} {did} the {thing}",
    "the {person} and the {adjective} {person} {did} a {thing} {time} with the {thing}",
)
_WORDS = {
    kind: words.split("|")
    for kind, words in {
        "adjective": "old|quiet|small|young|cold|kind|dark|strange|busy|poor|rich|proud",
        "person": "miller|king|clerk|doctor|farmer|widow|soldier|judge|poet|sailor|monk|baker",
        "thing": "river|bridge|letter|window|road|picture|book|garden|song|stone|ship|lamp",
        "did": "saw|took|found|left|kept|built|sold|lost|opened|feared|drew|painted",
        "felt": "praised|loved|knew|missed|feared|remembered|described|painted",
        "time": "last spring|at night|long ago|before dawn|that year|at noon",
    }.items()
}
_SYLLABLES = ("ba", "do", "fe", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wa")


@dataclass(frozen=True, slots=True)
class ControlSize:
    """How large the made corpus is.

    Attributes:
        num_places: pages with facts, at most 2,304.
        num_stories: pages that link to places.
        num_visits: paragraphs of each story that link to a place; one more has no place.
        seed: the seed of every draw.
    """

    num_places: int = 1000
    num_stories: int = 1000
    num_visits: int = 3
    seed: int = 0


def control_experiment(corpus: str) -> ExperimentConfig:
    """Return the experiment on a control corpus."""
    return ExperimentConfig(
        corpus=corpus,
        arms=("bert", "linkbert", "random-links"),
        seeds=(0, 1, 2),
        config="demo",
        epochs=13,
        mix=(1.0, 2.0, 3.0),
        validation_fraction=0.2,
        passes=2,
        splits=("validation_closed",),
        focus_words=FACT_WORDS,
        overrides=(
            "hidden_size=64", "intermediate_size=256", "max_position_embeddings=64",
            "max_steps=700", "warmup_steps=100", "batch_size=64", "micro_batch_size=64",
            # Reading B is learned suddenly, after many masked facts. Hence more of them per step,
            # a steady rate, and weights that let a narrow network pass tokens on from the start.
            "mask_prob=0.3", "learning_rate=3e-3", "schedule=warmup-stable-decay",
            "initial_std=0.1",
            "validation_instances=64", "validate_every=700", "checkpoint_every=350",
        ),
    )  # fmt: skip


def write_documents(path: Path, size: ControlSize | None = None) -> None:
    """Write the documents of a control corpus as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as file:
        for document in control_documents(size or ControlSize()):
            file.write(f"{json.dumps(document)}\n".encode())


def control_documents(size: ControlSize) -> Iterator[dict[str, Any]]:
    """Yield the documents as `linkbert ingest` reads them: id, title, text, links.

    >>> place, story = control_documents(ControlSize(num_places=1, num_stories=1, num_visits=1))
    >>> [link] = story["links"]
    >>> story["text"][link["start"] : link["end"]] == link["target"] == place["title"]
    True
    """
    rng = np.random.default_rng(size.seed)
    names = _names(size.num_places, rng)
    facts = [[_pick(rng, words) for words in _FACTS] for _ in names]
    for number, (name, own) in enumerate(zip(names, facts, strict=True)):
        text = _filled(rng, _pick(rng, _PLACES), own, name)
        yield {"id": f"place-{number}", "title": name, "text": text, "links": []}
    for number in range(size.num_stories):
        visited = rng.integers(0, len(names), size.num_visits).tolist()
        paragraphs = [
            _filled(rng, _pick(rng, _VISITS), facts[place], names[place]) for place in visited
        ]
        paragraphs.insert(
            int(rng.integers(len(paragraphs) + 1)), _filled(rng, _pick(rng, _FILLERS))
        )
        yield _story(number, "\n\n".join(paragraphs), [names[place] for place in visited])


def _names(count: int, rng: np.random.Generator) -> list[str]:
    """Return distinct names of two words, each word shared by many names."""
    pairs = rng.permutation(len(_SYLLABLES) ** 2)[:96].tolist()
    words = ["".join(_SYLLABLES[part] for part in divmod(each, len(_SYLLABLES))) for each in pairs]
    first = [f"{word.capitalize()}n" for word in words[:48]]
    second = [f"{word.capitalize()}s" for word in words[48:]]
    chosen = rng.permutation(len(first) * len(second))[:count].tolist()
    return [f"{first[each // len(second)]} {second[each % len(second)]}" for each in chosen]


def _filled(rng: np.random.Generator, form: str, facts: Sequence[str] = (), name: str = "") -> str:
    """Fill a form; the frequency of words falls with their rank, as in language."""
    given = {"name": name, **{str(place): fact for place, fact in enumerate(facts)}}
    parts = []
    for part in form.replace("{", "}").split("}"):
        words = _WORDS.get(part)
        parts.append(given.get(part, part) if words is None else words[_rank(rng, len(words))])
    text = "".join(parts).replace(" ,", ",")
    return f"{text[0].upper()}{text[1:]}."


def _rank(rng: np.random.Generator, count: int) -> int:
    weights = 1 / np.arange(1, count + 1)
    return int(np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random()))


def _story(number: int, text: str, linked: list[str]) -> dict[str, Any]:
    """Return a story with a link at each name, in their order."""
    links, start = [], 0
    for name in linked:
        start = text.index(name, start)
        links.append({"start": start, "end": start + len(name), "target": name})
        start += len(name)
    return {"id": f"story-{number}", "title": f"Story {number}", "text": text, "links": links}


def _pick(rng: np.random.Generator, values: Sequence[str]) -> str:
    return values[int(rng.integers(len(values)))]
