"""``numeric``: the answer's number is the expected one, within a tolerance and across units."""

from decimal import Decimal
from fractions import Fraction

from harness.golden.quantities import Quantity, UnitError, in_unit, quantities
from harness.golden.value_rules import wanted_quantity
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote
from harness.types import JsonValue, Score

_SHOWN = 4
# Conversions by factors without an exact fraction are rounded this much.
_ROUNDING = Fraction(1, 10**12)


def _numeric(request: ScoringRequest) -> Score:
    options = request.check.options
    decimal = str(options.get("decimal", "."))
    value = request.check.value
    texts: list[JsonValue] = list(request.case.references) if value is None else [value]
    if not texts:
        raise ValueError("numeric has neither a value nor a reference to compare with")
    wanted = [wanted_quantity(text, decimal) for text in texts]
    found = quantities(request.text, decimal)
    if not found:
        return binary(request, False, "the answer has no number")
    pick = options.get("pick", "only")
    if pick == "only" and len({(one.number, one.unit) for one in found}) > 1:
        shown = ", ".join(one.written for one in found[:_SHOWN])
        return binary(request, False, f"the answer has several numbers: {shown}")
    picked = found[-1] if pick == "last" else found[0]
    problems = [problem for one in wanted if (problem := _difference(picked, one, request))]
    if len(problems) < len(wanted):
        return binary(request, True, f"the answer's number is {_written(picked)}")
    return binary(request, False, problems[0])


def _difference(found: Quantity, wanted: Quantity, request: ScoringRequest) -> str:
    """Why a quantity is not the expected one; empty if it is."""
    number = found.number
    slack = Fraction(0)
    if wanted.unit and found.unit.casefold() != wanted.unit.casefold():
        try:
            number = in_unit(found, wanted.unit)
        except UnitError as error:
            return f"expected {_written(wanted)}, found {_written(found)}: {error}"
        slack = abs(wanted.number) * _ROUNDING
    absolute = _exact(request.check.options.get("tolerance", 0.0))
    relative = _exact(request.check.options.get("relative", 0.0)) * abs(wanted.number)
    if abs(number - wanted.number) <= max(absolute, relative, slack):
        return ""
    return f"expected {_written(wanted)}, found {_written(found)}"


def _exact(value: JsonValue) -> Fraction:
    """A number as it was written: 0.1 is a tenth."""
    return Fraction(Decimal(repr(value)))


def _written(quantity: Quantity) -> str:
    return quote(f"{quantity.written} {quantity.unit}".strip(), 40)


numeric = one_by_one(_numeric)
