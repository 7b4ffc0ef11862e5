"""Numbers for people: rates in percent, drops in points, with a sign where it matters."""

import math

from tunegate.printable import form_of

_MINUS = "−"
_THIN_SPACE = "\u202f"


def count(number: int) -> str:
    """A whole number with separated thousands: ``1 000``."""
    return f"{number:,}".replace(",", _THIN_SPACE)


def percent(rate: float) -> str:
    """A fraction as percent with one decimal: ``95.0 %``."""
    return f"{rate * 100:.1f}{_THIN_SPACE}%".replace("-", _MINUS)


def signed(number: float, decimals: int) -> str:
    """A number that always has its sign, unless it rounds to zero.

    Args:
        number: The number.
        decimals: Digits after the point.
    """
    text = f"{number:+.{decimals}f}".replace("-", _MINUS)
    return text[1:] if not text.strip(f"+{_MINUS}0.") else text


def difference(drop: float) -> str:
    """A difference of two mean scores, as :func:`mean` with a sign: ``+0.123``, ``+2e−06``."""
    if form_of((drop,), 3) == ".3f":
        return signed(drop, 3)
    return f"{drop:+.3g}".replace("-", _MINUS)


def points(drop: float) -> str:
    """A difference of two rates in percentage points: ``+55.0``."""
    return signed(drop * 100, 1)


def score(value: float) -> str:
    """A score with enough digits to distinguish two: ``0.812``, ``1``, ``12.4``."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", _MINUS)
    return mean(value)


def mean(value: float) -> str:
    """A mean score with three decimals, or three digits: ``0.900``, ``12.4``, ``2e-06``."""
    form = ".3g" if abs(value) >= 10 else form_of((value,), 3)
    return f"{value:{form}}".replace("-", _MINUS)


def p_value(p: float) -> str:
    """A p-value: ``0.012``, ``< 0.001``."""
    return f"<{_THIN_SPACE}0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float, decimals: int = 1) -> str:
    """A time span: ``8.2 s``, ``3 min 20 s``, ``2 h 05 min``.

    Args:
        seconds: The time.
        decimals: Digits after the point, if it is below a minute.
    """
    if seconds < 60:
        return f"{seconds:.{decimals}f}{_THIN_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{_THIN_SPACE}h {minutes:02d}{_THIN_SPACE}min"
    return f"{minutes}{_THIN_SPACE}min {rest:02d}{_THIN_SPACE}s"


def nice_step(span: float, most: int) -> float:
    """The smallest round step (1, 2 or 5 times a power of ten) that gives at most ``most`` steps.

    Args:
        span: The range.
        most: Largest number of steps.
    """
    if not span > 0 or not math.isfinite(span):
        return 1.0
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
