"""The cases of ``early_stop.golden``: those that training can answer and check by itself."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from harness.errors import SettingsError
from harness.golden.load import load_golden_set, name_fault
from harness.golden.schema import CHECK_TYPES, base_type, decides
from harness.golden.transforms import python_steps
from harness.run.inputs import make_ready
from harness.run.scoring import Judging
from harness.types import GoldenCase, GoldenSet
from trainers.config import EarlyStop


def golden_subset(settings: EarlyStop) -> tuple[list[GoldenCase], int]:
    """The first cases of each set in turn, each with one answer and the checks that decide if it passes.

    Args:
        settings: The sets, and the largest number of their cases.

    Returns:
        The cases, and how many the sets have.

    Raises:
        GoldenError: A set can't be used, or has the name of another one.
        SettingsError: There is no case, one can't be checked in training, or a library is missing.
        ModelError: A check's encoder is unavailable.
    """
    paths: dict[str, str] = {}
    sets = [load_golden_set(path) for path in settings.golden]
    for golden_set in sets:
        if fault := name_fault(golden_set, paths):
            raise fault
    found = list(_in_turn(sets))
    if not found:
        raise SettingsError("early_stop.golden: the sets have no case to answer; name others")
    chosen = [_asked(case) for case in found[: settings.max_cases]]
    make_ready([GoldenSet(name="early_stop", path="", cases=tuple(chosen))], Judging(), Path())
    return chosen, len(found)


def _in_turn(sets: list[GoldenSet]) -> Iterator[GoldenCase]:
    """The cases that are not skipped: the first of each set, then the second of each."""
    asked = [[case for case in golden_set.cases if case.skip is None] for golden_set in sets]
    for row in zip_longest(*asked):
        yield from (case for case in row if case is not None)


def _asked(case: GoldenCase) -> GoldenCase:
    """The case as training asks it: the likeliest answer is one, and other scores stop nothing.

    Raises:
        SettingsError: Training can't tell if it passes.
    """
    if case.turns:
        raise SettingsError(
            f"early_stop: {case.key}: cases of several turns are not run in training; leave it out"
        )
    case = replace(case, repeat=1, checks=tuple(check for check in case.checks if decides(check)))
    if not case.checks:
        raise SettingsError(
            f"early_stop: {case.key}: no check decides if it passes; give one a threshold, or leave it out"
        )
    for check in case.single_checks:
        kind = CHECK_TYPES[base_type(check.type)]
        if kind.runs_code or (check.transform and python_steps(check.transform)):
            raise SettingsError(
                f"early_stop: {case.key}: checks that run code are not run in training; leave its set out"
            )
        if kind.judged:
            raise SettingsError(
                f"early_stop: {case.key}: {check.type} needs a judge; training asks none: leave its set out"
            )
        if not kind.reads_answer:
            raise SettingsError(
                f"early_stop: {case.key}: {check.type} is not of the answer's text; training measures "
                f"nothing else: leave its set out"
            )
    return case
