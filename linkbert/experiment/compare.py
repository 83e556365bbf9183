"""Compare the arms: every measure with its interval, every hypothesis with one sentence.

In: the scores of all arms and seeds. Out: the JSON of results.json. All arms of a seed scored the
same tokens of the same pairs, so arms are compared pair by pair, and one set of replicates (seed,
article, pair) serves all figures. What is compared was chosen before anything was trained:

    primary    on pairs whose both ends are held out, linkbert against bert and random-links:
               gain; alone_minus_linked, also against zero (does a linked partner help at all);
               alone_minus_random, also against zero (does a random partner harm); the first two
               over the words of focus, where some are named
    guard      contiguous loss of linkbert at most 0.02 nat above bert's
    secondary  the other contrasts, their p-values corrected for their number (Holm)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linkbert.evaluation.bootstrap import (
    INTERVAL,
    Clusters,
    holm,
    interval,
    p_value,
    resampled_sums,
)
from linkbert.evaluation.link_context import PairScores, measures
from linkbert.evaluation.ranking import RankingScores, ranking_columns
from schemas.errors import StageError

PRIMARY_SPLIT = "validation_closed"
ZERO = "zero"
"""What a measure of one arm alone is held against."""

GUARD_LIMIT = 0.02
"""Nats per token by which the contiguous loss may grow: linkbert reads fewer contiguous pairs."""

_SIGNIFICANT = 0.05

Figures = npt.NDArray[np.float64]
Scores = dict[str, dict[int, dict[str, PairScores]]]
"""By arm, seed and split."""

Ranking = dict[str, dict[int, RankingScores]]
"""By arm and seed."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A measure of one arm minus that of another, or by itself.

    Attributes:
        kind: primary, guard or secondary.
        split: of the held-out pairs.
        measure: a name of `linkbert.evaluation.link_context.measures`.
        arm: minuend.
        against: subtrahend, an arm or `ZERO`.
    """

    kind: str
    split: str
    measure: str
    arm: str
    against: str


def planned_contrasts(
    arms: Sequence[str], splits: Sequence[str], has_focus: bool = False
) -> list[Contrast]:
    """Return what is compared, in this order, among the arms and splits at hand."""
    closed, either = PRIMARY_SPLIT, "validation"
    controls = ("bert", "random-links")
    primary = [("gain", each) for each in controls]
    primary += [("alone_minus_linked", each) for each in (ZERO, *controls)]
    primary += [("alone_minus_random", each) for each in (ZERO, *controls)]
    if has_focus:
        primary += [("gain_focus", each) for each in controls]
        primary += [("alone_minus_linked_focus", each) for each in (ZERO, *controls)]
    wanted = [Contrast("primary", closed, name, "linkbert", each) for name, each in primary]
    wanted.append(Contrast("guard", closed, "nll_contiguous", "linkbert", "bert"))
    ablations = ("no-drp", "uniform", "tfidf")
    wanted += [Contrast("secondary", closed, "gain", "linkbert", each) for each in ablations]
    for measure in ("gain_in_b", "gain_not_in_b", "nll_alone"):
        wanted += [Contrast("secondary", closed, measure, "linkbert", each) for each in controls]
    wanted += [Contrast("secondary", either, "gain", "linkbert", each) for each in controls]
    return [
        each
        for each in wanted
        if each.arm in arms and each.against in (*arms, ZERO) and each.split in splits
    ]


def compare(scores: Scores, num_resamples: int, ranking: Ranking | None = None) -> dict[str, Any]:
    """Return measures by split and arm, and all contrasts with their sentences.

    Raises:
        StageError: arms of a seed did not score the same tokens.
    """
    arms = list(scores)
    seeds = list(scores[arms[0]])
    splits = list(scores[arms[0]][seeds[0]])
    has_focus = bool(scores[arms[0]][seeds[0]][splits[0]].num_focus.any())
    contrasts = planned_contrasts(arms, splits, has_focus)
    tables = {split: _Table(scores, split, num_resamples) for split in splits}
    found = [_compare_one(each, tables[each.split], len(seeds)) for each in contrasts]
    ranked = _RankingTable(ranking, num_resamples) if ranking else None
    if ranked:
        found += ranked.contrasts()
    secondary = {str(i): each["p"] for i, each in enumerate(found) if each["kind"] == "secondary"}
    for index, corrected in holm(secondary).items():
        found[int(index)]["p_holm"] = corrected
    for each in found:
        each["verdict"] = verdict_of(each)
        each["sentence"] = sentence_of(each, len(seeds))
    return {
        "seeds": seeds,
        "measures": {split: table.describe(arms) for split, table in tables.items()},
        "contrasts": found,
        "ranking": ranked.describe() if ranked else {},
    }


class _Table:
    """The figures of one split: sums by pair of every arm and measure, and their replicates."""

    def __init__(self, scores: Scores, split: str, num_resamples: int) -> None:
        self._columns: dict[tuple[str, str], int] = {}
        self._counts: dict[str, int] = {}
        clusters: list[Clusters] = []
        arms = list(scores)
        for seed in scores[arms[0]]:
            first = scores[arms[0]][seed][split]
            stacked: list[Figures] = []
            for arm in arms:
                own = scores[arm][seed][split]
                if not _are_paired(first, own):
                    raise StageError(
                        f"expected {arm} and {arms[0]} to score the same tokens with seed {seed}, "
                        "found others: delete OUT/scores and run again"
                    )
                sums, counts = measures(own)
                for name, values in sums.items():
                    self._columns[arm, name] = len(stacked)
                    stacked.append(values)
            for name, values in counts.items():
                self._counts[name] = len(stacked)
                stacked.append(values)
            clusters.append(Clusters(first.articles, np.stack(stacked, axis=1)))
        self._by_seed = [each.columns.sum(0) for each in clusters]
        self._num_pairs = [len(each.articles) for each in clusters]
        self._num_articles = [int(each.articles.max(initial=-1)) + 1 for each in clusters]
        self._drawn = resampled_sums(clusters, num_resamples, seed=0)

    def difference(self, arm: str, against: str, measure: str) -> dict[str, Any]:
        """Return value, interval, p-value and values by seed of a difference of ratios."""
        by = self._counts[measure]

        def minus(sums: Figures) -> Figures:
            found = sums[..., self._columns[arm, measure]]
            return found if against == ZERO else found - sums[..., self._columns[against, measure]]

        drawn, counts = minus(self._drawn), self._drawn[:, by]
        total = np.sum(self._by_seed, axis=0)
        kept = counts > 0
        return {
            "difference": _ratio(float(minus(total)), total[by]),
            "interval": interval(drawn, counts),
            "p": p_value(drawn[kept] / counts[kept]) if kept.any() else 1.0,
            "by_seed": [_ratio(float(minus(each)), each[by]) for each in self._by_seed],
        }

    def describe(self, arms: Sequence[str]) -> dict[str, Any]:
        """Return every measure of every arm with its interval."""
        total = sum(self._by_seed)
        found: dict[str, Any] = {
            "num_pairs": self._num_pairs,
            "num_articles": self._num_articles,
            "arms": {arm: {} for arm in arms},
        }
        for (arm, measure), column in self._columns.items():
            by = self._counts[measure]
            found["arms"][arm][measure] = {
                "value": _ratio(total[column], total[by]),
                "interval": interval(self._drawn[:, column], self._drawn[:, by]),
                "by_seed": [_ratio(each[column], each[by]) for each in self._by_seed],
            }
        return found


class _RankingTable:
    """Reciprocal ranks and first places of every arm, and their replicates."""

    def __init__(self, ranking: Ranking, num_resamples: int) -> None:
        self._arms = list(ranking)
        clusters = []
        for seed in ranking[self._arms[0]]:
            own = [ranking[arm][seed] for arm in self._arms]
            if any(not np.array_equal(own[0].articles, each.articles) for each in own):
                raise StageError(
                    f"expected all arms to rank the same queries with seed {seed}, found others: "
                    "delete OUT/scores and run again"
                )
            columns = [ranking_columns(each) for each in own]
            stacked = np.concatenate([*(each[:, :2] for each in columns), columns[0][:, 2:]], 1)
            clusters.append(Clusters(own[0].articles, stacked))
        self._by_seed = [each.columns.sum(0) for each in clusters]
        self._drawn = resampled_sums(clusters, num_resamples, seed=0)

    def contrasts(self) -> list[dict[str, Any]]:
        """Return linkbert's mean reciprocal rank minus that of each control at hand."""
        return [
            self._difference("linkbert", against)
            for against in ("bert", "random-links")
            if "linkbert" in self._arms and against in self._arms
        ]

    def _difference(self, arm: str, against: str) -> dict[str, Any]:
        plus, minus = 2 * self._arms.index(arm), 2 * self._arms.index(against)
        drawn, counts = self._drawn[:, plus] - self._drawn[:, minus], self._drawn[:, -1]
        total = sum(self._by_seed)
        return {
            "kind": "secondary", "split": PRIMARY_SPLIT, "measure": "mrr",
            "arm": arm, "against": against,
            "difference": _ratio(total[plus] - total[minus], total[-1]),
            "interval": interval(drawn, counts),
            "p": p_value(drawn / counts),
            "by_seed": [_ratio(each[plus] - each[minus], each[-1]) for each in self._by_seed],
        }  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """Return both measures of every arm with their intervals."""
        total = sum(self._by_seed)
        return {
            arm: {
                name: {
                    "value": _ratio(total[2 * place + column], total[-1]),
                    "interval": interval(self._drawn[:, 2 * place + column], self._drawn[:, -1]),
                    "by_seed": [_ratio(s[2 * place + column], s[-1]) for s in self._by_seed],
                }
                for column, name in enumerate(("mrr", "recall_at_1"))
            }
            for place, arm in enumerate(self._arms)
        }


