"""The stage `sample`: segments become pairs, pairs become sharded training data.

    CORPUS/segments, tokens, nodes, csr (one or several corpora that share a tokenizer)
      ──verify─▶  nothing, but an error where a file is not as it was written
      ──index──▶  every segment in canonical order, as mapped arrays
      ──split──▶  which documents are held out
      ──words──▶  with --links tfidf: the words of each document, weighed
      ──similar─▶ and the nearest documents in words
      ──plan───▶  which segment_b for which segment_a, and the order of the epoch
      ──route──▶  where ids cannot be read at random: which pairs each token file serves
      ──spread─▶  and its segments, sorted by the shard they go to
      ──gather─▶  SHARDS/train, validation, validation_closed (instances), SHARDS/tokenizer

LinkBERT (arXiv:2203.15827), sections 4.2 and 4.3. The one idea: the plan is global but small, nine
bytes per pair; only the last phase touches tokens, and each of its tasks writes one shard.
"""

from __future__ import annotations

from typing import Any

from pipeline.engine.outputs import load_finished, load_manifest, write_folder_manifest
from pipeline.engine.stage import Exchange, Phase, Records, Stage
from pipeline.sample.card import CARD_NAME, dataset_card
from pipeline.sample.config import HYPERLINK, LINK_MODES, SampleConfig
from pipeline.sample.corpus import SampleJob, Source, sources_of, token_facts
from pipeline.sample.index import run_index, run_split, tasks_of_index, tasks_of_split
from pipeline.sample.pairs.similarity import require_scikit_learn
from pipeline.sample.plan import SPLITS, run_plan, tasks_of_plan
from pipeline.sample.report import describe_split, warnings_of
from pipeline.sample.shards import run_gather, run_received, tasks_of_gather
from pipeline.sample.similar import (
    has_similar,
    run_similar,
    run_words,
    tasks_of_similar,
    tasks_of_words,
)
from pipeline.sample.spread import (
    is_shuffled,
    may_route,
    may_spill,
    run_route,
    run_spill,
    send,
    tasks_of_route,
    tasks_of_senders,
    tasks_of_spread,
)
from pipeline.sample.verify import INPUTS, run_verify, tasks_of_verify
from pipeline.storage import files
from pipeline.tokenizer.taken import TOKENIZER_FILE
from schemas.errors import ConfigError, GraphError, StageError
from schemas.manifest import MANIFEST_NAME, Manifest
from schemas.pair_frame import PairFrame

__all__ = ["SAMPLE", "SampleConfig"]


def fingerprint_inputs(job: SampleJob) -> dict[str, str]:
    """Return the fingerprints of every corpus, and its kind of links.

    Raises:
        ConfigError: no corpus is given, one twice, or what compares words is not installed.
        StageError: a corpus is unfinished, or its tables were not made from each other.
    """
    if not job.sources:
        raise ConfigError("expected at least one corpus to sample, found none: name a folder")
    if has_similar(job):
        require_scikit_learn()  # before hours of other phases
    found: dict[str, str] = {}
    tokenizers: set[str] = set()
    seen: dict[str, str] = {}
    for source in sources_of(job):
        _check_path(source)
        manifests = {name: load_finished(files.join(source.path, name)) for name in INPUTS}
        _check_corpus(source, manifests)
        tokenizers.add(_identity_of_tokenizer(manifests["tokenizer"]))
        segments = manifests["segments"].fingerprint()
        if segments in seen:
            raise ConfigError(
                f"expected each corpus once, found the segments of {seen[segments]} again in "
                f"{source.path}: name it once, and draw more pairs from it with --epochs"
            )
        seen[segments] = source.path
        prefix = f"{source.index}." if source.index else ""
        found |= {f"{prefix}{name}": each.fingerprint() for name, each in manifests.items()}
        found[f"{prefix}links"] = source.links
    if len(tokenizers) > 1:
        raise StageError(
            f"expected one tokenizer for all corpora, found {len(tokenizers)} different ones in "
            f"{', '.join(source.path for source in sources_of(job))}: give the others that of the "
            "first (`linkbert tokenizer OTHER --from FIRST`), then run `linkbert segment`"
        )
    return found


def _identity_of_tokenizer(manifest: Manifest) -> str:
    """Return what two corpora must share: the bytes of tokenizer.json, and the frame of a pair."""
    [digest] = [
        entry.sha256 for entry in manifest.files if TOKENIZER_FILE.endswith(f"/{entry.name}")
    ]
    return f"{digest} {PairFrame.from_facts(manifest.extra)}"


