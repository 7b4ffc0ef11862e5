"""What the score of an expensive metric depends on, as a cache key."""

import hashlib
import json

from harness.golden.checks import CHECK_TYPES, base_type
from harness.metrics.definition import ScoringRequest
from harness.metrics.libraries import library_versions

# Raise it when a metric's own code here changes its values or explanations.
_REVISION = 1


def cache_key(request: ScoringRequest) -> str | None:
    """SHA-256 over everything that the check's score depends on, and nothing else.

    The threshold is left out: it is decided after the score. None when the score is not to be kept: it is
    computed faster than it is looked up, or a library is missing.
    """
    name = base_type(request.check.type)
    kind = CHECK_TYPES[name]
    versions = library_versions(name)
    if kind.extra is None or name == "perplexity" or versions is None:
        return None
    content = {
        "revision": _REVISION,
        "metric": name,
        "options": kind.options.model_validate(dict(request.check.options)).model_dump(mode="json"),
        "encoder": None,
        "libraries": versions,
        "text": request.text,
        "references": request.case.references,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
