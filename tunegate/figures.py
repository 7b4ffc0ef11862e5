"""Figures as texts: with as many digits as it takes to see what they say, in any unit."""

import math
from collections.abc import Iterable, Sequence

# Below, two or three decimals show too little: an answer that costs 0.000002 would cost 0.00. Above, decimals
# are noise, and then so are most digits.
_SMALL, _LARGE, _HUGE = 0.01, 1e6, 1e15
# What is smaller comes from rounding.
_ROUNDING = 1e-15
# What is such a part of the figures that it was computed from is rounding.
_ALIKE, _MOST_DIGITS = 1e-12, 17
_SMALLEST_P = 1e-15
# One-sided, at which the gate and the trends decide: a p beside it is told on its own side.
_LEVEL = 0.05
# A part of the level that was given to a test, told as the level; more digits would say nothing.
_AS_THE_LEVEL = 1e-6


def is_small(figure: float, rounding: float = _ROUNDING) -> bool:
    """Whether a few decimals show too little of a figure.

    Args:
        figure: The figure, or the largest of several that stand together.
        rounding: What is smaller is nothing.
    """
    return rounding < abs(figure) < _SMALL


def form_of(figures: Iterable[float], decimals: int, rounding: float = _ROUNDING) -> str:
    """The format of figures that stand together: so many decimals, or three digits where all are small.

    Args:
        figures: The figures.
        decimals: Digits after the point.
        rounding: What is smaller is nothing.
    """
    largest = max(map(abs, figures))
    if largest >= _LARGE:
        return ".0f" if largest < _HUGE else ".4g"
    return ".3g" if is_small(largest, rounding) else f".{decimals}f"


def figures_of(
    figures: Sequence[float], decimals: int, *, sign: str = "", size: float | None = None
) -> list[str]:
    """Figures that stand together, in the form of :func:`form_of`; only 0 and rounding are told as 0.

    Args:
        figures: The figures.
        decimals: Digits after the point.
        sign: "+" to tell the sign of each.
        size: That of what they were computed from, which tells rounding.
    """
    rounding = _ROUNDING if size is None else _ALIKE * max(size, *map(abs, figures))
    form = form_of(figures, decimals, rounding)
    return [
        f"{each:{sign}{'.2g' if not float(f'{each:{form}}') and abs(each) > rounding else form}}"
        for each in figures
    ]


def both_of(before: float, now: float, decimals: int) -> tuple[str, str]:
    """Two figures, in as many more digits as it takes to see which one is larger.

    Args:
        before: The first one.
        now: The second one.
        decimals: Digits after the point, at least.
    """
    before, now = (0.0 if abs(each) <= _ROUNDING else each for each in (before, now))
    form = form_of((before, now), decimals)
    digits, kind = int(form[1:-1]), form[-1]
    differ = not math.isclose(before, now, rel_tol=_ALIKE, abs_tol=_ROUNDING)
    while differ and f"{before:.{digits}{kind}}" == f"{now:.{digits}{kind}}" and digits < _MOST_DIGITS:
        digits += 1
    return f"{before:.{digits}{kind}}", f"{now:.{digits}{kind}}"


def figure_of(value: float, decimals: int) -> str:
    """One figure, in the form of :func:`form_of`.

    Args:
        value: The figure.
        decimals: Digits after the point.
    """
    return f"{value:{form_of((value,), decimals)}}"


def rise_of(change: tuple[float, float, float], limit: float) -> tuple[str, str]:
    """A rise of a loss with its bounds, and its limit, in the digits that show which is larger.

    Args:
        change: The rise, its lower and its upper bound.
        limit: What it may not exceed.
    """
    rise, told = both_of(change[0], limit, 2)
    return f"{rise} nats per token [{change[1]:.2f}, {change[2]:.2f}]", told


def share_of(value: float) -> str:
    """A share in percent, in as many digits as a small one needs: ``5%``, ``0.4%``."""
    return f"{value * 100:.3g}%"


def rates_of(estimate: float, low: float, high: float) -> str:
    """A rate with its bounds in percent; only all of it is 100%, and only nothing 0%.

    Args:
        estimate: The rate.
        low: Its lower bound.
        high: Its upper bound.
    """
    estimate_of, low_of, high_of = map(_percent_of, (estimate, low, high))
    return f"{estimate_of} [{low_of}, {high_of}]"


def _percent_of(rate: float) -> str:
    end = {"0%": 0.0, "100%": 1.0}.get(text := f"{rate:.0%}")
    return text if end is None else f"{both_of(rate * 100, end * 100, 0)[0]}%"


def p_of(value: float) -> str:
    """A p-value with its sign: ``p=0.019``, and ``p<1e-15`` where nothing is that sure.

    Args:
        value: The p-value.
    """
    if value < _SMALLEST_P:
        return f"p<{_SMALLEST_P:.0e}"
    text = p_digits(value, ".2g")
    return f"p{text}" if text[0] in "<>" else f"p={text}"


def p_digits(value: float, form: str) -> str:
    """A p-value in a form, or in more digits where it would be told as the level of the tests and is not.

    Args:
        value: The p-value.
        form: How it is written elsewhere.
    """
    text = f"{value:{form}}"
    if float(text) != _LEVEL:
        return text
    if 0 < abs(value - _LEVEL) < _AS_THE_LEVEL:
        return f"{'<=' if value <= _LEVEL else '>'}{_LEVEL:g}"
    return both_of(value, _LEVEL, 3)[0]


def wide_enough(bound: float) -> str:
    """A round margin that a bound is within, in any unit: with two decimals, or two digits."""
    step = 0.01 if 0.01 <= bound < 1 else 10.0 ** (math.floor(math.log10(bound)) - 1)
    wide = math.ceil(bound / step * (1 - 1e-9)) * step
    return f"{wide:.2g}" if step < 1 else f"{wide:.0f}"
