"""Cache keys for the scores of expensive metrics."""

import hashlib
import json

from harness.errors import ModelError
from harness.golden.checks import CHECK_TYPES, base_type
from harness.metrics.definition import ScoringRequest
from harness.metrics.libraries import library_versions
from harness.registry.builtin_metrics import BUILTIN_METRICS

# Raise it when a change here changes a metric's values or explanations.
_REVISION = 1


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
        encoder_sha256 = None if encoder is None else _encoder_sha256(encoder)
    except ModelError:
        return None  # as the metric's record says
    content = {
        "revision": _REVISION,
        "metric": name,
        "options": options,
        "encoder": [encoder, encoder_sha256],
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


def _encoder_sha256(name: str) -> str:
    # Only here: most golden sets have no encoder.
    from harness.metrics.encoders import find_encoder

    return find_encoder(name).sha256
