"""Checks before any model loads that everything the selected cases need is available."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.engines.kinds import engine_kinds, is_own
from harness.engines.open import missing_libraries
from harness.errors import SettingsError
from harness.golden.checks import CHECK_TYPES, base_type
from harness.judge.trust import find_calibration
from harness.metrics.code_check import CODE_NOT_ALLOWED
from harness.metrics.judged import require_template
from harness.metrics.libraries import (
    missing_distributions,
    missing_extras,
    require_encoders,
    require_functions,
)
from harness.metrics.python_function import NOT_ALLOWED, load_check_of
from harness.registry.builtin_metrics import PYTHON
from harness.registry.content_metrics import CODE
from harness.run.distrust import distrust_of
from harness.run.judging import describe_trust, judged_checks, refuse_distrusted
from harness.run.scoring import Judging
from harness.types import NOTHING_ALLOWED, GoldenCase, GoldenSet, Permissions


def make_ready(
    golden_sets: Sequence[GoldenSet],
    judging: Judging,
    directory: Path,
    *,
    engine: str = "transformers",
    allowed: Permissions = NOTHING_ALLOWED,
) -> tuple[Judging, str]:
    """Check that libraries, encoders and a judge are available, and that the judge is not unreliable.

    Args:
        golden_sets: The sets with their selected cases.
        judging: The judges.
        directory: Where calibrations of judges are stored.
        engine: The engine that answers.
        allowed: What checks may run.

    Returns:
        The judges, with the check types for which they are unreliable; and their calibration in words, empty
        if they are not used.

    Raises:
        SettingsError: An extra isn't installed, a judge is missing, or an unreliable one would decide.
        ModelError: A check's encoder is unavailable.
    """
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    _require_installed(cases, engine)
    _require_losses(cases, engine)
    require_functions(cases)
    require_permitted(cases, allowed)
    judging = replace(judging, allowed=allowed)
    judged, note = [case for case in cases if judged_checks(case)], ""
    if judged and judging.panel is None:
        raise SettingsError(
            f"{judged[0].key}: {judged_checks(judged[0])[0].type} needs a judge: "
            f"give --gate-judge ({len(judged)} of the selected cases have such checks)"
        )
    for case in judged:
        for check in judged_checks(case):
            require_template(check)
    if judged and judging.panel is not None:
        calibration = find_calibration(directory, judging.panel.identity)
        distrust = distrust_of(calibration)
        refuse_distrusted(golden_sets, distrust, judging.panel.identity)
        judging = replace(judging, distrust=distrust)
        note = describe_trust(calibration, distrust, judged)
    require_encoders(cases)
    return judging, note


def _require_installed(cases: Sequence[GoldenCase], engine: str) -> None:
    """Refuse cases whose checks, or whose engine, need a library that is not installed."""
    extras = set(missing_extras(cases))
    if cases and is_own(engine) and missing_libraries():
        extras.add("local")
    missing = [f"'tunegate[{','.join(sorted(extras))}]'"] if extras else []
    missing += missing_distributions(cases)
    if missing:
        raise SettingsError(
            f"the selected cases need more than is installed: pip install {' '.join(missing)}"
        )


def _require_losses(cases: Sequence[GoldenCase], engine: str) -> None:
    if engine_kinds()[engine].measures_text:
        return
    for case in cases:
        needy = [one.type for one in case.single_checks if CHECK_TYPES[base_type(one.type)].needs_losses]
        if needy:
            raise SettingsError(
                f"{case.key}: {needy[0]} needs the losses of texts, and engine {engine!r} gives none"
            )


def require_permitted(cases: Sequence[GoldenCase], allowed: Permissions) -> None:
    """Check that the project allows what the cases' checks run, and load the functions of ``python`` checks.

    Args:
        cases: The selected cases.
        allowed: What it allows.

    Raises:
        SettingsError: A check is not allowed, or a function can't be loaded.
    """
    for case in cases:
        for check in case.single_checks:
            name = base_type(check.type)
            if name == PYTHON:
                if not allowed.python:
                    raise SettingsError(f"{case.key}: {check.type}: {NOT_ALLOWED}")
                load_check_of(check)
            elif name == CODE and not allowed.code:
                raise SettingsError(f"{case.key}: {check.type}: {CODE_NOT_ALLOWED}")
