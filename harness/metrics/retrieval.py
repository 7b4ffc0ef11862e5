"""Compares retrieved passages with the expected ones, by ragas' string metrics without a judge.

Two passages match if their Levenshtein similarity is at least 0.5 (for recall: above 0.5), as in ragas 0.4.3.
It depends on the retrieval, not on the answer.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.golden.schema import base_type
from harness.metrics.definition import ScoreFunction, ScoringRequest, graded
from harness.metrics.encoders import DECIMALS
from harness.metrics.ragas_bridge import import_ragas
from harness.types import MetricError, Score


def _by_strings(class_name: str, told: str) -> ScoreFunction:
    def score(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        # In a separate thread: there may be an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            values = thread.submit(asyncio.run, _values(class_name, requests)).result()
        return [
            graded(request, round(value, DECIMALS), f"{told} {_wanted(request)[0]} expected passages")
            for request, value in zip(requests, values, strict=True)
        ]

    return score


async def _values(class_name: str, requests: Sequence[ScoringRequest]) -> list[float]:
    import_ragas()
    import ragas.metrics
    from ragas.dataset_schema import SingleTurnSample

    metric: Any = getattr(ragas.metrics, class_name)()
    return [
        float(
            await metric.single_turn_ascore(
                SingleTurnSample(
                    retrieved_contexts=list(request.case.retrieved_context),
                    reference_contexts=_wanted(request)[1],
                )
            )
        )
        for request in requests
    ]


def _wanted(request: ScoringRequest) -> tuple[int, list[str]]:
    value = request.check.value
    if not isinstance(value, list):
        raise TypeError(f"{base_type(request.check.type)} needs a list of passages as its value")
    return len(value), [str(one) for one in value]


string_context_recall = _by_strings("NonLLMContextRecall", "share of the")
string_context_precision = _by_strings("NonLLMContextPrecisionWithReference", "average precision against the")
