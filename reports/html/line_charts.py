"""Charts of several lines over the steps of a training, in the units of each drawing's view box."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from reports.html.charts import Tick, is_drawn, round_numbers, thinned

WIDTH, HEIGHT = 360.0, 120.0
_TINY, _EQUAL = 1e-15, 1e-6
# Lines of so few points have dots.
_FEW = 12

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart.

    Attributes:
        path: SVG path data, with a gap where values were left out; empty for a single point.
        dots: Its points, where they are few or stand alone.
        last: The last value.
    """

    name: str
    path: str
    dots: tuple[tuple[float, float], ...]
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """A chart with its axes.

    Attributes:
        unit: Of the values; may be empty.
        mark: Place of the step whose checkpoint was kept; None for none.
        drawing: What it shows, in words.
        left_out: Number of values that can't be drawn: not finite, or too large.
        first_left_out: The step of the first of them; None for none.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    mark: float | None
    drawing: str
    left_out: int
    first_left_out: int | None


def line_chart(
    title: str,
    series: Mapping[str, Sequence[tuple[int, object]]],
    *,
    unit: str = "",
    mark: int | None = None,
) -> LineChart | None:
    """A chart of values by step.

    Args:
        title: Its heading.
        series: Step and value, by the line's name; values that can't be drawn are counted and left out.
        unit: Of the values.
        mark: A step to mark.

    Returns:
        None if there is nothing to draw, nor anything that was left out.
    """
    lost = sorted(step for points in series.values() for step, value in points if not is_drawn(value))
    kept = {
        name: sorted(
            ((float(step), float(value)) for step, value in points if is_drawn(value)),
            key=lambda point: point[0],
        )
        for name, points in series.items()
    }
    kept = {name: points for name, points in kept.items() if points}
    steps = [step for points in series.values() for step, _ in points]
    if not steps:
        return None
    values = [value for points in kept.values() for _, value in points]
    low, high, ticks = _range(values)
    first, last = min(steps), max(steps)
    across, up = max(last - first, 1.0), high - low

    def place(step: float, value: float) -> tuple[float, float]:
        return round((step - first) / across * WIDTH, 1), round((high - value) / up * HEIGHT, 1)

    gaps = {name: [step for step, value in points if not is_drawn(value)] for name, points in series.items()}
    lines = tuple(
        _line(name, points, [[place(*point) for point in run] for run in _unbroken(points, gaps[name])])
        for name, points in kept.items()
    )
    return LineChart(
        title=title,
        unit=unit,
        lines=lines,
        x_ticks=tuple(
            Tick(place(step, high)[0], f"{step:g}") for step in round_numbers(first, last, 5, least=1.0)
        ),
        y_ticks=tuple(
            Tick(place(first, value)[1], label) for value, label in zip(ticks, _labels(ticks), strict=True)
        ),
        mark=place(mark, high)[0] if mark is not None and first <= mark <= last else None,
        drawing=_told(title, unit, kept),
        left_out=len(lost),
        first_left_out=lost[0] if lost else None,
    )


def _range(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """The lowest and the highest value of an axis, and its ticks."""
    if not values:
        return 0.0, 1.0, []
    low, high = min(values), max(values)
    if low > 0 and low < 0.5 * high:
        low = 0.0
    if high - low < max(abs(high), _TINY) * _EQUAL:
        # Constant: one line in the middle, at its own value.
        return low - (abs(low) or 1.0), high + (abs(high) or 1.0), [low]
    return low, high, round_numbers(low, high, 4)


def _unbroken(points: Points, gaps: Sequence[float]) -> list[list[tuple[float, float]]]:
    """The points, thinned, in runs between which a value was left out."""
    ordered = sorted(gaps)
    runs = groupby(thinned(points), key=lambda point: bisect_left(ordered, point[0]))
    return [list(run) for _, run in runs]


def _line(name: str, points: Points, runs: Sequence[Sequence[tuple[float, float]]]) -> Line:
    few = sum(map(len, runs)) <= _FEW
    return Line(
        name=name,
        path=" ".join("M" + " L".join(f"{x:g},{y:g}" for x, y in run) for run in runs if len(run) > 1),
        dots=tuple(point for run in runs for point in run if few or len(run) == 1),
        last=points[-1][1],
    )


def _told(title: str, unit: str, kept: Mapping[str, Points]) -> str:
    ends = {name: (points[0], points[-1]) for name, points in kept.items()}
    told = [
        f"{name} {_short(first[1])} at step {first[0]:g}, {_short(last[1])} at step {last[0]:g}"
        for name, (first, last) in ends.items()
    ]
    return f"{title}{f' ({unit})' if unit else ''}: {'; '.join(told) or 'no finite value'}"


def _labels(ticks: Sequence[float]) -> list[str]:
    """The ticks' labels, with as many digits as make them differ."""
    for digits in range(3, 8):
        labels = [_short(value, digits) for value in ticks]
        if len(set(labels)) == len(labels):
            break
    return labels if ticks else []


def _short(value: float, digits: int = 3) -> str:
    """A number for an axis: its significant digits, and ``1.5e−4`` below a hundredth."""
    if value == 0:
        return "0"
    if 1e-2 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{decimals}f}".replace(",", "\u202f").replace("-", "−")
        return text.rstrip("0").rstrip(".") if "." in text else text
    number, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{number.rstrip('0').rstrip('.')}e{int(power)}".replace("-", "−")
