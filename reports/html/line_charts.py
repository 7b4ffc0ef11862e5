"""Charts of several lines over the steps of a training, in the units of each drawing's view box."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.html.charts import Tick, is_drawn, round_numbers, thinned

WIDTH, HEIGHT = 360.0, 120.0
_TINY, _EQUAL = 1e-15, 1e-6

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a chart.

    Attributes:
        path: SVG path data; empty for a single point.
        dots: Its points, where they are few.
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
        left_out: Number of values that were not finite.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    mark: float | None
    drawing: str
    left_out: int


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
        series: Step and value, by the line's name; values that are not finite are counted and left out.
        unit: Of the values.
        mark: A step to mark.

    Returns:
        None if there are fewer than two values.
    """
    kept = {
        name: sorted(
            ((float(step), float(value)) for step, value in points if is_drawn(value)),
            key=lambda point: point[0],
        )
        for name, points in series.items()
    }
    kept = {name: points for name, points in kept.items() if points}
    everything = [point for points in kept.values() for point in points]
    if len(everything) < 2:
        return None
    first, last = min(step for step, _ in everything), max(step for step, _ in everything)
    low, high = min(value for _, value in everything), max(value for _, value in everything)
    if low > 0 and low < 0.5 * high:
        low = 0.0
    ticks = round_numbers(low, high, 4)
    if high - low < max(abs(high), _TINY) * _EQUAL:
        # Constant: one line in the middle, at its own value.
        ticks, low, high = [low], low - (abs(low) or 1.0), high + (abs(high) or 1.0)
    across, up = max(last - first, 1.0), high - low

    def place(step: float, value: float) -> tuple[float, float]:
        return round((step - first) / across * WIDTH, 1), round((high - value) / up * HEIGHT, 1)

    lines = tuple(
        _line(name, points, [place(*point) for point in thinned(points)]) for name, points in kept.items()
    )
    return LineChart(
        title=title,
        unit=unit,
        lines=lines,
        x_ticks=tuple(
            Tick(place(step, high)[0], f"{step:g}") for step in round_numbers(first, last, 5, least=1.0)
        ),
        y_ticks=tuple(Tick(place(first, value)[1], _short(value)) for value in ticks),
        mark=place(mark, high)[0] if mark is not None and first <= mark <= last else None,
        drawing=_told(title, unit, kept),
        left_out=sum(len(points) for points in series.values()) - len(everything),
    )


def _line(name: str, points: Points, placed: list[tuple[float, float]]) -> Line:
    return Line(
        name=name,
        path="M" + " L".join(f"{x:g},{y:g}" for x, y in placed) if len(placed) > 1 else "",
        dots=tuple(placed) if len(placed) <= 12 else (),
        last=points[-1][1],
    )


def _told(title: str, unit: str, kept: Mapping[str, Points]) -> str:
    ends = {name: (points[0], points[-1]) for name, points in kept.items()}
    told = [
        f"{name} {_short(first[1])} at step {first[0]:g}, {_short(last[1])} at step {last[0]:g}"
        for name, (first, last) in ends.items()
    ]
    return f"{title}{f' ({unit})' if unit else ''}: {'; '.join(told)}"


def _short(value: float) -> str:
    """A number for an axis: three significant digits, and ``1.5e−4`` below a hundredth."""
    if value == 0:
        return "0"
    if 1e-2 <= abs(value) < 1e6:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}".replace(",", "\u202f").replace("-", "−")
        return text.rstrip("0").rstrip(".") if "." in text else text
    number, _, power = f"{value:.2e}".partition("e")
    return f"{number.rstrip('0').rstrip('.')}e{int(power)}".replace("-", "−")