def _are_paired(first: PairScores, other: PairScores) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(other, name))
        for name in ("articles", "num_masked", "num_in_b", "num_focus", "has_contiguous")
    )


def _ratio(value: float, count: float) -> float | None:
    return float(value / count) if count else None


def _compare_one(contrast: Contrast, table: _Table, num_seeds: int) -> dict[str, Any]:
    names = ("kind", "split", "measure", "arm", "against")
    told = {name: getattr(contrast, name) for name in names}
    return {**told, **table.difference(contrast.arm, contrast.against, contrast.measure)}


def verdict_of(found: dict[str, Any]) -> str:
    """Return supported, contradicted or not shown; for the guard: kept, broken or not shown.

    A primary hypothesis is decided by its interval, a secondary one by its corrected p-value.
    """
    if found["interval"] is None:
        return "not shown"
    low, high = found["interval"]
    if found["kind"] == "guard":
        return "kept" if high <= GUARD_LIMIT else "broken" if low > GUARD_LIMIT else "not shown"
    if found["kind"] == "secondary" and found["p_holm"] > _SIGNIFICANT:
        return "not shown"
    if low <= 0 <= high:
        return "not shown"
    is_higher_better = not found["measure"].startswith("nll")
    return "supported" if (low > 0) == is_higher_better else "contradicted"


