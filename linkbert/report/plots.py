"""The report's plots: arrays in, SVG out, drawn by matplotlib.

Text stays text, shown in a font of the reader's machine, and colours become CSS variables, so that
plots follow the page into dark mode. Series differ in line or marker as well as in colour. Titles
of documents never appear in a plot, only in tables, where any script is safe.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigError
from schemas.manifest import write_whole

Numbers = npt.NDArray[Any] | Sequence[float]

_INCHES = (5.2, 3.1)
_ROW_INCHES = 0.26
"""Height of one row of an interval plot: many rows make a taller plot."""

_MAX_POINTS = 400
_NUM_BINS = 40
# Placeholder colours that no plot has by chance, and what replaces them.
_INK, _FAINT = "#010203", "#0a0b0c"
_SERIES = ("#100001", "#100002", "#100003", "#100004")
_VARIABLES = {_INK: "currentColor", _FAINT: "var(--line)"} | {
    placeholder: f"var(--series-{number})" for number, placeholder in enumerate(_SERIES, start=1)
}
# The values of the variables in the page's light colours, for plots in files of their own.
_FIXED = {
    "currentColor": "#1b1d1f", "var(--line)": "#d3d7db", "var(--series-1)": "#0063a3",
    "var(--series-2)": "#b84a00", "var(--series-3)": "#00705a", "var(--series-4)": "#8a3f78",
}  # fmt: skip
_LINES = ("-", "--", ":", "-.")
_MARKERS = ("o", "^", "s", "D")
_SETTINGS = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,  # on a phone the plot shrinks to three quarters
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.labelpad": 9,  # room for the larger ticks that style.css gives a phone
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def draw(name: str, fill: Callable[[Any], None], height: float = _INCHES[1]) -> str:
    """Return the SVG of one plot, with the legend above the axes, where it covers no curve.

    Args:
        name: distinct within a page; ids in the SVG are derived from it.
        fill: draws into the axes it is given.
        height: in inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "expected the package matplotlib for plots, found none: pip install 'linkbert[report]'"
        ) from error

    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(_INCHES[0], height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        fill(axes)
        if len(axes.get_legend_handles_labels()[1]) > 1:
            figure.legend(loc="outside upper left", ncols=3)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _for_html(buffer.getvalue(), name)


def _for_html(svg: str, name: str) -> str:
    """Remove what only a separate file needs, and let the page set sizes and colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    # Every plot has an axes_1: make ids distinct within the page.
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    # The reader's fonts cover every script; those named in the SVG are this machine's.
    return re.sub(r"font: ([\d.]+px) [^;\"]+", r"font: \1 sans-serif", svg).strip()


def write_plot(path: Path, svg: str) -> None:
    """Write a plot as a file of its own, in fixed colours."""
    for variable, colour in _FIXED.items():
        svg = svg.replace(variable, colour)
    with write_whole(path) as file:
        file.write(svg.encode())


def degree_plot(counts: Mapping[str, Mapping[int, int]]) -> str:
    """Return documents by degree on two log axes, which cannot show degree 0.

    Args:
        counts: for each series, documents by degree.
    """

    def fill(axes: Any) -> None:
        for number, (label, by_degree) in enumerate(counts.items()):
            degrees = [degree for degree in sorted(by_degree) if degree]
            axes.loglog(
                degrees,
                [by_degree[degree] for degree in degrees],
                linestyle="none",
                marker=_MARKERS[number],
                markersize=4,
                markerfacecolor="none" if number else _SERIES[number],
                color=_SERIES[number],
                label=label,
            )
        axes.set_xlabel("degree")
        axes.set_ylabel("documents")

    return draw("degrees", fill)


def histogram_plot(name: str, values: Numbers, x_label: str, *, log: bool = False) -> str:
    """Return a histogram of at most 40 bins, on a log axis if `log`."""
    found = np.asarray(values, float)

    def fill(axes: Any) -> None:
        kept = found[found > 0] if log else found
        if len(kept):
            low, high = kept.min(), max(kept.max(), kept.min() + 1)
            # Values are whole numbers: bins with unequal numbers of them would look like teeth.
            width = np.ceil((high - low + 1) / _NUM_BINS)
            bins = (
                np.geomspace(low, high, _NUM_BINS + 1)
                if log
                else np.arange(low - 0.5, high + width, width)
            )
            axes.hist(kept, bins=bins, color=_SERIES[0], alpha=0.85)
        if log and len(kept):
            axes.set_xscale("log")
        axes.set_xlabel(x_label)
        axes.set_ylabel("number")

    return draw(name, fill)


def rank_plot(name: str, series: Mapping[str, Numbers], y_label: str) -> str:
    """Return values in falling order by rank, on two log axes."""

    def fill(axes: Any) -> None:
        for number, (label, values) in enumerate(series.items()):
            ordered = np.sort(np.asarray(values, float))[::-1]
            ordered = ordered[ordered > 0]
            if len(ordered):
                ranks = np.unique(np.geomspace(1, len(ordered), _MAX_POINTS).astype(int))
                axes.loglog(
                    ranks,
                    ordered[ranks - 1],
                    linestyle=_LINES[number],
                    color=_SERIES[number],
                    label=label,
                )
        axes.set_xlabel("documents, in falling order")
        axes.set_ylabel(y_label)

    return draw(name, fill)


def curve_plot(
    name: str,
    series: Mapping[str, tuple[Numbers, Numbers]],
    y_label: str,
    *,
    markers: bool = False,
    reference: tuple[str, float] | None = None,
) -> str:
    """Return curves over training steps.

    Args:
        name: distinct within a page.
        series: for each curve, steps and values; long ones are averaged down to 400 points.
        y_label: what is shown.
        markers: whether to mark each point; for short curves.
        reference: name and height of a level to compare with.
    """

    def fill(axes: Any) -> None:
        for number, (label, (steps, values)) in enumerate(series.items()):
            axes.plot(
                *_thinned(np.asarray(steps, float), np.asarray(values, float)),
                # A fifth curve has the colour of the first, but another line.
                linestyle=_LINES[(number + number // len(_SERIES)) % len(_LINES)],
                marker=_MARKERS[number % len(_MARKERS)] if markers else None,
                markersize=4,
                color=_SERIES[number % len(_SERIES)],
                linewidth=1.6,
                label=label,
            )
        if reference is not None:
            label, height = reference
            axes.axhline(height, color=_INK, linewidth=0.8, linestyle=(0, (1, 3)), label=label)
        _whole_steps(axes, [step for steps, _ in series.values() for step in steps])
        axes.set_xlabel("step")
        axes.set_ylabel(y_label)

    return draw(name, fill)


def _whole_steps(axes: Any, steps: Sequence[float]) -> None:
    """Put ticks at whole steps only; around a single point there would be quarters of steps."""
    from matplotlib.ticker import MaxNLocator

    if len(set(steps)) == 1:
        axes.set_xticks(sorted(set(steps)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def _thinned(steps: npt.NDArray[Any], values: npt.NDArray[Any]) -> tuple[Any, Any]:
    if len(steps) <= _MAX_POINTS:
        return steps, values
    bounds = np.linspace(0, len(steps), _MAX_POINTS + 1).astype(int)[:-1]
    lengths = np.diff(np.append(bounds, len(steps)))
    return np.add.reduceat(steps, bounds) / lengths, np.add.reduceat(values, bounds) / lengths


def interval_plot(
    name: str,
    rows: Sequence[tuple[str, float, Sequence[float], Sequence[float | None]]],
    x_label: str,
) -> str:
    """Return values with their intervals, one below the other, and a line at zero.

    Args:
        name: distinct within a page.
        rows: label, value, both ends of the interval, and the value of each seed.
        x_label: what is shown.
    """

    def fill(axes: Any) -> None:
        for place, (_, value, (low, high), by_seed) in enumerate(rows):
            axes.plot([low, high], [place, place], color=_SERIES[0], linewidth=2)
            axes.plot(value, place, _MARKERS[0], color=_SERIES[0], markersize=6)
            seeds = [each for each in by_seed if each is not None]
            axes.plot(seeds, [place + 0.25] * len(seeds), "|", color=_SERIES[1], markersize=7)
        axes.axvline(0, color=_INK, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [label for label, *_ in rows])
        axes.invert_yaxis()
        axes.set_xlabel(x_label)

    return draw(name, fill, max(_INCHES[1], 0.8 + _ROW_INCHES * len(rows)))
