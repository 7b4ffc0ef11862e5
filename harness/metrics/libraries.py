"""Which libraries each check type needs, and which installation brings them."""

import importlib.util
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from harness.golden.checks import CHECK_TYPES, base_type
from harness.metrics.encoders import encoder_name, find_encoder
from harness.types import GoldenCase

# Distribution name → import name, by check type.
_ROUGE = {"evaluate": "evaluate", "rouge-score": "rouge_score"}
_JUDGE = {"openai": "openai", "tenacity": "tenacity"}
_RAG = {"ragas": "ragas", "langchain-community": "langchain_community", **_JUDGE}
LIBRARIES: dict[str, dict[str, str]] = {
    "bleu": {"sacrebleu": "sacrebleu"},
    "chrf": {"sacrebleu": "sacrebleu"},
    "rouge-1": _ROUGE,
    "rouge-2": _ROUGE,
    "rouge-l": _ROUGE,
    "rouge-lsum": _ROUGE,
    "bertscore": {"evaluate": "evaluate", "bert-score": "bert_score"},
    "similar": {"sentence-transformers": "sentence_transformers"},
    "perplexity": {"torch": "torch"},
    "llm-rubric": _JUDGE,
    "llm-reference": _JUDGE,
    "factuality": _JUDGE,
    "tone": _JUDGE,
    "pairwise": _JUDGE,
    "faithfulness": _RAG,
    "context-recall": _RAG,
    "context-precision": _RAG,
    "answer-relevancy": {**_RAG, "sentence-transformers": "sentence_transformers"},
    "string-context-recall": {**_RAG, "rapidfuzz": "rapidfuzz"},
    "string-context-precision": {**_RAG, "rapidfuzz": "rapidfuzz"},
}


def missing_extras(cases: Iterable[GoldenCase]) -> list[str]:
    """Optional installations that the cases' checks need and this Python lacks, such as ``metrics``.

    Nothing is imported to find out. ``pip install 'tunegate[NAME]'`` brings each.
    """
    names = {base_type(check.type) for case in cases if case.skip is None for check in case.checks}
    lacking = {
        CHECK_TYPES[name].extra
        for name in names
        if any(importlib.util.find_spec(module) is None for module in LIBRARIES.get(name, {}).values())
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


@cache
def library_versions(name: str) -> dict[str, str] | None:
    """Version of each library behind a check type; None when one is not installed."""
    try:
        return {distribution: version(distribution) for distribution in LIBRARIES.get(name, {})}
    except PackageNotFoundError:
        return None
