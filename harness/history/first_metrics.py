"""The metrics of runs that were stored before runs had facts about their metrics.

Such a run has only these metrics. The table never changes, even if the metrics do: those runs used version 1
of each.
"""

from typing import Any

_BINARY = (
    *("equals", "iequals", "contains", "icontains", "contains-any", "contains-all", "starts-with", "regex"),
    *("is-json", "json-equals", "length", "is-refusal", "exact-match", "llm-rubric", "factuality", "tone"),
)
# A judge's yes or no has no negated check.
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
"""How to read each metric, as stored in a run, by its name in the scores."""
