"""Units of quantities: what they mean, and numbers in another unit.

The case of a symbol matters (mW, MW). A wrong case is read only where one unit of the wanted kind remains.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from harness.golden.quantities import Quantity

# Factors such as pi have no exact fraction.
_DENOMINATOR = 10**15
# Spellings of currencies. A sign that several share, such as $ without a country, is equal to itself only.
_CURRENCIES: Mapping[str, tuple[str, ...]] = {
    "$": ("usd", "us$", "dollar", "dollars"),
    "€": ("eur", "euro", "euros"),
    "£": ("gbp", "pound", "pounds", "quid"),
    "¥": ("jpy", "yen", "円", "cny", "rmb", "yuan", "元"),
    "₹": ("inr", "rs", "rupee", "rupees"),
    "₽": ("rub", "ruble", "rubles"),
    "₩": ("krw", "won"),
    "CHF": ("chf", "francs"),
    "A$": ("aud",),
    "C$": ("cad",),
}
_SIGNS = frozenset("$€£¥₹₽₩₺₴₫₪฿₦₱₲₵₡₸₼₾₿¢")
# Words that are currencies only where one is wanted.
_ALSO_MASSES = frozenset(["pound", "pounds"])
_SHARES: Mapping[str, Fraction] = {
    **dict.fromkeys(("%", "percent", "per cent", "pct", "percentage", "٪", "prozent"), Fraction(1, 100)),
    **dict.fromkeys(("‰", "permille", "per mille"), Fraction(1, 1000)),
    "ppm": Fraction(1, 10**6),
    "ppb": Fraction(1, 10**9),
}
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("degree celsius", "degrees celsius", "degrees c", "° c", "celsius"), "degC"),
    **dict.fromkeys(("degree fahrenheit", "degrees fahrenheit", "degrees f", "° f", "fahrenheit"), "degF"),
}
# A word has its letters in any case; a symbol has not.
_SHORTEST_WORD = 4


class UnitError(ValueError):
    """A unit is unknown, or units can't be compared."""


def share_of(unit: str) -> Fraction | None:
    """What a share such as % or ppm is of 1; None for other units."""
    return _SHARES.get(unit.casefold())


def currency_of(unit: str) -> str | None:
    """A currency's sign; None for other units."""
    plain = unit.strip(". ")
    if plain in _SIGNS or plain in _CURRENCIES:
        return plain
    return next((sign for sign, names in _CURRENCIES.items() if plain.casefold() in names), None)


def check_unit(unit: str) -> None:
    """Refuse a text that is no unit; a currency is one that converts into itself only.

    Raises:
        UnitError: It is none.
        ImportError: Pint is not installed.
    """
    if re.fullmatch(r"[kMGT]b", unit):
        raise UnitError(f"the unit {unit!r} isn't clear; write {unit[0]}bit, or {unit[0]}B for bytes")
    if not currency_of(unit):
        _parsed(unit)


def converted(number: Fraction, unit: str, wanted: str) -> Fraction:
    """A number in another unit: 5 km are 5000 in m.

    Args:
        number: The number.
        unit: Its unit; empty for none, which only shares can be compared with.
        wanted: The other unit.

    Raises:
        UnitError: One of the units is unknown, or they are not of one kind.
        ImportError: Pint, which converts units, is not installed.
    """
    if _one_spelling(unit) == _one_spelling(wanted):
        return number
    if currency := currency_of(wanted):
        if currency_of(unit) == currency:
            return number
        raise UnitError(f"{unit or 'no unit'} is not {wanted}")
    if share_of(wanted) and (not unit or share_of(unit)):
        return number * (share_of(unit) or 1) / (share_of(wanted) or 1)
    if not unit:
        raise UnitError(f"no unit is not of the kind of {wanted}")
    if currency_of(unit) and unit.casefold() not in _ALSO_MASSES:
        raise UnitError(f"{unit} is not of the kind of {wanted}")
    target = _parsed(wanted)
    source = _of_kind(unit, target)
    if not _same_kind(source, target):
        raise UnitError(f"{unit} is not of the kind of {wanted}")
    try:
        found = _registry().Quantity(number, source).to(target)
        return Fraction(found.magnitude).limit_denominator(_DENOMINATOR)
    except Exception as error:  # logarithms of decibels, and offsets of differences, raise all kinds
        raise UnitError(f"{unit} can't be converted into {wanted}") from error


_BETWEEN_PARTS = re.compile(r"[^\S\n]*,?[^\S\n]*(?:(?:and|und|et|y|e|и)\b[^\S\n]*)?")
_HUNDREDTHS = {"¢": "$€", "c": "$€", "cent": "$€", "cents": "$€", "p": "£", "pence": "£", "penny": "£"}


