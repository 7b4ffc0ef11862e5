"""A case for each combination of its ``vars`` with lists of values."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Scalar = str | int | float | bool

_MOST = 1000
_LONGEST_ID = 120
_LONGEST_PART = 30


class MatrixError(ValueError):
    """Lists of values can't be combined; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One case of a matrix.

    Attributes:
        case_id: The case's id with the values; the id itself without lists.
        variables: A value for each name.
    """

    case_id: str
    variables: Mapping[str, Scalar]


def combinations(case_id: str, variables: Mapping[str, Scalar | list[Scalar]]) -> list[Combination]:
    """All combinations of the lists' values, the last list's changing fastest.

    Args:
        case_id: The case's id as written.
        variables: The case's ``vars``.

    Raises:
        MatrixError: There are more than 1000, or a list has a value twice.
    """
    lists = {name: value for name, value in variables.items() if isinstance(value, list)}
    for name, values in lists.items():
        if len({(type(value), value) for value in values}) < len(values):
            raise MatrixError(f"{name} has a value twice")
    total = 1
    for values in lists.values():
        total *= len(values)
    if total > _MOST:
        raise MatrixError(f"{total} combinations (allowed: at most {_MOST})")
    fixed = {name: value for name, value in variables.items() if not isinstance(value, list)}
    labels = {name: _labels(values) for name, values in lists.items()}
    made = []
    for places in itertools.product(*(range(len(values)) for values in lists.values())):
        picked = dict(zip(lists, places, strict=True))
        case_name = "-".join([case_id, *(labels[name][place] for name, place in picked.items())])
        chosen = {name: lists[name][place] for name, place in picked.items()}
        made.append(Combination(case_id=case_name, variables={**fixed, **chosen}))
    return _numbered(case_id, made) if any(len(one.case_id) > _LONGEST_ID for one in made) else made


def _labels(values: Sequence[Scalar]) -> list[str]:
    """A part of an id for each value: its letters and digits, or its number in the list."""
    labels = [
        re.sub(r"[^A-Za-z0-9.]+", "-", str(value).removeprefix("file://")).strip("-.") for value in values
    ]
    clear = all(0 < len(label) <= _LONGEST_PART for label in labels) and len(set(labels)) == len(labels)
    return labels if clear else [str(number) for number in range(1, len(values) + 1)]


def _numbered(case_id: str, made: Sequence[Combination]) -> list[Combination]:
    return [
        Combination(case_id=f"{case_id}-{number}", variables=one.variables)
        for number, one in enumerate(made, start=1)
    ]
