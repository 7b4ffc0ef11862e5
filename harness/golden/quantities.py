"""Numbers and quantities in a text: ``1,234.5``, ``−3``, ``2.5e-3``, ``3/4``, ``40 %``, ``5 km``."""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

_GROUP = r"[ \u00a0\u202f\u2009'’_]"
_SIGN = r"[+\-\u2212\u2013]"
_UNIT = r"[^\W\d_]|[°µμΩ%‰€$£¥₹]"
# By decimal mark. A longer run of digits and marks, such as a date or 1.2.3, is no number.
_NUMBER = {
    mark: re.compile(
        rf"""(?<![\w{mark}{other}/])(?<!\d[:\-])
        (?P<sign>{_SIGN}[ ]?)?
        (?P<money>[€$£¥₹][ ]?)?
        (?P<whole>\d{{1,3}}(?:{other}\d{{3}})+|\d{{1,3}}(?:{_GROUP}\d{{3}})+(?!\d)|\d+|(?={mark}\d))
        (?:{mark}(?P<part>\d+))?
        (?:[eE](?P<power>[+\-\u2212]?\d{{1,4}})|\s?[×x*·]\s?10\s?(?:\^|\*\*)\s?(?P<ten>[+\-\u2212]?\d{{1,4}}))?
        (?:/(?P<below>\d+))?
        (?![\d/:]|[{mark}{other}\-]\d)
        (?:[ \u00a0\u202f]?(?P<unit>(?:{_UNIT})(?:[\w°µμΩ%/*^·²³⁻¹.\-]*[\w°%²³¹])?))?""".replace(
            "[ ]", "[\\ ]"
        ),
        re.VERBOSE,
    )
    for mark, other in ((r"\.", ","), (",", r"\."))
}
_LARGEST_POWER = 400
# Python reads no longer ones as a number.
_MOST_DIGITS = 4000
CURRENCIES = frozenset("€$£¥₹")
# Factors such as pi have no exact fraction.
_DENOMINATOR = 10**15


class UnitError(ValueError):
    """A unit is unknown, or units can't be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number of a text.

    Attributes:
        unit: The word or sign behind it, or a currency's sign before it; it need not be a unit.
        written: The number as it is in the text.
    """

    number: Fraction
    unit: str
    written: str


def quantities(text: str, decimal: str = ".") -> list[Quantity]:
    """The numbers of a text, in order; digits of all scripts count.

    Args:
        text: Any text.
        decimal: The decimal mark; the other one of comma and full stop separates thousands.
    """
    plain = "".join(_plain(character) for character in text)
    found = [_quantity(match) for match in _NUMBER[r"\." if decimal == "." else ","].finditer(plain)]
    return [one for one in found if one is not None]


def _plain(character: str) -> str:
    """A decimal digit of any script as an ASCII digit; Arabic's marks as full stop and comma."""
    if not character.isascii() and (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    return {"٫": ".", "٬": ",", "％": "%"}.get(character, character)


def _quantity(match: re.Match[str]) -> Quantity | None:
    whole = re.sub(r"\D", "", match["whole"]) or "0"
    power = int((match["power"] or match["ten"] or "0").replace("\u2212", "-"))
    part, below = match["part"] or "", match["below"] or "1"
    if abs(power) > _LARGEST_POWER or max(len(whole + part), len(below)) > _MOST_DIGITS or not int(below):
        return None
    number = Fraction(int(whole + part), 10 ** len(part)) * Fraction(10) ** power / int(below)
    negative = match["sign"] is not None and not match["sign"].startswith("+")
    unit = match["unit"] or (match["money"] or "").strip()
    written = match[0].removesuffix(match["unit"] or "").strip()
    return Quantity(number=-number if negative else number, unit=unit, written=written)


def in_unit(quantity: Quantity, unit: str) -> Fraction:
    """A quantity's number in another unit: 5 km are 5000 in m.

    Args:
        quantity: The quantity.
        unit: The other unit.

    Raises:
        UnitError: One of the units is unknown, or they are not of one kind.
        ImportError: Pint, which converts units, is not installed.
    """
    if quantity.unit.casefold() == unit.casefold():
        return quantity.number
    import pint

    registry = _registry()
    try:
        converted = registry.Quantity(quantity.number, _parsed(quantity.unit)).to(_parsed(unit))
    except pint.DimensionalityError as error:
        raise UnitError(f"{quantity.unit or 'no unit'} is not of the kind of {unit}") from error
    return Fraction(converted.magnitude).limit_denominator(_DENOMINATOR)


def check_unit(unit: str) -> None:
    """Refuse a text that is no unit; a currency's sign is one that converts into itself only.

    Raises:
        UnitError: It is none.
        ImportError: Pint is not installed.
    """
    if unit not in CURRENCIES:
        _parsed(unit)


def _parsed(unit: str) -> Any:
    try:
        return _registry().parse_units(unit)
    except ImportError:
        raise
    except Exception as error:  # its parser raises all kinds of errors on words that are no units
        raise UnitError(f"the unit {unit!r} is unknown") from error


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)