def joined(found: Sequence[Quantity]) -> list[Quantity]:
    """The quantities of a text, with the parts of one together: 1 hour 30 minutes are 1.5 hours.

    Each part has a smaller unit of the same kind than the one before it, and is less than one of that.

    Args:
        found: The quantities, in order.
    """
    groups: list[list[Quantity]] = []
    for one in found:
        part = _as_part(one, groups[-1][-1]) if groups else None
        if part is None:
            groups.append([one])
        else:
            groups[-1].append(part)
    return [_together(group) for group in groups]


def _as_part(one: Quantity, larger: Quantity) -> Quantity | None:
    """A quantity as the next part of another one; None if it is no part of it."""
    if not one.unit or not larger.unit or not one.written[:1].isdigit():
        return None
    if one.behind is None or _BETWEEN_PARTS.fullmatch(one.behind) is None:
        return None
    # m is a minute behind hours.
    unit = "min" if one.unit == "m" and _is_time(larger.unit) else one.unit
    share = _share_in(unit, larger.unit)
    return replace(one, unit=unit) if share is not None and share < 1 and one.number * share < 1 else None


def _is_time(unit: str) -> bool:
    return unit.casefold() in {"h", "hr", "hrs", "hour", "hours", "d", "day", "days"}


@lru_cache(maxsize=256)
def _share_in(unit: str, larger: str) -> Fraction | None:
    """What one of a unit is in another one; None if they are not of one kind."""
    currency = currency_of(larger)
    if currency is not None and unit in _HUNDREDTHS:
        return Fraction(1, 100) if currency[-1] in _HUNDREDTHS[unit] else None
    try:
        return converted(Fraction(1), unit, larger)
    except (UnitError, ImportError):
        return None


def _together(parts: Sequence[Quantity]) -> Quantity:
    first = parts[0]
    if len(parts) == 1:
        return first
    rest, share = Fraction(0), Fraction(1)
    for larger, part in itertools.pairwise(parts):
        share *= _share_in(part.unit, larger.unit) or 0
        rest += part.number * share
    return replace(
        first,
        number=first.number - rest if first.written[:1] in "-−–" else first.number + rest,
        written=" ".join(
            part.written if part.unit in part.written else f"{part.written} {part.unit}" for part in parts
        ),
        is_hedged=any(part.is_hedged for part in parts),
    )


def _one_spelling(unit: str) -> str:
    """A unit with one spelling of µ, Ω and ℃, and without spaces."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", unit))


def _same_kind(one: Any, other: Any) -> bool:
    """Whether units measure the same: a byte is no angle and no share, although none has a dimension."""
    registry = _registry()
    return bool(registry.get_root_units(one)[1] == registry.get_root_units(other)[1])


def _of_kind(unit: str, target: Any) -> Any:
    """A unit as written; or KM as km, since kilo has no other case, if one of the target's kind remains."""
    try:
        return _parsed(unit)
    except UnitError:
        if len(unit) > _SHORTEST_WORD or not unit.isalpha() or unit[0] not in "kK":
            raise
        fitting = [each for each in _in_other_cases(unit) if _same_kind(each, target)]
        # KB may be 1000 bytes, or 1024.
        if len(fitting) != 1 or fitting[0].is_compatible_with("byte"):
            raise
        return fitting[0]


def _in_other_cases(unit: str) -> Iterator[Any]:
    for letters in itertools.product(*({letter.lower(), letter.upper()} for letter in unit)):
        try:
            yield _registry().parse_units("".join(letters))
        except ImportError:
            raise
        except Exception:  # its parser raises all kinds of errors on words that are no units
            continue


def _parsed(unit: str) -> Any:
    """A unit as Pint reads it; a long word in any case, and exponents without a sign."""
    plain = _NAMES.get(
        unit.casefold(), unicodedata.normalize("NFC", unit).replace("℃", "°C").replace("℉", "°F")
    )
    with_powers = re.sub(r"([^\W\d_])([23])\b", r"\1^\2", plain)
    forms = [plain, with_powers, *([plain.lower()] if len(plain) >= _SHORTEST_WORD else [])]
    problem: Exception | None = None
    for form in dict.fromkeys(forms):
        try:
            return _registry().parse_units(form)
        except ImportError:
            raise
        except Exception as error:  # its parser raises all kinds of errors on words that are no units
            problem = error
    raise UnitError(f"the unit {unit!r} is unknown") from problem


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)
