"""The figures of an experiment, as SVG that is the same for the same results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_SIZE = (6.4, 3.2)  # inches


@contextmanager
def _figure(path: Path) -> Iterator[Any]:
    """Yield axes that are saved as SVG, without a date and with fixed ids."""
    import matplotlib

    settings: Any = {"svg.hashsalt": "linkbert", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(settings):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        yield axes
        figure.savefig(path, format="svg", metadata={"Date": None})


def draw_measure(path: Path, arms: dict[str, Any], measure: str, label: str) -> None:
    """Draw one measure of every arm: value, 95 % interval and each seed as a dot."""
    with _figure(path) as axes:
        for place, found in enumerate(arms.values()):
            each = found[measure]
            if each["value"] is None or each["interval"] is None:
                continue
            low, high = each["interval"]
            axes.plot([place, place], [low, high], color="0.3", linewidth=2)
            axes.plot(place, each["value"], "s", color="C0")
            seeds = [value for value in each["by_seed"] if value is not None]
            axes.plot([place + 0.15] * len(seeds), seeds, "o", color="0.6", markersize=3)
        axes.set_xticks(range(len(arms)), list(arms))
        axes.set_ylabel(label)


def draw_contrasts(path: Path, contrasts: list[dict[str, Any]]) -> None:
    """Draw every contrast with its interval; filled where it was shown."""
    shown = [each for each in contrasts if each["interval"] is not None]
    with _figure(path) as axes:
        axes.axvline(0, color="0.7", linewidth=1)
        for place, each in enumerate(reversed(shown)):
            low, high = each["interval"]
            axes.plot([low, high], [place, place], color="0.3", linewidth=2)
            fill = "none" if each["verdict"] == "not shown" else "C0"
            axes.plot(each["difference"], place, "s", color="C0", markerfacecolor=fill)
        names = [f"{each['measure']} vs {each['against']} ({each['split']})" for each in shown]
        axes.set_yticks(range(len(shown)), names[::-1], fontsize=6)
        axes.set_xlabel("difference (nat a token)")


def draw_training(path: Path, losses: dict[str, list[list[float]]]) -> None:
    """Draw the masked token loss of each arm by step, smoothed, seeds in one colour."""
    with _figure(path) as axes:
        for number, (arm, by_seed) in enumerate(losses.items()):
            for place, values in enumerate(by_seed):
                width = max(1, len(values) // 50)
                smooth = np.convolve(values, np.ones(width) / width, "valid")
                label = arm if place == 0 else None
                axes.plot(smooth, color=f"C{number}", linewidth=0.8, label=label)
        axes.set_xlabel("step")
        axes.set_ylabel("masked token loss (nat)")
        axes.legend(fontsize=7, frameon=False)
