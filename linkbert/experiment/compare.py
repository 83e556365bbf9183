"""Compare the arms: every measure with its interval, every hypothesis with one sentence.

In: the scores of all arms and seeds. Out: the JSON of results.json. All arms of a seed scored the
same tokens of the same pairs, so arms are compared pair by pair, and one set of replicates (seed,
article, pair) serves all figures. The comparisons were chosen before anything was trained:

    primary    on pairs whose both ends are held out, linkbert against bert and random-links:
               gain; alone_minus_linked, also against zero (does a linked partner help at all);
               alone_minus_random, also against zero (does a random partner harm); if words of
               focus are named, the first two over these words as well
    guard      contiguous loss of linkbert at most 0.02 nat above bert's
    secondary  the other contrasts, with p-values corrected for multiple testing (Holm)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
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
"""What a measure of a single arm is compared with."""

GUARD_LIMIT = 0.02
"""How many nats per token the contiguous loss may rise: linkbert reads fewer contiguous pairs."""

_SIGNIFICANT = 0.05
_CONTROLS = ("bert", "random-links")

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
        split: the split of the held-out pairs.
        measure: a name from `linkbert.evaluation.link_context.measures`, or mrr.
        arm: the minuend.
        against: the subtrahend, an arm or `ZERO`.
    """

    kind: str
    split: str
    measure: str
    arm: str
    against: str


def planned_contrasts(
    arms: Sequence[str], splits: Sequence[str], has_focus: bool = False
) -> list[Contrast]:
    """Return the contrasts of the arms and splits at hand, in the order in which they are told."""
    closed, either, controls = PRIMARY_SPLIT, "validation", _CONTROLS
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
    tables = {split: _Table(_pairs_by_seed(scores, split), num_resamples) for split in splits}
    contrasts = planned_contrasts(arms, splits, has_focus)
    found = [_compare_one(each, tables[each.split]) for each in contrasts]
    ranked = _Table(_ranks_by_seed(ranking), num_resamples) if ranking else None
    if ranked:
        found += [_compare_one(each, ranked) for each in _ranking_contrasts(arms)]
    secondary = {str(i): each["p"] for i, each in enumerate(found) if each["kind"] == "secondary"}
    for index, corrected in holm(secondary).items():
        found[int(index)]["p_holm"] = corrected
    for each in found:
        each["verdict"] = verdict_of(each)
        each["sentence"] = sentence_of(each, len(seeds))
    return {
        "seeds": seeds,
        "measures": {split: table.describe() for split, table in tables.items()},
        "contrasts": found,
        "ranking": ranked.describe()["arms"] if ranked else {},
    }


def _ranking_contrasts(arms: Sequence[str]) -> list[Contrast]:
    return [
        Contrast("secondary", PRIMARY_SPLIT, "mrr", "linkbert", each)
        for each in _CONTROLS
        if "linkbert" in arms and each in arms
    ]


@dataclass(frozen=True, slots=True)
class _Seed:
    """What all arms made of the pairs, or the queries, of one seed.

    Attributes:
        articles: int64 [P], dense from 0.
        sums: float64 [P] by arm and measure.
        counts: float64 [P] by measure, the last one for all measures without their own; a measure
            is the ratio of the two sums over pairs.
    """

    articles: npt.NDArray[np.int64]
    sums: dict[tuple[str, str], Figures]
    counts: dict[str, Figures]


def _pairs_by_seed(scores: Scores, split: str) -> Iterator[_Seed]:
    arms = list(scores)
    for seed in scores[arms[0]]:
        first = scores[arms[0]][seed][split]
        sums: dict[tuple[str, str], Figures] = {}
        for arm in arms:
            own = scores[arm][seed][split]
            if not _are_paired(first, own):
                raise StageError(
                    f"expected {arm} and {arms[0]} to score the same tokens with seed {seed}, "
                    "found others: delete OUT/scores and run again"
                )
            measured, counts = measures(own)
            sums |= {(arm, name): values for name, values in measured.items()}
        yield _Seed(first.articles, sums, counts)


def _ranks_by_seed(ranking: Ranking) -> Iterator[_Seed]:
    arms = list(ranking)
    for seed in ranking[arms[0]]:
        articles = ranking[arms[0]][seed].articles
        sums: dict[tuple[str, str], Figures] = {}
        for arm in arms:
            own = ranking[arm][seed]
            if not np.array_equal(own.articles, articles):
                raise StageError(
                    f"expected all arms to rank the same queries with seed {seed}, found others: "
                    "delete OUT/scores and run again"
                )
            mrr, is_first, one = ranking_columns(own).T
            sums |= {(arm, "mrr"): mrr, (arm, "recall_at_1"): is_first}
        yield _Seed(articles, sums, {"queries": one})


class _Table:
    """Every measure of every arm: values, by seed as well, and their replicates."""

    def __init__(self, seeds: Iterable[_Seed], num_resamples: int) -> None:
        clusters: list[Clusters] = []
        for each in seeds:
            columns = [*each.sums.values(), *each.counts.values()]
            clusters.append(Clusters(each.articles, np.stack(columns, axis=1)))
            self._columns = {name: place for place, name in enumerate(each.sums)}
            self._counts = {name: place for place, name in enumerate(each.counts, len(each.sums))}
        self._by_seed = [each.columns.sum(0) for each in clusters]
        self._num_pairs = [len(each.articles) for each in clusters]
        self._num_articles = [int(each.articles.max(initial=-1)) + 1 for each in clusters]
        self._drawn = resampled_sums(clusters, num_resamples, seed=0)

    def difference(self, arm: str, against: str, measure: str) -> dict[str, Any]:
        """Return value, interval, p-value and values by seed of a difference of ratios."""
        by = self._counts.get(measure, -1)

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

    def describe(self) -> dict[str, Any]:
        """Return every measure of every arm with its interval."""
        arms: dict[str, dict[str, Any]] = {}
        for arm, measure in self._columns:
            found = self.difference(arm, ZERO, measure)
            arms.setdefault(arm, {})[measure] = {
                "value": found["difference"],
                "interval": found["interval"],
                "by_seed": found["by_seed"],
            }
        return {"num_pairs": self._num_pairs, "num_articles": self._num_articles, "arms": arms}


def _are_paired(first: PairScores, other: PairScores) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(other, name))
        for name in ("articles", "num_masked", "num_in_b", "num_focus", "has_contiguous")
    )


def _ratio(value: float, count: float) -> float | None:
    return float(value / count) if count else None


def _compare_one(contrast: Contrast, table: _Table) -> dict[str, Any]:
    return asdict(contrast) | table.difference(contrast.arm, contrast.against, contrast.measure)


def verdict_of(found: dict[str, Any]) -> str:
    """Return supported, contradicted or not shown; for the guard kept, broken or not shown.

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


# How a claim about each measure is worded; {more}, {better} and {higher} are reversed if the
# opposite holds. The name of the other arm follows.
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
    """Return one plain sentence on a hypothesis; it also says if nothing was shown."""
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