def _check_path(source: Source) -> None:
    """Refuse a path that would be a corpus without what follows its last colon."""
    path, colon, links = source.path.rpartition(":")
    if not colon or files.exists(files.join(source.path, "nodes", MANIFEST_NAME)):
        return
    if files.exists(files.join(path, "nodes", MANIFEST_NAME)):
        raise StageError(
            f"expected CORPUS or CORPUS:LINKS, found {source.path}: {links!r} is none of "
            f"{', '.join(LINK_MODES)}"
        )


def _check_corpus(source: Source, manifests: dict[str, Manifest]) -> None:
    for name in ("nodes", "tokenizer"):
        if manifests["segments"].inputs.get(name) != manifests[name].fingerprint():
            raise StageError(
                f"expected segments made with the {name} in {source.path}, found some made with "
                "others: run `linkbert segment` again with --overwrite"
            )
    counts = manifests["segments"].extra["counts"]
    if not counts["segments"]:
        raise StageError(f"expected segments, found none in {source.path}: is the corpus empty?")
    if source.links == HYPERLINK and not counts["segment_targets"]:
        raise GraphError(
            f"expected links between documents, found none in {source.path}: use --links none "
            "to pair segments without links, or --links tfidf"
        )


def finish(job: SampleJob, records: Records) -> dict[str, Any]:
    """Write the manifests of the three splits and the tokenizer; return what was drawn."""
    facts = token_facts(job)
    write_folder_manifest(job, "tokenizer", records["index"], extra=load_tokenizer_facts(job))
    described = {split: describe_split(job, split, records, facts) for split in SPLITS}
    for split, extra in described.items():
        plans = [record for record in records["plan"] if record["split"] == split]
        dropped = sum(record["counts"]["dropped"] for record in plans)
        write_folder_manifest(
            job,
            split,
            records["gather"],
            table="instances",
            rows_in=sum(record["counts"]["pairs"] for record in plans) + dropped,
            drops={"no_relation_open": dropped},
            extra=extra,
        )
    with files.write_whole(job.path(CARD_NAME)) as file:
        file.write(dataset_card(described, job.config_json()).encode())
    # Arrays that only the tasks needed; a plan is drawn again from the same seed.
    for folder in ("index", "plan", "spill"):
        files.remove_tree(job.state_path(folder))
    return _summary(job, records, described)


def load_tokenizer_facts(job: SampleJob) -> dict[str, Any]:
    """Return what the manifest of the first corpus's tokenizer says of it."""
    return load_manifest(files.join(sources_of(job)[0].path, "tokenizer")).extra


def _summary(
    job: SampleJob, records: Records, described: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    train = described["train"]
    num_documents = [record["counts"] for record in records["split"]]
    return {
        "instances": sum(train["instances_per_epoch"]),
        "epochs": train["num_epochs"],
        "shards": len(records["gather"]),
        "relations": train["relations"],
        "relations_by_class": train["relations_by_class"],
        "drp_class_accuracy": train["drp_class_accuracy"],
        # Of the first corpus with links; the manifest has it for each.
        "gini_of_linked_documents": next(
            (corpus["gini"] for corpus in train["corpora"] if corpus["gini"]), {}
        ),
        "documents": {
            split: sum(counts[f"documents_{split}"] for counts in num_documents) for split in SPLITS
        },
        "validation": described["validation"]["relations"],
        "validation_closed": described["validation_closed"]["relations"],
        "dropped": sum(record["counts"]["dropped"] for record in records["plan"]),
        "warnings": warnings_of(job, described),
    }


SAMPLE = Stage(
    name="sample",
    phases=(
        Phase("verify", tasks_of_verify, run_verify, unit="bytes"),
        Phase("index", tasks_of_index, run_index),
        Phase("split", tasks_of_split, run_split),
        Phase("words", tasks_of_words, run_words, is_needed=has_similar),
        Phase("similar", tasks_of_similar, run_similar, is_needed=has_similar),
        Phase("plan", tasks_of_plan, run_plan),
        Phase("route", tasks_of_route, run_route, is_needed=may_route),
        Phase("spread", tasks_of_spread, run_spill, is_needed=may_spill),
        Phase(
            "gather",
            tasks_of_gather,
            run_gather,
            Exchange(is_shuffled, tasks_of_senders, send, run_received),
            unit="instances",
        ),
    ),
    outputs=(*SPLITS, "tokenizer"),
    fingerprint_inputs=fingerprint_inputs,
    finish=finish,
)
