"""The libraries and extras that check types need, and cache keys that name the libraries' versions."""

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from harness.errors import ModelError, SettingsError
from harness.golden.schema import CHECK_TYPES, base_type
from harness.metrics.definition import ScoringRequest, score_function
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import GoldenCase, Score

# The metrics that a text encoder computes, or helps to.
ENCODING = frozenset({"bertscore", "similar", "answer-relevancy"})


def missing_extras(cases: Iterable[GoldenCase]) -> list[str]:
    """Extras that the cases' checks need and that are not installed, such as ``metrics``.

    Nothing is imported for this. ``pip install 'tunegate[NAME]'`` installs each.
    """
    names = {base_type(check.type) for case in cases if case.skip is None for check in case.single_checks}
    lacking = {
        CHECK_TYPES[name].extra
        for name in names
        if any(map(_is_missing, CHECK_TYPES[name].libraries.values()))
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
            if _is_missing(module)
        }
    )


def _is_missing(module: str) -> bool:
    """Whether a module can't be found; a plug-in may name one inside a package that is missing too."""
    try:
        return importlib.util.find_spec(module) is None
    except (ImportError, ValueError):
        return True


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
        if base_type(check.type) in ENCODING
    ]
    if found:
        # Only here: most golden sets have no encoder.
        from harness.metrics.encoded_text import unreadable_reference
        from harness.metrics.encoders import encoder_name, find_encoder

        for case, check in found:
            try:
                encoder = find_encoder(encoder_name(check))
            except ModelError as error:
                raise ModelError(f"{case.key}: {check.type}: model: {error}") from error
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


# Raise it when a change here changes a metric's values or explanations.
_REVISION = 2


class ScoreCache(Protocol):
    """Stores the scores of expensive metrics by content. Thresholds are applied afterwards."""

    def get(self, key: str) -> Score | None:
        """The score stored under a key, or None."""

    def put(self, key: str, score: Score, /) -> None:
        """Store a score.

        Args:
            key: Hash of the check and of everything that it reads.
            score: The score.
        """


def cache_key(request: ScoringRequest) -> str | None:
    """SHA-256 over everything that the check's score depends on, and nothing else.

    The threshold is left out: it is applied after the score. None if the score is not cached: computing it is
    faster than looking it up, a judge caches its own replies, or a library or encoder is missing. A score of
    another version of the metric is never found.
    """
    name = base_type(request.check.type)
    kind = CHECK_TYPES[name]
    versions = library_versions(name)
    if not kind.cached or versions is None:
        return None
    options = kind.options.model_validate(dict(request.check.options)).model_dump(mode="json")
    encoder = options.pop("model", None)
    try:
        sha256 = None if encoder is None else encoder_sha256(encoder)
    except ModelError:
        return None  # as the metric's record says
    content = {
        "revision": _REVISION,
        "metric": name,
        "options": options,
        "encoder": [encoder, sha256],
        "libraries": versions,
        "text": request.text,
        "references": request.case.references,
    }
    if kind.needs_context:
        content |= {"value": request.check.value, "retrieved_context": request.case.retrieved_context}
    if kind.version != "1":
        content["version"] = kind.version
    if name not in BUILTIN_METRICS:
        # It is unknown what a plug-in's function reads of the case.
        content |= {"case": request.case.content_sha256, "metadata": dict(request.case.metadata)}
        content |= {"value": request.check.value, "function": str(kind.function)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def encoder_sha256(name: str) -> str:
    """Hash of the files of a text encoder.

    Raises:
        ModelError: It is missing, or its weights are not safetensors.
    """
    # Only here: most golden sets have no encoder.
    from harness.metrics.encoders import find_encoder

    return find_encoder(name).sha256
