"""A downstream task that a run's weights are tried on now and then.

Held-out losses say how well a model fills gaps; only a task says what it is good for. The task
itself stands in a room above this one (`linkbert.evaluation.downstream`) and is handed in. The run
learns nothing from a trial: batches, masks and dropout follow from the step, so its losses are bit
for bit the same with one and without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from linkbert.model.families import Network
from linkbert.training.distributed import Ranks


class Downstream(Protocol):
    """What a run asks of a task.

    Attributes:
        name: what it is called where its scores are told.
        every: steps between two trials; the initial and the final weights are tried as well.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def every(self) -> int: ...  # noqa: D102

    def score(self, run: Path, model: Network, ranks: Ranks) -> dict[str, float]:
        """Return the scores of the weights by metric; every rank calls it at the same step."""


def is_due(task: Downstream | None, step: int, max_steps: int) -> bool:
    """Tell whether the weights after a step are to be tried.

    >>> is_due(None, 0, 10)
    False
    """
    return task is not None and (step in (0, max_steps) or step % task.every == 0)