# How each measure is told of an arm; {more}, {better} and {higher} are reversed when the opposite
# holds. The last word leads to the other arm.
_CLAIMS = {
    "gain": "gains {more} from a linked partner than",
    "gain_in_b": "gains {more} from a linked partner, on tokens that stand in it, than",
    "gain_not_in_b": "gains {more} from a linked partner, on tokens that do not stand in it, than",
    "gain_focus": "gains {more} from a linked partner, on the words of focus, than",
    "alone_minus_linked": "is helped {more} by a linked partner, against none, than",
    "alone_minus_linked_focus": (
        "is helped {more} by a linked partner, against none, on the words of focus, than"
    ),
    "alone_minus_random": "does {better} beside a random partner, against none, than",
    "mrr": "ranks linked segments {higher}, by mean reciprocal rank, than",
    "nll_alone": "guesses the tokens of a segment alone {better} than",
    "nll_contiguous": "guesses tokens beside the next segment {within} 0.02 nat worse than",
}
_CLAIMS_OF_ONE = {
    "alone_minus_linked": "guesses tokens {better} beside a linked partner than alone",
    "alone_minus_linked_focus": (
        "guesses the words of focus {better} beside a linked partner than alone"
    ),
    "alone_minus_random": "guesses tokens {better} beside a random partner than alone",
}
_AS_CLAIMED = {"more": "more", "better": "better", "higher": "higher", "within": "at most"}
_OPPOSITE = {"more": "less", "better": "worse", "higher": "lower", "within": "more than"}

_OPENINGS = {
    "supported": "Supported: {}",
    "kept": "Supported: {}",
    "contradicted": "Contradicted: {}",
    "broken": "Contradicted: {}",
    "not shown": "Not shown, the interval holds both answers: whether {}",
}
_SPLITS = {"validation_closed": "both articles unseen", "validation": "A's article unseen"}


def sentence_of(found: dict[str, Any], num_seeds: int) -> str:
    """Return one plain sentence on a hypothesis; a null is called one."""
    where = _SPLITS[found["split"]]
    if found["interval"] is None:
        claim = _claim(found, _AS_CLAIMED)
        return f"Nothing can be said of whether {claim} ({where}): no such token was scored."
    turned = found["verdict"] in ("contradicted", "broken")
    told = _OPENINGS[found["verdict"]].format(_claim(found, _OPPOSITE if turned else _AS_CLAIMED))
    return f"{told} ({_figures_of(found)}, {_counted(num_seeds, 'seed')}, {where})."


def _claim(found: dict[str, Any], words: dict[str, str]) -> str:
    if found["against"] == ZERO:
        return f"{found['arm']} {_CLAIMS_OF_ONE[found['measure']].format(**words)}"
    return f"{found['arm']} {_CLAIMS[found['measure']].format(**words)} {found['against']}"


def _figures_of(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    unit = "" if found["measure"] == "mrr" else " nat per token"
    name = "value" if found["against"] == ZERO else "difference"
    told = (
        f"{name} {found['difference']:+.4f}{unit}, "
        f"{INTERVAL[1] - INTERVAL[0]:.0f} % interval {low:+.4f} to {high:+.4f}"
    )
    if found["kind"] == "secondary":
        told += f", corrected p {found['p_holm']:.3f}"
    return told


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"
