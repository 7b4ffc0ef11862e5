"""``numeric``: the answer's number is the expected one, within a tolerance and across units."""

from decimal import Decimal
from fractions import Fraction

from harness.golden.quantities import Quantity, has_number, quantities
from harness.golden.unit_conversion import UnitError, converted, joined, share_of
from harness.golden.value_rules import wanted_quantity
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, unclear
from harness.types import JsonValue, Score

_SHOWN = 4
# Conversions by factors without an exact fraction are rounded this much.
_ROUNDING = Fraction(1, 10**12)
# Sizes or units: 5 K may be 5000 or a temperature.
_EITHER = frozenset("KMBTG")


def _numeric(request: ScoringRequest) -> Score:
    options = request.check.options
    decimal = str(options.get("decimal", "."))
    value = request.check.value
    texts: list[JsonValue] = list(request.case.references) if value is None else [value]
    if not texts:
        raise ValueError("numeric has neither a value nor a reference to compare with")
    wanted = [wanted_quantity(text, decimal) for text in texts]
    found = quantities(request.text, decimal)
    if not found and has_number(request.text):
        return unclear(request, "the answer has no number that can be read as one")
    return _compared(request, wanted, found) if found else binary(request, False, "the answer has no number")


def _compared(request: ScoringRequest, wanted: list[Quantity], found: list[Quantity]) -> Score:
    options = request.check.options
    pick, whole = str(options.get("pick", "only")), joined(found)
    picked = {"first": whole[:1], "last": whole[-1:]}.get(pick, whole)
    shown = ", ".join(f"{one.written} {one.unit}".strip() for one in found[:_SHOWN])
    if any(one.is_hedged for one in picked):
        return unclear(request, f"the answer leaves its number open: {quote(shown)}")
    if problem := _either(picked, wanted):
        return unclear(request, problem)
    problems = [[_difference(one, each, request) for one in picked] for each in wanted]
    if not all(map(any, problems)):
        return binary(request, True, f"the answer's number is {_written(picked[0])}")
    if len({(one.number, one.unit) for one in picked}) > 1:
        return unclear(request, f"the answer has several numbers: {shown}")
    if any(not _difference(part, each, request) for part in found if part not in whole for each in wanted):
        return unclear(request, f"the answer has the number only as a part of {_written(picked[0])}")
    return binary(request, False, problems[0][0])


def _either(picked: list[Quantity], wanted: list[Quantity]) -> str:
    """Why a number's size isn't known; empty if it is."""
    if all(each.unit for each in wanted):
        return ""
    letters = [one for one in picked if one.unit in _EITHER]
    return f"{_written(letters[0])} may be a number with a unit, or a larger number" if letters else ""


def _difference(found: Quantity, wanted: Quantity, request: ScoringRequest) -> str:
    """Why a quantity is not the expected one; empty if it is."""
    number = found.number
    slack = Fraction(0)
    if wanted.unit:
        try:
            number = converted(found.number, found.unit, wanted.unit)
        except UnitError as error:
            return f"expected {_written(wanted)}, found {_written(found)}: {error}"
        slack = abs(wanted.number) * _ROUNDING
    elif share := share_of(found.unit):
        number *= share
    absolute = _exact(request.check.options.get("tolerance", 0.0))
    relative = _exact(request.check.options.get("relative", 0.0)) * abs(wanted.number)
    if abs(number - wanted.number) <= max(absolute, relative, slack):
        return ""
    return f"expected {_written(wanted)}, found {_written(found)}"


def _exact(value: JsonValue) -> Fraction:
    """A number as it was written: 0.1 is a tenth."""
    return Fraction(Decimal(repr(value)))


def _written(quantity: Quantity) -> str:
    shown = quantity.written if quantity.unit in quantity.written else f"{quantity.written} {quantity.unit}"
    return quote(shown.strip(), 40)


numeric = one_by_one(_numeric)
