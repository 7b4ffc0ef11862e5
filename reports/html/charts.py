"""The coordinates of the inline drawings, in the units of each drawing's view box."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from harness.types import Interval
from reports.html.figures import nice_step, signed

FOREST_WIDTH = 200.0
LOSS_WIDTH, LOSS_HEIGHT = 720.0, 200.0
SPARK_WIDTH, SPARK_HEIGHT, SPARK_MOST = 120.0, 20.0, 40
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 300.0, 70.0
# A curve of more points than this is thinned: the difference is invisible on 720 units.
_MOST_POINTS = 600
_LARGEST = 1e15
# A case of a million; what is less comes from rounding.
_LEAST_RATE = 1e-6
# An axis goes beyond a margin by this factor, so that what comes after it is seen.
_BEYOND = 1.4
# From steps of this size on, a label with all its digits is longer than its place.
_LONG = 1e5


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The range of drops in a forest plot: that of all rows in points, or of one row in its own unit."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def place(self, drop: float) -> float:
        """Position of a drop; values outside of the range are drawn at the edge."""
        inside = min(max(drop, self.low), self.high)
        return round((inside - self.low) / (self.high - self.low) * FOREST_WIDTH, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """One row of the forest plot.

    Attributes:
        margin: Position of the margin; None for a metric that isn't gated.
        cut_low: The interval continues beyond the left edge.
        ticks: The row's own axis; empty where it has that of the table.
    """

    zero: float
    low: float
    estimate: float
    high: float
    margin: float | None
    cut_low: bool
    cut_high: bool
    ticks: tuple[Tick, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCurve:
    """A training loss by step.

    Attributes:
        path: SVG path data.
        points: Number of recorded losses.
        unusable: Number of entries that can't be drawn, such as the NaN of a run that diverged.
    """

    path: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    first: float
    last: float
    lowest: float
    first_step: float
    last_step: float
    points: int
    unusable: int


def forest_axis(drops: Iterable[Interval], margins: Iterable[float]) -> Axis:
    """The common axis of rates, in points: with zero, all margins, and all intervals between −1 and 1.

    Args:
        drops: Intervals of all rows, as fractions.
        margins: Margins of all gated metrics, as fractions.
    """
    drops, margins = list(drops), list(margins)
    largest = max([0.0, *margins, *(abs(end) for drop in drops for end in (drop.low, drop.high))])
    # Zero isn't at the edge, and drops of a thousandth fill the axis where all are so small.
    around = 0.05 if largest < _LEAST_RATE else min(0.05, largest)
    low = max(-1.0, min([-around, *(drop.low for drop in drops)]))
    high = min(1.0, max([around, *(drop.high for drop in drops), *(margin * _BEYOND for margin in margins)]))
    return _axis(low, high, most=5, unit=100)


def own_axis(drop: Interval, margin: float | None) -> Axis:
    """The axis of one row, in its metric's own unit: with zero, the margin and the interval.

    Args:
        drop: The drop with its interval; an end without a limit is beyond the axis.
        margin: The metric's margin; None where it isn't gated.
    """
    ends = [end for end in (drop.low, drop.estimate, drop.high) if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends, (margin or 0.0) * _BEYOND])
    # An end without a limit needs a part of the axis that it goes through.
    beyond = max(high, -low)
    low -= beyond if math.isinf(drop.low) else 0.0
    high += beyond if math.isinf(drop.high) else 0.0
    if high - low < 1 / _LARGEST:
        return Axis(low=-1.0, high=1.0, ticks=(Tick(FOREST_WIDTH / 2, "0"),))
    return _axis(low, high, most=4, unit=1)


def _axis(low: float, high: float, *, most: int, unit: float) -> Axis:
    """The axis with some room at its ends.

    Args:
        low: The lowest drop on it.
        high: The highest one.
        most: Largest number of steps.
        unit: What the labels count in: 100 for points.
    """
    room = (high - low) * 0.06
    digits = 6 - math.floor(math.log10(high - low))
    low, high = round(low - room, digits), round(high + room, digits)
    step = nice_step(high - low, most)
    whole = range(math.ceil(low / step), math.floor(high / step) + 1)
    axis = Axis(low=low, high=high, ticks=())
    ticks = tuple(Tick(axis.place(n * step), _label(n, step * unit)) for n in whole)
    return Axis(low=low, high=high, ticks=ticks)


def _label(number: int, step: float) -> str:
    """So many steps, with as many digits as one of them needs: ``+0.05``, ``−2e−06``."""
    if number == 0:
        return "0"
    if step >= _LONG:
        return f"{number * step:+.3g}".replace("-", "−")
    return signed(number * step, max(0, -math.floor(math.log10(step) + 1e-9)))


def forest_row(axis: Axis, drop: Interval, margin: float | None, *, own: bool = False) -> Forest:
    """Positions of one drop, its interval and its margin.

    Args:
        axis: The axis of all rows, or of this row.
        drop: The drop with its interval, in the axis' unit.
        margin: The metric's margin; None where it isn't gated.
        own: Whether the axis is this row's own, and is drawn with it.
    """
    return Forest(
        zero=axis.place(0.0),
        low=axis.place(drop.low),
        estimate=axis.place(drop.estimate),
        high=axis.place(drop.high),
        margin=None if margin is None else axis.place(margin),
        cut_low=drop.low < axis.low,
        cut_high=drop.high > axis.high,
        ticks=axis.ticks if own else (),
    )


def loss_curve(losses: Sequence[tuple[int, float | None]]) -> LossCurve | None:
    """The curve of a loss by step; None if there are fewer than two points.

    Args:
        losses: Step and loss. Values that can't be drawn are counted and left out.
    """
    points = sorted((float(step), float(loss)) for step, loss in losses if is_drawn(step) and is_drawn(loss))
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return None
    steps, values = [step for step, _ in points], [value for _, value in points]
    floor, ceiling = min(0.0, *values), max(values)
    # Almost constant: scaling would overflow.
    if ceiling - floor < 1 / _LARGEST:
        ceiling = floor + 1.0
    x_scale = LOSS_WIDTH / (steps[-1] - steps[0])
    y_scale = LOSS_HEIGHT / (ceiling - floor)
    placed = [
        (round((step - steps[0]) * x_scale, 1), round((ceiling - value) * y_scale, 1))
        for step, value in thinned(points)
    ]
    return LossCurve(
        path="M" + " L".join(f"{x:g},{y:g}" for x, y in placed),
        x_ticks=tuple(
            Tick(round((step - steps[0]) * x_scale, 1), f"{step:g}")
            for step in round_numbers(steps[0], steps[-1], 8, least=1.0)
        ),
        y_ticks=tuple(
            Tick(round((ceiling - value) * y_scale, 1), f"{value:g}")
            for value in round_numbers(floor, ceiling, 4)
        ),
        first=values[0],
        last=values[-1],
        lowest=min(values),
        first_step=steps[0],
        last_step=steps[-1],
        points=len(points),
        unusable=len(losses) - len(points),
    )


def is_drawn(value: object) -> TypeGuard[float]:
    """Whether it is a finite number below 1e15: scaling a larger one would overflow."""
    return isinstance(value, int | float) and abs(value) < _LARGEST


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most this many points: the lowest and the highest of each part, so that no spike is lost."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    size = math.ceil(len(points) / (_MOST_POINTS // 2))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept


def round_numbers(low: float, high: float, most: int, least: float = 0.0) -> list[float]:
    """Round numbers between two others.

    Args:
        low: The smaller one.
        high: The larger one.
        most: Largest number of steps between them.
        least: Smallest distance of two.

    Returns:
        In increasing order.
    """
    step = max(nice_step(high - low, most), least)
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """A metric's values in the stored runs, the last one at the right.

    Attributes:
        path: SVG path data.
        regressed: Places of the runs in which the metric regressed.
        last: Place of this run.
    """

    path: str
    regressed: tuple[tuple[float, float], ...]
    last: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a histogram: its left end and its height on both sides."""

    x: float
    baseline: float
    candidate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Shares of scores in bins of equal width; heights are in units of the drawing.

    Attributes:
        most: Number of scores in the highest bar.
    """

    bars: tuple[Bar, ...]
    width: float
    low: str
    high: str
    most: int


def sparkline(
    values: Sequence[float], regressed: Sequence[bool], *, rate: bool, most: int = SPARK_MOST
) -> Sparkline | None:
    """The line of a metric's values; None with fewer than two.

    Args:
        values: One per run, oldest first.
        regressed: Whether the metric regressed in that run.
        rate: Whether the values are shares, drawn from 0 to 1; others fill the height.
        most: How many of the newest values are drawn.
    """
    drawn = [(value, bad) for value, bad in zip(values, regressed, strict=True) if is_drawn(value)]
    drawn = drawn[-most:]
    if len(drawn) < 2:
        return None
    low, high = (0.0, 1.0) if rate else (min(v for v, _ in drawn), max(v for v, _ in drawn))
    span = high - low if high - low > 1 / _LARGEST else 1.0
    step = SPARK_WIDTH / (len(drawn) - 1)
    places = [
        (round(at * step, 1), round((high - value) / span * SPARK_HEIGHT, 1))
        for at, (value, _) in enumerate(drawn)
    ]
    return Sparkline(
        path="M" + " L".join(f"{x:g},{y:g}" for x, y in places),
        regressed=tuple(place for place, (_, bad) in zip(places, drawn, strict=True) if bad),
        last=places[-1],
    )


def histogram(baseline: Sequence[float], candidate: Sequence[float], bins: int = 12) -> Histogram | None:
    """The distribution of scores on both sides; None without a spread.

    Args:
        baseline: The baseline's scores; may be empty.
        candidate: The candidate's.
        bins: Number of bars.
    """
    sides = [[value for value in side if is_drawn(value)] for side in (baseline, candidate)]
    known = [value for side in sides for value in side]
    if not known or max(known) - min(known) < 1 / _LARGEST:
        return None
    low, high = min(known), max(known)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    counts = [[0] * bins for _ in sides]
    for side, counted in zip(sides, counts, strict=True):
        for value in side:
            counted[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    most = max(max(counted) for counted in counts)
    width = HISTOGRAM_WIDTH / bins
    return Histogram(
        bars=tuple(
            Bar(
                x=round(place * width, 1),
                baseline=round(counts[0][place] / most * HISTOGRAM_HEIGHT, 1),
                candidate=round(counts[1][place] / most * HISTOGRAM_HEIGHT, 1),
            )
            for place in range(bins)
        ),
        width=round(width / 2 - 0.5, 1),
        low=f"{low:.3g}",
        high=f"{high:.3g}",
        most=most,
    )
