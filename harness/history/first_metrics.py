"""The metrics of runs that were stored before a run said how its metrics are read.

Such a run was scored with these and no others. The table stays as it is, whatever becomes of the metrics:
version 1 of each is what those runs mean.
"""

from typing import Any

_BINARY = (
    *("equals", "iequals", "contains", "icontains", "contains-any", "contains-all", "starts-with", "regex"),
    *("is-json", "json-equals", "length", "is-refusal", "exact-match", "llm-rubric", "factuality", "tone"),
)
# Judges' yes or no has no inverted check.
_INVERTIBLE = _BINARY[:13]
_FRACTIONS = (
    *("f1", "entity-f1", "bleu", "chrf", "rouge-1", "rouge-2", "rouge-l", "rouge-lsum", "pairwise"),
    *("faithfulness", "context-recall", "context-precision"),
    *("string-context-recall", "string-context-precision"),
)
_COSINES = ("bertscore", "similar", "answer-relevancy")


def _read(kind: str, least: float, most: float | None, **rest: bool) -> dict[str, Any]:
    usual = {"higher_is_better": True, "logarithmic": False}
    return {"kind": kind, "least": least, "most": most, "version": "1", **usual, **rest}


FIRST_METRICS: dict[str, dict[str, Any]] = {
    **{name: _read("binary", 0.0, 1.0) for name in _BINARY},
    **{f"not-{name}": _read("binary", 0.0, 1.0) for name in _INVERTIBLE},
    **{name: _read("graded", 0.0, 1.0) for name in _FRACTIONS},
    **{name: _read("graded", -1.0, 1.0) for name in _COSINES},
    "repetition": _read("graded", 0.0, 1.0, higher_is_better=False),
    "perplexity": _read("graded", 1.0, None, higher_is_better=False, logarithmic=True),
    "llm-reference": _read("graded", 1.0, 5.0),
}
"""How each is read, as a run's stored text says it, by the name that its scores bear."""
