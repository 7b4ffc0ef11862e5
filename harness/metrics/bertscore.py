"""BERTScore by the bert-score package, wrapped as a module of Hugging Face's evaluate.

Zhang et al. 2020, "BERTScore: Evaluating Text Generation with BERT" (arXiv:1904.09675): F1 of greedy cosine
matching between the token vectors of answer and reference, without idf weights and without rescaling. Values
of different encoders or layers can't be compared, so each explanation names both.
"""

import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.golden.value_rules import is_blank
from harness.metrics.bertscore_model import load_scorer
from harness.metrics.definition import ScoringRequest, graded, quote
from harness.metrics.encoded_text import encoded, unseen
from harness.metrics.encoders import DECIMALS, Encoder, encoder_name, find_encoder, last_layer
from harness.metrics.incomparable_text import EncodedText, incomparable
from harness.types import MetricError, Score

if TYPE_CHECKING:
    import evaluate
    from bert_score import BERTScorer

_BATCH_ROWS = 32
_COLUMNS = ("precision", "recall", "f1", "reference")


def bertscore(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """BERTScore F1 in [-1, 1] against the closest reference; an empty answer scores 0, as in bert-score."""
    groups: dict[tuple[str, int], list[int]] = {}
    for row, request in enumerate(requests):
        encoder, layer = find_encoder(encoder_name(request.check)), request.check.options.get("layer")
        chosen = layer if isinstance(layer, int) else last_layer(encoder)
        groups.setdefault((encoder.name, chosen), []).append(row)
    results: dict[int, Score | MetricError] = {}
    for (name, layer), rows in groups.items():
        scored = _score_group([requests[row] for row in rows], find_encoder(name), layer)
        results.update(zip(rows, scored, strict=True))
    return [results[row] for row in range(len(requests))]


def _score_group(
    requests: Sequence[ScoringRequest], encoder: Encoder, layer: int
) -> list[Score | MetricError]:
    tokenizer = load_scorer(encoder, layer)._tokenizer
    texts = {one for request in requests for one in (request.text, *request.case.references)}
    read = {text: encoded(tokenizer, text, tokenizer.model_max_length) for text in texts}
    faults = [incomparable(request, read, encoder.name) for request in requests]
    compared = [request for request, fault in zip(requests, faults, strict=True) if fault is None]
    scored = iter(_scored(compared, read, encoder, layer) if compared else ())
    return [next(scored) if fault is None else fault for fault in faults]


def _scored(
    requests: Sequence[ScoringRequest], read: Mapping[str, EncodedText], encoder: Encoder, layer: int
) -> list[Score]:
    columns = bertscore_module(encoder, layer).compute(
        predictions=[request.text for request in requests],
        references=[list(request.case.references) for request in requests],
    )
    scored = []
    for request, *row in zip(requests, *(columns[key] for key in _COLUMNS), strict=True):
        precision, recall, f1, place = row
        answer, closest = read[request.text], read[request.case.references[place]]
        found = f"precision {precision:.2f}, recall {recall:.2f} against {quote(closest.text)}"
        if answer.is_empty:
            found = "the answer is empty"
        told = f"{encoder.name}, layer {layer}{unseen(answer, closest)}"
        scored.append(graded(request, f1, f"{found} ({told})"))
    return scored


@cache
def bertscore_module(encoder: Encoder, layer: int) -> "evaluate.Metric":
    """An ``evaluate.Metric`` for BERTScore that needs no hub and loads its encoder once.

    ``compute(predictions=[text…], references=[[text…]…])`` returns lists ``precision``, ``recall``, ``f1``
    (rounded to six decimals) and ``reference`` (the index of the closest one by F1).

    Args:
        encoder: Its directory contains a transformers model.
        layer: The layer whose vectors are compared, from 1.
    """
    import datasets
    import evaluate

    scorer = load_scorer(encoder, layer)

    class BertScore(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
        def _info(self) -> evaluate.MetricInfo:
            texts = datasets.Sequence(datasets.Value("string"))
            return evaluate.MetricInfo(
                description=f"BERTScore under {encoder.name}, layer {layer}",
                citation="Zhang et al. 2020, arXiv:1904.09675",
                inputs_description="predictions: texts; references: for each prediction a list of texts",
                features=datasets.Features({"predictions": datasets.Value("string"), "references": texts}),
            )

        def _compute(
            self, predictions: Sequence[str], references: Sequence[Sequence[str]]
        ) -> dict[str, list[Any]]:
            pairs = [(text, one) for text, some in zip(predictions, references, strict=True) for one in some]
            scored = iter(_score_pairs(scorer, pairs))
            columns: dict[str, list[Any]] = {key: [] for key in _COLUMNS}
            for some in references:
                candidates = [next(scored) for _ in some]
                best = max(range(len(candidates)), key=lambda index: candidates[index][2])
                row = (*candidates[best], best)
                for key, value in zip(_COLUMNS, row, strict=True):
                    columns[key].append(value)
            return columns

    # evaluate creates a cache folder even for a module that works in memory.
    with tempfile.TemporaryDirectory(prefix="tunegate-bertscore-") as folder:
        return BertScore(keep_in_memory=True, cache_dir=folder)


def _score_pairs(scorer: "BERTScorer", pairs: Sequence[tuple[str, str]]) -> list[tuple[float, float, float]]:
    """Precision, recall and F1 of each (answer, reference) pair; equal pairs are computed once."""
    # bert-score 0.3.13 breaks on an empty text with transformers 5; by its own rule it scores 0.
    full = sorted({pair for pair in pairs if not any(map(is_blank, pair))})
    known: dict[tuple[str, str], tuple[float, float, float]] = {}
    if full:
        columns = scorer.score(
            [answer for answer, _ in full], [one for _, one in full], batch_size=_BATCH_ROWS
        )
        for pair, *values in zip(full, *(column.tolist() for column in columns), strict=True):
            precision, recall, f1 = (round(value, DECIMALS) for value in values)
            known[pair] = precision, recall, f1
    return [known.get(pair, (0.0, 0.0, 0.0)) for pair in pairs]
