"""What `sample` says of the pairs it drew: for manifests, the summary and a reader in doubt.

An exact mix makes the relation partly readable from segment_a alone: where few segments have a
usable link, most of those become linked. So the manifests give the relations by class of
segment_a, and the best accuracy a guess from that class alone can have. That, not 1/3, is chance.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.engine.outputs import load_manifest
from pipeline.engine.stage import Record, Records
from pipeline.sample.config import HYPERLINK, NO_LINKS
from pipeline.sample.corpus import SampleJob, Source, sources_of
from pipeline.sample.pairs.relations import class_accuracy
from pipeline.sample.plan import relation_counts
from pipeline.storage import files
from schemas.manifest import MANIFEST_NAME, Json
from schemas.pair_frame import PairFrame
from schemas.tables.instances import RELATIONS

ByClass = dict[str, dict[str, int]]

_MAX_CLASS_ACCURACY = 0.45
_MIN_LINKED_PAIRS = 200
# Below this part of the linked pairs that were asked for, the corpus is not fit for them.
_MIN_SHARE_OF_WANTED = 2 / 3
# A cure is named where it would reach at least this part of the segments.
_MIN_SHARE_TO_MEND = 0.05
# Half a percent off a third would already show in an epoch of a million pairs.
_MIX_TOLERANCE = 0.005


def describe_split(
    job: SampleJob, split: str, records: Records, token_facts: dict[str, Json]
) -> dict[str, Json]:
    """Return the `extra` of the manifest of one split."""
    plans = [record for record in records["plan"] if record["split"] == split]
    by_class = add_by_class([fact["by_class"] for record in plans for fact in record["corpora"]])
    frame = PairFrame.from_facts(token_facts)
    return {
        "vocab_size": token_facts["vocab_size"],
        "token_dtype": token_facts["token_dtype"],
        **frame.to_facts(),
        "max_length": 2 * _max_tokens(job) + frame.num_special,
        "num_epochs": len(plans),
        "instances_per_epoch": [record["counts"]["pairs"] for record in plans],
        "relations": relation_counts(by_class),
        "relations_by_class": by_class,
        "drp_class_accuracy": round(class_accuracy(_without_dropped(by_class)), 4),
        "corpora": [_describe_corpus(job, source, plans) for source in sources_of(job)],
    }


def _max_tokens(job: SampleJob) -> int:
    return max(
        int(load_manifest(files.join(source.path, "tokens")).extra["max_tokens"])
        for source in sources_of(job)
    )


def add_by_class(counted: list[ByClass]) -> ByClass:
    """Add up relations by class over epochs and corpora.

    >>> add_by_class([{"both": {"linked": 1}}, {"both": {"linked": 2, "random": 1}}])
    {'both': {'linked': 3, 'random': 1}}
    """
    total: ByClass = {}
    for by_class in counted:
        for class_name, row in by_class.items():
            into = total.setdefault(class_name, {})
            for relation, count in row.items():
                into[relation] = into.get(relation, 0) + count
    return total


def _without_dropped(by_class: ByClass) -> ByClass:
    return {
        class_name: {relation: count for relation, count in row.items() if relation in RELATIONS}
        for class_name, row in by_class.items()
    }


def _describe_corpus(job: SampleJob, source: Source, plans: list[Record]) -> dict[str, Json]:
    pages = load_manifest(files.join(source.path, "pages")).extra
    site = pages.get("siteinfo", {})
    by_class = add_by_class([record["corpora"][source.index]["by_class"] for record in plans])
    found = [record["corpora"][source.index].get("gini") for record in plans]
    reached = [record["corpora"][source.index].get("segments_by_reach") for record in plans]
    return {
        "path": _relative(source.path, job.root),
        "links": source.links,
        "dbname": site.get("dbname", ""),
        "sitename": site.get("sitename", ""),
        "language": site.get("language", ""),
        "dump_date": pages.get("dump_date", ""),
        "licence": pages.get("licence", ""),
        "relations": relation_counts(by_class),
        "gini": next(filter(None, found), None),
        "segments_by_reach": next(filter(None, reached), None),
        "link_fates": _link_fates(source),
    }


def _link_fates(source: Source) -> dict[str, int]:
    """Return how many links of a corpus led where; empty where its mentions were removed."""
    folder = files.join(source.path, "mentions")
    if not files.exists(files.join(folder, MANIFEST_NAME)):
        return {}
    return dict(load_manifest(folder).extra.get("fates", {}))


def _relative(corpus: str, root: str) -> str:
    """Return where a corpus lies as seen from the shards, so that both can move together."""
    return files.relative(corpus, root)


def warnings_of(job: SampleJob, described: dict[str, dict[str, Any]]) -> list[str]:
    """Return one line for everything about the drawn pairs that a reader must know."""
    train = described["train"]
    chance = train["drp_class_accuracy"]
    warnings = []
    if chance > _MAX_CLASS_ACCURACY:
        warnings.append(
            f"the relation can be guessed from segment A alone with {chance:.1%} accuracy: measure "
            "document relation prediction against that, not against a third"
        )
    scarcity = _scarcity(job, train["corpora"])
    warnings += filter(None, (scarcity, _mix_shortfall(job, train["relations"], bool(scarcity))))
    for split in ("validation", "validation_closed") if _wants_links(job) else ():
        num_linked = described[split]["relations"]["linked"]
        if sum(described[split]["relations"].values()) and num_linked < _MIN_LINKED_PAIRS:
            warnings.append(
                f"{split} has {num_linked} linked pairs, fewer than {_MIN_LINKED_PAIRS}: "
                "read its accuracies with their interval"
            )
    return warnings


def _wants_links(job: SampleJob) -> bool:
    return any(source.links != NO_LINKS for source in sources_of(job)) and job.config.mix[2] > 0


def _scarcity(job: SampleJob, corpora: list[dict[str, Json]]) -> str:
    """Return why far fewer pairs are linked than were asked for, empty where they are not."""
    linked = [corpus for corpus in corpora if corpus["links"] != NO_LINKS]
    total = sum(sum(corpus["relations"].values()) for corpus in linked)
    wanted = job.config.mix[2] / sum(job.config.mix)
    found = sum(corpus["relations"]["linked"] for corpus in linked) / max(total, 1)
    if not linked or found >= _MIN_SHARE_OF_WANTED * wanted:
        return ""
    reach = Counter[str]()
    fates = Counter[str]()
    for corpus in linked:
        reach.update(corpus["segments_by_reach"] or {})
        fates.update(corpus["link_fates"] if corpus["links"] == HYPERLINK else {})
    reasons = [f"{reach[name]:,} {reason}" for name, reason in _OUT_OF_REACH.items() if reach[name]]
    lost = sum(fates[name] for name in ("red", "self", "other_namespace", "invalid"))
    if lost:
        reasons.append(f"{lost:,} of {fates.total():,} links of the corpus lead to no document")
    enough = _MIN_SHARE_TO_MEND * reach.total()
    cures = [cure for name, cure in _CURES if reach[name] > enough]
    cures.append("a corpus grown along its links (`linkbert subset --around TITLE`)")
    return (
        f"{found:.1%} of the training pairs are linked, {wanted:.1%} were asked for: of "
        f"{reach.total():,} segments {reach['usable']:,} have a usable link, {', '.join(reasons)}. "
        f"What helps: {', '.join(cures)}; --mix-policy independent keeps the relation from showing "
        "in segment A where links stay scarce"
    )


_OUT_OF_REACH = {
    "document_without_links": "lie in documents without links",
    "none_in_segment": "hold none of their document's links",
    "target_without_segments": "link only to documents without text",
    "target_in_other_split": "link only to held-out documents",
}
_CURES = (
    ("none_in_segment", "--link-scope document"),
    ("none_in_segment", "longer segments (`linkbert segment --max-tokens`)"),
    ("target_in_other_split", "a smaller --validation-fraction"),
)
"""What to do for segments that are out of reach."""


def _mix_shortfall(job: SampleJob, relations: dict[str, int], is_scarce: bool) -> str:
    """Return why the mix is not the wanted one, empty where it is, or where that is said."""
    wanted = list(job.config.mix)
    if not _wants_links(job):
        wanted[2] = 0.0
    total = max(sum(relations.values()), 1)
    missing = [
        (name, share / sum(wanted))
        for name, share in zip(RELATIONS, wanted, strict=True)
        if relations[name] / total < share / sum(wanted) - _MIX_TOLERANCE
        and not (is_scarce and name == "linked")
    ]
    if not missing:
        return ""
    shown = ", ".join(
        f"{name} {relations[name] / total:.1%} of {share:.1%}" for name, share in missing
    )
    reasons = "; ".join(_SHORTFALLS[name] for name, _ in missing)
    return f"the mix falls short ({shown}): {reasons}"


_SHORTFALLS = {
    "contiguous": "too few segments have a next one in their document, shorter segments "
    "(`linkbert segment --max-tokens`) have more",
    "random": "too few documents have an unlinked other one",
    "linked": "too few segments have a usable link, --link-scope document opens more",
}
