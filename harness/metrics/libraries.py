"""Which libraries each check type needs, and which installation brings them."""

import importlib.util
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from harness.golden.checks import CHECK_TYPES, base_type
from harness.metrics.encoders import encoder_name, find_encoder
from harness.types import GoldenCase


def missing_extras(cases: Iterable[GoldenCase]) -> list[str]:
    """Optional installations that the cases' checks need and this Python lacks, such as ``metrics``.

    Nothing is imported to find out. ``pip install 'tunegate[NAME]'`` brings each.
    """
    names = {base_type(check.type) for case in cases if case.skip is None for check in case.checks}
    lacking = {
        CHECK_TYPES[name].extra
        for name in names
        if any(importlib.util.find_spec(module) is None for module in CHECK_TYPES[name].libraries.values())
    }
    return sorted(extra for extra in lacking if extra is not None)


def require_encoders(cases: Iterable[GoldenCase]) -> None:
    """Find every encoder that the cases' checks compare with, so that a missing one is known beforehand.

    Raises:
        ModelError: One is not there; the message says how to get it.
    """
    for case in cases:
        for check in case.checks:
            if case.skip is None and base_type(check.type) in {"bertscore", "similar", "answer-relevancy"}:
                find_encoder(encoder_name(check))


def library_versions(name: str) -> dict[str, str] | None:
    """Version of each library behind a check type; None when one is not installed."""
    return _versions(tuple(CHECK_TYPES[name].libraries))


@cache
def _versions(distributions: tuple[str, ...]) -> dict[str, str] | None:
    try:
        return {distribution: version(distribution) for distribution in distributions}
    except PackageNotFoundError:
        return None
