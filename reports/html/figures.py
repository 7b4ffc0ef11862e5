"""Numbers for people: rates in percent, drops in points, with a sign where it matters."""

import math

from tunegate.figures import figures_of, form_of, p_digits

_MINUS = "−"
_THIN_SPACE = "\u202f"
# A case of a million; what is less comes from rounding.
_LEAST_RATE = 1e-6
# From the one on, three digits are a thousand, which they write as 1e+03.
_NO_DECIMALS, _MILLION = 999.5, 1e6


def count(number: int) -> str:
    """A whole number with separated thousands: ``1 000``."""
    return f"{number:,}".replace(",", _THIN_SPACE)


def percent(rate: float) -> str:
    """A fraction as percent with one decimal: ``95.0 %``; only nothing is ``0.0 %``."""
    return f"{hundredths(rate)}{_THIN_SPACE}%"


def hundredths(rate: float) -> str:
    """A fraction, or a difference of two, in hundredths with one decimal: ``95.0``, ``0.04``."""
    number = 0.0 if abs(rate) < _LEAST_RATE else rate * 100
    return _one_decimal(number).replace("-", _MINUS)


def _one_decimal(number: float) -> str:
    text = f"{number:.1f}"
    return text if number == 0 or float(text) else f"{number:.2g}"


def signed(number: float, decimals: int) -> str:
    """A number that always has its sign, unless it is 0 or rounding.

    Args:
        number: The number.
        decimals: Digits after the point, if it is not a small one.
    """
    text = figures_of((number,), decimals, sign="+")[0].replace("-", _MINUS)
    return text[1:] if not text.strip(f"+{_MINUS}0.") else text


def difference(drop: float) -> str:
    """A difference of two mean scores, as :func:`mean` with a sign: ``+0.123``, ``+2e−06``."""
    return signed(drop, 3)


def points(drop: float) -> str:
    """A difference of two rates in percentage points: ``+55.0``."""
    text = hundredths(drop)
    return f"+{text}" if drop >= _LEAST_RATE else text


def score(value: float) -> str:
    """A score with enough digits to distinguish two: ``0.812``, ``1``, ``12.4``."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", _MINUS)
    return mean(value)


def mean(value: float) -> str:
    """A mean score with three decimals, or three digits: ``0.900``, ``12.4``, ``1234``, ``2e-06``."""
    return f"{value:z{_whole_form(value) or form_of((value,), 3)}}".replace("-", _MINUS)


def limit(value: float) -> str:
    """A margin with three digits, or all of a whole number: ``0.05``, ``2e-06``, ``12345``."""
    return f"{value:{_whole_form(value) or '.3g'}}".replace("-", _MINUS)


def _whole_form(value: float) -> str:
    """The form of large figures; empty for others."""
    if abs(value) < 10:
        return ""
    return ".3g" if abs(value) < _NO_DECIMALS else form_of((max(abs(value), _MILLION),), 0)


def p_value(p: float) -> str:
    """A p-value: ``0.012``, ``< 0.001``; ``0.0503`` beside the level of 0.05."""
    return f"<{_THIN_SPACE}0.001" if p < 0.001 else p_digits(p, ".3f")


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
