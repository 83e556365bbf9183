"""The flow picture: what came into each step, what went on, and what became of the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from linkbert.report.markup import escape, number_of


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow: what came in, what went on, and what became of the rest."""

    label: str
    came_in: int
    went_on: int
    unit: str
    lost: dict[str, int]


def flow(steps: Iterable[Step]) -> str:
    """Return the steps as a list of boxes with counts; nothing that is lost has no name."""
    boxes = []
    for step in steps:
        lost = "".join(
            f"<li>{escape(name)}: {number_of(count)}</li>"
            for name, count in sorted(step.lost.items(), key=lambda item: -item[1])
            if count
        )
        share = min(step.went_on / step.came_in, 1.0) if step.came_in else 0.0
        boxes.append(
            f"<li>{escape(step.label)}: <b>{number_of(step.came_in)}</b> → "
            f"<b>{number_of(step.went_on)}</b> {escape(step.unit)}"
            f'<div class="meter"><i style="width:{100 * share:.1f}%"></i></div>'
            f"{f'<ul>{lost}</ul>' if lost else ''}</li>"
        )
    return f'<ol class="flow">{"".join(boxes)}</ol>'
