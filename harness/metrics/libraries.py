"""The libraries that each check type needs, and the extras that install them."""

import importlib.util
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from harness.errors import SettingsError
from harness.golden.checks import CHECK_TYPES, base_type
from harness.metrics.definition import score_function
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import GoldenCase


def missing_extras(cases: Iterable[GoldenCase]) -> list[str]:
    """Extras that the cases' checks need and that are not installed, such as ``metrics``.

    Nothing is imported for this. ``pip install 'tunegate[NAME]'`` installs each.
    """
    names = {base_type(check.type) for case in cases if case.skip is None for check in case.single_checks}
    lacking = {
        CHECK_TYPES[name].extra
        for name in names
        if any(importlib.util.find_spec(module) is None for module in CHECK_TYPES[name].libraries.values())
    }
    return sorted(extra for extra in lacking if extra is not None)


def missing_distributions(cases: Iterable[GoldenCase]) -> list[str]:
    """Distributions that plug-ins' metrics need and that are not installed."""
    metrics = {base_type(check.type) for case in cases if case.skip is None for check in case.single_checks}
    return sorted(
        {
            distribution
            for name in metrics
            if CHECK_TYPES[name].extra is None
            for distribution, module in CHECK_TYPES[name].libraries.items()
            if importlib.util.find_spec(module) is None
        }
    )


def require_functions(cases: Iterable[GoldenCase]) -> None:
    """Import the functions of the cases' plug-in metrics, so that a missing one is noticed at the start.

    Raises:
        SettingsError: One can't be imported.
    """
    for name in {
        base_type(check.type) for case in cases if case.skip is None for check in case.single_checks
    }:
        if name not in BUILTIN_METRICS:
            score_function(name)


def require_encoders(cases: Iterable[GoldenCase]) -> None:
    """Find every encoder of the cases' checks, so that a missing one is noticed at the start.

    Raises:
        ModelError: One is missing; the message says how to get it.
        SettingsError: One can't read a reference of its case.
    """
    found = [
        (case, check)
        for case in cases
        if case.skip is None
        for check in case.single_checks
        if base_type(check.type) in {"bertscore", "similar", "answer-relevancy"}
    ]
    if found:
        # Only here: most golden sets have no encoder.
        from harness.metrics.encoded_text import unreadable_reference
        from harness.metrics.encoders import encoder_name, find_encoder

        for case, check in found:
            encoder = find_encoder(encoder_name(check))
            if check.type != "answer-relevancy" and (problem := unreadable_reference(encoder, case)):
                raise SettingsError(f"{case.key}: {check.type}: {encoder.name} {problem}")


def library_versions(name: str) -> dict[str, str] | None:
    """Version of each library of a check type; None if one is not installed."""
    return _versions(tuple(CHECK_TYPES[name].libraries))


@cache
def _versions(distributions: tuple[str, ...]) -> dict[str, str] | None:
    try:
        return {distribution: version(distribution) for distribution in distributions}
    except PackageNotFoundError:
        return None
